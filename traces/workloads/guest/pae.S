/*
 * A whole guest that uses physical address extension (CR4.PAE), with counts known by construction; known.S says how it
 * is started, how it ends and how phases are told apart. N = ROUNDS, B = BEYOND pages above 4 GiB in G = B / 512 (rounded
 * up) pieces of 2 MiB; RAM must be there: -m 4096, whose last GiB QEMU puts there, or a pc-dimm.
 *
 *  phase              loads  stores  execs      other rows; what it is there for
 *   0 power-on        10     1       8          1 FLUSH CR0; 4 MAP: top page; after the FLUSH that, GDT and code, MARKER
 *   1 page tables     0      1029    512        3 MAP. 512 entries of 8 bytes in a loop, 4 single ones, in 3 pages
 *   2 paging on       0      1       3          1 FLUSH CR4, CR0 each, none for CR3; 3 MAP: code after each, MARKER
 *   3 CR3 writes      N      1       2N         N FLUSH CR3; 2N + 1 MAP: code and data in each round, at last MARKER
 *   4 CR4 writes      N      1       2N         N FLUSH CR4; 2N + 1 MAP. CR4.PGE turns
 *   5 CR0 writes      N      1       2N         N FLUSH CR0; 2N + 1 MAP. CR0.WP turns
 *   6 remapping       N      N+1     2N         N - 1 FLUSH_PAGE, N + 1 MAP. The page shows A, B, A, ...
 *   7 large page      N      N+1     2N         N - 1 FLUSH_PAGE, N + 1 MAP. One page of 2 MiB shows 4 MiB, 6 MiB, ...
 *   8 above 4 GiB     B      G+2     2B+2G-2    G FLUSH CR3; B + 2G MAP: the pages, code, the directory but once, MARKER
 *   9 two names       2N     N+4     N+1        1 FLUSH CR3; 6 MAP: directory, code, two pages that show the one at 4 GiB,
 *                                               page 0 (an address cut to 32 bits would be there), MARKER
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif
#ifndef BEYOND
#define BEYOND 1000
#endif

#define MARKER  0x9000
#define STACK   0x8000
#define PDPT    0x10000
#define PDPT2   0x10100         /* another address space, with the same tables */
#define PD      0x11000
#define PT      0x12000         /* the first 2 MiB, as they are */
#define DATA    0x20000
#define A       0x30000
#define B       0x31000
#define SHOWN   0x32000         /* shows A or B */
#define WINDOW  0x200000        /* pages of 2 MiB from here on */
#define LARGE   0x400000
#define WINDOW2 0x600000
#define SPOT    0x40
#define ENTRY(page) PT + 8 * ((page) >> 12)
#define LARGE_ENTRY(page) PD + 8 * ((page) >> 21)
#define PRESENT_LARGE 0x87      /* present, writable, ring 3, 2 MiB */
#define MARK(n) movb $n, MARKER

        .include "guest.inc"

        protected_mode
        movl    $STACK, %esp

        MARK(1)
        xorl    %esi, %esi              /* bits in which a word came back wrong */
        movl    $PT, %edi
        movl    $7, %eax                /* present, writable, ring 3 */
1:      movl    %eax, (%edi)
        movl    %esi, 4(%edi)
        addl    $8, %edi
        addl    $0x1000, %eax
        cmpl    $PT + 0x1000, %edi
        jne     1b
        movl    $PD + 1, PDPT
        movl    $PD + 1, PDPT2
        movl    $PT + 7, PD
        movl    $LARGE + PRESENT_LARGE, LARGE_ENTRY(LARGE)
        MARK(2)
        movl    $PDPT, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0

        MARK(3)
        movl    $ROUNDS, %ecx
        movl    $PDPT2, %eax
1:      movl    %eax, %cr3
        movl    DATA, %edx
        xorl    $PDPT ^ PDPT2, %eax
        decl    %ecx
        jnz     1b

        MARK(4)
        movl    $ROUNDS, %ecx
        movl    %cr4, %eax
1:      xorl    $0x80, %eax             /* PGE */
        movl    %eax, %cr4
        movl    DATA, %edx
        decl    %ecx
        jnz     1b

        MARK(5)
        movl    $ROUNDS, %ecx
        movl    %cr0, %eax
1:      xorl    $0x10000, %eax          /* WP */
        movl    %eax, %cr0
        movl    DATA, %edx
        decl    %ecx
        jnz     1b

        MARK(6)
        movl    $ROUNDS, %ecx
        movl    $A + 7, %eax
1:      movl    %eax, ENTRY(SHOWN)
        invlpg  SHOWN
        movl    SHOWN, %edx
        xorl    $A ^ B, %eax
        decl    %ecx
        jnz     1b

        MARK(7)
        movl    $ROUNDS, %ecx
        movl    $LARGE + PRESENT_LARGE, %eax
1:      movl    %eax, LARGE_ENTRY(LARGE)
        invlpg  LARGE + 0x5000
        movl    LARGE + 0x5000, %edx
        xorl    $0x400000 ^ 0x600000, %eax
        decl    %ecx
        jnz     1b

        MARK(8)
        movl    $BEYOND, %ecx
        movl    $1, LARGE_ENTRY(WINDOW) + 4     /* 4 GiB and more */
        movl    $PRESENT_LARGE, %eax
1:      movl    %eax, LARGE_ENTRY(WINDOW)
        movl    $PDPT, %edx
        movl    %edx, %cr3
        movl    $WINDOW, %ebx
2:      movl    (%ebx), %edx
        addl    $0x1000, %ebx
        decl    %ecx
        jz      3f
        testl   $0x1ff000, %ebx
        jnz     2b
        addl    $0x200000, %eax
        jmp     1b

3:      MARK(9)
        movl    $ROUNDS, %ecx
        movl    $PRESENT_LARGE, LARGE_ENTRY(WINDOW)
        movl    $PRESENT_LARGE, LARGE_ENTRY(WINDOW2)
        movl    $1, LARGE_ENTRY(WINDOW2) + 4
        movl    $PDPT, %edx
        movl    %edx, %cr3
1:      movl    %ecx, WINDOW + SPOT
        movl    WINDOW2 + SPOT, %edx
        xorl    %ecx, %edx
        orl     %edx, %esi
        movl    SPOT, %edx
        orl     %edx, %esi
        decl    %ecx
        jnz     1b

        MARK(10)
        end_with_errors

        flat_segments
gdt_end:

        real_mode
        enter_protected_mode

        reset_vector
