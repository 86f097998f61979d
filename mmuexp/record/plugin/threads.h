/*
 * Several threads of a program. QEMU runs each in a thread of its own, at the same time as the others. So a thread
 * keeps the rows of the block in which it is for itself, and hands them on when it enters the next one, or Linux: under
 * a lock, the rows of a block side by side. Before the first row of another thread goes a row of OP_THREAD.
 *
 * While a program has one thread nothing of this is used: QEMU translates all blocks again before a second one starts,
 * and only what is translated from then on has callbacks that come here.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_THREADS_H
#define MMUEXP_THREADS_H

#include <pthread.h>
#include <stdlib.h>

#include "rows.h"

#define MOST_VCPUS (1u << 16) /* QEMU numbers a thread when it starts, and uses the highest numbers again */
#define KEPT_ROWS 4096u       /* more in one block than that are handed on in parts */

/* A thread of the guest. It is the only one that adds rows; whoever takes them has the lock. */
struct guest_thread {
    uint32_t id; /* from 0, in order of creation */
    uint32_t used;
    struct {
        vaddr_t vaddr;
        uint16_t size;
        uint8_t insns, op;
    } rows[KEPT_ROWS];
};

static struct {
    pthread_mutex_t lock; /* of the ring, of the socket, and of what stands here */
    bool several;         /* more than one thread was started so far */
    uint32_t created;
    uint32_t current; /* whose rows came last, skipped ones too */
    uint32_t told;    /* whose rows the recording says that they are */
    struct guest_thread *of_vcpu[MOST_VCPUS];
} t = {.lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP};

static bool pass_over(void)
{
    if (r.skipped == r.skip)
        return false;
    __atomic_store_n(&r.header->skipped, ++r.skipped, __ATOMIC_RELEASE);
    return true;
}

static void tell_thread(uint32_t id)
{
    t.told = id;
    put(id, 0, 0, OP_THREAD);
}

/* With the lock. */
static void take_rows(struct guest_thread *thread)
{
    if (thread->used && t.current != thread->id) {
        t.current = thread->id;
        if (!pass_over())
            tell_thread(thread->id);
    }
    for (uint32_t i = 0; i < thread->used; i++) {
        if (thread->rows[i].op == OP_EXEC && r.start - thread->rows[i].vaddr < thread->rows[i].size) {
            r.start = NO_START;
            r.skip = r.skipped;
        }
        if (pass_over())
            continue;
        if (t.told != thread->id) { /* the recording begins here, after rows that were skipped */
            __atomic_store_n(&r.header->prefix, 1, __ATOMIC_RELEASE);
            r.limit += r.limit < UINT64_MAX;
            tell_thread(thread->id);
        }
        put(thread->rows[i].vaddr, thread->rows[i].size, thread->rows[i].insns, thread->rows[i].op);
    }
    thread->used = 0;
}

static void __attribute__((noinline)) hand_on(struct guest_thread *thread)
{
    if (__atomic_load_n(&r.over, __ATOMIC_RELAXED)) { /* in a forked child nobody may ever unlock */
        thread->used = 0;
        turn();
        return;
    }
    pthread_mutex_lock(&t.lock);
    take_rows(thread);
    pthread_mutex_unlock(&t.lock);
}

static struct guest_thread *thread_of(unsigned int vcpu)
{
    return vcpu < MOST_VCPUS ? t.of_vcpu[vcpu] : NULL;
}

static inline void keep(unsigned int vcpu, vaddr_t vaddr, uint16_t size, uint8_t insns, uint8_t op)
{
    struct guest_thread *thread = thread_of(vcpu);
    if (!thread)
        return; /* all is over */
    if (thread->used == KEPT_ROWS)
        hand_on(thread);
    uint32_t at = thread->used;
    thread->rows[at].vaddr = vaddr;
    thread->rows[at].size = size;
    thread->rows[at].insns = insns;
    thread->rows[at].op = op;
    __atomic_store_n(&thread->used, at + 1, __ATOMIC_RELEASE);
}

/* The thread leaves the block in which it was. */
static void leave_block(unsigned int vcpu)
{
    struct guest_thread *thread = thread_of(vcpu);
    if (thread && thread->used)
        hand_on(thread);
}

static void on_vcpu(qemu_plugin_id_t id, unsigned int vcpu)
{
    (void)id; /* called by the thread that starts it, before it runs */
    pthread_mutex_lock(&t.lock);
    if (vcpu >= MOST_VCPUS) {
        finish(ENDED_THREADS);
    } else {
        if (!t.of_vcpu[vcpu] && !(t.of_vcpu[vcpu] = calloc(1, sizeof(struct guest_thread))))
            abort();
        t.of_vcpu[vcpu]->id = t.created++;
        t.several = t.created > 1;
    }
    pthread_mutex_unlock(&t.lock);
}

/* The program ends: whatever its threads had done by then. */
static void leave_all_blocks(void)
{
    for (uint32_t vcpu = 0; vcpu < MOST_VCPUS; vcpu++)
        if (t.of_vcpu[vcpu])
            take_rows(t.of_vcpu[vcpu]);
}

#endif
