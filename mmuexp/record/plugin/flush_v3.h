/*
 * QEMU from 9.1 on: whether all translations were dropped, from the registers before and after, by the rules of QEMU's
 * own code. What a device does at once is told by the ports of A20, port 0x92 and the keyboard controller's, and by those
 * of the chipset that shows RAM in place of ROM (shadow_v3.h).
 *
 * Not seen: a task switch by a hardware interrupt or an exception (task gate), unless it shows another page.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_FLUSH_V3_H
#define MMUEXP_FLUSH_V3_H

#define EFLAGS_NT (1u << 14)
#define PORT_A 0x92u
#define KEYBOARD_DATA 0x60u
#define KEYBOARD_COMMAND 0x64u
#define COMMAND_WRITE_OUTPORT 0xd1u
#define COMMAND_A20_OFF 0xddu
#define COMMAND_A20_ON 0xdfu

static struct {
    struct watch watched;          /* the instruction */
    const struct watch *watch;     /* == watched, NULL none */
    vaddr_t cr0, cr3, cr4, eflags; /* before it */
    uint8_t mode;
    uint8_t reason; /* of the FLUSH row that it makes if it is not refused */
    bool stores;    /* it stores to a table */
    bool a20_masked, writes_outport;
} f;

static inline void note_access(uint32_t info, vaddr_t vaddr)
{
    (void)info, (void)vaddr;
}

static void __attribute__((noinline, cold)) note_table_access(uint32_t info, vaddr_t vaddr)
{
    (void)vaddr;
    f.stores |= !!(RW(info) & QEMU_PLUGIN_MEM_W);
}

static bool is_watched(uint8_t kind)
{
    return kind != HARMLESS;
}

static uint8_t reason_of_move(struct suspect move)
{
    vaddr_t value = read_register(EAX + move.source);
    p.cr3 = value;
    switch (move.reason) {
    case FLUSH_CR0:
        return (value ^ f.cr0) & CR0_PAGING ? FLUSH_CR0 : 0;
    case FLUSH_CR3:
        return f.cr0 & CR0_PG ? FLUSH_CR3 : 0;
    }
    return (value ^ f.cr4) & CR4_PAGING ? FLUSH_CR4 : 0;
}

/* Does a device turn A20 by this byte? */
static bool turns_a20(uint32_t port, uint8_t byte)
{
    bool masked = f.a20_masked, outport = f.writes_outport && port == KEYBOARD_DATA;
    if (port == KEYBOARD_COMMAND)
        f.writes_outport = byte == COMMAND_WRITE_OUTPORT;
    else if (port == KEYBOARD_DATA)
        f.writes_outport = false;
    if (port == PORT_A || outport)
        f.a20_masked = !(byte & 2);
    else if (port == KEYBOARD_COMMAND && (byte == COMMAND_A20_OFF || byte == COMMAND_A20_ON))
        f.a20_masked = byte == COMMAND_A20_OFF;
    return f.a20_masked != masked;
}

static void begin_watch(const struct watch *watch)
{
    f.watched = *watch;
    f.watch = &f.watched;
    f.mode = g.mode;
    f.reason = 0;
    f.stores = false;
    f.cr0 = read_register(CR0);
    f.cr3 = read_register(CR3);
    f.cr4 = read_register(CR4);
    f.eflags = read_register(EFLAGS);
    if (watch->suspect.kind == MOVE)
        f.reason = reason_of_move(watch->suspect);
    if (watch->suspect.kind == OUT) {
        uint32_t port = watch->suspect.port < 0 ? read_register(EDX) & 0xffff : (uint32_t)watch->suspect.port;
        uint32_t bytes = watch->suspect.bytes;
        if (bytes > 1 && is_real_mode()) /* code of 16 bits, in which the prefix says the opposite */
            bytes = 6 - bytes;
        f.reason = turns_a20(port, read_register(EAX)) ? FLUSH_OTHER : 0;
        note_config(port, read_register(EAX), bytes);
    }
}

/* Directly after OUT, within its block: what the device did at once. */
static uint32_t look_at_device(void)
{
    uint32_t reason = f.reason;
    f.reason = 0;
    return reason;
}

/* The next block begins: reason of the FLUSH row that is due before it, 0 for none. */
static uint32_t end_watch(const struct block *block, vaddr_t vaddr)
{
    const struct watch *watch = f.watch;
    (void)block;
    f.watch = NULL;
    bool is_refused = f.mode != KERNEL && vaddr != watch->after;
    vaddr_t cr0 = read_register(CR0), cr3 = read_register(CR3), nested = read_register(EFLAGS) & EFLAGS_NT;
    bool was_nested = f.eflags & EFLAGS_NT, protected = f.cr0 & CR0_PE && !(f.eflags & EFLAGS_VM);
    bool changed = (cr0 ^ f.cr0) & CR0_PAGING || (read_register(CR4) ^ f.cr4) & CR4_PAGING, task = false;
    switch (watch->suspect.kind) {
    case MOVE:
        return is_refused ? 0 : f.reason;
    case LMSW:
        return changed ? FLUSH_CR0 : 0;
    case RESUME:
        return changed || cr0 & CR0_PG ? FLUSH_OTHER : 0;
    case OUT:
        if (vaddr % SMM_ENTRY_ALIGN == 0 && changed)
            return FLUSH_OTHER;
        if (is_refused)
            return 0;
        return turn_pam() ? FLUSH_OTHER : f.reason;
    case JUMP: /* a jump stores nothing unless it marks tasks as busy */
        task = f.stores;
        break;
    case RETURN:
        task = was_nested && protected;
        break;
    default: /* call and int say in the new task's EFLAGS that it is nested */
        task = nested && !was_nested;
    }
    p.cr3 = cr3;
    return cr0 & CR0_PG && (task || cr3 != f.cr3) ? FLUSH_CR3 : 0;
}

#endif
