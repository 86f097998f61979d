/*
 * One instruction in each line, and the rows that it makes: L or S, offset from the end of its page, ":" and bytes, as
 * the processor's manual has its operands. %esi, %edi and %esp are the page's end when it begins. Where valgrind's
 * lackey says otherwise, its rows follow after "lackey", and why. Programs of both widths have these; addresses are below
 * 4 GiB. battery_short.S and battery_long.S have what differs.
 */
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
        /* vectors: one row where the operand is one stretch of 16 bytes */
        case; movups    -8(%esi), %xmm0                 /* L-8:16 */
        case; movups    %xmm0, -8(%esi)                 /* S-8:16 */
        case; movupd    -4(%esi), %xmm0                 /* L-4:16 */
        case; movdqu    -1(%esi), %xmm0                 /* L-1:16 */
        case; movdqu    %xmm0, -15(%esi)                /* S-15:16 */
        case; lddqu     -9(%esi), %xmm0                 /* L-9:16 */
        case; movups    -16(%esi), %xmm0                /* L-16:16 */
        case; movaps    (%esi), %xmm0                   /* L0:16 */
        case; movaps    %xmm0, -16(%esi)                /* S-16:16 */
        case; movdqa    (%esi), %xmm0                   /* L0:16 */
        case; movdqa    %xmm0, (%esi)                   /* S0:16 */
        case; movntps   %xmm0, (%esi)                   /* S0:16 */
        case; movntdq   %xmm0, -16(%esi)                /* S-16:16 */
        case; addps     (%esi), %xmm0                   /* L0:16 */
        case; sqrtps    (%esi), %xmm0                   /* L0:16 */
        case; rcpps     (%esi), %xmm0                   /* L0:16 */
        case; andps     (%esi), %xmm0                   /* L0:16 */
        case; cmpltps   (%esi), %xmm0                   /* L0:16 */
        case; shufps    $27, (%esi), %xmm0              /* L0:16 */
        case; unpcklps  (%esi), %xmm0                   /* L0:16 */
        case; addpd     -16(%esi), %xmm0                /* L-16:16 */
        case; pxor      (%esi), %xmm0                   /* L0:16 */
        case; paddb     (%esi), %xmm0                   /* L0:16 */
        case; pcmpeqb   (%esi), %xmm0                   /* L0:16 */
        case; pmaddwd   (%esi), %xmm0                   /* L0:16 */
        case; psrlw     (%esi), %xmm0                   /* L0:16 lackey L0:4: the count as 4 bytes */
        case; psllq     (%esi), %xmm0                   /* L0:16 lackey L0:4: the count as 4 bytes */
        case; punpcklbw (%esi), %xmm0                   /* L0:16 */
        case; packsswb  (%esi), %xmm0                   /* L0:16 */
        case; pshufd    $27, (%esi), %xmm0              /* L0:16 */
        case; pshuflw   $27, (%esi), %xmm0              /* L0:16 */
        case; cvtdq2ps  (%esi), %xmm0                   /* L0:16 */
        case; cvttps2dq (%esi), %xmm0                   /* L0:16 */
        case; cvtpd2ps  (%esi), %xmm0                   /* L0:16 */
        case; cvtpd2dq  (%esi), %xmm0                   /* L0:16 */
        case; cvttpd2pi (%esi), %mm0                    /* L0:16 lackey L0:8 L8:8: each double */
        case; movsldup  (%esi), %xmm0                   /* L0:16 */
        case; haddps    (%esi), %xmm0                   /* L0:16 */
        case; addsubpd  (%esi), %xmm0                   /* L0:16 */
        case; pshufb    (%esi), %xmm0                   /* L0:16 */
        case; palignr   $3, (%esi), %xmm0               /* L0:16 */
        case; pabsd     (%esi), %xmm0                   /* L0:16 */
        /* vectors with smaller operands */
        case; movlps    -4(%esi), %xmm0                 /* L-4:8 */
        case; movlps    %xmm0, -4(%esi)                 /* S-4:8 */
        case; movhps    -1(%esi), %xmm0                 /* L-1:8 */
        case; movhpd    %xmm0, (%esi)                   /* S0:8 */
        case; movss     -2(%esi), %xmm0                 /* L-2:4 */
        case; movss     %xmm0, (%esi)                   /* S0:4 */
        case; movsd     (%esi), %xmm0                   /* L0:8 */
        case; movd      (%esi), %xmm0                   /* L0:4 */
        case; movd      %xmm0, -3(%esi)                 /* S-3:4 */
        case; movq      -5(%esi), %xmm0                 /* L-5:8 */
        case; movq      %xmm0, (%esi)                   /* S0:8 */
        case; movnti    %eax, (%esi)                    /* S0:4 */
        case; addss     (%esi), %xmm0                   /* L0:4 */
        case; mulsd     -4(%esi), %xmm0                 /* L-4:8 */
        case; ucomisd   (%esi), %xmm0                   /* L0:8 */
        case; cmpltsd   (%esi), %xmm0                   /* L0:8 */
        case; cvtps2pd  -4(%esi), %xmm0                 /* L-4:8 lackey L-4:4 L0:4: each float */
        case; cvtdq2pd  -4(%esi), %xmm0                 /* L-4:8 */
        case; cvtpi2ps  (%esi), %xmm0                   /* L0:8 */
        case; cvtsi2sdl (%esi), %xmm0                   /* L0:4 */
        case; cvtsd2ss  (%esi), %xmm0                   /* L0:8 */
        case; movddup   (%esi), %xmm0                   /* L0:8 */
        case; pinsrw    $3, -1(%esi), %xmm0             /* L-1:2 */
        case; stmxcsr   (%esi); ldmxcsr (%esi)          /* S0:4 L0:4 */
        case; pcmpeqb   %xmm0, %xmm0; pslldq $14, %xmm0; maskmovdqu %xmm0, %xmm1 /* S14:1 S15:1 lackey L0:16 S0:16: as if it read what the mask leaves */
        case; pcmpeqb   %mm0, %mm0; psrlq $56, %mm0; maskmovq %mm0, %mm1 /* S0:1 lackey L0:8 S0:8: as if it read what the mask leaves */
        case; movq      -4(%esi), %mm0                  /* L-4:8 */
        case; movq      %mm0, -4(%esi)                  /* S-4:8 */
        case; movntq    %mm0, (%esi)                    /* S0:8 */
        case; paddb     (%esi), %mm0                    /* L0:8 */
        case; movdq2q   %xmm0, %mm0; movq2dq %mm0, %xmm0; emms /* */
        case; prefetcht0 (%esi); clflush (%esi); mfence /* */
        /* x87: 80 bits are 8 bytes and 2 */
        case; flds      -2(%esi); fstps -2(%esi)        /* L-2:4 S-2:4 */
        case; fldl      -4(%esi); fstpl -4(%esi)        /* L-4:8 S-4:8 */
        case; fldt      -4(%esi); fstpt -4(%esi)        /* L-4:8 L4:2 S-4:8 S4:2 lackey L-4:10 S-4:10: the processor's 10 bytes */
        case; fildll    (%esi); fistpll (%esi)          /* L0:8 S0:8 */
        case; filds     (%esi); fisttps (%esi)          /* L0:2 S0:2 */
        case; fld1; fadds (%esi); fdivl (%esi); fstp %st /* L0:4 L0:8 */
        case; fnstcw    -1(%esi); fldcw -1(%esi)        /* S-1:2 L-1:2 */
        case; fnstsw    (%esi)                          /* S0:2 */
        /* strings: a row for each element and operand */
        case; movsb                                     /* L0:1 S0:1 */
        case; subl      $2, %esi; movsl                 /* L-2:4 S0:4 */
        case; stosl                                     /* S0:4 */
        case; subl      $1, %esi; lodsw                 /* L-1:2 */
        case; scasb                                     /* L0:1 */
        case; addl      $8, %edi; cmpsl                 /* L8:4 L0:4 */
        case; addl      $16, %edi; subl $6, %esi; movl $3, %ecx; rep movsl /* L-6:4 S16:4 L-2:4 S20:4 L2:4 S24:4 */
        case; movl      $2, %ecx; rep stosb             /* S0:1 S1:1 */
        case; xorl      %ecx, %ecx; rep stosb           /* */
        case; movl      $9, %ecx; movb $1, %al; repe scasb /* L0:1 */
        case; addl      $8, %edi; movl $2, %ecx; repe cmpsb /* L8:1 L0:1 L9:1 L1:1 */
        /* read-modify-write, atomic or not: a load and a store */
        case; incl      -2(%esi)                        /* L-2:4 S-2:4 */
        case; addw      %ax, (%esi)                     /* L0:2 S0:2 */
        case; lock incl (%esi)                          /* L0:4 S0:4 lackey L0:4 L0:4 S0:4: the load and the comparison before the store */
        case; lock xaddl %ecx, (%esi)                   /* L0:4 S0:4 lackey L0:4 L0:4 S0:4: the load and the comparison before the store */
        case; xchgl     %ecx, (%esi)                    /* L0:4 S0:4 lackey L0:4 L0:4 S0:4: the load and the comparison before the store */
        case; xchgb     %cl, -1(%esi)                   /* L-1:1 S-1:1 lackey L-1:1 L-1:1 S-1:1: the load and the comparison before the store */
        case; xorl      %eax, %eax; lock cmpxchgl %ecx, (%esi) /* L0:4 S0:4 */
        case; movl      $7, %eax; lock cmpxchgl %ecx, (%esi) /* L0:4 S0:4 */
        case; lock cmpxchg8b (%esi)                     /* L0:8 S0:8 */
        case; lock orl  $1, (%esi)                      /* L0:4 S0:4 lackey L0:4 L0:4 S0:4: the load and the comparison before the store */
        case; btsl      $1, (%esi)                      /* L0:4 S0:4 */
        case; btl       $1, (%esi)                      /* L0:4 */
        case; sete      (%esi)                          /* S0:1 */
        /* plain ones */
        case; movl      -3(%esi), %eax                  /* L-3:4 */
        case; movzwl    -1(%esi), %eax                  /* L-1:2 */
        case; movl      %eax, -1(%esi)                  /* S-1:4 */

#ifdef __x86_64__
        xorl    %edi, %edi
        movl    $231, %eax                              /* exit_group */
        syscall
#else
        xorl    %ebx, %ebx
        movl    $252, %eax
        int     $0x80
#endif

        .bss
        .balign 4096
pages:  .space  8192 * number
