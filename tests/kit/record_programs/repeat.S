/* 21 instructions in all: a rep is one, whatever it does. QEMU enters a block for each further iteration. */
#include "exit.inc"
        .globl  _start
_start:
        cld
        movl    $50, %ecx
        movl    $a, %edi
        rep stosb                       /* 50 iterations, 50 entries more: the last one ends it */
        movl    $10, %ecx
        movl    $a, %esi
        movl    $b, %edi
        repe cmpsb                      /* b has another fourth byte: 4 iterations, 3 entries more */
        xorl    %ecx, %ecx
        rep stosl                       /* none */
        movl    $5, %ecx
1:      loop    1b                      /* 5 instructions, each of them executed; no rep */
        movl    $1, %ecx
        rep lodsl                       /* one iteration, one entry more */
        exit

        .bss
a:      .space  64
        .data
b:      .byte   0, 0, 0, 1, 0, 0, 0, 0, 0, 0
