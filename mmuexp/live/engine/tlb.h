/* QEMU's software TLB of October 2004: the tables, the helper, and the listing of its fast path. */
#ifndef MMUEXP_TLB_H
#define MMUEXP_TLB_H

#include "engine.h"
#include "paths.h"

enum { MAX_TLB_BITS = 16, ENTRY_BITS = 4, PATCH_SET = 1 };

struct entry {
    uint64_t address; /* of the page, or with a bit below that no compare lets through */
    uint64_t addend;  /* host address - guest address */
};
/* Those of a mode begin with the read side; the write side follows at a fixed distance. */
struct mode_tables {
    struct entry read[1 << MAX_TLB_BITS], write[1 << MAX_TLB_BITS];
};
extern struct mode_tables tlb[2]; /* kernel, user */

void tlb_start(unsigned tlb_bits);
void tlb_flush(void);
void tlb_flush_page(uint64_t page);
void tlb_protect(uint32_t frame);           /* the page became a code page: stores to it must come to the helper */
extern void (*const tlb_slow_vector)(void); /* the stub that calls it, for code that may be copied */
uint64_t tlb_slow_row(uint64_t stored, uint64_t from, uint64_t rbx);
void tlb_serve(const struct row *row);            /* the helper: counts, fills, does not access */
extern void (*tlb_helper)(const struct row *row); /* what the stub calls: tlb_serve, or a scheme's own */

#define TLB_READ "0"
#define TLB_WRITE "16 << 16" /* sizeof read */

/*
 * The listing, with 8-byte registers and entries of 16 bytes. `mask` is an immediate, or a register in rows of several
 * pieces. Between `je` and `hit` lies the call of the helper, which does the whole row. 8 bytes are two accesses of 4,
 * as on the i386 host.
 */
/* clang-format off */
#ifdef WIDE
#define LOOK_UP(mask, side, at)                                                                                        \
    BEGIN                                                                                                              \
    "movq %%rcx, %%rsi\n"                                                                                              \
    "movq %%rcx, %%rax\n"                                                                                              \
    "shrq $12 - 4, %%rsi\n"                                                                                            \
    "andq " mask ", %%rax\n"                                                                                           \
    "andl $0x7ffffff0, %%esi\n" PATCHED(1, 4)                                                                          \
    "leaq " side "(%[tables], %%rsi), %%rsi\n"                                                                         \
    "cmpq (%%rsi), %%rax\n"                                                                                            \
    "movq " at ", %%rax\n"                                                                                             \
    "je 75f\n"                                                                                                         \
    "74: call *tlb_slow_vector\n" /* absolute: the code may be copied */                                               \
    "jmp 79f\n"                                                                                                        \
    "75: addq 8(%%rsi), %%rax\n"
#define AT "%q[access]"
#define IN_MASK "%q[mask]"
#define MASK_1 "$-4096" /* the page, and the bits that an aligned address has not */
#define MASK_2 "$-4095"
#define MASK_4 "$-4093"
#define MASK_8 "$-4089"
#else
#define LOOK_UP(mask, side, at)                                                                                        \
    BEGIN                                                                                                              \
    "movl %%ecx, %%esi\n"                                                                                              \
    "movl %%ecx, %%eax\n"                                                                                              \
    "shrl $12 - 4, %%esi\n"                                                                                            \
    "andl " mask ", %%eax\n"                                                                                           \
    "andl $0x7ffffff0, %%esi\n" PATCHED(1, 4)                                                                          \
    "leaq " side "(%[tables], %%rsi), %%rsi\n"                                                                         \
    "cmpq (%%rsi), %%rax\n"                                                                                            \
    "movl " at ", %%eax\n"                                                                                             \
    "je 75f\n"                                                                                                         \
    "74: call *tlb_slow_vector\n" /* absolute: the code may be copied */                                               \
    "jmp 79f\n"                                                                                                        \
    "75: addq 8(%%rsi), %%rax\n"
#define AT "%k[access]"
#define IN_MASK "%k[mask]"
#define MASK_1 "$0xfffff000" /* the page, and the bits that an aligned address has not */
#define MASK_2 "$0xfffff001"
#define MASK_4 "$0xfffff003"
#define MASK_8 "$0xfffff007"
#endif
/* clang-format on */
#define HIT_END(store, bytes) END_WITH("74b", "75b", store, bytes)

#define HIT_LOAD_1 CAN_FAULT "movzbl (%%rax), %%edx\n"
#define HIT_LOAD_2 CAN_FAULT "movzwl (%%rax), %%edx\n"
#define HIT_LOAD_4 CAN_FAULT "movl (%%rax), %%edx\n"
#define HIT_LOAD_8 CAN_FAULT "movl 4(%%rax), %k[high]\n movl (%%rax), %%edx\n"
#define HIT_STORE_1 CAN_FAULT "movb %%dl, (%%rax)\n"
#define HIT_STORE_2 CAN_FAULT "movw %%dx, (%%rax)\n"
#define HIT_STORE_4 CAN_FAULT "movl %%edx, (%%rax)\n"
#define HIT_STORE_8 CAN_FAULT "movl %k[high], 4(%%rax)\n movl %%edx, (%%rax)\n"

/* `high` holds bytes 4..7; the helper sets rdx alone, and row_done says so. */
#define TLB_LOAD(n, mask, maskin, vaddr, where)                                                                        \
    ({                                                                                                                 \
        register uint64_t high_ asm("r9") = 0;                                                                         \
        uint64_t data_, low_;                                                                                          \
        asm volatile(LOOK_UP(mask, TLB_READ, AT) HIT_LOAD_##n HIT_END(0, n)                                            \
                     : "=&d"(low_), [high] "+r"(high_)                                                                 \
                     : "c"(vaddr), [access] "r"(where), [tables] "r"(CONTEXT)maskin                                    \
                     : "rax", "rsi", "cc", "memory");                                                                  \
        data_ = n == 8 ? low_ | high_ << 32 : low_;                                                                    \
        data_;                                                                                                         \
    })
#define TLB_STORE(n, mask, maskin, vaddr, where, value)                                                                \
    do {                                                                                                               \
        uint64_t data_ = (value); /* the helper leaves something else in rdx */                                        \
        register uint64_t high_ asm("r9") = data_ >> 32;                                                               \
        asm volatile(LOOK_UP(mask, TLB_WRITE, AT) HIT_STORE_##n HIT_END(1, n)                                          \
                     : "+d"(data_)                                                                                     \
                     : "c"(vaddr), [high] "r"(high_), [access] "r"(where), [tables] "r"(CONTEXT)maskin                 \
                     : "rax", "rsi", "cc", "memory");                                                                  \
    } while (0)

/* What loop.h asks for. A row of several pieces that is not a power of two and crosses goes to the helper. */
#define LOAD_BY_TLB(n, vaddr, at) TLB_LOAD(n, MASK_##n, , vaddr, at)
#define STORE_BY_TLB(n, vaddr, at, data) TLB_STORE(n, MASK_##n, , vaddr, at, data)
#define COMMA ,
/* clang-format off */
#define LOAD_PIECE_BY_TLB(n, vaddr, at) TLB_LOAD(n, IN_MASK, COMMA [mask] "r"(tlb_mask(size)), vaddr, at)
#define STORE_PIECE_BY_TLB(n, vaddr, at, data)                                                                         \
    TLB_STORE(n, IN_MASK, COMMA [mask] "r"(tlb_mask(size)), vaddr, at, data)
/* clang-format on */
#define CONTEXT_BY_TLB (&tlb[!system_mode || rows.flags[row_at] & FLAG_USER])
#define PIECES_FIRST_BY_TLB                                                                                            \
    if (size & (size - 1) && (vaddr & PAGE_MASK) + size > PAGE_BYTES)                                                  \
    tlb_slow_row(0, 0, 0)

static inline uint64_t tlb_mask(uint32_t size)
{
    return ~(uint64_t)PAGE_MASK | (size & (size - 1) ? 0 : size - 1);
}

#endif
