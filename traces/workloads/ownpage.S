/*
 * A loop that stores to a word on its own page, beside its own code. Linked with -N, so that text is writable.
 *
 * QEMU (5.2 to 8.2, user mode) notices the store by a host fault inside the block, drops all blocks of the page, the
 * running one too, and goes on with a block of one instruction, the store, then with one of the rest. So each round
 * is three blocks and one store, and the first block, though entered, does only what lies before the store. The rows
 * say so: that is what a recorder sees, and EXEC rows count blocks entered.
 *
 * ROUNDS rounds are ROUNDS stores and 3 ROUNDS + 1 blocks: in the first round the first block begins at _start, the
 * last of all is the exit.
 *
 *   map-block, byte-lookup, qemu-fast: code_page_data_stores = ROUNDS, the first on an unmapped page, so faults_code =
 *     ROUNDS - 1; each round's three blocks are translated: translations = 3 ROUNDS + 1; the block after the store makes
 *     it a code page again: protects = ROUNDS.
 *   softmmu: slow_code = code_page_data_stores = ROUNDS, translations = 5 (_start, store, rest, round, exit).
 *     The list is walked at the first store, once; `rest` and `round` are added after it: 10 more, code_list_walks = 11.
 */
#ifndef ROUNDS
#define ROUNDS 5000
#endif

#include "exit.inc"

        .text
        .globl  _start
        .balign 4096
_start:
        movl    $ROUNDS, %ecx
round:
        movl    %ecx, word
        decl    %ecx
        jnz     round

        xorl    %ebx, %ebx
        exit
        .balign 64
word:   .long   0
