/*
 * A whole guest that writes control registers, switches tasks and talks to devices, to count the FLUSH rows: known.S says
 * how it is started, how it ends and how phases are told apart. N = ROUNDS, which may be 0. Each phase's name says what
 * its N rounds do; beside it stand the FLUSH rows that it makes, which are the times that QEMU drops all translations:
 * when PG, WP or PE of CR0 turns, or a paging bit of CR4; when CR3 is loaded while paging is on; when A20 turns; when
 * system management mode begins (PE turns) and ends. With -DUNTOLD (flushes_untold) a value that changes nothing goes a way
 * in phase 2 that QEMU 7.2 does not tell: the recorder writes N more FLUSH rows there, and counts them as not sure.
 *
 *   0 power-on, paging on            3 CR0 (PE, PG, and back, see 2)
 *   1 CR3 while paging is off        0
 *   2 paging on and off              2N CR0, and 1 more
 *   3 CR0, the same value            0
 *   4 the same, from memory          0
 *   5 CR0.TS by or, cleared by clts  0
 *   6 CR0.TS turns, from memory      0
 *   7 CR0.WP turns, from the stack   N CR0
 *   8 lmsw                           0
 *   9 CR4, the same value            0
 *  10 CR4.TSD turns                  0
 *  11 CR4.PGE turns                  N CR4
 *  12 CR3, the same value            N CR3
 *  13 CR3, another value             N CR3
 *  14 tasks by jump, another CR3     2N CR3
 *  15 tasks by jump, the same CR3    2N CR3
 *  16 tasks by call and iret         2N CR3
 *  17 an interrupt gate              0
 *  18 A20 by port 0x92               2N other
 *  19 A20 by the keyboard controller 2N other
 *  20 a device                       0
 *  21 system management mode         2N other (rsm loads CR0 and CR3: QEMU drops twice what is one row)
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define GDT    0x5000
#define IDT    0x5100           /* the entries before 0x30 lie below and are not used */
#define TSS    0x6000
#define TSS2   0x6080
#define STACK  0x8000           /* below it: page 7; the second task has none */
#define MARKER 0x9000
#define PD     0x10000
#define PT     0x11000          /* the first 4 MiB, as they are */
#define PD2    0x12000          /* another address space, with the same tables */
#define DATA   0x20000
#define SMM    0x38000          /* where system management mode begins */
#define MARK(n) movb $n, MARKER
#define BEGIN(n) MARK(n); movl $ROUNDS, %ecx; jecxz 2f; 1: movl DATA, %edx
#define END decl %ecx; jnz 1b; 2:

        .include "guest.inc"

        protected_mode
        movl    $STACK, %esp
        movl    $gdt, %esi
        movl    $GDT, %edi
        movl    $gdt_end - gdt, %ecx
        rep movsb
        lgdt    ram_gdt
        lidt    ram_idt
        movl    $(8 << 16) + (handler - 0xf0000), IDT
        movl    $0x000f8e00, IDT + 4
        movl    $PD, TSS + 0x1c
        movl    $2, TSS2 + 0x24
        movl    $8, TSS2 + 0x4c
        .irp    segment, 0x48, 0x50, 0x54, 0x58, 0x5c
        movl    $16, TSS2 + \segment
        .endr
        movl    $0xaa0f, SMM            /* rsm */
        movl    $24, %eax
        ltr     %ax
        movl    $PT, %edi
        movl    $7, %eax                /* present, writable, ring 3 */
1:      movl    %eax, (%edi)
        addl    $4, %edi
        addl    $0x1000, %eax
        cmpl    $PT + 0x1000, %edi
        jne     1b
        movl    $PT + 7, PD
        movl    $PT + 7, PD2

        movl    $PD, %eax
        BEGIN(1)
        movl    %eax, %cr3
        END
        movl    %eax, %cr3

        BEGIN(2)
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        jmp     3f
3:      movl    %cr0, %ebx              /* the same value, and no data was touched since paging is on */
#ifdef UNTOLD
        bswap   %ebx
        bswap   %ebx
#endif
        movl    %ebx, %cr0
        movl    DATA, %edx
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        jmp     3f
3:      END
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        jmp     3f
3:
        BEGIN(3)
        movl    %cr0, %eax
        movl    %eax, %cr0
        END

        BEGIN(4)
        movl    $DATA, %esi
        movl    $DATA + 64, %edi
        movsl                           /* a string, and a value that comes through it */
        movl    %cr0, %eax
        stosl
        movl    DATA + 68, %eax
        movl    %eax, %cr0
        END

        BEGIN(5)
        movl    %cr0, %eax
        orl     $8, %eax
        movl    %eax, %cr0
        clts
        END

        movl    %cr0, %eax
        movl    %eax, DATA + 16
        orl     $8, %eax
        movl    %eax, DATA + 20
        BEGIN(6)
        movl    DATA + 20, %eax
        movl    %eax, %cr0
        movl    DATA + 16, %eax
        movl    %eax, %cr0
        END

        BEGIN(7)
        movl    %cr0, %eax
        xorl    $0x10000, %eax
        pushl   %eax
        xorl    %eax, %eax
        popl    %edi
        movl    %edi, %cr0
        END

        BEGIN(8)
        smsw    %eax
        xorl    $8, %eax
        lmsw    %ax
        smsw    DATA + 24
        lmsw    DATA + 24
        END
        clts

        BEGIN(9)
        movl    %cr4, %eax
        movl    %eax, %cr4
        END

        BEGIN(10)
        movl    %cr4, %eax
        xorl    $4, %eax
        movl    %eax, %cr4
        END

        BEGIN(11)
        movl    %cr4, %eax
        xorl    $0x80, %eax
        movl    %eax, %cr4
        END

        BEGIN(12)
        movl    %cr3, %eax
        movl    %eax, %cr3
        END

        BEGIN(13)
        movl    %cr3, %eax
        xorl    $PD ^ PD2, %eax
        movl    %eax, %cr3
        END
        movl    $PD, %eax

        movl    $jumping, TSS2 + 0x20
        movl    $PD2, TSS2 + 0x1c
        BEGIN(14)
        ljmp    $32, $0
        END
        movl    $PD, TSS2 + 0x1c
        BEGIN(15)
        ljmp    $32, $0
        END
        movl    $returning, TSS2 + 0x20
        movl    $PD2, TSS2 + 0x1c
        BEGIN(16)
        lcall   $32, $0
        END

        BEGIN(17)
        int     $0x30
        END

        BEGIN(18)
        movb    $0, %al                 /* off */
        outb    %al, $0x92
        movl    DATA, %edx
        movb    $2, %al
        outb    %al, $0x92
        END

        BEGIN(19)
        movb    $0xdd, %al              /* off */
        movw    $0x64, %dx
        outb    %al, %dx
        movl    DATA, %ebx
        movb    $0xd1, %al              /* a byte for its output port follows */
        outb    %al, %dx
        movb    $3, %al
        outb    %al, $0x60
        END

        BEGIN(20)
        outb    %al, $0x80
        END

        movw    $0xcf8, %dx
        movl    $0x80000b58, %eax       /* power management of the PIIX4: writes of port 0xb2 are to make an SMI */
        outl    %eax, %dx
        movw    $0xcfc, %dx
        inl     %dx, %eax
        orl     $1 << 25, %eax
        outl    %eax, %dx
        BEGIN(21)
        outb    %al, $0xb2
        jmp     3f
3:      jmp     3f
3:      END

        MARK(22)
        movb    $16, %al
        end_qemu

handler:
        iret
jumping:
        ljmp    $24, $0
        jmp     jumping
returning:
        iret
        jmp     returning

        flat_segments
        .quad   0x0000890000000067 + (TSS << 16)
        .quad   0x0000890000000067 + (TSS2 << 16)
gdt_end:
ram_gdt:
        .word   gdt_end - gdt - 1
        .long   GDT
        .balign 4
ram_idt:
        .word   0x31 * 8 - 1
        .long   IDT - 0x30 * 8

        real_mode
        enter_protected_mode

        reset_vector
