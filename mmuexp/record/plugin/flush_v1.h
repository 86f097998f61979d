/*
 * QEMU 5.2 to 8.0: whether all translations were dropped. The interface shows no registers, but QEMU's own table of
 * translations (TLB) can be asked whether it holds a page: one that it held before an instruction, that nothing has
 * touched since, and that it does not hold afterwards was dropped. Such pages are the witnesses.
 *
 * QEMU's tables are direct mapped and of 2**6 entries at least, so pages whose numbers differ in the low six bits never
 * push each other out. Accesses and blocks are seen, and make no witness of what they touch. What is not seen are the
 * accesses by which an interrupt is delivered: if the block that follows is not the next instruction's, witnesses that
 * are gone may have been pushed out.
 *
 * Not seen either: a task switch by an interrupt or exception (task gate), and one to a task of the same CR3 by `int`.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_FLUSH_V1_H
#define MMUEXP_FLUSH_V1_H

#define SLOTS 64u
#define WITNESSES 4u
#define INDEX_AT (GUEST_BITS - PAGE_BITS) /* of the MMU index beside a page's number */
#define TOUCHED ((vaddr_t)1 << (GUEST_BITS - 1))
#define TSS_WORDS 11u /* CR3, EIP, EFLAGS and eight registers, which only a task switch reads in a row */

static struct {
    vaddr_t recent[SLOTS]; /* by a page's low bits: the one accessed last, with its MMU index and TOUCHED; 0 none */
    uint32_t witnesses;
    vaddr_t witness[WITNESSES]; /* taken out of `recent`: what is there again was touched */
    struct watch watched;       /* the instruction */
    const struct watch *watch;  /* == watched, NULL none */
    uint8_t mode;               /* at which it ran */
    uint32_t words;             /* how many words in a row it has read */
    vaddr_t next_word;          /* where the next would be */
    bool switches_task;
    struct value held[5]; /* what is known of what the control registers hold */
} f = {.held = {[0] = {.known = ~0u, .bits = 0x60000010}, [3] = {.known = ~0u}, [4] = {.known = ~0u}}};

static inline __attribute__((always_inline)) void note_access(uint32_t info, vaddr_t vaddr)
{
    f.recent[vaddr >> PAGE_BITS & (SLOTS - 1)] = TOUCHED | (vaddr_t)MMU_INDEX(info) << INDEX_AT | vaddr >> PAGE_BITS;
}

/* An access that the processor itself may have made, for an instruction that works on tables. */
static void __attribute__((noinline, cold)) note_table_access(uint32_t info, vaddr_t vaddr)
{
    bool in_a_row = vaddr == f.next_word && !(RW(info) & QEMU_PLUGIN_MEM_W);
    if (in_a_row && SIZE(info) == 2 && f.words >= TSS_WORDS) /* the selectors follow */
        f.switches_task = true;
    f.words = SIZE(info) != 4 ? 0 : in_a_row ? f.words + 1 : 1;
    f.next_word = vaddr + 4;
}

static bool is_there(vaddr_t page)
{
    return host_page(LOAD_INFO(page >> INDEX_AT & 15), page << PAGE_BITS);
}

static void call_witnesses(void)
{
    for (uint32_t i = 0; i < f.witnesses; i++)
        if (!f.recent[f.witness[i] % SLOTS])
            f.recent[f.witness[i] % SLOTS] = f.witness[i];
    f.witnesses = 0;
    for (uint32_t slot = 0; slot < SLOTS && f.witnesses < WITNESSES; slot++)
        if (f.recent[slot] && is_there(f.recent[slot])) {
            f.witness[f.witnesses++] = f.recent[slot];
            f.recent[slot] = 0;
        }
}

/* What they say. A block that is about to run may have pushed one out, or be one itself. */
static enum verdict hear_witnesses(const struct block *block)
{
    bool gone = false;
    for (uint32_t i = 0; i < f.witnesses; i++) {
        uint32_t slot = f.witness[i] % SLOTS, first = block ? block->vaddr >> PAGE_BITS : 0;
        if (f.recent[slot] || (block && (slot == first % SLOTS || (block->host[1] && slot == (first + 1) % SLOTS))))
            continue;
        if (is_there(f.witness[i]))
            return NOT_SO;
        gone = true;
    }
    return gone ? IS_SO : OPEN;
}

static bool is_watched(uint8_t kind)
{
    return kind != HARMLESS && kind != INTERRUPT;
}

static void begin_watch(const struct watch *watch)
{
    f.watched = *watch;
    f.watch = &f.watched;
    f.mode = g.mode;
    f.words = 0;
    f.switches_task = false;
    call_witnesses();
}

/* Directly after OUT, within its block: what the device did at once. */
static uint32_t look_at_device(void)
{
    return hear_witnesses(NULL) == IS_SO ? FLUSH_OTHER : 0;
}

static void registers_are_unknown(void)
{
    f.held[0].known = f.held[3].known = f.held[4].known = 0;
}

static enum verdict paging_is_on(void)
{
    if (!(f.held[0].known & CR0_PG))
        return OPEN;
    return f.held[0].bits & CR0_PG ? IS_SO : NOT_SO;
}

static uint32_t reason_of_move(const struct watch *watch, bool follows, enum verdict witness)
{
    uint8_t reason = watch->suspect.reason;
    uint32_t number = watch->suspect.control;
    enum verdict told;
    if (!follows && f.mode != KERNEL)
        return 0; /* it was refused */
    struct value new = watch->value;
    if (watch->suspect.kind == LMSW && !(new.known & 1) && f.held[0].known & f.held[0].bits & 1)
        new.known |= 1, new.same |= 1; /* PE stays */
    if (reason == FLUSH_CR3)
        told = paging_is_on();
    else
        told = changes(new, f.held[number], reason == FLUSH_CR0 ? CR0_PAGING : CR4_PAGING);
    f.held[number] = after_write(new, f.held[number]);
    if (follows && witness != OPEN) {
        told = witness;
        if (reason == FLUSH_CR3)
            set_bits(&f.held[0], CR0_PG, witness == IS_SO ? CR0_PG : 0);
    }
    p.unsure = told == OPEN;
    return told == NOT_SO ? 0 : reason;
}

/* The next block begins: reason of the FLUSH row that is due before it, 0 for none. */
static uint32_t end_watch(const struct block *block, vaddr_t vaddr)
{
    const struct watch *watch = f.watch;
    f.watch = NULL;
    enum verdict witness = hear_witnesses(block);
    switch (watch->suspect.kind) {
        /* clang-format off */
    case MOVE: case LMSW:
        /* clang-format on */
        return reason_of_move(watch, vaddr == watch->after, witness);
    case RESUME:
        registers_are_unknown();
        p.unsure = witness == OPEN;
        return witness == NOT_SO ? 0 : FLUSH_OTHER;
    case OUT:
        if (vaddr % SMM_ENTRY_ALIGN == 0 && witness == IS_SO)
            registers_are_unknown();
        else if (vaddr != watch->after)
            return 0;
        return witness == IS_SO ? FLUSH_OTHER : 0;
    }
    if (!f.switches_task)
        return 0;
    if (witness == OPEN)
        witness = paging_is_on();
    p.unsure = witness == OPEN;
    return witness != NOT_SO ? FLUSH_CR3 : 0;
}

#endif
