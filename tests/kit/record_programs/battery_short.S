/* As battery.S: the stack, as programs of 32 bits use it. */
        .macro  case
        movl    $pages + 8192 * number + 4096, %esi
        movl    %esi, %edi
        movl    %esi, %esp
        .set    number, number + 1
        .endm
        .set    number, 0

        .text
        .globl  _start
_start:
        case; pushl     %eax; popl %eax                 /* S-4:4 L-4:4 */
        case; pushl     (%esi)                          /* L0:4 S-4:4 */
        case; pushw     %ax; popw %ax                   /* S-2:2 L-2:2 */
        case; pusha                                     /* S-32:4 S-28:4 S-24:4 S-20:4 S-16:4 S-12:4 S-8:4 S-4:4 lackey S-4:4 S-8:4 S-12:4 S-16:4 S-20:4 S-24:4 S-28:4 S-32:4: the other way round */
        case; popa                                      /* L0:4 L4:4 L8:4 L16:4 L20:4 L24:4 L28:4 lackey L28:4 L24:4 L20:4 L16:4 L8:4 L4:4 L0:4: the other way round */
        case; call      1f; 1: popl %eax                /* S-4:4 L-4:4 lackey : taken for a way to read %eip */
        case; pushl     $1f; ret; 1:                    /* S-4:4 L-4:4 */
        case; pushfl; popfl                             /* S-4:4 L-4:4 */

        movl    $252, %eax                              /* exit_group */
        xorl    %ebx, %ebx
        int     $0x80

        .bss
        .balign 4096
pages:  .space  8192 * number
