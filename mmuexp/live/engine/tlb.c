/* The helper behind the TLB: what the compare of the fast path rejects. */
#include "tlb.h"

/* A miss, device memory and a code page differ in what lies below the page's address. (A compare keeps bits 0..5.) */
enum { NOT_RAM = 1 << 10, INVALID = 1 << 11 };

struct mode_tables tlb[2];
void (*tlb_helper)(const struct row *row) = tlb_serve;
static uint32_t entries;

static void invalidate_from(uint32_t set)
{
    for (; set < entries; set++)
        for (unsigned mode = 0; mode < 2; mode++)
            tlb[mode].read[set].address = tlb[mode].write[set].address = INVALID;
}

void tlb_start(unsigned tlb_bits)
{
    entries = 1u << tlb_bits;
    patch_paths(PATCH_SET, (entries - 1) << ENTRY_BITS);
    invalidate_from(0);
}

void tlb_flush(void)
{
    invalidate_from(planted == PLANT_STALE_ENTRY);
}

static bool holds(const struct entry *entry, uint64_t page)
{
    return !(entry->address & INVALID) && entry->address >> PAGE_BITS == page;
}

void tlb_flush_page(uint64_t page)
{
    uint32_t set = page & (entries - 1);
    for (unsigned mode = 0; mode < 2; mode++) {
        if (holds(&tlb[mode].read[set], page))
            tlb[mode].read[set].address = INVALID;
        if (holds(&tlb[mode].write[set], page))
            tlb[mode].write[set].address = INVALID;
    }
}

static uint64_t addend_of(uint64_t page, uint32_t frame)
{
    return (uint64_t)ram_at(frame) - (page << PAGE_BITS);
}

void tlb_protect(uint32_t frame)
{
    for (unsigned mode = 0; mode < 2; mode++)
        for (uint32_t set = 0; set < entries; set++) {
            struct entry *entry = &tlb[mode].write[set];
            if (!(entry->address & INVALID) && entry->addend == addend_of(entry->address >> PAGE_BITS, frame))
                entry->address |= NOT_RAM;
        }
}

static uint64_t address_for_stores(uint64_t page, uint32_t frame)
{
    return (uint64_t)page << PAGE_BITS | (noticed(frame) ? NOT_RAM : 0);
}

static void look_up(const struct row *row, uint64_t page, uint32_t first, uint32_t last)
{
    uint32_t set = page & (entries - 1), frame = frame_of(page);
    struct entry *read = &tlb[row->user].read[set], *write = &tlb[row->user].write[set];
    if (!holds(row->store ? write : read, page)) {
        count[COUNT_tlb_fills]++;
        if (planted == PLANT_LOST_FILL && (count[COUNT_tlb_fills] & 31) == 31)
            return;
        if (row->store)
            dirty[frame] = 1; /* the page walk sets the guest's dirty bit */
        read->address = (uint64_t)page << PAGE_BITS;
        read->addend = write->addend = addend_of(page, frame);
        write->address = dirty[frame] ? address_for_stores(page, frame) : INVALID;
    }
    if (row->store && noticed(frame))
        store_to_code_by_helper(frame, first, last);
    if (row->store)
        write->address = address_for_stores(page, frame); /* its last block may be gone */
}

void tlb_serve(const struct row *row)
{
    bool power = !(row->size & (row->size - 1));
    if (row->io) {
        count[COUNT_slow_io]++;
        return;
    }
    if (row->crosses)
        count[COUNT_slow_cross]++;
    else if (power && row->vaddr & (row->size - 1))
        count[COUNT_slow_misaligned]++;
    look_up(row, row->page, row->first, row->last);
    if (row->crosses)
        look_up(row, row->second, 0, row->second_last);
}

/* Called by the stub below: serve the row, do the access; gives what a load read. */
__attribute__((used)) uint64_t tlb_slow_row(uint64_t stored, uint64_t from, uint64_t rbx)
{
#ifdef EMPTY_HELPER /* for what entering and leaving alone takes: once the one page is filled, nothing is done */
    if (count[COUNT_tlb_fills])
        return stored;
#endif
    translated_row(from, rbx);
    struct row row = current_row();
    tlb_helper(&row);
    return whole_row(&row, stored);
}

extern void tlb_slow_path(void);
__attribute__((used)) void (*const tlb_slow_vector)(void) = tlb_slow_path;

/* Keeps every register that the compiler may use, so that a fast path with a call in it looks like one without. */
asm(".text\n.globl tlb_slow_path\n"
    "tlb_slow_path:\n"
    "pushq %rbp\n movq %rsp, %rbp\n"
    "pushq %rcx\n pushq %rsi\n pushq %rdi\n pushq %r8\n pushq %r9\n pushq %r10\n pushq %r11\n"
    "andq $-16, %rsp\n"
    "movq %rdx, %rdi\n movq 8(%rbp), %rsi\n movq %rbx, %rdx\n"
    "call tlb_slow_row\n"
    "movq %rax, %rdx\n"
    "leaq -56(%rbp), %rsp\n"
    "popq %r11\n popq %r10\n popq %r9\n popq %r8\n popq %rdi\n popq %rsi\n popq %rcx\n popq %rbp\n"
    "ret\n");

extern void checked_entry_path(void);
__attribute__((used)) void (*const checked_entry_vector)(void) = checked_entry_path;

/* As above, from the entry of a block, which rax names: equal (ZF) if its code may go on. */
asm(".text\n.globl checked_entry_path\n"
    "checked_entry_path:\n"
    "pushq %rbp\n movq %rsp, %rbp\n"
    "pushq %rcx\n pushq %rdx\n pushq %rsi\n pushq %rdi\n pushq %r8\n pushq %r9\n pushq %r10\n pushq %r11\n"
    "andq $-16, %rsp\n"
    "movq %rax, %rdi\n"
    "call checked_entry\n"
    "cmpb $1, %al\n"
    "leaq -64(%rbp), %rsp\n"
    "popq %r11\n popq %r10\n popq %r9\n popq %r8\n popq %rdi\n popq %rsi\n popq %rdx\n popq %rcx\n popq %rbp\n"
    "ret\n");
