/* softmmu, run for real: the compare of the listing lets an access through, or calls the helper. See softmmu.py. */
#include "engine.h"
#include "paths.h"
#include "tlb.h"

#define LOAD LOAD_BY_TLB
#define STORE STORE_BY_TLB
#define LOAD_PIECE LOAD_PIECE_BY_TLB
#define STORE_PIECE STORE_PIECE_BY_TLB
#define PIECES_FIRST PIECES_FIRST_BY_TLB
#include "loop.h"

static void start(void)
{
    tlb_start(parameter("tlb_bits"));
}

const struct scheme scheme = {
    .start = start, .run = run_rows, .protect = tlb_protect, .flush = tlb_flush, .flush_page = tlb_flush_page
};
