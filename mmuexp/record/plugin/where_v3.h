/*
 * QEMU from 9.1 on: where an access went, and what is known of a block's pages and of the privilege level at which it
 * runs. These tell guest-physical addresses of data, ROM too, and no place in QEMU's own memory; and they show
 * registers. So a page is known by its guest-physical number, and a block by the registers when it is translated.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_WHERE_V3_H
#define MMUEXP_WHERE_V3_H

#include "shadow_v3.h"

/* the general registers and the segment registers in the order of their numbers */
enum known_register {
    /* clang-format off */
    EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI,
#if GUEST_BITS == 64
    R8, R9, R10, R11, R12, R13, R14, R15, EFER,
#endif
    EIP, EFLAGS, ES, CS, SS, DS, FS_BASE, GS_BASE, CR0, CR3, CR4, REGISTERS
    /* clang-format on */
};
#define CR0_PE 1u
#define CR4_SMAP (1u << 21)
#define EFER_LMA (1u << 10) /* long mode: code may be of 64 bits */
#define EFLAGS_VM (1u << 17)
#define EFLAGS_AC (1u << 18)

static struct {
    struct qemu_plugin_register *handle[REGISTERS];
    GByteArray *bytes;
} x;

/* When the processor is there. False: a register is not shown. */
static bool learn_registers(void)
{
    /* clang-format off */
    static const char *names[REGISTERS] = {
#if GUEST_BITS == 64
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "efer", "rip",
#else
        "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip",
#endif
        "eflags", "es", "cs", "ss", "ds", "fs_base", "gs_base", "cr0", "cr3", "cr4"};
    /* clang-format on */
    const GArray *all = qemu_plugin_get_registers();
    const qemu_plugin_reg_descriptor *shown = (const void *)all->data;
    x.bytes = g_byte_array_new();
    uint32_t found = 0;
    for (uint32_t i = 0; i < all->len; i++)
        for (uint32_t n = 0; n < REGISTERS; n++)
            if (!strcmp(shown[i].name, names[n])) {
                x.handle[n] = shown[i].handle;
                found++;
            }
    return found == REGISTERS;
}

static vaddr_t read_register(enum known_register name)
{
    vaddr_t value = 0;
    g_byte_array_set_size(x.bytes, 0);
    int size = qemu_plugin_read_register(x.handle[name], x.bytes);
    if (size < 4)
        finish(ENDED_QEMU);
    else
        memcpy(&value, x.bytes->data, size < (int)sizeof value ? 4 : sizeof value);
    return value;
}

#define CONTROL_CALLBACK QEMU_PLUGIN_CB_R_REGS

/*
 * Where a block that begins lies now. QEMU runs the translation of code in a physical page wherever that page is shown,
 * and tells only where it was translated for; but the segment begins where it began then, so %eip tells how far it is.
 */
static inline vaddr_t address_of(const struct block *block)
{
    return block->vaddr + read_register(EIP) - block->eip;
}

static vaddr_t eip_at_translation(void)
{
    return read_register(EIP);
}

/* Place of the page of an address that was just accessed, 0 for device memory. */
static inline uint64_t host_page(uint32_t info, vaddr_t vaddr)
{
    const struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, vaddr);
    if (!LIKELY(where && !qemu_plugin_hwaddr_is_io(where)))
        return 0;
    uint64_t page = qemu_plugin_hwaddr_phys_addr(where) >> PAGE_BITS;
    return GUEST_PAGE | (LIKELY(!is_shadowed(page)) ? page : shadowed_page(page));
}

/* The interface and our reading of what describes an access must say the same. */
static void __attribute__((noinline, cold)) check(uint32_t info, vaddr_t vaddr)
{
    (void)vaddr;
    if (1u << qemu_plugin_mem_size_shift(info) != SIZE(info) ||
        qemu_plugin_mem_is_store(info) != !!(RW(info) & QEMU_PLUGIN_MEM_W))
        finish(ENDED_QEMU);
}

/* Do segment registers hold addresses, as they did before protected mode, and no selectors? */
static bool is_real_mode(void)
{
    return !(read_register(CR0) & CR0_PE) || read_register(EFLAGS) & EFLAGS_VM;
}

/* Privilege level of the code that is being translated, or runs. */
static uint8_t privilege(void)
{
    if (!(read_register(CR0) & CR0_PE))
        return KERNEL;
    return read_register(EFLAGS) & EFLAGS_VM || (read_register(CS) & 3) == 3 ? USER : KERNEL;
}

static uint8_t mode_of_code(const void *host, vaddr_t vaddr)
{
    (void)host, (void)vaddr;
    return privilege();
}

/* The MMU index that is in force for code of 32 bits; that for 64 bits is one less. */
static uint32_t index_of_code(uint8_t mode)
{
    if (mode == USER)
        return 3;
    return read_register(CR4) & CR4_SMAP && !(read_register(EFLAGS) & EFLAGS_AC) ? 1 : 5;
}

#if GUEST_BITS == 64

static struct {
    uint32_t before;       /* the selector in %cs before long mode */
    uint8_t kind[1 << 16]; /* by selector, what its code was last: enum code_kind */
} code;

enum code_kind { KIND_UNKNOWN, KIND_SHORT, KIND_LONG };

/* QEMU shows code of 32 bits the low halves of registers, and 0 for those that it does not have. */
static bool has_long_registers(void)
{
    for (enum known_register name = EAX; name <= R15; name++)
        if (read_register(name) >> (name < R8 ? 32 : 0))
            return true;
    return read_register(EIP) >> 32;
}

static bool is_held(uint32_t index, vaddr_t vaddr)
{
    return qemu_plugin_get_hwaddr(LOAD_INFO(index), vaddr);
}

/*
 * Is the code that is being translated of 64 bits? No register tells; but the fetch has just entered its page under the
 * MMU index that is in force. QEMU prints a line where an index does not hold what it is asked for, so the likelier one
 * is asked first.
 */
static bool is_long_code(vaddr_t vaddr, uint8_t mode)
{
    uint32_t selector = read_register(CS) & 0xffff, index = index_of_code(mode);
    if (!(read_register(EFER) & EFER_LMA)) {
        code.before = selector;
        return false;
    }
    if (has_long_registers())
        return true;
    bool is_long = mode == KERNEL && selector != code.before;
    if (code.kind[selector] != KIND_UNKNOWN)
        is_long = code.kind[selector] == KIND_LONG;
    if (!is_held(index - is_long, vaddr) && is_held(index - !is_long, vaddr))
        is_long = !is_long;
    code.kind[selector] = is_long ? KIND_LONG : KIND_SHORT;
    return is_long;
}

#else

static bool is_long_code(vaddr_t vaddr, uint8_t mode)
{
    (void)vaddr, (void)mode;
    return false;
}

#endif

/* A page of code in memory. */
static uint64_t page_of_code(vaddr_t vaddr, uint8_t mode, bool is_long)
{
    uint64_t page = host_page(LOAD_INFO(index_of_code(mode) - is_long), vaddr);
    return page ? page : NO_PLACE | vpage_of(vaddr);
}

static uint64_t place_of_code(const void *host, vaddr_t vaddr, uint8_t mode, bool is_long)
{
    if (!host)
        return NO_PLACE | vpage_of(vaddr);
    uint64_t page = page_of_code(vaddr, mode, is_long);
    if (LIKELY(page & NO_PLACE || !is_shadowed(page % ROM_PAGE)))
        return page;
    learn_shadowed(page % ROM_PAGE, (uintptr_t)host >> PAGE_BITS);
    return GUEST_PAGE | shadowed_page(page % ROM_PAGE);
}

static uint64_t place_of_second_page(vaddr_t vaddr, uint64_t first, uint8_t mode, bool is_long)
{
    return first & NO_PLACE ? place_of_code(NULL, vaddr, mode, is_long) : page_of_code(vaddr, mode, is_long);
}

#endif
