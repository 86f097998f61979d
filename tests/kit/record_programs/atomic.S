/* Four read-modify-writes that are atomic, in one block. */
        .text
        .globl  _start
_start: lock incl       cell            /* 1 */
        lock cmpxchgl   %ecx, cell      /* 2: not equal or equal, it writes */
        xchgl   %ecx, cell              /* 3 */
        lock cmpxchg8b  cell            /* 4 */
        jmp     end
end:    movl    $252, %eax              /* exit_group */
        xorl    %ebx, %ebx
        int     $0x80

        .data
        .balign 8
cell:   .quad   0
