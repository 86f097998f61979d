/* Copies N times 16 bytes from 8 past a 16-byte boundary: each 256th load crosses a page, between its halves. */
#define N 4096

#include "exit.inc"
        .text
        .globl  _start
_start: movl    $source + 8, %esi
        movl    $target, %edi
        movl    $N, %ecx
next:   movups  (%esi), %xmm0           /* N loads of 16 bytes, N / 256 of them crossings */
        movaps  %xmm0, (%edi)           /* N stores of 16 bytes */
        addl    $16, %esi
        addl    $16, %edi
        decl    %ecx
        jnz     next
        exit

        .bss
        .balign 4096
source: .space  16 * N + 4096
target: .space  16 * N
