/*
 * Which blocks are looked up when they are entered, in a scheme that asks for it: those of a page that was not entered
 * in this mode since it was flushed, and those of another page than the block before that the jump cache does not hold.
 * It hangs on the rows alone, so it is found before a chunk runs, untimed.
 */
#include "engine.h"

#include <string.h>

enum { GROUPS = 64, GROUP = 64 };

uint8_t fetches[CHUNK_ROWS];
static uint64_t jumps[GROUPS][GROUP];          /* address of a block + 1 */
static uint64_t era = 1, entered_in[2][PAGES]; /* eras end with a FLUSH; 0: not entered since a FLUSH_PAGE */
static uint64_t page_before = UINT64_MAX;

static uint64_t *group_of(uint64_t page)
{
    return jumps[(page ^ page >> 6) & (GROUPS - 1)];
}

static bool looks_up(uint64_t vaddr, bool user)
{
    uint64_t page = vaddr >> PAGE_BITS;
    uint64_t *jump = &group_of(page)[(vaddr ^ vaddr >> 6) & (GROUP - 1)];
    bool new = entered_in[user][page_number(page)] != era, stays = page_before == page;
    page_before = page;
    if (!new && (stays || *jump == vaddr + 1ull))
        return false;
    *jump = vaddr + 1ull;
    entered_in[user][page_number(page)] = era;
    return true;
}

static void forget_all(void)
{
    memset(jumps, 0, sizeof jumps);
    era++;
}

static void forget(uint64_t page)
{
    entered_in[0][page_number(page)] = entered_in[1][page_number(page)] = 0;
    memset(group_of(page), 0, sizeof *jumps);
    memset(group_of((page - 1) & LAST_PAGE), 0, sizeof *jumps);
}

/* Done for all schemes, and for the loop without translation: what is subtracted must do the same. */
void plan_fetches(uint32_t n)
{
    memset(fetches, 0, n);
    for (uint32_t i = 0; i < n; i++)
        if (rows.op[i] == OP_EXEC) {
            bool looked_up = looks_up(rows.vaddr[i], !system_mode || rows.flags[i] & FLAG_USER);
            fetches[i] = scheme.fetch && looked_up;
        } else if (rows.op[i] == OP_FLUSH)
            forget_all();
        else if (rows.op[i] == OP_FLUSH_PAGE)
            forget(rows.vaddr[i] >> PAGE_BITS);
}

void fetch_block(uint32_t row)
{
    uint64_t vaddr = rows.vaddr[row], page = vaddr >> PAGE_BITS;
    bool user = !system_mode || rows.flags[row] & FLAG_USER;
    scheme.fetch(page, user);
    if ((vaddr & PAGE_MASK) + rows.size[row] > PAGE_BYTES)
        scheme.fetch((page + 1) & LAST_PAGE, user);
}
