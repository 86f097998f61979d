/*
 * For time: runs of accesses as straight-line host code, as a translator would emit it.
 *
 * A loop that looks at each row's size mispredicts its jump every few rows, and that hides what a few instructions of
 * translation cost. So rows between two blocks become code once: for each row its address into rcx, then the bytes of
 * the scheme's fast path, copied. Codes are kept by their sequence of loads, stores and sizes, and used again.
 * Rows that are no single host access, and everything that is no access, stay with the loop.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"

#include <string.h>
#include <sys/mman.h>

enum { KINDS = 8, RUN_ROWS = 64, RUNS = 1 << 18, BUCKETS = 1 << 16, NO_KIND = 255 };
enum { CODE_BYTES = 192 << 20, CODE_OF_A_RUN = RUN_ROWS * 96 };

struct run {
    const uint8_t *code, *ret;
    uint32_t next; /* in its bucket */
    uint8_t rows, kind[RUN_ROWS];
    uint16_t end[RUN_ROWS]; /* of the row's fast path, from `code` */
};

struct instance {
    uint32_t first, run; /* row of the chunk */
    bool user;
};

volatile uint32_t run_row; /* of the run at work; 0 in the loop */
volatile bool run_left;
static const struct path *template[KINDS];
static struct run *runs, *at_work;
static uint32_t run_count = 1, bucket[BUCKETS], instances, cursor;
static struct instance *instance;
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
    if (rows.op[row] > OP_STORE || size > 8 || !size || size & (size - 1))
        return NO_KIND;
    return (unsigned)__builtin_ctz(size) << 1 | rows.op[row];
}

static bool prepare(void)
{
    const struct path *t = __start_mmuexp_templates;
    if (t == __stop_mmuexp_templates)
        return false;
    for (; t < __stop_mmuexp_templates; t++)
        template[__builtin_ctz(t->bytes) << 1 | t->store] = t;
    runs = memory(RUNS * sizeof *runs, PROT_READ | PROT_WRITE);
    instance = memory(CHUNK_ROWS * sizeof *instance, PROT_READ | PROT_WRITE);
    code = memory(CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
    return true;
}

static uint8_t *emit(uint8_t *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return to + length;
}

static uint8_t *emit_word(uint8_t *to, uint32_t word)
{
    return emit(to, &word, sizeof word);
}

static void translate(struct run *run)
{
    uint8_t *to = code + code_used;
    run->code = to;
    for (uint32_t j = 0; j < run->rows; j++) {
        const struct path *t = template[run->kind[j]];
        to = emit(to, "\xc7\x04\x25", 3); /* movl $j, run_row */
        to = emit_word(to, (uint32_t)(uintptr_t)&run_row);
        to = emit_word(to, j);
        to = emit(to, "\x8b\x8b", 2); /* movl 4*j(%rbx), %ecx */
        to = emit_word(to, 4 * j);
        to = emit(to, (const void *)t->begin, t->end - t->begin);
        run->end[j] = to - run->code;
    }
    run->ret = to;
    *to++ = 0xc3;
    code_used = to - code;
}

static uint32_t find_run(const uint8_t *kind, uint32_t length)
{
    uint32_t hash = length;
    for (uint32_t j = 0; j < length; j++)
        hash = (hash ^ kind[j]) * 0x01000193;
    uint32_t *head = &bucket[(hash ^ hash >> 16) & (BUCKETS - 1)];
    for (uint32_t at = *head; at; at = runs[at].next)
        if (runs[at].rows == length && !memcmp(runs[at].kind, kind, length))
            return at;
    if (run_count == RUNS || code_used + CODE_OF_A_RUN > CODE_BYTES)
        return 0; /* the loop does these rows */
    struct run *run = &runs[run_count];
    run->rows = length;
    memcpy(run->kind, kind, length);
    run->next = *head;
    translate(run);
    return *head = run_count++;
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
    if (run_count > RUNS / 2 || code_used > CODE_BYTES / 2) { /* begin anew, between two chunks */
        run_count = 1, code_used = 0;
        memset(bucket, 0, sizeof bucket);
    }
    for (uint32_t i = 0; i < n;) {
        uint8_t kind[RUN_ROWS];
        uint32_t length = 0, user = rows.flags[i] & FLAG_USER;
        while (length < RUN_ROWS && i + length < n && (kind[length] = kind_of(i + length)) != NO_KIND &&
               (rows.flags[i + length] & FLAG_USER) == user)
            length++;
        uint32_t run = length ? find_run(kind, length) : 0;
        if (run)
            instance[instances++] = (struct instance){i, run, !system_mode || user};
        i += length ? length : 1;
    }
}

static void enter(const struct instance *now, const struct run *run)
{
    asm volatile("movq %[context], %%r8\n call *%[code]"
                 :
                 : "b"(rows.vaddr + now->first), [code] "r"(run->code),
                   [context] "r"(scheme.context ? scheme.context(now->user) : 0)
                 : "rax", "rcx", "rdx", "rsi", "r8", "r9", "cc", "memory");
}

/* Rows row_at .. rows_end, by code where there is some, else by the scheme's loop. A handler may end it early. */
void run_translated(void (*loop)(void))
{
    uint32_t end = rows_end;
    while (row_at < end) {
        while (cursor < instances && instance[cursor].first < row_at)
            cursor++;
        uint32_t until = cursor < instances ? instance[cursor].first : end, i = row_at;
        while (i < until && rows.op[i] == OP_EXEC && entered_before(i))
            i++;
        row_at = i;
        run_left = false;
        if (i < until) {
            rows_end = until;
            loop();
            if (run_left || row_at < until)
                return;
            continue;
        }
        if (i >= end)
            return;
        rows_end = end;
        at_work = &runs[instance[cursor].run];
        enter(&instance[cursor], at_work);
        run_row = 0;
        if (run_left) {
            row_at = rows_end;
            return;
        }
        row_at = i + at_work->rows;
    }
}

/* Where the fast path ends whose access is at `address`; 0: no access of ours. `*leave`: where the run returns. */
uint64_t translated_end(uint64_t address, uint64_t *leave)
{
    if (address - (uint64_t)code >= code_used || !at_work)
        return 0;
    const struct path *t = template[at_work->kind[run_row]];
    uint64_t end = (uint64_t)at_work->code + at_work->end[run_row];
    *leave = (uint64_t)at_work->ret;
    return address == end - (t->end - t->fault) ? end : 0;
}
