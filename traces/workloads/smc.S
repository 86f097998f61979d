/*
 * Rewrites its own code a known number of times. Linked with -N, so that text is writable. Exits with 0 when each
 * rewritten instruction did what was written.
 *
 * Page A holds the loop, page B a function `movl $N, %eax; ret`. One round stores a new N over the four bytes in the
 * instruction (misaligned: they begin at B + 1), calls the function and sums up what it returns. The call stores its
 * return address, the return loads it: both on the stack's page.
 *
 * ROUNDS rounds are 2 ROUNDS stores, ROUNDS loads, ROUNDS misaligned, and 3 ROUNDS + 1 blocks: up to the call (in the
 * first round from _start), the function, what comes after the call; the last is the exit.
 *
 *   map-block, byte-lookup, qemu-fast. The first store to B comes before its code has run. Each later one overlaps the
 *     function's block: smc_stores = faults_code = ROUNDS - 1. The function is translated in each round, the other four
 *     blocks once: translations = ROUNDS + 4; each translation of it protects the window again: protects = ROUNDS.
 *   softmmu. smc_stores = slow_code = code_list_walks = ROUNDS - 1, translations = ROUNDS + 4; slow_misaligned = ROUNDS.
 *   Nobody: code_page_data_stores, page_cross (the stack is 4-aligned).
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
        xorl    %esi, %esi
round:
        movl    %ecx, function + 1
        call    function
        subl    %ecx, %eax              /* 0, or the old code has run */
        orl     %eax, %esi
        decl    %ecx
        jnz     round

        xorl    %ebx, %ebx
        testl   %esi, %esi
        setnz   %bl
        exit

        .balign 4096
function:                               /* page B */
        movl    $0, %eax
        ret
