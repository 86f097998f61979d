/*
 * A whole guest that executes INVLPG with each kind of operand, N = ROUNDS times: known.S says how it is started and how it
 * ends. First 16-bit code in real mode, whose eight name the pages 1 to 8, then 32-bit code in protected mode, whose eleven
 * name the pages 9 to 18, and 3 by a 16-bit address.
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define AT(n) (n * 0x1000 + 0x123)
#define FS_BASE 0x7000

        .include "guest.inc"

        protected_mode
        movl    $24, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $ROUNDS, %ecx
1:      movl    $AT(9), %eax
        invlpg  (%eax)
        invlpg  AT(10)
        movl    $AT(11) - 0x40, %ebp
        invlpg  0x40(%ebp)
        movl    $AT(12) + 0x40, %edi
        invlpg  -0x40(%edi)
        movl    $AT(13) - 0x10000, %esp
        invlpg  0x10000(%esp)
        movl    $AT(14) - 0x400, %ebx
        movl    $0x100, %edx
        invlpg  (%ebx,%edx,4)
        movl    $AT(15) / 8, %esi       /* loses the last bits, not the page */
        invlpg  0x3(,%esi,8)
        movl    $AT(16) - 0x20 - FS_BASE, %eax
        invlpg  %fs:0x20(%eax)
        invlpg  %gs:AT(17) - FS_BASE
        movl    $AT(18) - 0x8000, %ebx
        movl    $0x8000, %esi
        invlpg  %es:(%ebx,%esi)
        movl    $0xdead0000 + AT(3), %ebx
        addr16  invlpg (%bx)
        decl    %ecx
        jnz     1b
        movb    $16, %al
        end_qemu

        flat_segments
        .quad   0x00cf93000000ffff + (FS_BASE << 16) /* 24: data from there on */
gdt_end:

        real_mode
        movl    $ROUNDS, %ecx
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    $AT(1), %bx
        invlpg  (%bx)
        invlpg  AT(2)
        movw    $0x300, %ax
        movw    %ax, %es
        movw    $0x123, %di
        invlpg  %es:(%di)
        movw    $0x400, %ax
        movw    %ax, %ss
        movw    $0x100, %bp
        movw    $0x20, %si
        invlpg  3(%bp,%si)
        movw    $0xff00, %bx            /* wraps within 64 KiB */
        movw    $0x500, %ax
        movw    %ax, %ds
        movw    $0x223, %si
        invlpg  (%bx,%si)
        xorw    %ax, %ax
        movw    %ax, %ds
        movl    $AT(6), %ebx
        addr32  invlpg (%ebx)
        movl    $AT(7) - 0x4000, %eax
        movl    $0x1000, %edx
        addr32  invlpg (%eax,%edx,4)
        movw    $0x700, %ax
        movw    %ax, %fs
        invlpg  %fs:0x1123
        decl    %ecx
        jnz     1b
        enter_protected_mode

        reset_vector
