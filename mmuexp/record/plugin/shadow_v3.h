/*
 * ROM under RAM. From 0xc0000 to 0xfffff the chipset shows ROM or RAM at one guest-physical address, as its PAM
 * registers say, and QEMU from 9.1 on tells plugins that address alone. They are two memories, so ROM gets a page number
 * of its own there: no RAM of a 32-bit guest reaches ROM_PAGE, which is added to it.
 *
 * Where ROM stands is told by what the guest writes to the PAM registers by its ports, at first ROM everywhere, and by
 * the place of code in QEMU's memory, which is believed where the two disagree: registers may be written otherwise, too.
 *
 * QEMU drops all translations whenever it shows memory elsewhere: at each write of these registers, and when a PCI
 * device is given a place, moves or loses it. That is told by what is written to the device's own registers.
 * Not seen: what is written through memory (PCI Express), and what other devices move; of a device that decodes
 * memory or ports alone, whether it has any.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_SHADOW_V3_H
#define MMUEXP_SHADOW_V3_H

#include "pages.h"

#define SHADOWED_FIRST 0xc0u /* pages */
#define SHADOWED_PAGES 0x40u
#define PIECES 16u /* of 16 KiB each; the last four go by one register */
#define PIECE(page) (((page) - SHADOWED_FIRST) / (SHADOWED_PAGES / PIECES))

#define CONFIG_ADDRESS 0xcf8u /* ports by which the configuration space of PCI is written */
#define CONFIG_DATA 0xcfcu
#define CONFIG_ENABLED 0x80000000u
#define HOST_BRIDGE 0x80000000u /* what the address says of bus 0, device 0, function 0 */
#define PAM_I440FX 0x59u        /* the first of the seven registers in each of QEMU's chipsets, which use the other's */
#define PAM_Q35 0x90u           /* for nothing */
#define PAM_REGISTERS 7u
#define PAM_READS_RAM 1u
#define SMRAM_I440FX 0x72u

#define COMMAND 4u /* registers of each PCI device */
#define COMMAND_DECODES 3u
#define BAR_FIRST 0x10u
#define BAR_ROM 0x30u
#define BARS 7u
#define BAR_ADDRESS (~15u)

static struct {
    bool is_ram[PIECES], will_be_ram[PIECES]; /* the latter when the block ends: QEMU puts the change off */
    bool will_drop; /* all translations, then too: QEMU shows all pieces anew, whether they are others or not */
    uint32_t config_address;
    struct device {
        uint32_t bar[BARS]; /* as written last; the ROM's is the last one */
        uint32_t command;
    } device[1 << 16]; /* by bus, device and function */
} shadow;

static inline bool is_shadowed(uint64_t page)
{
    return page - SHADOWED_FIRST < SHADOWED_PAGES;
}

/* The number of a page of those addresses, as they are shown now. */
static uint64_t __attribute__((noinline)) shadowed_page(uint64_t page)
{
    return shadow.is_ram[PIECE(page)] ? page : ROM_PAGE | page;
}

/* Code of that page was just fetched from this place in QEMU's memory. */
static void __attribute__((noinline, cold)) learn_shadowed(uint64_t page, uint64_t host)
{
    if (!p.ram_pages && !find_ram())
        return;
    uint32_t piece = PIECE(page);
    bool is_ram = host == p.ram_first + page;
    if (shadow.is_ram[piece] == is_ram)
        return;
    shadow.is_ram[piece] = shadow.will_be_ram[piece] = is_ram;
    new_epoch();
}

static void write_pam(uint32_t number, uint8_t value)
{
    bool low = value & PAM_READS_RAM, high = value >> 4 & PAM_READS_RAM;
    if (number) {
        shadow.will_be_ram[2 * number - 2] = low;
        shadow.will_be_ram[2 * number - 1] = high;
    } else {
        memset(shadow.will_be_ram + 12, high, 4); /* 0xf0000 to 0xfffff */
    }
}

/* Where the memory and the ports of a device stand, as far as its registers tell; 0: nowhere. */
static uint32_t place_of_bar(const struct device *device, uint32_t i)
{
    uint32_t address = device->bar[i] & BAR_ADDRESS;
    bool is_shown = device->command & COMMAND_DECODES && (i < BARS - 1 || device->bar[i] & 1);
    return is_shown && address != BAR_ADDRESS ? address : 0; /* who asks for its size writes ones */
}

static void write_byte(uint32_t *value, uint32_t at, uint8_t byte)
{
    *value = (*value & ~(0xffu << 8 * at)) | (uint32_t)byte << 8 * at;
}

/* A device's registers are written. True: it moves, which drops all translations, too. */
static bool write_device(struct device *device, uint32_t first, uint32_t value, uint32_t bytes)
{
    struct device before = *device;
    for (uint32_t reg = first; reg < first + bytes; reg++, value >>= 8) {
        if (reg / 4 == COMMAND / 4)
            write_byte(&device->command, reg % 4, value);
        else if (reg >= BAR_FIRST && reg < BAR_FIRST + 4 * (BARS - 1))
            write_byte(&device->bar[(reg - BAR_FIRST) / 4], reg % 4, value);
        else if (reg / 4 == BAR_ROM / 4)
            write_byte(&device->bar[BARS - 1], reg % 4, value);
    }
    bool moves = false;
    for (uint32_t i = 0; i < BARS; i++)
        moves |= place_of_bar(&before, i) != place_of_bar(device, i);
    return moves;
}

/* The guest writes `bytes` bytes to a port; what they turn counts from the end of the block on. */
static void note_config(uint32_t port, uint32_t value, uint32_t bytes)
{
    if (port == CONFIG_ADDRESS && bytes == 4)
        shadow.config_address = value;
    memcpy(shadow.will_be_ram, shadow.is_ram, sizeof shadow.is_ram);
    shadow.will_drop = false;
    if (port - CONFIG_DATA >= 4 || !(shadow.config_address & CONFIG_ENABLED))
        return;
    uint32_t first = (shadow.config_address & 0xfc) + (port - CONFIG_DATA);
    shadow.will_drop = write_device(&shadow.device[shadow.config_address >> 8 & 0xffff], first, value, bytes);
    if ((shadow.config_address & 0xffffff00u) != HOST_BRIDGE)
        return;
    for (uint32_t i = 0; i < bytes; i++) {
        uint32_t reg = first + i;
        uint32_t number = reg - (reg >= PAM_Q35 ? PAM_Q35 : PAM_I440FX);
        if (number < PAM_REGISTERS)
            write_pam(number, value >> 8 * i);
        shadow.will_drop |= number < PAM_REGISTERS || reg == SMRAM_I440FX;
    }
}

/* The block has ended. True: QEMU drops all translations now. */
static bool turn_pam(void)
{
    memcpy(shadow.is_ram, shadow.will_be_ram, sizeof shadow.is_ram);
    return shadow.will_drop;
}

#endif
