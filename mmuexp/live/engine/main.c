/*
 * The process: `engine MEMORY_FD MODE CHECKED PLANT KEY=VALUE...`, driven by live/process.py.
 *
 * Commands are lines on stdin: `rows N` replays the first N rows of the chunk, `end` compares memory and mappings.
 * The answer is one byte on stdout: '.' done, '!' failed, and why in header->message.
 */
#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static struct header early_header;
struct header *header = &early_header;
struct columns rows;
bool system_mode, checked;
volatile uint32_t row_at, rows_end;
uint64_t rows_before;
enum plant planted;

static char **settings;

/* Also called by the handler: the process only writes its last message and ends. */
void fail_as(enum failure why, const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    errno = error; /* for %m */
    vsnprintf(header->message, MESSAGE_BYTES, format, arguments);
    va_end(arguments);
    header->failure = why;
    if (!header->failed_row)
        header->failed_row = rows_before + row_at + run_access.row;
    if (header == &early_header)
        fprintf(stderr, "%s\n", header->message);
    if (write(STDOUT_FILENO, "!", 1) < 0)
        _exit(2);
    _exit(1);
}

uint64_t parameter(const char *name)
{
    size_t length = strlen(name);
    for (char **setting = settings; *setting; setting++)
        if (!strncmp(*setting, name, length) && (*setting)[length] == '=')
            return strtoull(*setting + length + 1, NULL, 0);
    fail("parameter %s is missing", name);
}

static void share_memory(int fd)
{
    size_t row_bytes = 2 * sizeof(column_t) + sizeof(uint16_t) + 3;
    size_t log_bytes = (size_t)LOG_RECORDS * sizeof(struct fault_record);
    size_t bytes = HEADER_BYTES + log_bytes + CHUNK_ROWS * row_bytes;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        fail("no shared memory: %m");
    header = (struct header *)memory;
    uint8_t *at = memory + HEADER_BYTES + ((log_bytes + 63) & ~(size_t)63);
    rows.vaddr = (column_t *)at;
    rows.page = rows.vaddr + CHUNK_ROWS;
    rows.size = (uint16_t *)(rows.page + CHUNK_ROWS);
    rows.insns = (uint8_t *)(rows.size + CHUNK_ROWS);
    rows.op = rows.insns + CHUNK_ROWS;
    rows.flags = rows.op + CHUNK_ROWS;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void replay(uint32_t n)
{
    if (n > CHUNK_ROWS)
        fail("a chunk of %u rows", n);
    header->logged = 0;
    row_at = 0;
    count_insns(n);
    prepare_tables(n);
    plan_fetches(n);
    plan_blocks(n);
    if (!checked) {
        populate(n);
        plan_runs(n);
        wake_kernel();
    }
    uint64_t began = now_ns();
    while (row_at < n) {
        rows_end = n; /* a handler may have ended a run early */
        scheme.run();
    }
    header->cpu_ns = now_ns() - began;
    row_at = n - 1;
    peak_now();
    rows_before += n;
    row_at = 0;
}

/* A process that was on two processors interrupts both whenever it unmaps a page. */
static void stay_here(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
}

/* Names and places for tests and for the driver, without a trace. */
static int describe(void)
{
#define X(name) puts("counter " #name);
    COUNTERS(X)
#undef X
    return 0;
}

int main(int argc, char **argv)
{
    char line[64];
    struct rlimit no_core = {0, 0};
    if (argc < 5)
        return describe();
    stay_here();
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever drives it may be killed; then nobody waits for an answer */
    settings = argv + 5;
    share_memory(atoi(argv[1]));
    system_mode = !strcmp(argv[2], "system");
    checked = atoi(argv[3]);
    planted = atoi(argv[4]);
    ram_start();
    if (scheme.start)
        scheme.start();
    if (!checked)
        touch_block_tables(0); /* long before the clock runs: they are larger than a cache */
    fault_start();
    if (write(STDOUT_FILENO, ".", 1) < 0)
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        if (planted == PLANT_CRASH)
            raise(SIGSEGV);
        while (planted == PLANT_HANG)
            pause();
        if (!strncmp(line, "rows ", 5)) {
            replay(strtoul(line + 5, NULL, 10));
            check_mappings();
        } else {
            check_mappings();
            if (checked)
                check_ram();
        }
        if (write(STDOUT_FILENO, ".", 1) < 0)
            return 2;
    }
    return 0;
}
