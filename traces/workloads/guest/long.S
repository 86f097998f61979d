/*
 * A whole guest in long mode, with counts known by construction; known.S says how it is started, how it ends and how
 * phases are told apart. N = ROUNDS. Its 64-bit code runs at -2 GiB, as a kernel does, on tables of four levels. The first
 * 2 MiB are shown by pages of 4 KiB at three places: 0, -128 TiB and -2 GiB. QEMU ends a block after what known.S says,
 * and after INVLPG, SYSCALL and SYSRET.
 *
 *  phase              loads  stores  execs   other rows; what it is there for
 *   0 power-on        10     1       7       1 FLUSH CR0; 4 MAP: top page; after the FLUSH that, GDT and code, MARKER
 *   1 page tables     0      1040    513     9 MAP. 512 entries of 8 bytes in a loop, 15 single ones, in 9 pages
 *   2 long mode       2      1       9       1 FLUSH CR4, CR0 each, none for CR3; 4 MAP: code after each, code at -2 GiB,
 *                                            MARKER. A far jump loads 2 words of a descriptor; 4 MSRs
 *   3 CR3 writes      N      1       2N      N FLUSH CR3; 2N + 1 MAP: code and data in each round, at last MARKER
 *   4 remapping       N      N+1     2N      N - 1 FLUSH_PAGE, N + 1 MAP. The page shows A, B, A, ...
 *   5 large page      N      N+1     2N      N - 1 FLUSH_PAGE, N + 1 MAP. One page of 2 MiB, at -128 TiB, shows 4 MiB, 6 MiB
 *   6 devices         2N     N+1     N       3N of the accesses are IO: video memory, local APIC
 *   7 crossings       N      N+2     N+1     2 MAP. 2N misaligned, 2N crossing, onto a page mapped elsewhere
 *   8 16 bytes        2N     2N+1    N       1 MAP. Half of them cross, misaligned; the others are cmpxchg16b's
 *   9 own code        N      2N+3    3N      2 MAP. N misaligned stores into an instruction; all but the first are SMC
 *  10 ring 3          N      N+1     2N+2    2 MAP. N loads, N stores and 2N + 1 blocks with the USER flag
 *  11 the last page   N      N+1     N       2 MAP. 2N misaligned, 2N crossing, from the last page into page 0
 *  12 RAM, device     2N     2N+1    3N      N MAP, N FLUSH_PAGE. A page shows RAM, then video memory, N of the loads are IO
 *  13 INVLPG          0      1       10N+1   each kind of operand; what it names was not touched
 */
#ifndef ROUNDS
#define ROUNDS 1000
#endif

#define HIGH   -0x80000000
#define MARKER 0x9000
#define STACK  0x8000           /* below it: page 7 */
#define PML4   0x10000
#define PML4B  0x11000          /* another address space, with the same tables */
#define PDPT   0x12000          /* from 0 and from -128 TiB on */
#define PDPTH  0x13000          /* the last 512 GiB */
#define PD     0x14000
#define PT     0x15000          /* the first 2 MiB, as they are */
#define PDAPIC 0x16000
#define PDTOP  0x17000          /* the last GiB, and its last 2 MiB */
#define PTTOP  0x18000
#define TOP    0x19000          /* what the last page shows */
#define DATA   0x20000
#define A      0x30000
#define B      0x31000
#define SHOWN  0x32000          /* shows A or B */
#define P      0x40000
#define FAR_Q  0x50000          /* what the page after P shows */
#define R      0x42000
#define OWN    0x45000
#define UDATA  0x46000
#define TURNS  0x49000          /* shows A or video memory */
#define LARGE  0x400000
#define APIC   0xfee00000
#define PRESENT_LARGE 0x87      /* present, writable, ring 3, 2 MiB */
#define ENTRY(page) PT + 8 * ((page) >> 12)
#define MARK(n) movb $n, MARKER
#define AT(n) (n * 0x1000 + 0x123)
#define FS_BASE 0x700000

        .include "guest.inc"

        .macro  write_msr number, low, high=0
        movl    $\number, %ecx
        movl    $\low, %eax
        movl    $\high, %edx
        wrmsr
        .endm

        protected_mode

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
        .irp    table, PML4, PML4B
        movl    $PDPT + 7, \table
        movl    $PDPT + 7, \table + 8 * 256
        movl    $PDPTH + 7, \table + 8 * 511
        .endr
        movl    $PD + 7, PDPT
        movl    $PDAPIC + 7, PDPT + 8 * (APIC >> 30)
        movl    $PD + 7, PDPTH + 8 * 510
        movl    $PDTOP + 7, PDPTH + 8 * 511
        movl    $PT + 7, PD
        movl    $LARGE + PRESENT_LARGE, PD + 8 * (LARGE >> 21)
        movl    $APIC + PRESENT_LARGE, PDAPIC + 8 * (APIC >> 21 & 511)
        movl    $PTTOP + 7, PDTOP + 8 * 511
        movl    $TOP + 7, PTTOP + 8 * 511
        MARK(2)
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x220, %eax            /* PAE; SSE may be used */
        movl    %eax, %cr4
        write_msr 0xc0000080, 0x101     /* EFER: long mode, SYSCALL */
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        ljmpl   $24, $long_mode
        .code64
long_mode:
        movq    $HIGH + kernel, %rax
        jmp     *%rax
kernel: movq    $HIGH + STACK, %rsp
        write_msr 0xc0000081, 0, 32 << 16 | 24 /* STAR: SYSRET takes the selectors 40 and 48, SYSCALL 24 and 32 */
        write_msr 0xc0000082, 0x80000000 + back, -1 /* LSTAR: at -2 GiB */
        write_msr 0xc0000084, 0                /* FMASK */

        MARK(3)
        movl    $ROUNDS, %ecx
        movl    $PML4B, %eax
1:      movq    %rax, %cr3
        movl    HIGH + DATA, %edx
        xorl    $PML4 ^ PML4B, %eax
        decl    %ecx
        jnz     1b

        MARK(4)
        movl    $ROUNDS, %ecx
        movl    $A + 7, %eax
        movq    $HIGH + SHOWN, %r12
1:      movq    %rax, HIGH + ENTRY(SHOWN)
        invlpg  (%r12)
        movl    (%r12), %edx
        xorl    $A ^ B, %eax
        decl    %ecx
        jnz     1b

        MARK(5)
        movl    $ROUNDS, %ecx
        movl    $LARGE + PRESENT_LARGE, %eax
        movabsq $0xffff800000000000 + LARGE + 0x5000, %r8
1:      movq    %rax, HIGH + PD + 8 * (LARGE >> 21)
        invlpg  (%r8)
        movl    (%r8), %edx
        xorl    $0x400000 ^ 0x600000, %eax
        decl    %ecx
        jnz     1b

        MARK(6)
        movl    $ROUNDS, %ecx
        movl    $APIC + 0x30, %ebx
1:      movb    %cl, HIGH + 0xb8000
        movl    HIGH + 0xa0000, %edx
        movl    (%rbx), %edx
        decl    %ecx
        jnz     1b

        MARK(7)
        movl    $ROUNDS, %ecx
        movq    $FAR_Q + 7, HIGH + ENTRY(P + 0x1000)
        invlpg  HIGH + P + 0x1000
1:      movq    %rcx, HIGH + P + 4092
        movq    HIGH + P + 4092, %rdx
        xorl    %ecx, %edx
        orl     %edx, %esi
        decl    %ecx
        jnz     1b

        MARK(8)
        movl    $ROUNDS, %ecx
1:      movups  %xmm0, HIGH + P + 4088
        movups  HIGH + P + 4088, %xmm1
        cmpxchg16b HIGH + R
        decl    %ecx
        jnz     1b

        MARK(9)
        movl    $0x000000b8, HIGH + OWN /* movl $0, %eax; ret */
        movl    $0x0000c300, HIGH + OWN + 4
        movl    $ROUNDS, %ecx
        movq    $HIGH + OWN, %rbx
1:      movl    %ecx, HIGH + OWN + 1
        call    *%rbx
        subl    %ecx, %eax              /* 0, or the old code has run */
        orl     %eax, %esi
        decl    %ecx
        jnz     1b

        MARK(10)
        movl    $user, %ecx
        movl    $2, %r11d               /* flags */
        sysretq

back:   MARK(11)
        movl    $ROUNDS, %ecx
1:      movq    %rcx, -4
        movq    -4, %rdx
        xorl    %ecx, %edx
        orl     %edx, %esi
        decl    %ecx
        jnz     1b

        MARK(12)
        movl    $ROUNDS, %ecx
1:      movq    $A + 7, HIGH + ENTRY(TURNS)
        invlpg  HIGH + TURNS
        movl    HIGH + TURNS, %edx
        movq    $0xb8007, HIGH + ENTRY(TURNS)
        invlpg  HIGH + TURNS
        movl    HIGH + TURNS, %edx
        decl    %ecx
        jnz     1b

        MARK(13)
        write_msr 0xc0000100, FS_BASE
        movl    $ROUNDS, %ecx
        movabsq $0xffff900000000000 + AT(1), %r9
        movabsq $0xffffa00000000000 + AT(2) - 0x40, %rbp
        movabsq $0x00007f0000000000 + AT(3) - 0x400, %r8
        movl    $0x100, %r13d
        movq    $AT(4) / 8, %r12        /* loses the last bits, not the page */
        movq    $AT(6) - FS_BASE - 0x20, %rax
        movabsq $0xdead00000000 + AT(7), %rdi
        movabsq $0xffffb00000000000 + AT(9), %rsp
1:      invlpg  (%r9)
        invlpg  0x40(%rbp)
        invlpg  (%r8,%r13,4)
        invlpg  HIGH + 3(,%r12,8)
        invlpg  1b + AT(5)(%rip)
        invlpg  %fs:0x20(%rax)
        addr32  invlpg (%edi)
        invlpg  AT(8)
        invlpg  (%rsp)
        decl    %ecx
        jnz     1b

        MARK(14)
        end_with_errors

        flat_segments
        .quad   0x00af9b000000ffff      /* 24: code of 64 bits */
        .quad   0x00cf93000000ffff      /* 32: data */
        .quad   0x00cff3000000ffff      /* 40: data of ring 3 */
        .quad   0x00affb000000ffff      /* 48: code of ring 3 */
gdt_end:

        .balign 4096
        .code64
user:                                   /* a page of its own; its second block makes no access */
        movl    $ROUNDS, %ebx
1:      movq    %rbx, UDATA
        movq    UDATA, %rax
        jmp     2f
2:      decl    %ebx
        jnz     1b
        syscall

        real_mode
        enter_protected_mode

        reset_vector
