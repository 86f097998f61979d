/*
 * How a fast path is written down: a piece of inline assembly between labels 70 and 79, with one instruction a line.
 *
 * Each leaves a record in the section `mmuexp_paths`: where it begins and ends, which instruction can fault, and what
 * it is. The handler looks there whether a fault is ours and where to go on when it has done the access itself; tests
 * look there for the instructions that they count.
 *
 * Registers: rcx vaddr, rax what the scheme looked up, rdx the data, rsi a second temporary.
 */
#ifndef MMUEXP_PATHS_H
#define MMUEXP_PATHS_H

#include <stdint.h>

struct path {
    uint64_t begin, gap, resume, fault, end; /* hit path: begin..gap, then resume..end; gap = resume: one piece */
    uint32_t store, bytes;
};
extern const struct path __start_mmuexp_paths[] __attribute__((weak)), __stop_mmuexp_paths[] __attribute__((weak));
extern const struct path __start_mmuexp_templates[] __attribute__((weak));
extern const struct path __stop_mmuexp_templates[] __attribute__((weak));
extern const struct path __start_mmuexp_slow_templates[] __attribute__((weak));
extern const struct path __stop_mmuexp_slow_templates[] __attribute__((weak));

struct patch {
    uint64_t end; /* of an instruction whose immediate is a parameter: it ends here */
    uint32_t kind, bytes;
};
extern const struct patch __start_mmuexp_patches[] __attribute__((weak)), __stop_mmuexp_patches[] __attribute__((weak));

/* A translator writes parameters into its instructions; so do we, at start: patch_paths(kind, value). */
#define PATCHED(kind, bytes)                                                                                           \
    "69: .pushsection mmuexp_patches, \"a\"\n .balign 8\n .quad 69b\n .long " #kind ", " #bytes "\n .popsection\n"

/* A jump out of a hit path that lies in one piece: what is done there, and the way back, stand elsewhere. */
extern const uint64_t __start_mmuexp_leaves[] __attribute__((weak)), __stop_mmuexp_leaves[] __attribute__((weak));
/* clang-format off */
#define LEAVE(jump, there)                                                                                             \
    jump " 74f\n"                                                                                                      \
    "75: .pushsection .text.unlikely, \"ax\"\n 74: " there "\n jmp 79f\n .popsection\n"                                \
    ".pushsection mmuexp_leaves, \"a\"\n .balign 8\n .quad 75b\n .popsection\n"
/* clang-format on */

#define PATHS "mmuexp_paths" /* translate.h writes templates into a section of their own */
#define BEGIN "70:\n"
#define CAN_FAULT "71:\n"
#define END_WITH(gap, resume, store, bytes)                                                                            \
    "79:\n .pushsection " PATHS ", \"a\"\n .balign 8\n .quad 70b, " gap ", " resume ", 71b, 79b\n"                     \
    ".long " #store ", " #bytes "\n .popsection\n"
#define END(store, bytes) END_WITH("79b", "79b", store, bytes)

/* The access itself, by size: instruction and data register. */
#define LOAD_1 "movzbl"
#define LOAD_2 "movzwl"
#define LOAD_4 "movl"
#define LOAD_8 "movq"
#define STORE_1 "movb"
#define STORE_2 "movw"
#define STORE_4 "movl"
#define STORE_8 "movq"
#define INTO_1 "%%edx"
#define INTO_2 "%%edx"
#define INTO_4 "%%edx"
#define INTO_8 "%%rdx"
#define FROM_1 "%%dl"
#define FROM_2 "%%dx"
#define FROM_4 "%%edx"
#define FROM_8 "%%rdx"

#endif
