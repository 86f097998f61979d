/*
 * One straight line of 301 instructions: stores as the 1st, the 254th, the 255th and the 300th of them, and a
 * read-modify-write as the 10th. Its rows are known: see test_positions_and_long_blocks.
 */
#include "exit.inc"
        .text
        .globl  _start
        .balign 4096
_start: movb    $1, CELL                /* 1: 7 bytes */
        .rept   8
        nop                             /* 2 to 9 */
        .endr
        incl    CELL                    /* 10: 6 bytes */
        .rept   243
        nop                             /* 11 to 253 */
        .endr
        movb    $2, CELL                /* 254 */
        movb    $3, CELL                /* 255 */
        .rept   44
        nop                             /* 256 to 299 */
        .endr
        movw    $4, CELL                /* 300: 9 bytes */
        jmp     end                     /* 301: 2 bytes, ends the block */
end:    exit

        .data
        .balign 4
cell:   .long   0
