/* Read-modify-writes that are atomic, in one block: four, and with 64 bits a fifth of 16 bytes. */
#include "exit.inc"
        .text
        .globl  _start
_start: lock incl       CELL            /* 1 */
        lock cmpxchgl   %ecx, CELL      /* 2: not equal or equal, it writes */
        xchgl   %ecx, CELL              /* 3 */
        lock cmpxchg8b  CELL            /* 4 */
#ifdef __x86_64__
        lock cmpxchg16b CELL            /* 5 */
#endif
        jmp     end
end:    exit

        .data
        .balign 16
cell:   .quad   0, 0
