/*
 * QEMU plugin: every load, store and translation block of a whole 32-bit x86 guest, as rows in shared memory.
 *
 *   qemu-system-i386 -plugin FILE,ring=FD,socket=FD,skip=ROWS,limit=ROWS ...
 *
 * pages.h keeps physical pages, rows.h writes rows, ring.h tells the layout; here is what QEMU calls. One processor,
 * so one thread makes rows. What the processor itself does makes none: page walks, the stack and tables that it reads
 * when it delivers an interrupt or an exception (QEMU does not show them to plugins).
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "qemu_plugin_v1.h"
#include "blocks.h"
#include "instructions.h"
#include "install.h"

EXPORT int qemu_plugin_version = 1;

#define MAX_INSNS 255u       /* of one EXEC row, and the last position that a data row tells */
#define UNCLEAR 0x100u       /* in a position: the access may be the processor's own, whatever the privilege level */
#define MMU_INDEX(info) ((info) & 15)
#define SIZE(info) (1u << ((info) >> 4 & 7))
#define READS(info) ((info) >> 16 & QEMU_PLUGIN_MEM_R)
#define WRITES(info) ((info) >> 16 & QEMU_PLUGIN_MEM_W)
#define LOAD_INFO(index) ((uint32_t)QEMU_PLUGIN_MEM_R << 16 | (index))

/*
 * How QEMU 5.2 to 8.0 hold what qemu_plugin_get_hwaddr answers. The interface tells an address only, and for ROM one
 * that no block can be matched with; so the place in QEMU's memory is read from here. show_data() compares it with what
 * the interface says, for each page of RAM that is new.
 */
struct where {
    bool is_io, is_store;
    void *host;
};

/*
 * Which MMU index is ring 3's: the first access after power-on is the kernel's, without SMAP. QEMU 7.2 as released
 * numbers the MMU indexes 0 kernel with SMAP, 1 user, 2 kernel; its later corrections and QEMU 8.2 have 1, 3, 5 for
 * 32-bit code.
 */
static void __attribute__((noinline, cold)) establish_user_index(uint32_t index)
{
    if (index == 2)
        g.user_index = 1;
    else if (index == 5)
        g.user_index = 3;
    else
        finish(ENDED_QEMU);
}

/* The interface and our reading of its memory must say the same: else we know nothing. */
static void __attribute__((noinline, cold)) check(const struct where *where)
{
    uint64_t host = (uintptr_t)where->host;
    const struct qemu_plugin_hwaddr *opaque = (const void *)where;
    if (qemu_plugin_hwaddr_is_io(opaque) != where->is_io ||
        ((host >> PAGE_BITS) - p.ram_first < p.ram_pages &&
         qemu_plugin_hwaddr_phys_addr(opaque) != host - (p.ram_first << PAGE_BITS)))
        finish(ENDED_QEMU);
}

/* Host page of an address that was just accessed, 0 for device memory. */
static inline uint64_t host_page(uint32_t info, uint32_t vaddr, const struct where **where)
{
    *where = (const void *)qemu_plugin_get_hwaddr(info, vaddr);
    return (*where)->is_io ? 0 : (uintptr_t)(*where)->host >> PAGE_BITS;
}

/* A crossing access touches the device when one of its pages is the device's. */
static void __attribute__((noinline, cold)) io_row(uint32_t vaddr, uint32_t size, uint8_t position, uint8_t op,
                                                   uint8_t flags)
{
    if (is_known(vaddr >> PAGE_BITS))
        forget(vaddr >> PAGE_BITS);
    put_row(vaddr, 0, size, position, op, flags | FLAG_IO, true);
}

static inline __attribute__((always_inline)) void data_row(uint32_t info, uint32_t vaddr, uint32_t position,
                                                           uint8_t op, uint8_t flags)
{
    const struct where *where;
    uint32_t size = SIZE(info), last = vaddr + size - 1;
    uint64_t host = host_page(info, vaddr, &where), high = 1;
    bool checked = LIKELY(host) && LIKELY(p.seen[vaddr >> PAGE_BITS] == (p.generation | host));
    if (!checked && host)
        check(where);
    if (!LIKELY(vaddr >> PAGE_BITS == last >> PAGE_BITS))
        high = host_page(info, last & ~0xfffu, &where);
    if (!LIKELY(host && high)) {
        io_row(vaddr, size, position, op, flags);
        return;
    }
    if (!checked)
        show(vaddr >> PAGE_BITS, host);
    if (!LIKELY(vaddr >> PAGE_BITS == last >> PAGE_BITS))
        touch(last >> PAGE_BITS, high);
    put_row(vaddr, 0, size, position, op, flags, true);
}

/* One instruction that reads and writes at once: with one processor QEMU makes two accesses of it. */
static void __attribute__((noinline, cold)) atomic_rows(uint32_t info, uint32_t vaddr, uint32_t position, uint8_t flags)
{
    data_row(info, vaddr, position, OP_LOAD, flags);
    data_row(info, vaddr, position, OP_STORE, flags);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    (void)vcpu;
    uint32_t position = (uintptr_t)userdata;
    if (!LIKELY(g.user_index))
        establish_user_index(MMU_INDEX(info));
    uint8_t mode = MMU_INDEX(info) == g.user_index;
    if (LIKELY(!(position & UNCLEAR)) || mode == USER) {
        g.mode = mode;
        if (!LIKELY(!g.pending))
            learn_mode(mode);
    }
    if (LIKELY(!READS(info) || !WRITES(info)))
        data_row(info, vaddr, position, WRITES(info) ? OP_STORE : OP_LOAD, mode ? FLAG_USER : 0);
    else
        atomic_rows(info, vaddr, position, mode ? FLAG_USER : 0);
}

static void on_block(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    struct block *block = userdata;
    uint32_t vpage = block->vaddr >> PAGE_BITS;
    uint8_t mode = block->mode;
    if (!LIKELY(mode != NOT_YET))
        mode = g.page_mode[vpage] != NOT_YET ? g.page_mode[vpage] : g.mode;
    g.pending = NULL;
    g.mode = mode;
    if (!LIKELY(!p.flush))
        flush_all();
    touch(vpage, block->host[0]);
    if (!LIKELY(!block->host[1]))
        touch((vpage + 1) % PAGES, block->host[1]);
    bool sure = block->mode != NOT_YET;
    uint8_t *flags = put_row(block->vaddr, 0, block->size, block->insns, OP_EXEC, mode ? FLAG_USER : 0, sure);
    if (!LIKELY(sure) && flags) {
        g.pending = block;
        g.pending_flags = flags;
    }
}

/* Before a move to CR0, CR3 or CR4, which ends its block; privilege level 3 faults instead. */
static void on_control(unsigned int vcpu, void *reason)
{
    (void)vcpu;
    if (g.mode == KERNEL)
        p.flush = (uintptr_t)reason;
}

static uint64_t place(const void *host, uint32_t vaddr)
{
    return host ? (uintptr_t)host >> PAGE_BITS : NO_PLACE | vaddr >> PAGE_BITS;
}

/*
 * Host page of a block's second page, in which none of its instructions begins: QEMU tells no address then. But it has
 * just fetched from it, so some MMU index holds it; those that hold it agree.
 */
static uint64_t place_of_second_page(uint32_t vaddr, uint64_t first)
{
    for (uint32_t index = 0; index < 6; index++) {
        const struct where *where;
        uint64_t host = host_page(LOAD_INFO(index), vaddr, &where);
        if (host)
            return host;
    }
    return first & NO_PLACE ? place(NULL, vaddr) : first + 1; /* no such case was seen */
}

/*
 * The privilege level of a block that is being translated: the fetch has just entered its page under the MMU index that
 * is in force. So a page that the user's index does not hold is the kernel's, and one that it alone holds is the
 * user's. One that both hold is left to the block's accesses.
 */
static uint8_t mode_of_page(uint32_t vaddr)
{
    const struct where *where;
    if (!g.user_index)
        return KERNEL; /* no access yet since power-on */
    if (!host_page(LOAD_INFO(g.user_index), vaddr, &where))
        return KERNEL;
    bool smap = host_page(LOAD_INFO(g.user_index == 1 ? 0 : 1), vaddr, &where);
    bool no_smap = host_page(LOAD_INFO(g.user_index == 1 ? 2 : 5), vaddr, &where);
    return smap || no_smap ? NOT_YET : USER;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (r.over)
        return;
    if (!p.ram_pages && !find_ram()) {
        finish(ENDED_RAM);
        return;
    }
    size_t insns = qemu_plugin_tb_n_insns(tb);
    struct block *block = NULL;
    uint8_t mode = qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)) ? mode_of_page(qemu_plugin_tb_vaddr(tb))
                                                                         : NOT_YET;
    for (size_t i = 0; i < insns; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        uint32_t vaddr = qemu_plugin_insn_vaddr(insn), last = vaddr + size - 1;
        uint32_t position = i + 1 < MAX_INSNS ? i + 1 : MAX_INSNS, control = control_write(bytes, size);
        if (!block || block->insns == MAX_INSNS) {
            block = new_block();
            *block = (struct block){.vaddr = vaddr, .mode = mode};
            block->host[0] = place(qemu_plugin_insn_haddr(insn), vaddr);
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
        }
        block->insns++;
        block->size += size;
        if (block->vaddr >> PAGE_BITS != last >> PAGE_BITS && !block->host[1])
            block->host[1] = vaddr >> PAGE_BITS == last >> PAGE_BITS
                                 ? place(qemu_plugin_insn_haddr(insn), vaddr)
                                 : place_of_second_page(last & ~0xfffu, block->host[0]);
        if (control)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_control, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)(uintptr_t)control);
        if (reads_tables(bytes, size))
            position |= UNCLEAR;
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         (void *)(uintptr_t)position);
    }
}

static void on_vcpu(qemu_plugin_id_t id, unsigned int vcpu)
{
    (void)id;
    if (vcpu)
        finish(ENDED_VCPUS);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    finish(ENDED_EXIT);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (strcmp(info->target_name, "i386") || !info->system_emulation)
        return refuse("this is not qemu-system-i386");
    int socket = open_ring(MODE_SYSTEM, id, argc, argv);
    if (socket < 0)
        return -1;
    r.socket = socket;
    r.hooks_stay = true; /* QEMU 7.2 may call what it dropped: "qemu_plugin_vcpu_mem_cb: code should not be reached" */
    memset(g.page_mode, NOT_YET, sizeof g.page_mode);
    if (r.skip) {
        p.skipping = true;
        p.mask = 0xfff; /* the chunk's first rows, again and again: they stay in the processor's cache */
        r.chunk = r.chunks;
        r.end = r.skip;
        r.shared_rows = &r.header->skipped;
    }
    if (info->system.max_vcpus > 1)
        finish(ENDED_VCPUS);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_flush_cb(id, on_all_blocks_dropped);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    r.header->pid = getpid();
    __atomic_store_n(&r.header->started, 1, __ATOMIC_RELEASE);
    return 0;
}
