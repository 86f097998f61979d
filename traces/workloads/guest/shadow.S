/*
 * A whole guest that turns the chipset's PAM registers, which show ROM or RAM from 0xc0000 to 0xfffff, and has its own code
 * and data there: known.S says how it is started, how it ends and how phases are told apart. N = ROUNDS. It runs from the
 * ROM's other place, just below 4 GiB, so that its own code stays. A round of each phase:
 *
 *   1 the page DATA shows RAM, is stored to and loaded, shows ROM, and is loaded (by the register of 0xf0000, a byte)
 *   2 the page OPTION, of the ROM at 0xc0000, does the same (by the register of 0xc0000, four bytes at once)
 *   3 the page CODE shows RAM, gets a function and calls it, shows ROM, and calls the one that is there
 *   4 the register beside them, of SMRAM, is written with what it holds, and memory loaded
 *   5 the registers beside these two are written, and memory is loaded
 *   6 the VGA card's memory is asked for its size, and is shown, shown again, moved and taken away; memory is loaded
 *
 * QEMU shows all of this anew, and drops all translations, at each write of the registers in phases 1 to 4, and three
 * times in a round of phase 6.
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define MARKER 0x9000
#define STACK  0x8000
#define DATA   0xf8000
#define OPTION 0xc0000
#define CODE   0xf9000
#define HIGH   0xfff00000       /* what the ROM's other place adds to an address */
#define MARK(n) movb $n, MARKER

        .include "guest.inc"

        protected_mode
        movl    $STACK, %esp
        movl    $HIGH + high, %eax
        jmp     *%eax

        .macro  config reg      /* the register that the data port is to write */
        movl    $0x80000000 + \reg, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        .endm
        .macro  pam0 value
        config  0x58
        movb    $\value, %al
        movw    $0xcfd, %dx
        outb    %al, %dx
        jmp     9f              /* another block: QEMU turns memory when one has ended */
9:
        .endm
        .macro  pam1 value
        config  0x5c
        inl     %dx, %eax       /* not of this register: the answer is thrown away */
        config  0x58
        movl    $\value, %eax
        movw    $0xcfc, %dx
        outl    %eax, %dx
        jmp     9f
9:
        .endm

        .macro  vga reg, value  /* bus 0, device 2 */
        config  0x1000 + \reg
        movl    $\value, %eax
        movw    $0xcfc, %dx
        outl    %eax, %dx
        jmp     9f
9:      movl    STACK - 4, %ebx
        .endm

high:   xorl    %esi, %esi
        MARK(1)
        movl    $ROUNDS, %ecx
1:      pam0    0x30
        movl    %ecx, DATA
        movl    DATA, %ebx
        xorl    %ecx, %ebx
        orl     %ebx, %esi
        pam0    0
        movl    DATA, %ebx
        xorl    $0x12345678, %ebx
        orl     %ebx, %esi
        decl    %ecx
        jnz     1b

        MARK(2)
        movl    $ROUNDS, %ecx
1:      pam1    0x00030000      /* PAM0, at 0x59: ROM; PAM1, at 0x5a: RAM in the first piece */
        movl    %ecx, OPTION
        movl    OPTION, %ebx
        xorl    %ecx, %ebx
        orl     %ebx, %esi
        pam1    0
        movl    OPTION, %ebx
        cmpl    %ecx, %ebx
        sete    %bl
        movzbl  %bl, %ebx
        orl     %ebx, %esi
        decl    %ecx
        jnz     1b

        MARK(3)
        movl    $ROUNDS, %ecx
1:      pam0    0x30
        movl    $0x000002b8, CODE       /* movl $2, %eax; ret */
        movl    $0x0000c300, CODE + 4
        movl    $CODE, %edi
        call    *%edi
        xorl    $2, %eax
        orl     %eax, %esi
        pam0    0
        call    *%edi
        xorl    $1, %eax
        orl     %eax, %esi
        decl    %ecx
        jnz     1b

        MARK(4)
        movl    $ROUNDS, %ecx
1:      config  0x70
        movb    $2, %al
        movw    $0xcfe, %dx
        outb    %al, %dx
        movl    STACK - 4, %ebx
        decl    %ecx
        jnz     1b

        MARK(5)
        movl    $ROUNDS, %ecx
1:      config  0x70
        movb    $0, %al
        movw    $0xcfd, %dx
        outb    %al, %dx
        config  0x60
        xorl    %eax, %eax
        movw    $0xcfc, %dx
        outl    %eax, %dx
        movl    STACK - 4, %ebx
        decl    %ecx
        jnz     1b

        MARK(6)
        movl    $ROUNDS, %ecx
1:      vga     0x10, 0xffffffff
        vga     0x10, 0xe0000000
        vga     4, 2
        vga     4, 2
        vga     0x10, 0xe1000000
        vga     4, 0
        vga     0x10, 0
        decl    %ecx
        jnz     1b

        MARK(7)
        end_with_errors

        flat_segments
gdt_end:

        .org    DATA - 0xf0000
        .long   0x12345678
        .org    CODE - 0xf0000
        movl    $1, %eax
        ret

        real_mode
        enter_protected_mode

        reset_vector
