/*
 * qemu-fast, run for real: the guest's address space is a range of the host's. See qemu_fast.py for the scheme.
 *
 * The host address is `reserve + vaddr`, a base in the same instruction, since page 0 of a Linux process cannot be
 * mapped. What lies above guest_limit is inaccessible too, so that such an access faults like one to device memory.
 */
#include "engine.h"
#include "paths.h"
#include "tlb.h"

enum { KERNEL_BASE = 0x90000000, SPELL_TLB_BITS = 8 };

static uint64_t guest_limit, kernel_offset;
static column_t *owner; /* virtual page + 1 that a window shows */
static bool in_spell;   /* the block is translated with softmmu accesses, to its end */

#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(BEGIN CAN_FAULT LOAD_##n " (%[base], %[access]), " INTO_##n "\n" END(0, n)                        \
                     : "=d"(data_)                                                                                     \
                     : [access] "r"(at), [base] "r"(CONTEXT)                                                           \
                     : "memory");                                                                                      \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    asm volatile(BEGIN CAN_FAULT STORE_##n " " FROM_##n ", (%[base], %[access])\n" END(1, n)                           \
                 :                                                                                                     \
                 : [access] "r"(at), "d"(data), [base] "r"(CONTEXT)                                                    \
                 : "memory")

#define CONTEXT reserve /* the base */
#define LOOP run_direct
#include "loop.h"

/* A patched kernel of 2004 has its data lower. Of 64 bits, what lies above the limit meets the guard behind it. */
static uint64_t lowered(uint64_t vaddr)
{
    uint64_t moved = vaddr - (vaddr >= KERNEL_BASE ? kernel_offset : 0);
    return ADDRESS_BITS == 32 || moved < guest_limit ? moved : guest_limit;
}

#define LOOP run_moved
#define ADDRESS(vaddr) lowered(vaddr)
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
#define LOOP run_spell
#define STOPS_AT_BLOCK 1
#define EACH_ACCESS count[COUNT_softmmu_accesses]++
#include "loop.h"

static void run(void)
{
    if (in_spell) {
        run_spell();
        in_spell = rows.op[row_at - 1] != OP_EXEC; /* the chunk may end before the block does */
    } else if (moved_address) {
        run_translated(run_moved);
    } else {
        run_translated(run_direct);
    }
}

static uint64_t context(bool user)
{
    return (uint64_t)reserve;
}

static void start(void)
{
    guest_limit = parameter("guest_limit");
    kernel_offset = parameter("kernel_offset");
    if (kernel_offset || ADDRESS_BITS != 32)
        moved_address = lowered;
    code_start(COUNT_extra_0);
    size_t above = ADDRESS_BITS == 32 ? (ADDRESS_PAGES << PAGE_BITS) - guest_limit : PAGE_BYTES;
    reserve_start(guest_limit >> PAGE_BITS, above + PAGE_BYTES);
    owner = zeroed((guest_limit >> PAGE_BITS) * sizeof *owner);
    tlb_start(SPELL_TLB_BITS);
}

/* One page of the access: the window that shows it, and the bytes in it. */
struct part {
    size_t window;
    uint64_t page, vaddr, first, last;
};

static enum counter cause_of(const struct row *row, const struct part *part)
{
    enum counter cause = needed(row, part->window, frame_of(part->page));
    if (cause != COUNT_faults_unmapped && owner[part->window] != part->page + 1)
        fail("page %#lx and page %#lx come to lie at one host page", (unsigned long)part->page,
             (unsigned long)owner[part->window] - 1);
    return cause;
}

/* Does it keep code, so that the store to it is the handler's? */
static bool serve(const struct row *row, const struct part *part, enum counter cause)
{
    if (cause == COUNT_faults_unmapped)
        owner[part->window] = part->page + 1;
    return serve_page(row, part->window, frame_of(part->page), part->first, part->last, cause);
}

/* One fault, one page: the first in address order that needs it. Where one keeps code, the row is done whole. */
static bool fault(const struct row *row, uintptr_t address, long long *registers)
{
    uint64_t moved = lowered(row->vaddr);
    uintptr_t low = (uintptr_t)reserve + moved;
    if (address < low || address >= low + row->size)
        return false;
    if (row->io || moved + row->size > guest_limit) {
        fault_counted(COUNT_faults_softmmu, row, row->vaddr);
        count[COUNT_softmmu_accesses]++;
        tlb_serve(row);
        complete_and_leave(row, registers);
        in_spell = true;
        return true;
    }
    size_t window = moved >> PAGE_BITS;
    const struct part parts[] = {{window, row->page, row->vaddr, row->first, row->last},
                                 {window + 1, row->second, row->second << PAGE_BITS, 0, row->second_last}};
    unsigned i = 0, n = row->crosses ? 2 : 1;
    enum counter cause = cause_of(row, parts);
    while (cause == NOT_NEEDED && ++i < n)
        cause = cause_of(row, &parts[i]);
    if (i == n)
        return false;
    fault_counted(cause, row, parts[i].vaddr);
    bool keeps = serve(row, &parts[i], cause);
    if (keeps && ++i < n && (cause = cause_of(row, &parts[i])) != NOT_NEEDED)
        serve(row, &parts[i], cause); /* in the same run, without a fault of its own */
    if (keeps)
        complete(row, registers);
    return true;
}

static void flush(void)
{
    if (any_shown())
        unmap_windows(0, guest_limit >> PAGE_BITS);
    tlb_flush();
}

static void unmap_page(uint64_t window, uint64_t page)
{
    if (window < guest_limit >> PAGE_BITS && shown(window) >= 0 && owner[window] == page + 1)
        unmap_windows(window, 1);
}

static void flush_page(uint64_t page)
{
    uint64_t moved = kernel_offset >> PAGE_BITS;
    unmap_page(page, page);
    if (moved) {
        unmap_page((uint64_t)page - moved, page);
        if (page == 0) /* behind the last page, for an access that runs over the end */
            unmap_page(ADDRESS_PAGES - moved, page);
    }
    tlb_flush_page(page);
}

static void protect(uint32_t frame)
{
    protect_windows(frame);
    tlb_protect(frame);
}

static void touch_tables(uint64_t page)
{
    if (page < guest_limit >> PAGE_BITS)
        touch((uint8_t *)&owner[page]);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .fault = fault,
    .protect = protect,
    .flush = flush,
    .flush_page = flush_page,
    .touch_tables = touch_tables,
};
