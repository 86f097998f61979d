/*
 * What the guest has below a limit as a stretch of the host's, once (fastmem) or once for each value of CR3 (views):
 * what both share. An access that begins above goes to the inaccessible page behind the view, so that it faults.
 * direct_rows.h has the loops and the templates; a scheme includes it, too.
 */
#ifndef MMUEXP_DIRECT_H
#define MMUEXP_DIRECT_H

#include "engine.h"
#include "tlb.h"

enum { DIRECT_TLB_BITS = 8 };

/* What the schemes differ in; what is NULL is not done. */
struct direct {
    bool (*is_slow)(uint32_t row);                              /* is this access done by the TLB? */
    bool (*patches)(const struct row *row, enum counter cause); /* does this fault patch its site? */
    void (*patch)(const struct row *row, long long *registers); /* ... and the whole row is done slowly */
    void (*accessed)(const struct row *row);                    /* it faults: its pages are accessed */
    void (*make_room)(void);                                    /* before a fault maps a page */
    bool maps_first;                                            /* user mode: just before the first access */
};
extern struct direct direct;
extern size_t view_at_work; /* its first window */
extern uint64_t direct_limit;

static inline uint64_t direct_address(uint64_t vaddr)
{
    return vaddr < direct_limit ? vaddr : direct_limit;
}
static inline bool has_window(uint64_t page)
{
    return page < direct_limit >> PAGE_BITS;
}
void direct_start(size_t views); /* 0: one, and the inaccessible page is no part of the reserve */
uint64_t direct_base(void);
bool direct_fault(const struct row *row, uintptr_t address, long long *registers);
void map_ahead(uint64_t page, uint32_t frame);
void compare_tables(size_t view, unsigned compared);
void compared_page(uint64_t page, uint32_t frame, unsigned kept, unsigned stale);
void direct_flush_page(uint64_t page);
void direct_protect(uint32_t frame);
bool look_before(uint32_t row); /* true: the row is slow */

#endif
