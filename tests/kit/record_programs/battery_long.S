/* As battery.S: what programs of 64 bits alone have. %rsi, %rdi and %rsp are the page's end, as %r12 and %r13 are. */
        .macro  case
        leaq    pages + 8192 * number + 4096(%rip), %rsi
        movq    %rsi, %rdi
        movq    %rsi, %rsp
        movq    %rsi, %r12
        movq    %rsi, %r13
        .set    number, number + 1
        .endm
        .set    number, 0
        .set    here, pages + 4096

        .text
        .globl  _start
_start:
        case; movq      -3(%rsi), %rax                  /* L-3:8 */
        case; movq      %r9, -1(%r12)                   /* S-1:8 */
        case; movslq    -2(%r13), %rax                  /* L-2:4 */
        case; movl      %r8d, 4(%r12)                   /* S4:4 */
        case; movb      %sil, -1(%r12)                  /* S-1:1 */
        case; movzbl    8(%r13), %r10d                  /* L8:1 */
        case; xorl      %eax, %eax; movq -8(%rsi, %rax, 8), %r15 /* L-8:8 */
        case; addq      %r8, -4(%rsi)                   /* L-4:8 S-4:8 */
        case; incq      (%r12)                          /* L0:8 S0:8 */
        /* relative to %rip: the case's own page, by the number that it has */
        case; movq      here + 8192 * (number - 1) - 8(%rip), %rax /* L-8:8 */
        case; movb      $1, here + 8192 * (number - 1)(%rip) /* S0:1 */
        case; vmovups   here + 8192 * (number - 1)(%rip), %ymm9 /* L0:32 */
        /* the stack */
        case; pushq     %rax; popq %r9                  /* S-8:8 L-8:8 */
        case; pushq     (%rsi)                          /* L0:8 S-8:8 */
        case; pushq     $7                              /* S-8:8 */
        case; pushw     %ax; popw %ax                   /* S-2:2 L-2:2 */
        case; call      1f; 1: popq %rax                /* S-8:8 L-8:8 */
        case; pushq     $1f; ret; 1:                    /* S-8:8 L-8:8 */
        case; pushfq; popfq                             /* S-8:8 L-8:8 */
        case; movq      %rsp, %rbp; enter $16, $0; leave /* S-8:8 L-8:8 */
        /* strings */
        case; movsq                                     /* L0:8 S0:8 */
        case; stosq                                     /* S0:8 */
        case; subq      $1, %rsi; lodsq                 /* L-1:8 */
        case; movq      $3, %rcx; addq $16, %rdi; subq $12, %rsi; rep movsq /* L-12:8 S16:8 L-4:8 S24:8 L4:8 S32:8 */
        case; movl      $2, %ecx; rep stosq             /* S0:8 S8:8 */
        case; addq      $8, %rdi; movl $2, %ecx; xorl %eax, %eax; repe cmpsq /* L8:8 L0:8 L16:8 L8:8 */
        /* read-modify-write, atomic or not: a load and a store */
        case; lock incq (%rsi)                          /* L0:8 S0:8 lackey L0:8 L0:8 S0:8: the load and the comparison before the store */
        case; lock xaddq %r9, (%r12)                    /* L0:8 S0:8 lackey L0:8 L0:8 S0:8: the load and the comparison before the store */
        case; xchgq     %r9, (%rsi)                     /* L0:8 S0:8 lackey L0:8 L0:8 S0:8: the load and the comparison before the store */
        case; xorl      %eax, %eax; lock cmpxchgq %rcx, (%rsi) /* L0:8 S0:8 */
        case; lock cmpxchg8b (%rsi)                     /* L0:8 S0:8 */
        case; xorl      %eax, %eax; xorl %edx, %edx; lock cmpxchg16b (%rsi) /* L0:16 S0:16 */
        case; movl      $9, %eax; lock cmpxchg16b -16(%r12) /* L-16:16 S-16:16 */
        case; cmpxchg16b 32(%r13)                       /* L32:16 S32:16 */
        case; btsq      $33, (%rsi)                     /* L0:8 S0:8 */
        /* vectors, in the registers that VEX and REX have bits for */
        case; movups    -8(%r12), %xmm9                 /* L-8:16 */
        case; movaps    %xmm15, -16(%r13)               /* S-16:16 */
        case; paddb     (%r12), %xmm8                   /* L0:16 */
        case; pshufb    (%r12), %xmm8                   /* L0:16 */
        case; vmovups   -8(%r12), %ymm9                 /* L-8:32 */
        case; vmovups   %ymm9, -31(%rsi)                /* S-31:32 */
        case; vmovdqa   %xmm12, (%r12)                  /* S0:16 */
        case; vpaddb    -31(%r13), %ymm14, %ymm10       /* L-31:32 */
        case; vpshufb   -8(%r12), %ymm6, %ymm8          /* L-8:32 */
        case; vfmadd231ps -8(%r12), %ymm6, %ymm8        /* L-8:32 lackey L-8:4 L-4:4 L0:4 L4:4 L8:4 L12:4 L16:4 L20:4: each float */
        case; vfmadd132ss -3(%r12), %xmm6, %xmm8        /* L-3:4 */
        case; vaddsd    -3(%r12), %xmm6, %xmm8          /* L-3:8 */
        case; movq      -5(%r12), %xmm9                 /* L-5:8 */
        case; movq      %xmm9, (%r12)                   /* S0:8 */
        case; pinsrq    $1, -5(%r12), %xmm9             /* L-5:8 */
        case; pextrq    $1, %xmm9, -5(%r12)             /* S-5:8 */
        case; cvtsi2sdq -5(%r12), %xmm9                 /* L-5:8 */
        case; movntiq   %r9, (%r12)                     /* S0:8 */
        case; vpxor %ymm7, %ymm7, %ymm7; vpcmpeqd %ymm6, %ymm6, %ymm6; vpgatherqq %ymm6, 8(%rsi, %ymm7), %ymm0 /* L8:8 L8:8 L8:8 L8:8 */
        case; vpxor %ymm7, %ymm7, %ymm7; vpcmpeqd %ymm6, %ymm6, %ymm6; vgatherdpd %ymm6, 8(%rsi, %xmm7), %ymm0 /* L8:8 L8:8 L8:8 L8:8 */
        case; vpxor %ymm7, %ymm7, %ymm7; vpcmpeqd %ymm6, %ymm6, %ymm6; vmaskmovpd %ymm0, %ymm6, -8(%r12) /* S-8:8 S0:8 S8:8 S16:8 */
        /* not vectors, beside them in the opcode maps */
        case; crc32q    -1(%rsi), %r9                   /* L-1:8 */
        case; movbeq    -1(%rsi), %r9                   /* L-1:8 */
        case; andnq     -1(%rsi), %r9, %r9              /* L-1:8 */
        case; shlxq     %rax, -1(%r12), %r9             /* L-1:8 */
        case; popcntq   -1(%rsi), %r9                   /* L-1:8 */
        case; adcxq     -1(%rsi), %r9                   /* L-1:8 */
        case; pdepq     -1(%rsi), %r9, %r9              /* L-1:8 */

        xorl    %edi, %edi
        movl    $231, %eax                              /* exit_group */
        syscall

        .bss
        .balign 4096
pages:  .space  8192 * number
