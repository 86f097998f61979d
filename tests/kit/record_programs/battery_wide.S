/*
 * As battery.S, with what valgrind runs in 64-bit programs only: SSE4, AES, SHA, AVX, AVX2, FMA, F16C. It is built for
 * both; addresses are below 4 GiB.
 */
        .macro  case
        movl    $pages + 8192 * number + 4096, %esi
        .set    number, number + 1
        .endm
        .set    number, 0

        .text
        .globl  _start
_start:
        case; vpxor     %ymm7, %ymm7, %ymm7                     /* */
        case; vpcmpeqd  %ymm6, %ymm6, %ymm6                     /* */
        /* SSE4, AES, SHA */
        case; pmovsxbw  -4(%esi), %xmm0                         /* L-4:8 */
        case; pmovzxbd  -2(%esi), %xmm0                         /* L-2:4 */
        case; pmovsxbq  -1(%esi), %xmm0                         /* L-1:2 */
        case; ptest     (%esi), %xmm0                           /* L0:16 */
        case; pmulld    (%esi), %xmm1                           /* L0:16 */
        case; pmuldq    -16(%esi), %xmm1                        /* L-16:16 */
        case; movntdqa  (%esi), %xmm1                           /* L0:16 */
        case; packusdw  (%esi), %xmm1                           /* L0:16 */
        case; phminposuw (%esi), %xmm1                          /* L0:16 */
        case; pblendw   $3, (%esi), %xmm1                       /* L0:16 */
        case; roundps   $0, (%esi), %xmm1                       /* L0:16 lackey L0:4 L4:4 L8:4 L12:4: each float */
        case; roundsd   $0, -4(%esi), %xmm1                     /* L-4:8 */
        case; dpps      $255, (%esi), %xmm1                     /* L0:16 */
        case; mpsadbw   $0, (%esi), %xmm1                       /* L0:16 */
        case; insertps  $16, -1(%esi), %xmm1                    /* L-1:4 */
        case; pinsrb    $3, (%esi), %xmm1                       /* L0:1 */
        case; pinsrd    $3, -2(%esi), %xmm1                     /* L-2:4 */
        case; pextrw    $3, %xmm1, -1(%esi)                     /* S-1:2 */
        case; extractps $3, %xmm1, -1(%esi)                     /* S-1:4 */
        case; pcmpistri $0, -8(%esi), %xmm1                     /* L-8:16 */
        case; pcmpestrm $0, (%esi), %xmm1                       /* L0:16 */
        case; pcmpgtq   (%esi), %xmm1                           /* L0:16 */
        case; aesenc    (%esi), %xmm1                           /* L0:16 */
        case; aesimc    (%esi), %xmm1                           /* L0:16 */
        case; aeskeygenassist $1, (%esi), %xmm1                 /* L0:16 */
        case; pclmulqdq $0, (%esi), %xmm1                       /* L0:16 */
        /* AVX: 32 bytes are one row, too */
        case; vmovups   -8(%esi), %ymm0                         /* L-8:32 */
        case; vmovups   %ymm0, -31(%esi)                        /* S-31:32 */
        case; vmovups   -1(%esi), %xmm0                         /* L-1:16 */
        case; vmovdqu   -16(%esi), %ymm0                        /* L-16:32 */
        case; vmovdqu   %ymm0, -24(%esi)                        /* S-24:32 */
        case; vmovaps   (%esi), %ymm0                           /* L0:32 */
        case; vmovdqa   %ymm0, -32(%esi)                        /* S-32:32 */
        case; vmovntdq  %ymm0, (%esi)                           /* S0:32 */
        case; vlddqu    -5(%esi), %ymm0                         /* L-5:32 */
        case; vaddps    -3(%esi), %ymm6, %ymm0                  /* L-3:32 */
        case; vaddpd    -3(%esi), %xmm6, %xmm0                  /* L-3:16 */
        case; vaddsd    -3(%esi), %xmm6, %xmm0                  /* L-3:8 */
        case; vpaddb    -31(%esi), %ymm6, %ymm0                 /* L-31:32 */
        case; vmovss    -3(%esi), %xmm0                         /* L-3:4 */
        case; vmovlps   -3(%esi), %xmm6, %xmm0                  /* L-3:8 */
        case; vmovhpd   %xmm0, -3(%esi)                         /* S-3:8 */
        case; vmovddup  -9(%esi), %ymm0                         /* L-9:32 lackey L-9:8 L7:8: the halves that it doubles */
        case; vmovddup  -7(%esi), %xmm0                         /* L-7:8 */
        case; vmovshdup -9(%esi), %ymm0                         /* L-9:32 */
        case; vpermilps $27, -9(%esi), %ymm0                    /* L-9:32 */
        case; vbroadcastss -2(%esi), %ymm0                      /* L-2:4 */
        case; vbroadcastsd -4(%esi), %ymm0                      /* L-4:8 */
        case; vbroadcastf128 -4(%esi), %ymm0                    /* L-4:16 */
        case; vpbroadcastb (%esi), %ymm0                        /* L0:1 */
        case; vbroadcasti128 -8(%esi), %ymm0                    /* L-8:16 */
        case; vinsertf128 $1, -8(%esi), %ymm6, %ymm0            /* L-8:16 */
        case; vextractf128 $1, %ymm0, -8(%esi)                  /* S-8:16 */
        case; vinserti128 $1, -8(%esi), %ymm6, %ymm0            /* L-8:16 */
        case; vextracti128 $1, %ymm0, -8(%esi)                  /* S-8:16 */
        case; vperm2i128 $1, -8(%esi), %ymm6, %ymm0             /* L-8:32 lackey : it takes no half of its memory operand */
        case; vpermd    -8(%esi), %ymm6, %ymm0                  /* L-8:32 */
        case; vpermq    $27, -8(%esi), %ymm0                    /* L-8:32 */
        case; vpshufb   -8(%esi), %ymm6, %ymm0                  /* L-8:32 */
        case; vpalignr  $3, -8(%esi), %ymm6, %ymm0              /* L-8:32 */
        case; vpblendd  $3, -8(%esi), %ymm6, %ymm0              /* L-8:32 */
        case; vpblendvb %ymm7, -8(%esi), %ymm6, %ymm0           /* L-8:32 */
        case; vptest    -8(%esi), %ymm6                         /* L-8:32 */
        case; vpsllvd   -8(%esi), %ymm6, %ymm0                  /* L-8:32 */
        case; vpsrlw    -8(%esi), %ymm6, %ymm0                  /* L-8:16 lackey L-8:8: the count as 8 bytes */
        case; vpsllq    -8(%esi), %xmm6, %xmm0                  /* L-8:16 lackey L-8:8: the count as 8 bytes */
        case; vpmovsxbw -8(%esi), %ymm0                         /* L-8:16 */
        case; vpmovzxbd -4(%esi), %ymm0                         /* L-4:8 */
        case; vpmovzxbq -2(%esi), %ymm0                         /* L-2:4 */
        case; vcvtps2pd -8(%esi), %ymm0                         /* L-8:16 lackey L-8:4 L-4:4 L0:4 L4:4: each float */
        case; vcvtps2pd -4(%esi), %xmm0                         /* L-4:8 lackey L-4:4 L0:4: each float */
        case; vcvtdq2pd -8(%esi), %ymm0                         /* L-8:16 */
        case; vcvtpd2psy -8(%esi), %xmm0                        /* L-8:32 */
        case; vcvtph2ps -8(%esi), %ymm0                         /* L-8:16 */
        case; vcvtps2ph $0, %ymm0, -8(%esi)                     /* S-8:16 */
        case; vcvtps2ph $0, %xmm0, -4(%esi)                     /* S-4:8 */
        case; vpcmpistri $0, -8(%esi), %xmm1                    /* L-8:16 */
        case; vaesdec   -8(%esi), %xmm1, %xmm0                  /* L-8:16 */
        case; vldmxcsr  default                                 /* */
        case; vfmadd231ps -8(%esi), %ymm6, %ymm0                /* L-8:32 lackey L-8:4 L-4:4 L0:4 L4:4 L8:4 L12:4 L16:4 L20:4: each float */
        case; vfmaddsub132pd -8(%esi), %xmm6, %xmm0             /* L-8:16 lackey L-8:8 L0:8: each double */
        case; vfmadd132ss -3(%esi), %xmm6, %xmm0                /* L-3:4 */
        case; vfnmsub213sd -3(%esi), %xmm6, %xmm0               /* L-3:8 */
        /* elements that a mask or indexes pick */
        case; vmaskmovps -8(%esi), %ymm6, %ymm0                 /* L-8:32 lackey L-8:4 L-4:4 L0:4 L4:4 L8:4 L12:4 L16:4 L20:4: each float */
        case; vmaskmovps %ymm0, %ymm6, -8(%esi)                 /* S-8:4 S-4:4 S0:4 S4:4 S8:4 S12:4 S16:4 S20:4 */
        case; vpmaskmovq %xmm0, %xmm6, -8(%esi)                 /* S-8:8 S0:8 */
        case; vmaskmovps %ymm0, %ymm7, -8(%esi)                 /* */
        case; vpgatherdd %xmm6, 4(%esi, %xmm7), %xmm0           /* L4:4 L4:4 L4:4 L4:4 */
        /* not vectors, beside them in the opcode maps */
        case; crc32l    -1(%esi), %eax                          /* L-1:4 */
        case; movbel    -1(%esi), %eax                          /* L-1:4 */
        case; andnl     -1(%esi), %eax, %eax                    /* L-1:4 */
        case; popcntl   -1(%esi), %eax                          /* L-1:4 */
        case; lzcntw    -1(%esi), %ax                           /* L-1:2 */

        xorl    %ebx, %ebx
#ifdef __x86_64__
        xorl    %edi, %edi
        movl    $231, %eax                                      /* exit_group */
        syscall
#else
        movl    $252, %eax
        int     $0x80
#endif
        .data
default: .long 0x1f80

        .bss
        .balign 4096
pages:  .space  8192 * number
