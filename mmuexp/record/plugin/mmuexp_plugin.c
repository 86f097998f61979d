/*
 * QEMU plugin: every load, store and translation block of a 32-bit x86 program, as rows in shared memory.
 *
 *   qemu-i386 -plugin FILE,ring=FD,socket=FD,skip=ROWS,limit=ROWS PROGRAM ...
 *
 * ring.h tells the layout. A row is a few stores and one compare; all else is in turn(), which runs once for
 * each chunk. QEMU runs callbacks of one guest thread one after the other (signals of the guest are delivered
 * between blocks), so there are no locks; a second guest thread ends the recording.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu_plugin_v1.h"
#include "ring.h"

EXPORT int qemu_plugin_version = 1;

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define MAX_INSNS 255u /* of one EXEC row, and the last position that a data row tells */

/* i386 system call numbers (Linux, arch/x86/entry/syscalls/syscall_32.tbl) */
enum {
    SYS32_CLOSE = 6,
    SYS32_EXECVE = 11,
    SYS32_DUP2 = 63,
    SYS32_DUP3 = 330,
    SYS32_EXECVEAT = 358,
    SYS32_CLOSE_RANGE = 436,
};

static struct {
    /* what a row touches, side by side */
    struct chunk *chunk;            /* the open one */
    uint64_t rows;                  /* written so far */
    uint64_t end;                   /* at this many rows turn() looks what to do */
    volatile uint64_t *shared_rows; /* == rows, for the encoder */
    /* the rest */
    struct ring_header *header;
    struct chunk *chunks;
    uint64_t skip_left;
    uint64_t limit; /* rows, UINT64_MAX = no limit */
    uint32_t free;  /* chunks that the encoder has written out, beside the open one */
    int socket;
    qemu_plugin_id_t id;
    bool over;       /* no rows from here on */
    bool unhook_due; /* callbacks are still registered though it is over */
} r;

static uint64_t nowhere; /* stands in for the shared count in a forked child */

static void nothing(qemu_plugin_id_t id)
{
    (void)id;
}

/* Ends the process when the recorder is gone: nobody will ever take rows again, or report the exit code. */
static void recorder_gone(void)
{
    static const char line[] = "mmuexp: the recorder is gone, so this program ends; "
                               "mmuexp trace recover mends its file\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0) {
        /* stderr is gone too */
    }
    _exit(128 + SIGKILL);
}

static void finish(enum ended why)
{
    if (r.over)
        return;
    r.over = r.unhook_due = true;
    r.end = r.rows;
    __atomic_store_n(&r.header->ended, why, __ATOMIC_RELEASE);
    char token = TOKEN_NEWS;
    (void)!send(r.socket, &token, 1, MSG_NOSIGNAL);
}

/* Waits for one token; false when the socket is no longer ours (the program closed it). */
static bool take_token(void)
{
    char token;
    ssize_t n;
    do
        n = recv(r.socket, &token, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        recorder_gone();
    if (n < 0) {
        finish(ENDED_SOCKET);
        return false;
    }
    if (token == TOKEN_STOP) {
        finish(ENDED_STOPPED);
        return false;
    }
    r.free++;
    return true;
}

/*
 * rows == end: a row is skipped, a chunk is full, the limit is reached or all is over.
 * True when there is room for one row.
 */
static bool __attribute__((noinline, cold)) turn(void)
{
    if (r.over) {
        if (r.unhook_due) { /* back to full speed */
            r.unhook_due = false;
            qemu_plugin_reset(r.id, nothing);
        }
        return false;
    }
    if (r.skip_left) {
        r.skip_left--;
        r.header->skipped++;
        return false;
    }
    if (r.rows >= r.limit) {
        finish(ENDED_LIMIT);
        return turn();
    }
    uint64_t number = r.rows >> CHUNK_BITS; /* of the chunk to open */
    if (r.rows && !(r.rows & (CHUNK_ROWS - 1))) {
        char token = TOKEN_NEWS;
        if (send(r.socket, &token, 1, MSG_NOSIGNAL) < 0) {
            if (errno == EPIPE || errno == ECONNRESET)
                recorder_gone();
            finish(ENDED_SOCKET);
            return false;
        }
        while (!r.free)
            if (!take_token()) /* the guest waits here for the encoder */
                return turn();
        r.free--;
    }
    r.chunk = r.chunks + number % r.header->chunks;
    r.end = (number + 1) << CHUNK_BITS;
    if (r.end > r.limit)
        r.end = r.limit;
    return true;
}

static inline __attribute__((always_inline)) void write_row(uint32_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    uint64_t row = r.rows;
    struct chunk *chunk = r.chunk;
    uint32_t at = row & (CHUNK_ROWS - 1);
    chunk->vaddr[at] = vaddr;
    chunk->size[at] = size;
    chunk->insns[at] = insns;
    chunk->op[at] = op;
    r.rows = row + 1;
    __atomic_store_n(r.shared_rows, row + 1, __ATOMIC_RELEASE);
}

/* apart, so that the callbacks need no stack frame */
static void __attribute__((noinline, cold)) turn_and_put(uint32_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    if (turn())
        write_row(vaddr, size, insns, op);
}

static inline __attribute__((always_inline)) void put(uint32_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    if (LIKELY(r.rows != r.end))
        write_row(vaddr, size, insns, op);
    else
        turn_and_put(vaddr, size, insns, op);
}

/*
 * What kind of access it was. The interface has functions for it; calls for each row would cost a tenth of the
 * recording, so the bits are read here when install() has found that the functions read the same ones.
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

/* vaddr, bytes and instructions of a block travel in the pointer itself: nothing to allocate, nothing to free */
_Static_assert(sizeof(void *) == 8, "a block is packed into a pointer");
#define PACK(vaddr, size, insns) ((void *)((uint64_t)(vaddr) | (uint64_t)(size) << 32 | (uint64_t)(insns) << 48))

static void on_block(unsigned int vcpu, void *packed)
{
    (void)vcpu;
    uint64_t block = (uintptr_t)packed;
    put(block, block >> 32, block >> 48, OP_EXEC);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (r.over)
        return;
    size_t insns = qemu_plugin_tb_n_insns(tb), first = 0;
    uint32_t vaddr = qemu_plugin_tb_vaddr(tb), bytes = 0;
    for (size_t i = 0; i < insns; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void *position = (void *)(uintptr_t)(i + 1 < MAX_INSNS ? i + 1 : MAX_INSNS);
        qemu_plugin_register_vcpu_mem_cb(insn, access_cb, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, position);
        bytes += qemu_plugin_insn_size(insn);
        if (i + 1 - first == MAX_INSNS || i + 1 == insns) {
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                                 PACK(vaddr, bytes, i + 1 - first));
            vaddr += bytes;
            bytes = 0;
            first = i + 1;
        }
    }
}

static void on_vcpu(qemu_plugin_id_t id, unsigned int vcpu)
{
    (void)id;
    if (vcpu) /* called by the first thread, before the second runs */
        finish(ENDED_THREAD);
}

/* The guest shares our file descriptors: when it is about to close the socket's number, the socket moves away. */
static void guard_socket(int64_t number, uint64_t a1, uint64_t a2)
{
    uint64_t fd = r.socket;
    if ((number == SYS32_CLOSE && a1 == fd) || ((number == SYS32_DUP2 || number == SYS32_DUP3) && a2 == fd)) {
        int moved = fcntl(r.socket, F_DUPFD_CLOEXEC, r.socket > 512 ? 256 : 768);
        if (moved >= 0)
            r.socket = moved; /* the old number is closed by the guest's own call */
    } else if (number == SYS32_CLOSE_RANGE && a1 <= fd && fd <= a2) {
        finish(ENDED_SOCKET);
    }
}

static void on_syscall(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (r.over)
        return;
    guard_socket(number, a1, a2);
    if (number == SYS32_EXECVE || number == SYS32_EXECVEAT) /* on success no line of ours runs again */
        __atomic_store_n(&r.header->in_exec, 1, __ATOMIC_RELEASE);
}

static void on_syscall_return(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, int64_t result)
{
    (void)id, (void)vcpu, (void)result;
    if (!r.over && (number == SYS32_EXECVE || number == SYS32_EXECVEAT))
        __atomic_store_n(&r.header->in_exec, 0, __ATOMIC_RELEASE);
}

static void on_exit_of_program(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    finish(ENDED_EXIT);
}

/* A forked child is another program as far as the recording goes: it must not write into the parent's rows. */
static void in_child(void)
{
    if (!r.over) {
        r.over = r.unhook_due = true;
        r.end = r.rows;
    }
    r.shared_rows = &nowhere;
    close(r.socket);
    munmap(r.header, HEADER_BYTES + r.header->chunks * sizeof(struct chunk));
}

static bool is_argument(const char *arg, const char *key, uint64_t *value)
{
    size_t n = strlen(key);
    if (strncmp(arg, key, n) || arg[n] != '=')
        return false;
    *value = strtoull(arg + n + 1, NULL, 10);
    return true;
}

static int refuse(const char *why)
{
    fprintf(stderr, "mmuexp plugin: %s\n", why);
    return -1;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    uint64_t ring = UINT64_MAX, sock = UINT64_MAX, skip = 0, limit = UINT64_MAX;
    for (int i = 0; i < argc; i++)
        if (!is_argument(argv[i], "ring", &ring) && !is_argument(argv[i], "socket", &sock) &&
            !is_argument(argv[i], "skip", &skip) && !is_argument(argv[i], "limit", &limit))
            return refuse("unknown argument");
    if (strcmp(info->target_name, "i386") || info->system_emulation)
        return refuse("this is not qemu-i386");

    r.header = mmap(NULL, HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    if (r.header == MAP_FAILED)
        return refuse("no shared memory");
    if (r.header->magic != RING_MAGIC || r.header->version != RING_VERSION || r.header->mode != MODE_USER)
        return refuse("the shared memory has another layout");
    size_t bytes = HEADER_BYTES + r.header->chunks * sizeof(struct chunk);
    munmap(r.header, HEADER_BYTES);
    r.header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    if (r.header == MAP_FAILED)
        return refuse("no room for the shared memory");
    close(ring);
    r.chunks = (struct chunk *)((char *)r.header + HEADER_BYTES);
    r.shared_rows = &r.header->rows;
    r.free = r.header->chunks - 1;
    r.skip_left = skip;
    r.limit = limit;
    r.id = id;

    /* a number that programs do not pick: they take the lowest free one */
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    r.socket = fcntl(sock, F_DUPFD_CLOEXEC, files.rlim_cur > 1024 ? 1000 : files.rlim_cur / 2);
    if (r.socket < 0)
        return refuse("no file descriptor left");
    close(sock);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the recorder, also where it makes no rows */

    if (!bits_are_known())
        access_cb = on_access_by_function;
    pthread_atfork(NULL, NULL, in_child);
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
    qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
    r.header->pid = getpid();
    __atomic_store_n(&r.header->started, 1, __ATOMIC_RELEASE);
    return 0;
}
