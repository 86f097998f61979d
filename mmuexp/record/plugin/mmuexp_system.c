/*
 * QEMU plugin: every load, store and translation block of a whole x86 guest, as rows in shared memory. It is compiled for
 * guests of 32 bits or of 64 (GUEST_BITS).
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

#include "qemu_plugin.h"
#include "instructions.h"
#include "install.h"
#include "flush.h"
#include "invlpg.h"
#include "vectors.h"

EXPORT int qemu_plugin_version = PLUGIN_API;

#define MAX_INSNS 255u /* of one EXEC row, and the last position that a data row tells */
#define UNCLEAR 0x100u /* in a position: the access may be the processor's own, whatever the privilege level */

/* A crossing access touches the device when one of its pages is the device's. */
static void __attribute__((noinline, cold)) io_row(vaddr_t vaddr, uint32_t size, uint8_t position, uint8_t op,
                                                   uint8_t flags)
{
    if (is_known(vpage_of(vaddr)))
        forget(vpage_of(vaddr));
    put_row(vaddr, 0, size, position, op, flags | FLAG_IO, true);
    new_epoch();
    p.moved = true;
}

static inline __attribute__((always_inline)) void data_row(uint32_t info, vaddr_t vaddr, uint32_t size,
                                                           uint32_t position, uint8_t op, uint8_t flags)
{
    vaddr_t last = vaddr + size - 1;
    uint32_t vpage = vpage_of(vaddr);
    uint64_t host = host_page(info, vaddr), high = 1;
    bool checked = LIKELY(host) && LIKELY(p.seen[vpage] == (p.generation | host));
    if (!checked && host)
        check(info, vaddr);
    if (!LIKELY(vaddr >> PAGE_BITS == last >> PAGE_BITS))
        high = host_page(info, last & ~(vaddr_t)0xfff);
    if (!LIKELY(host && high)) {
        io_row(vaddr, size, position, op, flags);
        return;
    }
    if (!checked)
        show(vpage, host);
    if (!LIKELY(vaddr >> PAGE_BITS == last >> PAGE_BITS))
        touch(vpage_of(last), high);
    put_row(vaddr, 0, size, position, op, flags, true);
    if (p.skipping && vaddr >> PAGE_BITS == last >> PAGE_BITS)
        p.asked[vpage][op == OP_LOAD ? QEMU_PLUGIN_MEM_R : QEMU_PLUGIN_MEM_W] = p.epoch;
}

/* While skipping. True: QEMU was asked about this page in this epoch, so the access is one row, and is counted. */
static inline bool skip_row(uint32_t info, vaddr_t vaddr, uint32_t size)
{
    if (p.asked[vpage_of(vaddr)][RW(info)] != p.epoch || (vaddr & 0xfff) + size > 0x1000 || r.rows == r.end)
        return false;
    r.rows++;
    return true;
}

/* One instruction that reads and writes at once: with one processor QEMU makes two accesses of it. */
static void __attribute__((noinline, cold)) atomic_rows(uint32_t info, vaddr_t vaddr, uint32_t size, uint32_t position,
                                                        uint8_t flags)
{
    data_row(info, vaddr, size, position, OP_LOAD, flags);
    data_row(info, vaddr, size, position, OP_STORE, flags);
}

/* apart, so that a skipped access needs no stack frame */
static void __attribute__((noinline)) access_rows(uint32_t info, vaddr_t vaddr, uint32_t size, uint32_t position,
                                                  uint8_t flags)
{
    if (!LIKELY(g.user_index != NOT_ESTABLISHED))
        establish_user_index(MMU_INDEX(info));
    if (LIKELY(RW(info) != QEMU_PLUGIN_MEM_RW))
        data_row(info, vaddr, size, position, RW(info) == QEMU_PLUGIN_MEM_W ? OP_STORE : OP_LOAD, flags);
    else
        atomic_rows(info, vaddr, size, position, flags);
}

/* Flags of the row: the privilege level of the access, which tells that of the block, too. */
static inline uint8_t learn_from_access(uint32_t info, vaddr_t vaddr, uint32_t position)
{
    uint8_t mode = is_users(MMU_INDEX(info));
    if (LIKELY(!(position & UNCLEAR)) || mode == USER) {
        g.mode = mode;
        if (!LIKELY(!g.pending))
            learn_mode(mode);
    }
    note_access(info, vaddr);
    if (!LIKELY(!(position & UNCLEAR)))
        note_table_access(info, vaddr);
    return mode ? FLAG_USER : 0;
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    (void)vcpu;
    uint32_t position = (uintptr_t)userdata;
    uint8_t flags = learn_from_access(info, vaddr, position);
    if (!p.skipping || !LIKELY(skip_row(info, vaddr, SIZE(info))))
        access_rows(info, vaddr, SIZE(info), position, flags);
}

/* Of a vector instruction: one row when its pieces are complete. The last one asks for the pages of all. */
static void on_vector(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *packed)
{
    (void)vcpu;
    uint64_t vector = (uintptr_t)packed;
    uint32_t position = VECTOR_POSITION(vector), size = VECTOR_BYTES(vector);
    uint8_t flags = learn_from_access(info, vaddr, position);
    if (join(info, vaddr, vector) && (!p.skipping || !skip_row(info, pieces.vaddr, size)))
        access_rows(info, pieces.vaddr, size, position, flags);
}

static void flush_if(uint32_t reason)
{
    if (reason)
        flush_all(reason);
    p.unsure = false;
}

/* The block before this one held what may move pages. */
static void __attribute__((noinline, cold)) after_a_move(const struct block *block, vaddr_t vaddr)
{
    p.moved = false;
    if (f.watch)
        flush_if(end_watch(block, vaddr));
    new_epoch();
}

static void on_block(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    struct block *block = userdata;
    vaddr_t vaddr = address_of(block);
    uint32_t vpage = vpage_of(vaddr);
    uint8_t mode = block->mode;
    if (!LIKELY(!p.skipping) && __atomic_load_n(&r.header->start_now, __ATOMIC_ACQUIRE) && !r.over)
        begin_rows();
    if (!LIKELY(mode != NOT_YET))
        mode = g.page_mode[vpage] != NOT_YET ? g.page_mode[vpage] : g.mode;
    g.pending = NULL;
    g.mode = mode;
    g.shift = vaddr - block->vaddr;
    if (!LIKELY(!(g.shift & 0xfff))) /* whole pages, or we misread QEMU */
        finish(ENDED_QEMU);
    if (!LIKELY(!p.moved))
        after_a_move(block, vaddr);
    if (!LIKELY(!touch(vpage, block->host[0])))
        new_epoch(); /* an SMI or a task gate may have led here, and no instruction */
    if (!LIKELY(!block->host[1]))
        touch(vpage_of(vaddr + (1u << PAGE_BITS)), block->host[1]);
    bool sure = block->mode != NOT_YET;
    uint8_t *flags = put_row(vaddr, 0, block->size, block->insns, OP_EXEC, mode ? FLAG_USER : 0, sure);
    if (!LIKELY(sure) && flags) {
        g.pending = block;
        g.pending_flags = flags;
    }
}

/* Before an instruction that may make QEMU drop every translation. */
static void on_watched(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    new_epoch();
    p.moved = true;
    begin_watch(userdata);
    f.watched.after += g.shift;
}

/* Before the instruction that follows OUT in its block. */
static void on_device_done(unsigned int vcpu, void *userdata)
{
    (void)vcpu, (void)userdata;
    flush_if(look_at_device());
    new_epoch();
}

/* Before an instruction that may move pages: at once, or when its block ends (an SMI; work that QEMU puts off). */
static void on_move(unsigned int vcpu, void *userdata)
{
    (void)vcpu, (void)userdata;
    new_epoch();
    p.moved = true;
}

/* Before INVLPG: QEMU tells its operand where it shows registers. */
static void on_invlpg(unsigned int vcpu, void *userdata)
{
    const struct watch *invlpg = userdata;
    on_move(vcpu, userdata);
    if (may_invalidate())
        forget(vpage_of(linear_address(invlpg->operand, invlpg->after + g.shift)));
}

/* Registers what must be called for an instruction beside its accesses; `values` are of its block so far. */
static void watch_instruction(struct qemu_plugin_insn *insn, const uint8_t *bytes, size_t size, struct value *values,
                              bool is_long)
{
    struct suspect suspect = suspect_of(bytes, size);
    if (is_watched(suspect.kind)) {
        struct watch *watch = new_watch(suspect, qemu_plugin_insn_vaddr(insn) + size);
        if (suspect.kind == MOVE)
            watch->value = as_of(values[suspect.source], suspect.control);
        else if (suspect.kind == LMSW)
            watch->value = of_lmsw(values[suspect.source]);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_watched, CONTROL_CALLBACK, watch);
    } else if (PLUGIN_API > 1 && is_invlpg(bytes, size)) {
        struct watch *watch = new_watch(suspect, qemu_plugin_insn_vaddr(insn) + size);
        watch->operand = operand_of_invlpg(bytes, size, is_long);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invlpg, CONTROL_CALLBACK, watch);
    } else if (p.skipping && may_move_pages(bytes, size)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_move, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
    follow(values, bytes, size);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (r.over)
        return;
    if (PLUGIN_API == 1 && !p.ram_pages && !find_ram()) {
        finish(ENDED_RAM);
        return;
    }
    size_t insns = qemu_plugin_tb_n_insns(tb);
    struct block *block = NULL;
    uint32_t vectors = 0;
    struct value values[MEMORY + 1] = {0}; /* of the general registers, and of memory, which nobody knows */
    bool after_out = false;
    vaddr_t eip = eip_at_translation();
    uint8_t mode = mode_of_code(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)), qemu_plugin_tb_vaddr(tb));
    bool is_long = is_long_code(qemu_plugin_tb_vaddr(tb), mode);
    for (size_t i = 0; i < insns; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        size_t size = qemu_plugin_insn_size(insn);
        uint8_t place[MAX_INSN_BYTES];
        const uint8_t *bytes = bytes_of(insn, place);
        vaddr_t vaddr = qemu_plugin_insn_vaddr(insn), last = vaddr + size - 1;
        uint32_t position = i + 1 < MAX_INSNS ? i + 1 : MAX_INSNS;
        if (!block || block->insns == MAX_INSNS) {
            block = new_block();
            *block = (struct block){.vaddr = vaddr, .mode = mode, .eip = eip};
            block->host[0] = place_of_code(qemu_plugin_insn_haddr(insn), vaddr, mode, is_long);
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CONTROL_CALLBACK, block);
        }
        block->insns++;
        block->size += size;
        if (block->vaddr >> PAGE_BITS != last >> PAGE_BITS && !block->host[1])
            block->host[1] = vaddr >> PAGE_BITS == last >> PAGE_BITS
                                 ? place_of_code(qemu_plugin_insn_haddr(insn), vaddr, mode, is_long)
                                 : place_of_second_page(last & ~(vaddr_t)0xfff, block->host[0], mode, is_long);
        if (after_out)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_device_done, QEMU_PLUGIN_CB_NO_REGS, NULL);
        watch_instruction(insn, bytes, size, values, is_long);
        after_out = suspect_of(bytes, size).kind == OUT;
        if (reads_tables(bytes, size, is_long))
            position |= UNCLEAR;
        uint32_t joined = vector_bytes(bytes, size, is_long);
        void *userdata = joined ? PACK_VECTOR(vaddr, position, joined) : (void *)(uintptr_t)position;
        if (joined && !vectors++)
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_vector_block, QEMU_PLUGIN_CB_NO_REGS, NULL);
        qemu_plugin_register_vcpu_mem_cb(insn, joined ? on_vector : on_access, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, userdata);
    }
}

static void on_vcpu(qemu_plugin_id_t id, unsigned int vcpu)
{
    (void)id;
    if (vcpu)
        finish(ENDED_VCPUS);
    else if (!learn_registers())
        finish(ENDED_QEMU);
}

static void on_everything_dropped(qemu_plugin_id_t id)
{
    on_all_blocks_dropped(id);
    drop_watches();
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    finish(ENDED_EXIT);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (strcmp(info->target_name, TARGET_NAME) || !info->system_emulation)
        return refuse("this is not qemu-system-" TARGET_NAME);
    int socket = open_ring(MODE_SYSTEM, id, argc, argv);
    if (socket < 0)
        return -1;
    r.socket = socket;
    r.hooks_stay = true; /* QEMU 7.2 may call what it dropped: "qemu_plugin_vcpu_mem_cb: code should not be reached" */
    g.mode = KERNEL;
    g.user_index = NOT_ESTABLISHED;
    memset(g.page_mode, NOT_YET, sizeof g.page_mode);
    p.generation = 1ull << HOST_BITS;
    p.epoch = 1;
    if (r.skip) {
        p.skipping = true;
        r.end = r.skip;
        r.shared_rows = &r.header->skipped;
    }
    if (info->system.max_vcpus > 1)
        finish(ENDED_VCPUS);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_flush_cb(id, on_everything_dropped);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    r.header->pid = getpid();
    __atomic_store_n(&r.header->started, 1, __ATOMIC_RELEASE);
    return 0;
}
