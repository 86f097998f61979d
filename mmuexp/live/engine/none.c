/*
 * No translation at all: the same loop over the same rows, with blocks, MAP and FLUSH, and accesses left out.
 * Its time is subtracted from a scheme's; what is left is what translation cost. Where addresses wait for data
 * (translate.c), an address stands for the data, so that what makes them wait is subtracted, too.
 */
#include "engine.h"
#include "paths.h"

#ifdef DEPENDENT
#define DATA "movl %%ecx, %%edx\n"
#else
#define DATA
#endif

/* clang-format off */
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(BEGIN CAN_FAULT DATA END(0, n) : "=d"(data_) : "c"(vaddr), "r"(at));                                   \
        data_;                                                                                                         \
    })
/* clang-format on */
#define STORE(n, vaddr, at, data) asm volatile(BEGIN CAN_FAULT END(1, n) : : "c"(vaddr), "r"(at), "d"(data))
#include "loop.h"
#include "translate.h"

static void run(void)
{
    run_translated(run_rows);
}

const struct scheme scheme = {.run = run};
