/*
 * QEMU plugin: every load, store and translation block of an x86 program, as rows in shared memory. It is compiled for
 * programs of 32 bits or of 64 (GUEST_BITS).
 *
 *   qemu-i386 -plugin FILE,ring=FD,socket=FD,skip=ROWS,limit=ROWS PROGRAM ...
 *
 * ring.h tells the layout, rows.h writes it, threads.h where there are several threads; here is what QEMU calls. It runs
 * the callbacks of a guest thread one after the other: signals of the guest are delivered between blocks.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "qemu_plugin.h"
#include "ring.h"
#include "rows.h"
#include "install.h"
#include "program_blocks.h"
#include "start.h"
#include "syscalls.h"
#include "threads.h"
#include "vectors.h"

EXPORT int qemu_plugin_version = PLUGIN_API;

#define MAX_INSNS 255u /* of one EXEC row, and the last position that a data row tells */

/*
 * What kind of access it was. The interface has functions for it, but with calls to them a row costs 6.4 ns of QEMU's
 * time instead of 4.1 (measured: 120 M rows of tests/kit/record_programs/spin.c, median of 4 runs, AMD EPYC VM, QEMU 7.2).
 * So the bits are read here when install() has found that the functions read the same ones.
 */
#define SHIFT(info) ((info) >> 4 & 7)
#define READS(info) ((info) >> 16 & QEMU_PLUGIN_MEM_R)
#define WRITES(info) ((info) >> 16 & QEMU_PLUGIN_MEM_W)

static bool bits_are_known(void)
{
    for (uint32_t rest = 0; rest < 4096; rest++) /* mmu index, size, sign, byte order, alignment */
        for (uint32_t rw = QEMU_PLUGIN_MEM_R; rw <= QEMU_PLUGIN_MEM_RW; rw++) {
            uint32_t info = rw << 16 | rest;
            if (qemu_plugin_mem_size_shift(info) != SHIFT(info) || qemu_plugin_mem_is_store(info) != !!WRITES(info))
                return false;
        }
    return true;
}

/*
 * One callback for both kinds: QEMU 7.2 also calls a callback that was registered for reads alone at every store
 * (accel/tcg/plugin-gen.c, op_rw: the flag is 0 or 2 there and is taken for 0 or 1).
 */
static void __attribute__((noinline, cold)) on_atomic(qemu_plugin_meminfo_t info, uint64_t vaddr, void *position)
{
    put(vaddr, 1u << SHIFT(info), (uintptr_t)position, OP_LOAD);
    put(vaddr, 1u << SHIFT(info), (uintptr_t)position, OP_STORE);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *position)
{
    (void)vcpu;
    if (LIKELY(!READS(info) || !WRITES(info)))
        put(vaddr, 1u << SHIFT(info), (uintptr_t)position, WRITES(info) ? OP_STORE : OP_LOAD);
    else
        on_atomic(info, vaddr, position);
}

static void on_access_by_function(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *position)
{
    (void)vcpu;
    uint8_t op = qemu_plugin_mem_is_store(info) ? OP_STORE : OP_LOAD;
    put(vaddr, 1u << qemu_plugin_mem_size_shift(info), (uintptr_t)position, op);
}

static qemu_plugin_vcpu_mem_cb_t access_cb = on_access;

/* Does it read and write at once? Such an access makes two rows. */
static inline bool is_atomic(qemu_plugin_meminfo_t info)
{
    return access_cb == on_access && READS(info) && WRITES(info);
}

/* of a vector instruction: one row when its pieces are complete */
static void on_vector(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *packed)
{
    (void)vcpu;
    uint64_t vector = (uintptr_t)packed;
    if (!join(info, vaddr, vector))
        return;
    if (is_atomic(info))
        put(pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), OP_LOAD);
    put(pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), pieces.is_store ? OP_STORE : OP_LOAD);
}

static void on_block(unsigned int vcpu, void *packed)
{
    (void)vcpu;
    struct block block = block_of(packed);
    put(block.vaddr, block.size, block.insns, OP_EXEC);
}

/* Where there are several threads: the same, and rows that are skipped are counted when they are handed on. */
static void on_access_of_thread(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *position)
{
    uint16_t size = 1u << qemu_plugin_mem_size_shift(info);
    bool is_store = qemu_plugin_mem_is_store(info);
    if (is_atomic(info))
        keep(vcpu, vaddr, size, (uintptr_t)position, OP_LOAD);
    keep(vcpu, vaddr, size, (uintptr_t)position, is_store ? OP_STORE : OP_LOAD);
}

static void on_vector_of_thread(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *packed)
{
    uint64_t vector = (uintptr_t)packed;
    if (!join(info, vaddr, vector))
        return;
    if (is_atomic(info))
        keep(vcpu, pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), OP_LOAD);
    keep(vcpu, pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), pieces.is_store ? OP_STORE : OP_LOAD);
}

static void on_more_of_block_of_thread(unsigned int vcpu, void *packed)
{
    struct block block = block_of(packed);
    keep(vcpu, block.vaddr, block.size, block.insns, OP_EXEC);
}

static void on_block_of_thread(unsigned int vcpu, void *packed)
{
    leave_block(vcpu);
    on_more_of_block_of_thread(vcpu, packed);
}

/*
 * While rows are skipped, callbacks count and do nothing else; with the last row that is skipped all blocks are
 * translated again, for the callbacks above. Until QEMU does that (when it leaves the block), these hand rows on.
 */
static void hook(qemu_plugin_id_t id);

static bool __attribute__((noinline, cold)) skipping_is_over(void)
{
    if (r.skip) {
        r.skip = r.skipped = 0; /* 0 == 0: from here on it is over without another reset */
        qemu_plugin_reset(r.id, hook);
    }
    return true;
}

static inline bool skip_row(void)
{
    if (!LIKELY(r.skipped != r.skip))
        return !skipping_is_over();
    __atomic_store_n(&r.header->skipped, ++r.skipped, __ATOMIC_RELEASE);
    return true;
}

static void on_access_skipped(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *position)
{
    if (is_atomic(info)) { /* two rows: the first may be the last to skip */
        if (!skip_row())
            put(vaddr, 1u << SHIFT(info), (uintptr_t)position, OP_LOAD);
        if (!skip_row())
            put(vaddr, 1u << SHIFT(info), (uintptr_t)position, OP_STORE);
    } else if (!skip_row()) {
        access_cb(vcpu, info, vaddr, position);
    }
}

static void on_vector_skipped(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *packed)
{
    (void)vcpu;
    uint64_t vector = (uintptr_t)packed;
    if (!join(info, vaddr, vector))
        return;
    if (is_atomic(info) && !skip_row())
        put(pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), OP_LOAD);
    if (!skip_row())
        put(pieces.vaddr, VECTOR_BYTES(vector), VECTOR_POSITION(vector), pieces.is_store ? OP_STORE : OP_LOAD);
}

static void on_block_skipped(unsigned int vcpu, void *packed)
{
    if (!skip_row())
        on_block(vcpu, packed);
}

/* The block at which rows begin; it may run again before all blocks are translated anew. */
static void on_block_of_start(unsigned int vcpu, void *packed)
{
    start_here();
    on_block_skipped(vcpu, packed);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    if (r.over) {
        keep_pointers_valid(id, tb);
        return;
    }
    qemu_plugin_vcpu_mem_cb_t access = r.skip ? on_access_skipped : access_cb;
    qemu_plugin_vcpu_mem_cb_t vector = r.skip ? on_vector_skipped : on_vector;
    qemu_plugin_vcpu_udata_cb_t block = r.skip ? on_block_skipped : on_block;
    bool starts = r.start != NO_START && holds_start(tb);
    if (starts)
        block = on_block_of_start;
    if (t.several) {
        access = on_access_of_thread;
        vector = on_vector_of_thread;
        block = on_block_of_thread;
    }
    size_t insns = qemu_plugin_tb_n_insns(tb), first = 0;
    vaddr_t vaddr = qemu_plugin_tb_vaddr(tb);
    uint32_t bytes = 0, vectors = 0;
    for (size_t i = 0; i < insns; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint32_t position = i + 1 < MAX_INSNS ? i + 1 : MAX_INSNS;
        uint8_t place[MAX_INSN_BYTES];
        uint32_t joined = vector_bytes(bytes_of(insn, place), qemu_plugin_insn_size(insn), GUEST_BITS == 64);
        void *userdata = joined ? PACK_VECTOR(vaddr + bytes, position, joined) : (void *)(uintptr_t)position;
        if (joined && !vectors++)
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_vector_block, QEMU_PLUGIN_CB_NO_REGS, NULL);
        qemu_plugin_register_vcpu_mem_cb(insn, joined ? vector : access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         userdata);
        bytes += qemu_plugin_insn_size(insn);
        if (i + 1 - first == MAX_INSNS || i + 1 == insns) {
            void *packed = pack_block((struct block){.vaddr = vaddr, .size = bytes, .insns = i + 1 - first});
            qemu_plugin_register_vcpu_tb_exec_cb(tb, block, QEMU_PLUGIN_CB_NO_REGS, packed);
            vaddr += bytes;
            bytes = 0;
            first = i + 1;
            if (t.several)
                block = on_more_of_block_of_thread;
            else if (starts)
                block = on_block_skipped;
        }
    }
}

static void on_syscall(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)a6, (void)a7, (void)a8;
    if (__atomic_load_n(&r.over, __ATOMIC_RELAXED))
        return;
    leave_block(vcpu);
    pthread_mutex_lock(&t.lock);
    guard_socket(number, a1, a2);
    note_library(number, a3, a4, a5);
    pthread_mutex_unlock(&t.lock);
    if (is_exec(number)) /* on success no line of ours runs again */
        __atomic_add_fetch(&r.header->in_exec, 1, __ATOMIC_RELEASE);
}

/* By the system call that this thread is in: fork, vfork, or a clone that makes no thread. */
static __thread bool forked;

static void in_parent(void)
{
    forked = true; /* or tried to: its result tells */
}

static void on_syscall_return(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, int64_t result)
{
    (void)id, (void)vcpu;
    if (!r.over && is_exec(number))
        __atomic_sub_fetch(&r.header->in_exec, 1, __ATOMIC_RELEASE);
    if (!r.over && forked && result > 0)
        __atomic_add_fetch(&r.header->children, 1, __ATOMIC_RELEASE);
    forked = false;
}

static void on_exit_of_program(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    if (__atomic_load_n(&r.over, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&t.lock);
    leave_all_blocks();
    finish(ENDED_EXIT);
    pthread_mutex_unlock(&t.lock);
}

static void hook(qemu_plugin_id_t id)
{
    free_blocks_with_qemus(id);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
    qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
}

/* A forked child is another program as far as the recording goes: it must not write into the parent's rows. */
static void in_child(void)
{
    static uint64_t nowhere; /* stands in for the shared count */
    static bool is_child;
    if (is_child) /* a child's child: what is closed and unmapped here may be its own by now */
        return;
    is_child = true;
    if (!r.over) {
        r.over = r.unhook_due = true;
        r.end = r.rows;
    }
    r.shared_rows = &nowhere;
    r.skip = r.skipped = 0;
    close(r.socket);
    munmap(r.header, HEADER_BYTES + r.header->chunks * sizeof(struct chunk));
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (strcmp(info->target_name, TARGET_NAME) || info->system_emulation)
        return refuse("this is not qemu-" TARGET_NAME);

    int sock = open_ring(MODE_USER, id, argc, argv);
    if (sock < 0)
        return -1;

    /* a number that programs do not pick: they take the lowest free one */
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    r.socket = fcntl(sock, F_DUPFD_CLOEXEC, files.rlim_cur > 1024 ? 1000 : files.rlim_cur / 2);
    if (r.socket < 0)
        return refuse("no file descriptor left");
    close(sock);

    if (!bits_are_known())
        access_cb = on_access_by_function;
    pthread_atfork(NULL, in_parent, in_child);
    hook(id);
    r.header->pid = getpid();
    __atomic_store_n(&r.header->started, 1, __ATOMIC_RELEASE);
    return 0;
}
