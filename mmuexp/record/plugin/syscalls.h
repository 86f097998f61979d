/*
 * System calls of the program that the recorder must know of: those that replace it, and those that would close the
 * recorder's socket.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_SYSCALLS_H
#define MMUEXP_SYSCALLS_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "rows.h"

/* numbers of the guest's system calls (Linux, arch/x86/entry/syscalls/syscall_32.tbl and syscall_64.tbl) */
enum {
#if GUEST_BITS == 64
    GUEST_CLOSE = 3,
    GUEST_MMAP = 9,
    GUEST_DUP2 = 33,
    GUEST_EXECVE = 59,
    GUEST_DUP3 = 292,
    GUEST_EXECVEAT = 322,
#else
    GUEST_CLOSE = 6,
    GUEST_EXECVE = 11,
    GUEST_DUP2 = 63,
    GUEST_MMAP = 192, /* mmap2 */
    GUEST_DUP3 = 330,
    GUEST_EXECVEAT = 358,
#endif
    GUEST_CLOSE_RANGE = 436,
};

static bool is_exec(int64_t number)
{
    return number == GUEST_EXECVE || number == GUEST_EXECVEAT;
}

/* The program maps a file to execute it, a library that is: its name goes to the recorder, once. */
static void note_library(int64_t number, uint64_t rights, uint64_t flags, uint64_t fd)
{
    if (number != GUEST_MMAP || !(rights & PROT_EXEC) || flags & MAP_ANONYMOUS)
        return;
    char link[32], name[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", (int)fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0 || name[0] != '/' || !strncmp(name, "/memfd:", 7) || !strncmp(name, "/dev/", 5))
        return;
    name[length++] = 0;
    uint32_t used = r.header->loaded_bytes;
    for (uint32_t at = 0; at < used; at += strlen(r.header->loaded + at) + 1)
        if (!strcmp(r.header->loaded + at, name))
            return;
    if (used + (size_t)length > sizeof r.header->loaded)
        return;
    memcpy(r.header->loaded + used, name, length);
    __atomic_store_n(&r.header->loaded_bytes, used + length, __ATOMIC_RELEASE);
}

/* The guest shares our file descriptors: when it is about to close the socket's number, the socket moves away. */
static void guard_socket(int64_t number, uint64_t a1, uint64_t a2)
{
    uint64_t fd = r.socket;
    if ((number == GUEST_CLOSE && a1 == fd) || ((number == GUEST_DUP2 || number == GUEST_DUP3) && a2 == fd)) {
        int moved = fcntl(r.socket, F_DUPFD_CLOEXEC, r.socket > 512 ? 256 : 768);
        if (moved >= 0)
            r.socket = moved; /* the old number is closed by the guest's own call */
    } else if (number == GUEST_CLOSE_RANGE && a1 <= fd && fd <= a2) {
        finish(ENDED_SOCKET);
    }
}

#endif
