/*
 * The SIGSEGV handler. It runs on a stack of its own, calls nothing but system calls (mmap, mprotect) and our own
 * tables, and only ever interrupts the one instruction of a fast path that can fault, so nothing is half changed.
 *
 * A fault that is none of ours (another instruction, an address outside the scheme's reserve, or inside the handler)
 * gets the default action: the process ends by SIGSEGV, and whoever started it says so.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

enum { STACK_BYTES = 64 << 10, MOST_FAULTS_OF_A_ROW = 8, WAKING_FAULTS = 4 };

static struct {
    uint64_t row;
    unsigned faults;
} last = {.row = UINT64_MAX};

static bool last_of_run; /* translated code must return behind the row */

static const struct path *path_at(uint64_t address)
{
    for (const struct path *p = __start_mmuexp_paths; p < __stop_mmuexp_paths; p++)
        if (p->fault == address)
            return p;
    return NULL;
}

/* Where the fast path ends whose access is at `address`, in the loop or in translated code; 0: no access of ours. */
static uint64_t end_of_path(const long long *registers, uint64_t *leave)
{
    const struct path *path = path_at(registers[REG_RIP]);
    *leave = 0;
    return path ? path->end : translated_end(registers[REG_RIP], registers[REG_RBX], registers[REG_R12], leave);
}

static volatile bool waking;

static void on_fault(int number, siginfo_t *info, void *context)
{
    if (waking)
        return;
    long long *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct row row;
    uint64_t leave;
    if (!end_of_path(registers, &leave))
        goto not_ours;
    row = current_row();
    if (last.row != row.number) {
        last.row = row.number;
        last.faults = 0;
    }
    if (++last.faults > MOST_FAULTS_OF_A_ROW)
        wrong("faults again and again: what the handler does for %#lx does not help", (unsigned long)row.vaddr);
    count[COUNT_signals]++;
    if (scheme.fault && scheme.fault(&row, (uintptr_t)info->si_addr, registers))
        return;
not_ours:
    signal(number, SIG_DFL);
    raise(number); /* it is blocked until we return: a signal that somebody sent would not come again */
}

void fault_start(void)
{
    static uint8_t stack[STACK_BYTES];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaltstack(&alternate, NULL) || sigaction(SIGSEGV, &action, NULL))
        fail("no signal handler: %m");
    for (size_t at = 0; at < STACK_BYTES; at += PAGE_BYTES)
        touch(stack + at);
    touch((uint8_t *)header + HEADER_BYTES); /* the log of faults */
    extern const uint8_t __executable_start[], __etext[];
    uintptr_t begin = (uintptr_t)__executable_start & ~(uintptr_t)PAGE_MASK;
    madvise((void *)begin, (uintptr_t)__etext - begin, MADV_POPULATE_READ); /* the handler's code; older hosts refuse */
}

/*
 * Other engines had the processor since the last chunk. An emulator that goes on running finds what a fault needs of the
 * kernel in the caches, so it is brought there before the clock runs.
 */
void wake_kernel(void)
{
    static uint8_t *scratch;
    if (!scratch)
        scratch = zeroed(PAGE_BYTES);
    for (unsigned i = 0; i < WAKING_FAULTS; i++) {
        waking = true;
        raise(SIGSEGV);
        waking = false;
        if (mmap(scratch, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram_fd, 0) == MAP_FAILED)
            fail("no page for the kernel to wake by: %m");
        touch(scratch);
        if (mprotect(scratch, PAGE_BYTES, PROT_READ))
            fail("mprotect: %m");
    }
}

/* One fault, of one cause: counted, and written down. */
void fault_counted(enum counter cause, const struct row *row, uint64_t vaddr)
{
    count[cause]++;
    struct fault_record *log = (struct fault_record *)((uint8_t *)header + HEADER_BYTES);
    if (header->logged < LOG_RECORDS)
        log[header->logged++] = (struct fault_record){row->number, vaddr, cause};
    else
        fail("more faults than two a row");
}

/* The handler did the access, all of it: the program goes on behind it. */
void complete(const struct row *row, long long *registers)
{
    uint64_t leave, end = end_of_path(registers, &leave);
    registers[REG_RIP] = last_of_run && leave ? leave : end;
    last_of_run = false;
    registers[REG_RDX] = whole_row(row, registers[REG_RDX]);
}

/* The row is done then, and the loop must not go on to the next in the same way. */
void complete_and_leave(const struct row *row, long long *registers)
{
    rows_end = row_at + run_access.row + 1;
    last_of_run = run_left = true;
    complete(row, registers);
}

void patch_paths(int kind, uint32_t value)
{
    extern const uint8_t __executable_start[], __etext[];
    uintptr_t begin = (uintptr_t)__executable_start & ~(uintptr_t)PAGE_MASK;
    size_t bytes = (uintptr_t)__etext - begin;
    if (mprotect((void *)begin, bytes, PROT_READ | PROT_WRITE | PROT_EXEC))
        fail("the host does not let a program write its instructions: %m");
    for (const struct patch *p = __start_mmuexp_patches; p < __stop_mmuexp_patches; p++)
        if ((int)p->kind == kind)
            memcpy((void *)(p->end - p->bytes), &value, p->bytes);
    if (mprotect((void *)begin, bytes, PROT_READ | PROT_EXEC))
        fail("mprotect: %m");
}
