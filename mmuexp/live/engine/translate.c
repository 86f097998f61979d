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
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"
#include "tlb.h"

#include <string.h>
#include <sys/mman.h>

enum { KINDS = 8, LEAVES = 3, RUN_ROWS = 64, RUNS = 1 << 18, BUCKETS = 1 << 16, NO_KIND = 255 };
enum { CODE_BYTES = 192 << 20, CODE_OF_A_RUN = RUN_ROWS * 96 + 96 };

struct run {
    const uint8_t *code, *body; /* body: behind the check of the block */
    uint32_t next;              /* in its bucket */
    uint32_t vaddr, size;       /* of the block; size 0: none */
    uint8_t accesses, kind[RUN_ROWS];
    uint16_t end[RUN_ROWS]; /* of each fast path, from `code` */
};

struct instance {
    uint32_t first, run; /* row of the chunk; run 0: the list is interrupted here */
    bool user;
};

volatile uint32_t run_row; /* of the code at work; 0 in the loop */
volatile bool run_left;
uint32_t (*moved_address)(uint32_t vaddr);
static const struct path *template[KINDS];
static uint32_t leave_at[KINDS][LEAVES]; /* behind each jump out of the path, from its begin; 0: no more */
static struct run *runs;
static uint32_t run_count = 1, bucket[BUCKETS], instances, cursor;
static struct instance *instance;
static const uint8_t **target;    /* of each instance: the list */
static const uint32_t *addresses; /* of the rows, as the fast path takes them */
static uint8_t *code;
static size_t code_used;

static void *memory(size_t bytes, int prot)
{
    void *found = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        fail("no address space for translated code: %m");
    return found;
}

static void forget_runs(void)
{
    run_count = 1;
    memset(bucket, 0, sizeof bucket);
    code[0] = 0xc3; /* ret: where a list ends, and where a block that must be looked up leaves */
    code_used = 1;
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
    runs = memory(RUNS * sizeof *runs, PROT_READ | PROT_WRITE);
    instance = memory((2 * CHUNK_ROWS + 1) * sizeof *instance, PROT_READ | PROT_WRITE);
    target = memory((2 * CHUNK_ROWS + 1) * sizeof *target, PROT_READ | PROT_WRITE);
    code = memory(CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
    forget_runs();
    return true;
}

static unsigned kind_of(uint32_t row)
{
    uint32_t size = rows.size[row];
    if (rows.op[row] > OP_STORE || size > 8 || !size || size & (size - 1))
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

static uint8_t *emit_leave_if_not_equal(uint8_t *to)
{
    return emit_word(to, "\x0f\x85", 2, code - (to + 6)); /* jne code */
}

static uint32_t low(const void *address)
{
    return (uintptr_t)address; /* ours lie below 2 GiB: not position independent */
}

/* Behind the run: the helper's call for a path that has it out of line, and the jump back to where the path ends. */
static uint8_t *emit_call_out_of_line(uint8_t *to, const struct run *run, uint32_t access)
{
    const struct path *t = template[run->kind[access]];
    const uint8_t *end = run->code + run->end[access];
    uint8_t *begin = code + (end - code) - (t->end - t->begin);
    for (unsigned n = 0; n < LEAVES && leave_at[run->kind[access]][n]; n++) {
        uint8_t *leave = begin + leave_at[run->kind[access]][n];
        emit_word(leave - 4, "", 0, to - leave);
    }
    to = emit_word(to, "\xff\x14\x25", 3, low(&tlb_slow_vector)); /* call *tlb_slow_vector */
    return emit_word(to, "\xe9", 1, end - (to + 5));              /* jmp end */
}

static void translate(struct run *run)
{
    uint8_t *to = code + code_used;
    uint32_t before = run->size ? 1 : 0;
    run->code = to;
    if (run->size) {
        struct entered *block = entered_at(run->vaddr);
        uint64_t key = (uint64_t)run->size << 32 | run->vaddr;
        to = emit(emit(to, "\x48\xb8", 2), &key, sizeof key);  /* movq $key, %rax */
        to = emit_word(to, "\x48\x39\x04\x25", 4, low(block)); /* cmpq %rax, vaddr and size */
        to = emit_leave_if_not_equal(to);
        to = emit_word(to, "\x48\x8b\x04\x25", 4, low(&code_epoch));   /* movq code_epoch, %rax */
        to = emit_word(to, "\x48\x39\x04\x25", 4, low(&block->epoch)); /* cmpq %rax, epoch */
        to = emit_leave_if_not_equal(to);
    }
    run->body = to;
    for (uint32_t j = 0; j < run->accesses; j++) {
        const struct path *t = template[run->kind[j]];
        uint32_t row = before + j;
        to =
            emit(emit_word(to, "\xc7\x04\x25", 3, low((const void *)&run_row)), &row, sizeof row); /* movl $, run_row */
        to = emit_word(to, "\x8b\x8b", 2, 4 * row); /* movl 4*row(%rbx), %ecx */
#ifdef DEPENDENT /* each address waits for the data that was loaded last, as in a linked list */
        to = emit(to, "\x83\xe2\x00\x01\xd1", 5); /* andl $0, %edx; addl %edx, %ecx */
#endif
        to = emit(to, (const void *)t->begin, t->end - t->begin);
        run->end[j] = to - run->code;
    }
    to = emit_word(to, "\x48\x81\xc3", 3, 4 * (before + run->accesses)); /* addq $, %rbx */
    to = emit(to, "\x49\x83\xc4\x08\x41\xff\x24\x24", 8);                /* addq $8, %r12; jmp *(%r12) */
    for (uint32_t j = 0; j < run->accesses; j++)
        if (leave_at[run->kind[j]][0])
            to = emit_call_out_of_line(to, run, j);
    code_used = to - code;
}

static uint32_t find_run(uint32_t vaddr, uint32_t size, const uint8_t *kind, uint32_t accesses)
{
    uint32_t hash = vaddr * 0x9e3779b1 + size;
    for (uint32_t j = 0; j < accesses; j++)
        hash = (hash ^ kind[j]) * 0x01000193;
    uint32_t *head = &bucket[(hash ^ hash >> 16) & (BUCKETS - 1)];
    for (uint32_t at = *head; at; at = runs[at].next)
        if (runs[at].accesses == accesses && runs[at].vaddr == vaddr && runs[at].size == size &&
            !memcmp(runs[at].kind, kind, accesses))
            return at;
    if (run_count == RUNS || code_used + CODE_OF_A_RUN > CODE_BYTES)
        return 0; /* the loop does these rows */
    struct run *run = &runs[run_count];
    run->vaddr = vaddr;
    run->size = size;
    run->accesses = accesses;
    memcpy(run->kind, kind, accesses);
    run->next = *head;
    translate(run);
    return *head = run_count++;
}

static void list(uint32_t first, uint32_t run, bool user)
{
    target[instances] = run ? runs[run].code : code;
    instance[instances++] = (struct instance){first, run, user};
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
    addresses = rows.vaddr;
    if (moved_address) {
        static uint32_t *moved;
        if (!moved)
            moved = memory(CHUNK_ROWS * sizeof *moved, PROT_READ | PROT_WRITE);
        for (uint32_t i = 0; i < n; i++)
            moved[i] = moved_address(rows.vaddr[i]);
        addresses = moved;
    }
    for (uint32_t i = 0; i < n;) {
        uint8_t kind[RUN_ROWS];
        bool block = rows.op[i] == OP_EXEC;
        uint32_t at = i + block, accesses = 0, user = at < n ? rows.flags[at] & FLAG_USER : 0;
        while (accesses < RUN_ROWS && at + accesses < n && (kind[accesses] = kind_of(at + accesses)) != NO_KIND &&
               (rows.flags[at + accesses] & FLAG_USER) == user)
            accesses++;
        uint32_t run = 0;
        if (block || accesses)
            run = find_run(block ? rows.vaddr[i] : 0, block ? rows.size[i] : 0, kind, accesses);
        bool mode = !system_mode || user;
        if (!accesses && instances)
            mode = instance[instances - 1].user; /* the code before it left its context, and that goes on to the next */
        if (instances && instance[instances - 1].run &&
            (!run || (block && fetches[i]) || (accesses && instance[instances - 1].user != mode)))
            list(i, 0, mode);
        if (run)
            list(i, run, mode);
        i = run ? at + accesses : i + 1;
    }
    list(n, 0, false);
}

/* Run the list from instance `at` on, its first code from `begin`: the instance and the row at which it ended. */
static uint32_t enter(uint32_t at, const uint8_t *begin, uint32_t *row)
{
    const uint32_t *vaddr = addresses + instance[at].first;
    register const uint8_t **next asm("r12") = target + at;
    register uint64_t context asm("r8") = scheme.context ? scheme.context(instance[at].user) : 0;
    asm volatile("call *%[begin]"
                 : "+b"(vaddr), "+r"(next), "+r"(context)
                 : [begin] "r"(begin)
                 : "rax", "rcx", "rdx", "rsi", "r9", "cc", "memory");
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
        if (run->size && !entered_before(until)) {
            other_row(until);
            begin = run->body;
        }
        cursor = enter(cursor, begin, &row);
        run_row = 0;
        row_at = run_left ? rows_end : row;
        if (run_left)
            return;
    }
    rows_end = end;
}

void translated_row(uint64_t address, uint64_t rbx)
{
    if (address - (uint64_t)code < code_used)
        row_at = (const uint32_t *)rbx - addresses;
}

/* Where the fast path ends whose access is at `address`; 0: no access of ours. `*leave`: where the list is left. */
uint64_t translated_end(uint64_t address, uint64_t rbx, uint64_t r12, uint64_t *leave)
{
    if (address - (uint64_t)code >= code_used)
        return 0;
    const struct run *run = &runs[instance[(const uint8_t **)r12 - target].run];
    uint32_t access = run_row - (run->size ? 1 : 0);
    const struct path *t = template[run->kind[access]];
    uint64_t end = (uint64_t)run->code + run->end[access];
    translated_row(address, rbx);
    *leave = (uint64_t)code;
    return address == end - (t->end - t->fault) ? end : 0;
}
