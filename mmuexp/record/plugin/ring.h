/*
 * Shared memory between the plugin (inside QEMU) and the encoder: a header page, then a few chunks of rows.
 * mmuexp/record/ring.py holds the same layout for the encoder; RING_VERSION is raised with every change.
 *
 * Row r of the recording lies in chunk (r / CHUNK_ROWS) % chunks, at r % CHUNK_ROWS. A chunk is column-wise, so
 * that the encoder wraps its columns as arrays without a copy. `rows` is stored after the columns of each row:
 * whatever kills QEMU, the rows below it are whole.
 *
 * Over a socket go single bytes: plugin to encoder TOKEN_NEWS (a chunk is full, or `ended` changed), encoder to
 * plugin TOKEN_FREE (a chunk is written out, in order) and TOKEN_STOP (no more rows, please).
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_RING_H
#define MMUEXP_RING_H

#include <stdint.h>

#define RING_MAGIC 0x584d4d55u
#define RING_VERSION 8u
#define HEADER_BYTES 4096u
#define CHUNK_BITS 20
#define CHUNK_ROWS (1u << CHUNK_BITS)

/* of the guest's addresses: the plugin is compiled for each width */
#ifndef GUEST_BITS
#define GUEST_BITS 32
#endif
#if GUEST_BITS == 64
typedef uint64_t vaddr_t;
#else
typedef uint32_t vaddr_t;
#endif

#define TOKEN_NEWS 'n'
#define TOKEN_FREE 'f'
#define TOKEN_STOP 's'

enum mode { MODE_USER = 0, MODE_SYSTEM = 1 };

/* why no more rows will come */
enum ended {
    ENDED_NOT = 0,
    ENDED_EXIT = 1,    /* the program ended */
    ENDED_LIMIT = 2,   /* all rows that were asked for are there */
    ENDED_THREADS = 3, /* more threads at a time than we number */
    ENDED_STOPPED = 4, /* the encoder asked for it */
    ENDED_SOCKET = 5,  /* the program closed our socket */
    ENDED_VCPUS = 6,   /* the guest has more than one processor */
    ENDED_QEMU = 7,    /* this QEMU tells addresses in a way that we do not know */
    ENDED_RAM = 8,     /* the guest's RAM is not shared memory with a name */
    ENDED_PAGES = 9,   /* more pages outside RAM than we number */
    ENDED_VPAGES = 10, /* more virtual pages than we number */
};

struct ring_header {
    uint32_t magic, version, mode, chunks; /* written by the encoder before QEMU starts */
    uint32_t started;                      /* the plugin is in place */
    uint32_t ended;                        /* enum ended */
    uint32_t in_exec;                      /* execve system calls that have begun and have not failed (yet) */
    uint32_t pid;                          /* of QEMU */
    uint64_t skipped;                      /* rows passed over so far */
    uint64_t rows;                         /* rows written so far */
    uint64_t prefix;                       /* the first of them: what was known when skipping ended, MAP or OP_THREAD */
    uint64_t flushes_unsure;               /* FLUSH rows of which it is not known whether QEMU dropped anything */
    uint32_t start_now;                    /* written by the encoder: what the rows are to begin with was printed */
    uint32_t loaded_bytes;                 /* of `loaded`, those that are written */
    uint32_t guest_bits;                   /* written by the encoder: the width of the column `vaddr` */
    uint32_t children;                     /* that the program forked while rows were recorded */
    char loaded[3072];                     /* files that the program mapped to execute, each name ends in a 0 */
};

/* columns of one chunk, in this order; in user mode `page` and `flags` are constant and never touched */
struct chunk {
    vaddr_t vaddr[CHUNK_ROWS];
    uint32_t page[CHUNK_ROWS];
    uint16_t size[CHUNK_ROWS];
    uint8_t insns[CHUNK_ROWS];
    uint8_t op[CHUNK_ROWS];
    uint8_t flags[CHUNK_ROWS];
};

enum op { OP_LOAD = 0, OP_STORE = 1, OP_EXEC = 2, OP_FLUSH = 3, OP_FLUSH_PAGE = 4, OP_MAP = 5, OP_THREAD = 128 };
enum flag { FLAG_IO = 1, FLAG_USER = 2 };
enum flush { FLUSH_CR3 = 1, FLUSH_CR0 = 2, FLUSH_CR4 = 3, FLUSH_OTHER = 4 };

#endif
