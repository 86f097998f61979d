/*
 * A whole guest that calls one function at two addresses by turns, N = ROUNDS times: in ROM at its two places, then in a
 * page of RAM that is shown twice. known.S says how it is started and how it ends. The function is one block.
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define STACK  0x8000
#define PD     0x10000
#define PT     0x11000          /* the first 4 MiB, as they are, but for OTHER */
#define ROM    0xf9000
#define HIGH   0xfff00000       /* what the ROM's other place adds to an address */
#define CODE   0x45000
#define OTHER  0x46000          /* shows the page of CODE */

        .section .low, "ax"     /* at 0xf0000 */
        .code32
        .balign 4
start32:
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $STACK, %esp
        movl    $ROM, %eax
        movl    $HIGH + ROM, %edx
        call    turns

        movl    ROM, %eax
        movl    %eax, CODE
        movl    ROM + 4, %eax
        movl    %eax, CODE + 4
        movl    $PT, %edi
        movl    $7, %eax                /* present, writable, ring 3 */
1:      movl    %eax, (%edi)
        addl    $4, %edi
        addl    $0x1000, %eax
        cmpl    $PT + 0x1000, %edi
        jne     1b
        movl    $CODE + 7, PT + 4 * (OTHER >> 12)
        movl    $PT + 7, PD
        movl    $PD, %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        jmp     1f
1:      movl    $CODE, %eax
        movl    $OTHER, %edx
        call    turns
        movb    $16, %al
        outb    %al, $0xf4              /* QEMU ends with 2 * al + 1 */
1:      hlt
        jmp     1b

turns:  movl    $ROUNDS, %ecx
1:      call    *%eax
        call    *%edx
        decl    %ecx
        jnz     1b
        ret

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 8: code; all are marked accessed, so that nobody stores here */
        .quad   0x00cf93000000ffff      /* 16: data */
gdt_end:

        .org    ROM - 0xf0000
        movl    $1, %ebx
        ret

        .section .top, "ax"     /* at 0xff000 and 0xfffff000 */
        .code16
start16:
        cli
        lgdtl   %cs:0xf000 + gdt_pointer - start16
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $start32
        .balign 4
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt

        .section .reset, "ax"   /* at 0xffff0 and 0xfffffff0 */
        .code16
        .globl  _start
_start:
        jmp     start16
        .balign 16
