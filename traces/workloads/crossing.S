/*
 * Crosses page boundaries a known number of times. Exits with 0 when the words come back as they were stored.
 *
 * `area` is three pages, aligned to 64 KiB. One round, all on it (P = first page, Q = second, R = third):
 *
 *   store 4 at 4094   P|Q  misaligned, crosses        load  4 at 4097   Q    misaligned
 *   load  4 at 4094   P|Q  misaligned, crosses        store 4 at 4090   P    misaligned
 *   store 2 at 8191   Q|R  misaligned, crosses        load  1 at 4095   P
 *   load  2 at 8191   Q|R  misaligned, crosses        load  4 at 4100   Q
 *   load  8 at 4092   P|Q  misaligned, crosses
 *   store 8 at 8188   Q|R  misaligned, crosses
 *
 * So ROUNDS rounds are 6 ROUNDS loads, 4 ROUNDS stores, 8 ROUNDS misaligned, 6 ROUNDS crossings (3 loads and 3
 * stores; sizes 4, 2 and 8 of each) and ROUNDS + 1 blocks: _start with the first round, the loop, the exit.
 *
 *   byte-lookup  each crossing faults, whatever is mapped: faults_cross = 6 ROUNDS. The first crossing that finds a
 *                page unmapped leaves it so; P and Q are mapped by the accesses that do not cross: faults_unmapped = 2.
 *   map-block    crossing is free: faults_block = 1 (P, the low page first), faults_unmapped = 2 (Q and R).
 *   softmmu      slow_cross = 6 ROUNDS, slow_misaligned = 2 ROUNDS, tlb_fills = 3: each page is stored to first.
 *   qemu-fast    faults_unmapped = 3.
 *   Nobody: faults_write (each page is stored to first; under byte-lookup P and Q are dirty by then), faults_code.
 */
#ifndef ROUNDS
#define ROUNDS 40000
#endif

#include "exit.inc"

        .text
        .globl  _start
_start:
        xorl    %esi, %esi              /* bits in which a word came back wrong */
        movl    $ROUNDS, %ecx
round:
        movl    %ecx, area + 4094
        movl    area + 4094, %eax
        xorl    %ecx, %eax
        orl     %eax, %esi
        movw    %cx, area + 8191
        movw    area + 8191, %ax
        xorw    %cx, %ax
        orw     %ax, %si
        fildll  area + 4092
        fistpll area + 8188
        movl    area + 4097, %eax
        movl    %eax, area + 4090
        movb    area + 4095, %al
        movl    area + 4100, %eax
        decl    %ecx
        jnz     round

        xorl    %ebx, %ebx
        testl   %esi, %esi
        setnz   %bl
        exit

        .bss
        .balign 65536
area:   .space  3 * 4096
