/*
 * For time: rows as straight-line host code, as a translator would emit it.
 *
 * A loop that looks at each row mispredicts its jump every few rows, and that hides what a few instructions of
 * translation cost. So a block and its accesses become code once: a check that the block is still translated, then for
 * each access its address into rcx and the bytes of the scheme's fast path, copied; at the end it jumps to whatever
 * comes next, from a list that is made, untimed, before a chunk runs. Codes are kept by what they consist of.
 * Rows that are no single host access, and everything else that is no access, stay with the loop.
 *
 * rbx points to the address column at the code's first row, r12 into the list, r8 holds the scheme's context.
 *
 * Where accesses are patched (sites.c), codes are each block's own. A patched instruction is overwritten by a jump to a
 * stub behind all code, which calls what all stubs of its kind share: the TLB's path, for which r8 is saved.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"
#include "tlb.h"

#include <string.h>
#include <sys/mman.h>

enum { KINDS = 8, LEAVES = 3, RUN_ROWS = 64, RUNS = 1 << 18, BUCKETS = 1 << 16, NO_KIND = 255 };
enum { CODE_BYTES = 192 << 20, CODE_OF_A_RUN = RUN_ROWS * 96 + 192, STUB_BYTES = 10, CODE_OF_STUBS = 32 << 20 };
enum { MOST_BLOCKS = 1 << 22, JUMP_BYTES = 5, NOP = 0x90 };
enum { ROWS_AHEAD = 1024, LIST_AHEAD = 512 }; /* bytes */
#ifdef WIDE
#define OWN_ADDRESS "\x48\x8b\x8c\xcb" /* movq ...(%rbx, %rcx, 8), %rcx */
#define ADD_DATA "\x48\x01\xd1"        /* addq %rdx, %rcx */
#else
#define OWN_ADDRESS "\x8b\x8c\x8b" /* movl ...(%rbx, %rcx, 4), %ecx */
#define ADD_DATA "\x01\xd1"        /* addl %edx, %ecx */
#endif

struct run {
    const uint8_t *code, *body; /* body: behind the check of the block */
    uint32_t next;              /* in its bucket */
    uint32_t next_of_block;
    struct key {
        uint64_t vaddr;
        uint32_t size;  /* of the block that it begins with; size 0: none */
        uint32_t block; /* whose accesses these are, where they have sites; 0 */
        bool by_tlb;
        uint8_t accesses, kind[RUN_ROWS], position[RUN_ROWS];
    } key;
    uint16_t end[RUN_ROWS]; /* of each fast path, from `code` */
};

struct instance {
    uint32_t first, run; /* row of the chunk; run 0: the list is interrupted here */
    bool user;
};

volatile union at_work run_access;
volatile bool run_left;
uint64_t (*moved_address)(uint64_t vaddr);
static column_t *moved; /* NULL until an address moves */
uint64_t stub_context, stores_context;
static const struct path *template[KINDS], *slow_template[KINDS];
static const uint8_t *shared_stub[KINDS];
static uint32_t *runs_of;                /* a block: the first */
static uint32_t leave_at[KINDS][LEAVES]; /* behind each jump out of the path, from its begin; 0: no more */
static struct run *runs;
static uint32_t run_count = 1, bucket[BUCKETS], instances, cursor;
static uint32_t blocks_at_most; /* as many as codes that begin with one, were none of them entered elsewhere */
static struct instance *instance;
static const uint8_t **target;    /* of each instance: the list */
static const column_t *addresses; /* of the rows, as the fast path takes them */
static uint8_t *code;
static size_t code_used;

static void *memory(size_t bytes, int prot)
{
    void *found = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        fail("no address space for translated code: %m");
    return found;
}

static unsigned kind_of(uint32_t row)
{
    uint32_t size = rows.size[row];
    if (rows.op[row] > OP_STORE || size > 8 || !size || size & (size - 1) || aside[row])
        return NO_KIND;
    return (unsigned)__builtin_ctz(size) << 1 | rows.op[row];
}

static uint8_t *emit(uint8_t *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return to + length;
}

static uint8_t *emit_word(uint8_t *to, const void *bytes, size_t length, uint32_t word)
{
    return emit(emit(to, bytes, length), &word, sizeof word);
}

static uint32_t low(const void *address)
{
    return (uintptr_t)address; /* ours lie below 2 GiB: not position independent */
}

/* movq $&counter, %rax; addq $much, (%rax) */
static uint8_t *emit_count(uint8_t *to, enum counter counter, uint32_t much)
{
    const uint64_t *at = &count[counter];
    return emit_word(emit(emit(to, "\x48\xb8", 2), &at, sizeof at), "\x48\x81\x00", 3, much);
}

/* What the stubs of a kind share. The path leaves its data in rdx, as the patched instruction does. Where addresses
 * move, the guest's own stand behind them. */
static uint8_t *emit_shared_stub(uint8_t *to, unsigned kind)
{
    const struct path *t = slow_template[kind];
    to = emit_word(emit(to, "\x41\x50", 2), "\x4c\x8b\x04\x25", 4, low(&stub_context)); /* push %r8; movq , %r8 */
    if (moved) {
        to = emit_word(to, "\x0f\xb6\x0c\x25", 4, low((const void *)&run_access.row)); /* movzbl row, %ecx */
        to = emit_word(to, OWN_ADDRESS, sizeof OWN_ADDRESS - 1, sizeof(column_t) * CHUNK_ROWS);
    }
    to = emit_count(to, COUNT_softmmu_accesses, 1);
#ifdef SAVED_REGISTERS /* as a stub that calls what may change any of them: rcx, rsi, rdi, r9, r10, r11 */
    to = emit(to, "\x51\x56\x57\x41\x51\x41\x52\x41\x53", 9);
#endif
    to = emit(to, (const void *)t->begin, t->end - t->begin);
#ifdef SAVED_REGISTERS
    to = emit(to, "\x41\x5b\x41\x5a\x41\x59\x5f\x5e\x59", 9);
#endif
    return emit(to, "\x41\x58\xc3", 3); /* pop %r8; ret */
}

static void forget_runs(void)
{
    for (uint32_t at = 1; runs_of && at < run_count; at++)
        runs_of[runs[at].key.block] = 0;
    run_count = 1;
    memset(bucket, 0, sizeof bucket);
    uint8_t *to = emit(code, "\xc3", 1); /* ret: where a list ends, and where a block that must be looked up leaves */
    for (unsigned kind = 0; kind < KINDS && scheme.has_sites; kind++) {
        shared_stub[kind] = to;
        to = emit_shared_stub(to, kind);
    }
    code_used = to - code;
}

static void note_template(const struct path *t)
{
    unsigned kind = (unsigned)__builtin_ctz(t->bytes) << 1 | t->store, n = 0;
    for (const uint64_t *leave = __start_mmuexp_leaves; leave < __stop_mmuexp_leaves; leave++)
        if (*leave > t->begin && *leave <= t->end)
            leave_at[kind][n++] = *leave - t->begin;
    template[kind] = t;
}

static bool prepare(void)
{
    const struct path *t = __start_mmuexp_templates;
    if (t == __stop_mmuexp_templates)
        return false;
    for (; t < __stop_mmuexp_templates; t++)
        note_template(t);
    for (t = __start_mmuexp_slow_templates; t < __stop_mmuexp_slow_templates; t++)
        slow_template[(unsigned)__builtin_ctz(t->bytes) << 1 | t->store] = t;
    runs = memory(RUNS * sizeof *runs, PROT_READ | PROT_WRITE);
    instance = memory((2 * CHUNK_ROWS + 1) * sizeof *instance, PROT_READ | PROT_WRITE);
    target = memory((2 * CHUNK_ROWS + 1) * sizeof *target, PROT_READ | PROT_WRITE);
    code = memory(CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
    if (scheme.has_sites)
        runs_of = memory(MOST_BLOCKS * sizeof *runs_of, PROT_READ | PROT_WRITE);
    forget_runs();
    return true;
}

static uint8_t *emit_leave_if_not_equal(uint8_t *to)
{
    return emit_word(to, "\x0f\x85", 2, code - (to + 6)); /* jne code */
}

/* Behind the run: the helper's call for a path that has it out of line, and the jump back to where the path ends. */
static uint8_t *emit_call_out_of_line(uint8_t *to, const struct run *run, uint32_t access)
{
    unsigned kind = run->key.kind[access];
    const struct path *t = template[kind];
    const uint8_t *end = run->code + run->end[access];
    uint8_t *begin = code + (end - code) - (t->end - t->begin);
    for (unsigned n = 0; n < LEAVES && leave_at[kind][n]; n++) {
        uint8_t *leave = begin + leave_at[kind][n];
        emit_word(leave - 4, "", 0, to - leave);
    }
    to = emit_word(to, "\xff\x14\x25", 3, low(&tlb_slow_vector)); /* call *tlb_slow_vector */
    return emit_word(to, "\xe9", 1, end - (to + 5));              /* jmp end */
}

/* The check that its block is still translated; `*asks`: behind the jump for a block that compares its source. */
static uint8_t *emit_check(uint8_t *to, const struct run *run, uint8_t **asks)
{
    struct entered *block = entered_at(run->key.vaddr);
#ifdef WIDE
    to = emit(emit(to, "\x48\xb8", 2), &run->key.vaddr, sizeof run->key.vaddr); /* movq $vaddr, %rax */
    to = emit_word(to, "\x48\x39\x04\x25", 4, low(&block->vaddr));              /* cmpq %rax, vaddr */
    to = emit_leave_if_not_equal(to);
    to = emit_word(emit_word(to, "\x81\x3c\x25", 3, low(&block->size)), "", 0, run->key.size); /* cmpl $, size */
#else
    uint64_t key = (uint64_t)run->key.size << 32 | run->key.vaddr;
    to = emit(emit(to, "\x48\xb8", 2), &key, sizeof key);  /* movq $key, %rax */
    to = emit_word(to, "\x48\x39\x04\x25", 4, low(block)); /* cmpq %rax, vaddr and size */
#endif
    to = emit_leave_if_not_equal(to);
    to = emit_word(to, "\x48\x8b\x04\x25", 4, low(&code_epoch));   /* movq code_epoch, %rax */
    to = emit_word(to, "\x48\x39\x04\x25", 4, low(&block->epoch)); /* cmpq %rax, epoch */
    *asks = to = emit_leave_if_not_equal(to);
    return to;
}

/* Out of line: if it compares its source, and that is what it was, the code goes on. */
static uint8_t *emit_comparison(uint8_t *to, const struct run *run, uint8_t *asks)
{
    emit_word(asks - 4, "", 0, to - asks);
    to = emit_word(to, "\xb8", 1, low(entered_at(run->key.vaddr)));    /* movl $block, %eax */
    to = emit_word(to, "\xff\x14\x25", 3, low(&checked_entry_vector)); /* call *checked_entry_vector */
    to = emit_leave_if_not_equal(to);
    return emit_word(to, "\xe9", 1, run->body - (to + 5)); /* jmp body */
}

static const struct path *path_of(const struct run *run, uint32_t access)
{
    return (run->key.by_tlb ? slow_template : template)[run->key.kind[access]];
}

static void translate(struct run *run)
{
    uint8_t *to = code + code_used, *asks = NULL;
    const struct key *key = &run->key;
    uint32_t before = key->size ? 1 : 0;
    run->code = to;
    if (key->size)
        to = emit_check(to, run, &asks);
    run->body = to;
    for (uint32_t j = 0; j < key->accesses; j++) {
        const struct path *t = path_of(run, j);
        uint32_t row = before + j;
        union at_work at = {.both = row | (key->kind[j] + 1) << 8};
        to = emit(emit_word(to, "\xc7\x04\x25", 3, low((const void *)&run_access)), &at, sizeof at); /* movl $, */
        uint32_t column = key->by_tlb && moved ? CHUNK_ROWS : 0;
#ifdef WIDE
        to = emit_word(to, "\x48\x8b\x8b", 3, sizeof(column_t) * (column + row)); /* movq 8*row(%rbx), %rcx */
#else
        to = emit_word(to, "\x8b\x8b", 2, sizeof(column_t) * (column + row)); /* movl 4*row(%rbx), %ecx */
#endif
#ifdef DEPENDENT /* each address waits for the data that was loaded last, as in a linked list */
        to = emit(to, "\x83\xe2\x00" ADD_DATA, 3 + strlen(ADD_DATA)); /* andl $0, %edx */
#endif
        to = emit(to, (const void *)t->begin, t->end - t->begin);
        run->end[j] = to - run->code;
    }
    if (key->by_tlb && key->accesses)
        to = emit_count(to, COUNT_softmmu_accesses, key->accesses);
    to = emit_word(to, "\x48\x81\xc3", 3, sizeof(column_t) * (before + key->accesses)); /* addq $, %rbx */
    /* Each row is read once, and ahead: past the caches, so that rows push out nothing that the guest has there. */
    to = emit_word(to, "\x0f\x18\x83", 3, ROWS_AHEAD);         /* prefetchnta (%rbx) */
    to = emit_word(to, "\x41\x0f\x18\x84\x24", 5, LIST_AHEAD); /* prefetchnta (%r12) */
    to = emit(to, "\x49\x83\xc4\x08\x41\xff\x24\x24", 8);      /* addq $8, %r12; jmp *(%r12) */
    for (uint32_t j = 0; j < key->accesses && !key->by_tlb; j++)
        if (leave_at[key->kind[j]][0])
            to = emit_call_out_of_line(to, run, j);
    if (asks && code_policy == CODE_CHECK)
        to = emit_comparison(to, run, asks);
    code_used = to - code;
}

static uint8_t *access_in(const struct run *run, uint32_t access)
{
    const struct path *t = path_of(run, access);
    return code + (run->code - code) + run->end[access] - (t->end - t->begin);
}

/* An access as it is to be: a jump to a stub of its own, or the path again. */
static void rewrite(const struct run *run, uint32_t access)
{
    unsigned kind = run->key.kind[access];
    const struct path *t = template[kind];
    uint8_t *begin = access_in(run, access), *end = begin + (t->end - t->begin), *stub = code + code_used;
    if (!is_slow(run->key.block, run->key.position[access], kind & 1)) {
        memcpy(begin, (const void *)t->begin, end - begin);
        return;
    }
    if (code_used + STUB_BYTES > CODE_BYTES)
        fail("no room for more than %d MiB of stubs", CODE_OF_STUBS >> 20);
    memset(begin, NOP, end - begin);
    emit_word(begin, "\xe9", 1, stub - (begin + JUMP_BYTES));                            /* jmp stub */
    uint8_t *back = emit_word(stub, "\xe8", 1, shared_stub[kind] - (stub + JUMP_BYTES)); /* call */
    code_used = emit_word(back, "\xe9", 1, end - (back + JUMP_BYTES)) - code;            /* jmp end */
}

void rewrite_sites(uint32_t block, unsigned position, unsigned op)
{
    for (uint32_t at = runs_of ? runs_of[block] : 0; at; at = runs[at].next_of_block)
        for (uint32_t j = 0; j < runs[at].key.accesses; j++)
            if (runs[at].key.position[j] == position && (runs[at].key.kind[j] & 1) == op)
                rewrite(&runs[at], j);
}

/* New code has its slow sites from the beginning. */
static void link_to_block(struct run *run)
{
    const struct key *key = &run->key;
    if (!key->block)
        return;
    run->next_of_block = runs_of[key->block];
    runs_of[key->block] = run_count;
    for (uint32_t j = 0; j < key->accesses; j++)
        if (is_slow(key->block, key->position[j], key->kind[j] & 1))
            rewrite(run, j);
}

static uint32_t find_run(const struct key *key)
{
    uint32_t hash = (key->vaddr ^ key->block * 0x85ebca6b) * 0x9e3779b1 + key->size;
    for (uint32_t j = 0; j < key->accesses; j++)
        hash = (hash ^ key->kind[j] ^ key->position[j] << 8) * 0x01000193;
    uint32_t *head = &bucket[(hash ^ hash >> 16) & (BUCKETS - 1)];
    for (uint32_t at = *head; at; at = runs[at].next)
        if (!memcmp(&runs[at].key, key, sizeof *key))
            return at;
    if (run_count == RUNS || code_used + CODE_OF_A_RUN > CODE_BYTES - CODE_OF_STUBS)
        return 0; /* the loop does these rows */
    struct run *run = &runs[run_count];
    run->key = *key;
    run->next = *head;
    if (key->size)
        touch_block_tables(++blocks_at_most);
    translate(run);
    link_to_block(run);
    return *head = run_count++;
}

/* Which code the rows from `i` on are; `*mode`: of their accesses, if there are any. */
static uint32_t run_at(uint32_t i, uint32_t n, uint32_t *accesses, bool *mode)
{
    struct key key;
    bool block = rows.op[i] == OP_EXEC;
    uint32_t at = i + block, user = at < n ? rows.flags[at] & FLAG_USER : 0, found = 0;
    memset(&key, 0, sizeof key); /* it is compared with its padding */
    while (found < RUN_ROWS && at + found < n && (key.kind[found] = kind_of(at + found)) != NO_KIND &&
           (rows.flags[at + found] & FLAG_USER) == user) {
        if (scheme.has_sites)
            key.position[found] = rows.insns[at + found];
        found++;
    }
    memset(key.kind + found, 0, RUN_ROWS - found);
    *accesses = found;
    *mode = !system_mode || user;
    if (!block && !found)
        return 0;
    key.vaddr = block ? rows.vaddr[i] : 0;
    key.size = block ? rows.size[i] : 0;
    key.block = scheme.has_sites ? at_work[i] : 0;
    key.by_tlb = found && scheme.by_tlb && scheme.by_tlb(*mode);
    key.accesses = found;
    return find_run(&key);
}

static void list(uint32_t first, uint32_t run, bool user)
{
    target[instances] = run ? runs[run].code : code;
    instance[instances++] = (struct instance){first, run, user};
}

/*
 * Moved addresses have a column of their own, as large as the rows': what is timed would find other caches. So there is
 * none until an address moves, which none of a 64-bit program's does.
 */
static void move_addresses(uint32_t n)
{
    addresses = rows.vaddr;
    for (uint32_t i = 0; moved_address && !moved && i < n; i++)
        if (moved_address(rows.vaddr[i]) != rows.vaddr[i]) {
            moved = memory(2 * CHUNK_ROWS * sizeof *moved, PROT_READ | PROT_WRITE);
            forget_runs(); /* their code reads the other column */
        }
    if (!moved)
        return;
    memcpy(moved + CHUNK_ROWS, rows.vaddr, n * sizeof *moved); /* for what goes by the TLB */
    for (uint32_t i = 0; i < n; i++)
        moved[i] = moved_address(rows.vaddr[i]);
    addresses = moved;
}

/* Untimed: which rows of the chunk are which code. */
void plan_runs(uint32_t n)
{
    static bool ready, tried;
    instances = cursor = 0;
    if (!tried)
        ready = prepare(), tried = true;
    if (!ready)
        return;
    if (run_count > RUNS / 2 || code_used > CODE_BYTES / 2) /* begin anew, between two chunks */
        forget_runs();
    move_addresses(n);
    for (uint32_t i = 0; i < n;) {
        bool block = rows.op[i] == OP_EXEC, mode;
        uint32_t accesses, run = run_at(i, n, &accesses, &mode);
        if (!accesses && instances)
            mode = instance[instances - 1].user; /* the code before it left its context, and that goes on to the next */
        if (instances && instance[instances - 1].run &&
            (!run || (block && fetches[i]) || (accesses && instance[instances - 1].user != mode)))
            list(i, 0, mode);
        if (run)
            list(i, run, mode);
        i = run ? i + block + accesses : i + 1;
    }
    list(n, 0, false);
}

/* Run the list from instance `at` on, its first code from `begin`: the instance and the row at which it ended. */
static uint32_t enter(uint32_t at, const uint8_t *begin, uint32_t *row)
{
    const column_t *vaddr = addresses + instance[at].first;
    register const uint8_t **next asm("r12") = target + at;
    register uint64_t context asm("r8") = scheme.context ? scheme.context(instance[at].user) : 0;
    register uint64_t for_stores asm("r9") = stores_context;
    asm volatile("call *%[begin]"
                 : "+b"(vaddr), "+r"(next), "+r"(context), "+r"(for_stores)
                 : [begin] "r"(begin)
                 : "rax", "rcx", "rdx", "rsi", "cc", "memory");
    *row = vaddr - addresses;
    return next - target;
}

/* Rows row_at .. rows_end, by code where there is some, else by the scheme's loop. A handler may end it early. */
void run_translated(void (*loop)(void))
{
    uint32_t end = rows_end, row;
    run_left = false;
    if (!instances) {
        loop();
        return;
    }
    while (row_at < end) {
        while (instance[cursor].first < row_at || (!instance[cursor].run && instance[cursor].first < end))
            cursor++;
        uint32_t until = instance[cursor].first;
        if (row_at < until) {
            rows_end = until;
            loop();
            if (run_left)
                return;
            continue;
        }
        const struct run *run = &runs[instance[cursor].run];
        const uint8_t *begin = run->code;
        rows_end = end;
        if (run->key.size && !entered_before(until)) {
            other_row(until);
            begin = run->body;
        }
        cursor = enter(cursor, begin, &row);
        run_access.both = 0;
        row_at = run_left ? rows_end : row;
        if (run_left)
            return;
    }
    rows_end = end;
}

bool in_translated_code(uint64_t address)
{
    return address - (uint64_t)code < code_used;
}

void translated_row(uint64_t address, uint64_t rbx)
{
    if (in_translated_code(address))
        row_at = (const column_t *)rbx - addresses;
}

/* Where the fast path ends whose access is at `address`; 0: no access of ours. `*leave`: where the list is left. */
uint64_t translated_end(uint64_t address, uint64_t rbx, uint64_t r12, uint64_t *leave)
{
    if (!in_translated_code(address))
        return 0;
    const struct run *run = &runs[instance[(const uint8_t **)r12 - target].run];
    uint32_t access = run_access.row - (run->key.size ? 1 : 0);
    const struct path *t = path_of(run, access);
    uint64_t end = (uint64_t)run->code + run->end[access];
    translated_row(address, rbx);
    *leave = (uint64_t)code;
    return address == end - (t->end - t->fault) ? end : 0;
}
