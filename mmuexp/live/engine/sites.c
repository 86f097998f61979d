/*
 * Access sites: an access of a block, by the position of its instruction and by its direction. A fault patches one, and
 * from then on it is slow: the TLB does it. Where patching is compiling the block again, that is when it becomes so.
 */
#include "engine.h"

enum { POSITIONS = 256, MOST_BLOCKS = 1 << 22 };

struct sites {
    uint8_t patched[POSITIONS], slow[POSITIONS]; /* a bit for loads, one for stores */
};

static uint32_t *sites_of; /* a block; 0: none of it was patched */
static struct sites *sites;
static uint32_t used = 1;
static bool remember, by_block;

void sites_start(bool remembers, bool blocks)
{
    remember = remembers;
    by_block = blocks;
    sites_of = zeroed(MOST_BLOCKS * sizeof *sites_of);
    sites = zeroed(MOST_BLOCKS * sizeof *sites);
}

bool is_slow(uint32_t block, unsigned position, unsigned op)
{
    return sites_of && sites_of[block] && sites[sites_of[block]].slow[position] >> op & 1;
}

bool patch_site(uint32_t row)
{
    uint32_t block = at_work[row];
    unsigned position = rows.insns[row], op = rows.op[row];
    if (!sites_of[block])
        sites_of[block] = used++;
    struct sites *mine = &sites[sites_of[block]];
    if (mine->patched[position] >> op & 1)
        return false;
    mine->patched[position] |= 1 << op;
    if (!by_block) {
        mine->slow[position] |= 1 << op;
        rewrite_sites(block, position, op);
    }
    return true;
}

/* The block was translated anew, with the slow sites that are remembered. */
void sites_of_translated(uint32_t block)
{
    bool forget = !remember || planted == PLANT_FORGOTTEN_SITE;
    if (!sites_of[block])
        return;
    struct sites *mine = &sites[sites_of[block]];
    for (unsigned position = 0; position < POSITIONS; position++) {
        uint8_t before = mine->slow[position];
        if (forget)
            mine->patched[position] = 0;
        mine->slow[position] = mine->patched[position];
        for (unsigned op = OP_LOAD; op <= OP_STORE; op++)
            if ((before ^ mine->slow[position]) >> op & 1)
                rewrite_sites(block, position, op);
    }
}
