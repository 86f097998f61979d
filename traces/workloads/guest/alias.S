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

        .include "guest.inc"

        protected_mode
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
        end_qemu

turns:  movl    $ROUNDS, %ecx
1:      call    *%eax
        call    *%edx
        decl    %ecx
        jnz     1b
        ret

        flat_segments
gdt_end:

        .org    ROM - 0xf0000
        movl    $1, %ebx
        ret

        real_mode
        enter_protected_mode

        reset_vector
