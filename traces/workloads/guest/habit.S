/*
 * The Windows 98 habit at a rate of our choosing: 16-bit code that, every STRIDE rounds, stores to a word on the page
 * that it runs from. It is the firmware itself (qemu-system-i386 -bios), stays in real mode, writes no control
 * register, copies itself to RAM and runs there. It ends through isa-debug-exit: QEMU's exit code is 33 when every word
 * came back.
 *
 * N = ROUNDS, S = STRIDE, 1 <= S <= N, N >= 2. E = N div S rounds store beside their code; r = N mod S rounds come
 * after the last of them. W = 21 words are copied. Blocks, in order:
 *   reset; start with the first word; W - 1 times the copying loop; the far jump into RAM              W + 2
 *   first (what comes before the loop, and round 1); then in each round the rest: `beside` where
 *   it stores, `next` where not; each round but the first begins with `round`                          2 N
 *   exit                                                                                               1
 *
 *   loads    W + N + 1      the copy; one a round; the last word
 *   stores   W + N + E      all accesses are aligned 4-byte ones: accesses = 2 W + 2 N + E + 1
 *   execs    W + 2 N + 3
 *   MAP      4              the top page, the same ROM below 1 MiB, the code's page in RAM, the data's
 *
 * No FLUSH, no FLUSH_PAGE, no IO. Three pages of data, ROM, CODE, DATA, in three blocks of 64 KiB and three sets of a
 * TLB. All E stores beside code hit no block: code_page_data_stores = E, smc_stores = 0.
 *
 *   map-block, byte-lookup, qemu-fast. Three pages are mapped at their first access (map-block: faults_block = 3, the
 *     others faults_unmapped = 3). `first` makes CODE a code page when it has been mapped writable: protects 1. Each
 *     of the E stores finds it mapped read-only: faults_code = E; the page loses its blocks, and the next block
 *     (`round` or `exit`) protects it again: protects = E + 1. No other fault.
 *     translations: reset, start, copying loop, jump 4; up to the first store first, beside and (S > 1) next, round;
 *     for each further one round, beside and (S > 1) next; after the last one round and next where r > 0; exit:
 *       S > 1: 3 E + 6 + 2 [r > 0]        S = 1: 2 E + 5
 *   softmmu. tlb_fills = 3. slow_code = E; no block goes:
 *     translations = reset, start, loop, jump, first, round, beside, exit, (S > 1) next: 9, S = 1: 8.
 *     The first 10 stores since the page's blocks last changed walk its list, and for S = 1 `round` is added after the
 *     first one: code_list_walks = min(E, 10), S = 1: 1 + min(E - 1, 10).
 *
 * So faults_code for each 1,000 accesses are 1000 E / (2 W + 2 N + E + 1), about 1000 / (2 S + 1).
 */
#ifndef ROUNDS
#define ROUNDS 200000
#endif
#ifndef STRIDE
#define STRIDE 100
#endif

#define CODE  0x20000
#define DATA  0x30000
#define WORDS 21
#define LAST  (ROUNDS % STRIDE + 1)     /* what the last store beside the code stored */

        .include "guest.inc"

        .section .low, "a"      /* at 0xf0000, so that the image has its 64 KiB */
        .long   0

        real_mode
        movw    $0xf000, %ax
        movw    %ax, %ds
        movw    $CODE >> 4, %ax
        movw    %ax, %es
        movw    $0xf000 + code - start16, %si
        xorw    %di, %di
1:      movl    (%si), %eax
        movl    %eax, %es:(%di)
        addw    $4, %si
        addw    $4, %di
        cmpw    $4 * WORDS, %di
        jne     1b
        ljmpw   $CODE >> 4, $0

        .balign 4
code:                                   /* at CODE, segment CODE >> 4 */
        movw    $DATA >> 4, %ax
        movw    %ax, %ds
        xorl    %esi, %esi              /* bits in which a word came back wrong */
        movl    $ROUNDS, %ecx
        movl    $STRIDE, %ebx
round:
        movl    %ecx, 0
        movl    0, %eax
        xorl    %ecx, %eax
        orl     %eax, %esi
        decl    %ebx
        jnz     next
beside:
        movl    %ecx, %cs:word - code
        movl    $STRIDE, %ebx
next:
        decl    %ecx
        jnz     round

        movl    %cs:word - code, %eax
        xorl    $LAST, %eax
        orl     %eax, %esi
        setnz   %al
        addb    $16, %al
        end_qemu
        .org    code + 4 * WORDS - 4    /* an error when the code is longer */
word:   .long   0

        reset_vector
