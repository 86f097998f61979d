/* softmmu, run for real: the compare of the listing lets an access through, or calls the helper. See softmmu.py. */
#include "engine.h"
#include "paths.h"
#include "tlb.h"

#define LOAD LOAD_BY_TLB
#define STORE STORE_BY_TLB
#define LOAD_PIECE LOAD_PIECE_BY_TLB
#define STORE_PIECE STORE_PIECE_BY_TLB
#define PIECES_FIRST PIECES_FIRST_BY_TLB
#define CONTEXT CONTEXT_BY_TLB
#include "loop.h"
#include "translate.h"

static void run(void)
{
    run_translated(run_rows);
}

static uint64_t context(bool user)
{
    return (uint64_t)&tlb[user];
}

static void start(void)
{
    tlb_start(parameter("tlb_bits"));
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .protect = tlb_protect,
    .flush = tlb_flush,
    .flush_page = tlb_flush_page,
};
