/*
 * Data on the pages that code runs from (the Windows 98 habit), with stores and execution that alternate. Linked with
 * -N, so that text is writable. Exits with 0 when the last word arrived.
 *
 * Two pages, A and B, each with code and a word of data. One round: the code on A stores to the word on B and loads
 * it, the code on B stores to the word on A. No block stores to its own page (ownpage.S does), so what QEMU does about
 * such stores leaves no mark in the rows.
 *
 * ROUNDS rounds are ROUNDS loads, 2 ROUNDS stores, all aligned 4-byte ones, and 2 ROUNDS + 1 blocks: the first round's
 * begins at _start, the last is the exit.
 *
 *   map-block, byte-lookup, qemu-fast. The first store to B comes before any code of B has run: the page is mapped.
 *     From then on each of the 2 ROUNDS - 1 stores hits a code page beside its code: code_page_data_stores. A is mapped
 *     by its first one; the others, 2 (ROUNDS - 1), are faults_code. Each drops the page's blocks, so each block that is
 *     entered is translated: translations = 2 ROUNDS + 1. Each translation but _start's (A is not mapped yet) and the
 *     exit's (B is a code page already) protects a writable window: protects = 2 ROUNDS - 1.
 *   softmmu. The same 2 ROUNDS - 1 stores are slow_code and code_page_data_stores, but no block goes:
 *     translations = 4 (_start, round, on B, exit). Of a page's such stores the first 10 after a change of its blocks
 *     walk the list: 1 + 10 on A (`round` is added after the first), 10 on B: code_list_walks = 21 (ROUNDS > 11).
 */
#ifndef ROUNDS
#define ROUNDS 20000
#endif

#include "exit.inc"

        .text
        .globl  _start
        .balign 4096
_start:                                 /* page A */
        movl    $ROUNDS, %ecx
round:
        movl    %ecx, word_b
        movl    word_b, %eax
        jmp     on_b
        .balign 64
word_a: .long   0

        .balign 4096
on_b:                                   /* page B */
        movl    %eax, word_a
        decl    %ecx
        jnz     round

        leal    -1(%eax), %ebx          /* the last round's word is 1 */
        exit
        .balign 64
word_b: .long   0
