/*
 * What both plugins do when QEMU loads them: read the arguments, open the ring.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_INSTALL_H
#define MMUEXP_INSTALL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "rows.h"

#if GUEST_BITS == 64
#define TARGET_NAME "x86_64"
#else
#define TARGET_NAME "i386"
#endif

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

/* Fills `r` from the arguments; the socket's descriptor, or -1 after a line that says why not. */
static int open_ring(enum mode mode, qemu_plugin_id_t id, int argc, char **argv)
{
    uint64_t ring = UINT64_MAX, sock = UINT64_MAX, skip = 0, limit = UINT64_MAX;
    uint64_t start = NO_START, in_code = 0;
    for (int i = 0; i < argc; i++)
        if (!is_argument(argv[i], "ring", &ring) && !is_argument(argv[i], "socket", &sock) &&
            !is_argument(argv[i], "skip", &skip) && !is_argument(argv[i], "limit", &limit) &&
            !is_argument(argv[i], "start", &start) && !is_argument(argv[i], "in_code", &in_code))
            return refuse("unknown argument");
    r.header = mmap(NULL, HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    if (r.header == MAP_FAILED)
        return refuse("no shared memory");
    if (r.header->magic != RING_MAGIC || r.header->version != RING_VERSION || r.header->mode != mode ||
        r.header->guest_bits != GUEST_BITS)
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
    r.skip = skip;
    r.limit = limit;
    r.start = start;
    r.start_in_code = in_code;
    r.id = id;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the recorder, also where it makes no rows */
    return sock;
}

#endif
