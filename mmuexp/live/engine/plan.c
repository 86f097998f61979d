/*
 * Before a chunk runs, untimed, for a scheme that asks: the block at work at each row, and which rows the loop does
 * itself (`aside`). Translated code holds accesses alone. An access at which more must be looked at would slow down all
 * the others, so those that might be one are found here; the loop then finds out which are.
 *
 * A page's frame is followed through the rows, for what they tell is not known yet.
 */
#include "engine.h"

uint32_t at_work[CHUNK_ROWS];
uint8_t aside[CHUNK_ROWS];
static uint32_t frame_now[PAGES], block_now;
static uint8_t may_show[PAGES];   /* system mode: a MAP row told it, and no FLUSH_PAGE since */
static uint32_t mapped_in[PAGES]; /* user mode: the era in which it was accessed first */
static uint32_t era = 1;
static bool first_accesses, flush_forgets;
static uint8_t (*code_bytes)[PAGE_BYTES / 8]; /* by frame: the bytes that were of a block at any time */

void plan_first_accesses(bool until_flush)
{
    first_accesses = !system_mode;
    flush_forgets = until_flush;
}

static uint32_t frame_at(uint64_t page)
{
    uint32_t number = page_number(page);
    return system_mode ? frame_now[number] : number;
}

static void note_code(uint32_t frame, uint32_t first, uint32_t end)
{
    if (!code_bytes)
        code_bytes = zeroed((size_t)PAGES * sizeof *code_bytes);
    for (; first < end; first++)
        code_bytes[frame][first / 8] |= 1 << (first & 7);
}

static bool was_code(uint32_t frame, uint32_t first, uint32_t end)
{
    for (; code_bytes && first < end; first++)
        if (code_bytes[frame][first / 8] & 1 << (first & 7))
            return true;
    return false;
}

static void plan_block(uint64_t page, uint32_t offset, uint32_t size)
{
    uint64_t second_page = (page + 1) & LAST_PAGE, over = offset + size > PAGE_BYTES ? offset + size - PAGE_BYTES : 0;
    block_now =
        block_of((uint64_t)frame_at(page) << PAGE_BITS | offset, size, over ? (int32_t)frame_at(second_page) : -1);
    if (checked || !stores_pass)
        return;
    note_code(frame_at(page), offset, over ? PAGE_BYTES : offset + size);
    if (over)
        note_code(frame_at(second_page), 0, over);
}

static bool is_first(uint64_t page)
{
    bool first = mapped_in[page_number(page)] != era;
    mapped_in[page_number(page)] = era;
    return first;
}

static bool needs_a_look(uint32_t i, uint64_t page, uint32_t offset)
{
    uint64_t second = (page + 1) & LAST_PAGE, end = offset + rows.size[i];
    bool crosses = end > PAGE_BYTES, found = false;
    if (rows.flags[i] & FLAG_IO)
        return may_show[page_number(page)];
    if (first_accesses)
        found = is_first(page) | (crosses && is_first(second));
    if (rows.op[i] == OP_STORE && stores_pass)
        found |= was_code(frame_at(page), offset, crosses ? PAGE_BYTES : end) ||
                 (crosses && was_code(frame_at(second), 0, end - PAGE_BYTES));
    return found;
}

void plan_blocks(uint32_t n)
{
    if (!scheme.knows_blocks && !stores_pass)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t page = rows.vaddr[i] >> PAGE_BITS, offset = rows.vaddr[i] & PAGE_MASK;
        row_at = i; /* for what is refused here */
        aside[i] = 0;
        switch (rows.op[i]) {
        case OP_LOAD:
        case OP_STORE:
            aside[i] = !checked && needs_a_look(i, page, offset);
            break;
        case OP_EXEC:
            plan_block(page, offset, rows.size[i]);
            break;
        case OP_FLUSH:
            era += flush_forgets;
            break;
        case OP_FLUSH_PAGE:
            may_show[page_number(page)] = mapped_in[page_number(page)] = 0;
            break;
        case OP_MAP:
            frame_now[page_number(page)] = frame_of_map(rows.page[i]);
            may_show[page_number(page)] = 1;
            break;
        }
        at_work[i] = block_now;
    }
    row_at = 0;
}
