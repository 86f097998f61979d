/* The loops and the templates of a scheme with a direct map, and `run_direct_rows`, which goes from one to the other. */
#include "direct.h"
#include "paths.h"

/* 5 bytes at least, that a jump has room in its place. */
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(BEGIN CAN_FAULT "%{disp8%} " LOAD_##n " (%[base], %[access]), " INTO_##n "\n" END(0, n)           \
                     : "=d"(data_)                                                                                     \
                     : [access] "r"(at), [base] "r"(CONTEXT)                                                           \
                     : "memory");                                                                                      \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    asm volatile(BEGIN CAN_FAULT "%{disp8%} " STORE_##n " " FROM_##n ", (%[base], %[access])\n" END(1, n)              \
                 :                                                                                                     \
                 : [access] "r"(at), "d"(data), [base] "r"(CONTEXT)                                                    \
                 : "memory")

#define CONTEXT direct_base()
#define ADDRESS(vaddr) direct_address(vaddr)
#define LOOP run_direct
#define EACH_ACCESS                                                                                                    \
    if (look_before(i))                                                                                                \
    return
#include "loop.h"
#include "translate.h"

#undef LOAD
#undef STORE
#undef CONTEXT
#define CONTEXT CONTEXT_BY_TLB
#define LOAD LOAD_BY_TLB
#define STORE STORE_BY_TLB
#define LOAD_PIECE LOAD_PIECE_BY_TLB
#define STORE_PIECE STORE_PIECE_BY_TLB
#define PIECES_FIRST PIECES_FIRST_BY_TLB
#define LOOP run_slow
#define EACH_ACCESS count[COUNT_softmmu_accesses]++
#include "loop.h"
#define SLOW_TEMPLATES
#include "translate.h"

static void run_direct_rows(void)
{
    for (uint32_t end = rows_end; row_at < end;) {
        rows_end = end;
        run_direct(); /* ends before a slow row */
        if (row_at < end) {
            rows_end = row_at + 1;
            run_slow();
        }
    }
}
