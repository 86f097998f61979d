/*
 * The plugin's way of writing rows into the ring: put() for a row, finish() for the end. It is included, so that put()
 * is inlined into the callbacks: a row is a few stores and one compare; all else is in turn(), which runs once for each
 * chunk. One thread at a time writes: a program's only one, or the one that has the lock of threads.h; so there are no
 * locks here.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_ROWS_H
#define MMUEXP_ROWS_H

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu_plugin.h"
#include "ring.h"

#define NO_START UINT64_MAX
#define LIKELY(x) __builtin_expect(!!(x), 1)

static struct {
    /* what a row touches, side by side */
    struct chunk *chunk;            /* the open one */
    uint64_t rows;                  /* written so far */
    uint64_t end;                   /* at this many rows turn() looks what to do */
    volatile uint64_t *shared_rows; /* == rows, for the encoder */
    /* the rest */
    struct ring_header *header;
    struct chunk *chunks;
    uint64_t skip, skipped; /* rows to pass over, and passed over so far */
    uint64_t start;         /* guest address at which rows begin, NO_START = at none, or it was reached */
    bool start_in_code;     /* it counts from the beginning of the program's code */
    uint64_t limit;         /* rows, UINT64_MAX = no limit */
    uint32_t free;          /* chunks that the encoder has written out, beside the open one */
    int socket;
    qemu_plugin_id_t id;
    bool over;       /* no rows from here on */
    bool unhook_due; /* callbacks are still registered though it is over */
    bool hooks_stay; /* they stay so: a whole guest ends with its recording */
} r;

static void no_call(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    (void)vcpu, (void)info, (void)vaddr, (void)userdata;
}

/*
 * When all is over, each instruction keeps a callback that is never called: for neither loads nor stores. QEMU up to
 * 7.2 points at an instruction's callbacks while one of its own functions executes it, and leaves the pointer there
 * after a return or an indirect jump; the reset frees what it points at, and a function that reads the guest's memory
 * would follow it ("qemu_plugin_vcpu_mem_cb: code should not be reached"). So each sets it anew.
 */
static void keep_pointers_valid(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), no_call, QEMU_PLUGIN_CB_NO_REGS, 0, NULL);
}

static void unhook(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, keep_pointers_valid);
}

/* Ends the process when the recorder is gone: nobody will ever take rows again, or report the exit code. */
static void recorder_gone(void)
{
    static const char line[] = "mmuexp: the recorder is gone, so this program ends; "
                               "mmuexp trace recover mends its file, OUTPUT.part\n";
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
    r.skip = r.skipped = 0;
    __atomic_store_n(r.shared_rows, r.rows, __ATOMIC_RELEASE); /* a whole guest's last row may have waited */
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
 * rows == end: a chunk is full, the limit is reached or all is over.
 * True when there is room for one row.
 */
static bool __attribute__((noinline, cold)) turn(void)
{
    if (r.over) {
        if (r.unhook_due && !r.hooks_stay) { /* back to full speed */
            r.unhook_due = false;
            qemu_plugin_reset(r.id, unhook);
        }
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

static inline __attribute__((always_inline)) void write_row(vaddr_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
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
static void __attribute__((noinline, cold)) turn_and_put(vaddr_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    if (turn())
        write_row(vaddr, size, insns, op);
}

static inline __attribute__((always_inline)) void put(vaddr_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    if (LIKELY(r.rows != r.end))
        write_row(vaddr, size, insns, op);
    else
        turn_and_put(vaddr, size, insns, op);
}

#endif
