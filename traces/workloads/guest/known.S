/*
 * A whole guest whose counts are known by construction. It is the firmware itself (qemu-system-i386 -bios): no row is
 * anybody else's. Interrupts stay off. It ends through isa-debug-exit: QEMU's exit code is 33 when every word came back
 * as it should, 35 when not.
 *
 * A byte stored to MARKER begins each phase and tells its number. A phase's rows are those after its mark, up to and with
 * the next mark. Each loop runs N = ROUNDS times, its first round in the block that the mark begins; so the block of the
 * next mark and that mark's store are in each phase's counts below. QEMU ends a block after an instruction that writes
 * CR0 or CR3, a segment register of 32-bit code or an MSR, after INVLPG, and where code enters another page.
 *
 *  phase              loads  stores  execs   other rows; what it is there for
 *   0 power-on        10     1       11      1 FLUSH CR0; 4 MAP: top page; after the FLUSH that, GDT and code, MARKER
 *   1 page tables     0      1030    1024    4 MAP. 1024 entries in a loop, 5 single ones, in 4 pages
 *   2 paging on       0      1       2       1 FLUSH CR0, none for CR3 while paging is off; 2 MAP: code and MARKER
 *   3 CR3 writes      N      1       2N      N FLUSH CR3; 2N + 1 MAP: code and data in each round, at last MARKER
 *   4 remapping       N      N+1     2N      N - 1 FLUSH_PAGE, N + 1 MAP. The page shows A, B, A, ...
 *   5 devices         2N     N+1     N       3N of the accesses are IO: video memory, local APIC
 *   6 ROM             N      1       N       code and data on one page of ROM: no FLUSH_PAGE
 *   7 crossings       N      N+2     N+1     2 MAP. 2N misaligned, 2N crossing, onto a page mapped elsewhere
 *   8 crossing code   N      N+4     4N+1    3 MAP. An instruction that lies in two pages; 2 misaligned, 1 crossing
 *   9 beside code     4      N+5     N+2     1 MAP. N stores to the page that runs
 *  10 own code        N      2N+3    3N      1 MAP. N misaligned stores into an instruction; all but the first are SMC
 *  11 ring 3          N      N+1     2N+2    2 MAP. N loads, N stores and 2N + 1 blocks with the USER flag
 *  12 RAM, device      2N     2N+1    3N      N MAP, N FLUSH_PAGE. A page shows RAM, then video memory, N of the loads are IO
 *  13 half a device    N      N+2     N+1     N MAP, N - 1 FLUSH_PAGE. N stores, IO, cross from RAM into video memory
 *
 * Phase 0. Blocks: the reset vector; up to the CR0 write; the far jump; %ds; %es; %ss; one instruction alone, since QEMU
 * lets interrupts in after it; three MSRs; the first mark. Loads: lgdt 2 (2 bytes, and 4 misaligned ones), each
 * of the far jump, %ds, %es and %ss 2 words of a descriptor.
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define MARKER 0x9000
#define STACK  0x8000           /* below it: page 7 */
#define PD     0x10000
#define PT     0x11000          /* the first 4 MiB, as they are */
#define PD2    0x12000          /* another address space, with the same tables */
#define APICPT 0x13000
#define DATA   0x20000
#define A      0x30000
#define B      0x31000
#define SHOWN  0x32000          /* shows A or B */
#define P      0x40000
#define FAR_Q  0x50000          /* what the page after P shows */
#define R      0x42000
#define FAR_S  0x60000          /* what the page after R shows */
#define BESIDE 0x44000
#define OWN    0x45000
#define UDATA  0x46000
#define USTACK 0x48000
#define TURNS  0x49000          /* shows A or video memory */
#define HALF   0x4a000          /* the page after it shows video memory */
#define APIC   0xfee00000
#define ENTRY(page) PT + 4 * ((page) >> 12)
#define MARK(n) movb $n, MARKER

        .include "guest.inc"

        protected_mode
        movl    $STACK, %esp
        xorl    %edx, %edx
        movl    $0x174, %ecx            /* SYSENTER_CS: sysexit takes the selectors 24 and 32 */
        movl    $8, %eax
        wrmsr
        incl    %ecx
        movl    $STACK, %eax
        wrmsr
        incl    %ecx
        movl    $back, %eax
        wrmsr

        MARK(1)
        xorl    %esi, %esi              /* bits in which a word came back wrong */
        movl    $PT, %edi
        movl    $7, %eax                /* present, writable, ring 3 */
1:      movl    %eax, (%edi)
        addl    $4, %edi
        addl    $0x1000, %eax
        cmpl    $PT + 0x1000, %edi
        jne     1b
        movl    $PT + 7, PD
        movl    $PT + 7, PD2
        movl    $APICPT + 7, PD + 4 * (APIC >> 22)
        movl    $APICPT + 7, PD2 + 4 * (APIC >> 22)
        movl    $APIC + 3, APICPT + 4 * (APIC >> 12 & 1023)
        MARK(2)
        movl    $PD, %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0

        MARK(3)
        movl    $ROUNDS, %ecx
        movl    $PD2, %eax
1:      movl    %eax, %cr3
        movl    DATA, %edx
        xorl    $PD ^ PD2, %eax
        decl    %ecx
        jnz     1b

        MARK(4)
        movl    $ROUNDS, %ecx
        movl    $A + 7, %eax
1:      movl    %eax, ENTRY(SHOWN)
        invlpg  SHOWN
        movl    SHOWN, %edx
        xorl    $A ^ B, %eax
        decl    %ecx
        jnz     1b

        MARK(5)
        movl    $ROUNDS, %ecx
1:      movb    %cl, 0xb8000
        movl    0xa0000, %edx
        movl    APIC + 0x30, %edx
        decl    %ecx
        jnz     1b

        MARK(6)
        movl    $ROUNDS, %ecx
1:      movl    constant, %edx
        xorl    $0x12345678, %edx
        orl     %edx, %esi
        decl    %ecx
        jnz     1b

        MARK(7)
        movl    $ROUNDS, %ecx
        movl    $FAR_Q + 7, ENTRY(P + 0x1000)
        invlpg  P + 0x1000
1:      movl    %ecx, P + 4094
        movl    P + 4094, %edx
        xorl    %ecx, %edx
        orl     %edx, %esi
        decl    %ecx
        jnz     1b

        MARK(8)
        movl    $FAR_S + 7, ENTRY(R + 0x1000)
        invlpg  R + 0x1000
        movl    $0x332211b8, R + 4094   /* b8 11 22 33 00: movl $0x332211, %eax */
        movl    $0x0000c300, R + 4098   /* c3: ret */
        movl    $ROUNDS, %ecx
        movl    $R + 4094, %ebx
1:      call    *%ebx
        decl    %ecx
        jnz     1b

        MARK(9)
        movl    beside, %eax
        movl    %eax, BESIDE
        movl    beside + 4, %eax
        movl    %eax, BESIDE + 4
        movl    beside + 8, %eax
        movl    %eax, BESIDE + 8
        movl    $ROUNDS, %ecx
        movl    $BESIDE, %ebx
        call    *%ebx

        MARK(10)
        movl    $0x000000b8, OWN        /* movl $0, %eax; ret */
        movl    $0x0000c300, OWN + 4
        movl    $ROUNDS, %ecx
        movl    $OWN, %ebx
1:      movl    %ecx, OWN + 1
        call    *%ebx
        subl    %ecx, %eax              /* 0, or the old code has run */
        orl     %eax, %esi
        decl    %ecx
        jnz     1b

        MARK(11)
        movl    $user, %edx
        movl    $USTACK, %ecx
        sysexit

back:   MARK(12)
        movl    $ROUNDS, %ecx
1:      movl    $A + 7, ENTRY(TURNS)
        invlpg  TURNS
        movl    TURNS, %edx
        movl    $0xb8007, ENTRY(TURNS)
        invlpg  TURNS
        movl    TURNS, %edx
        decl    %ecx
        jnz     1b

        MARK(13)
        movl    $ROUNDS, %ecx
        movl    $0xb8007, ENTRY(HALF + 0x1000)
        invlpg  HALF + 0x1000
1:      movl    %ecx, HALF + 4094       /* misaligned, crosses */
        movb    HALF, %dl
        decl    %ecx
        jnz     1b

        MARK(14)
        end_with_errors

        .balign 4
constant:
        .long   0x12345678
beside:                                 /* position does not matter: runs at BESIDE */
1:      movl    %ecx, BESIDE + 0x800
        decl    %ecx
        jnz     1b
        ret
        flat_segments
        .quad   0x00cffb000000ffff      /* 24: code of ring 3 */
        .quad   0x00cff3000000ffff      /* 32: data of ring 3 */
gdt_end:

        .balign 4096
user:                                   /* a page of its own; its second block makes no access */
        movl    $ROUNDS, %ebx
1:      movl    %ebx, UDATA
        movl    UDATA, %eax
        jmp     2f
2:      decl    %ebx
        jnz     1b
        sysenter

        real_mode
        enter_protected_mode

        reset_vector
