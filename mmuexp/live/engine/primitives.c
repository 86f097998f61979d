/*
 * What the host's kernel takes for the calls that schemes make: `primitives ROUNDS` prints a line `name ns` for each
 * primitive and round. Synthetic: pages of a memfd in a reserve, touched in an order that no prefetcher guesses, in one
 * process on one processor, as the engines do it. Times are processor time, the kernel's part included.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 256, REPEATS = 8, SIGNALS = 2000, WALKS = 1 << 16 };

static uint8_t *reserve;
static int fd, order[PAGES];
static enum { SKIP, MAP, UNPROTECT } cure;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Neighbours show pages that are none, so that each is a mapping of its own, as guest pages mostly are. */
static void map(int page, int prot)
{
    off_t shown = (off_t)(page * 77 % PAGES) * PAGE;
    void *at = mmap(reserve + (size_t)page * PAGE, PAGE, prot, MAP_SHARED | MAP_FIXED, fd, shown);
    if (at == MAP_FAILED)
        die("mmap");
}

static void unmap(int page, int pages)
{
    void *at = mmap(reserve + (size_t)page * PAGE, (size_t)pages * PAGE, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED)
        die("mmap");
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    int page = ((uint8_t *)info->si_addr - reserve) / PAGE;
    if (cure == SKIP)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* movb %al, (%rdi) */
    else if (cure == MAP)
        map(page, PROT_READ | PROT_WRITE);
    else if (mprotect(reserve + (size_t)page * PAGE, PAGE, PROT_READ | PROT_WRITE))
        die("mprotect");
}

static void touch(int page)
{
    asm volatile("movb %%al, (%%rdi)" : : "D"(reserve + (size_t)page * PAGE), "a"(1) : "memory");
}

static void read_page(int page)
{
    (void)*(volatile uint8_t *)(reserve + (size_t)page * PAGE);
}

/* Time of `step` over all pages, `before` made ready untimed: ns a page, the median of some repeats is the caller's. */
static double timed(void (*before)(void), void (*step)(void), int events)
{
    double spent = 0;
    for (int i = 0; i < REPEATS; i++) {
        before();
        double began = now_ns();
        step();
        spent += now_ns() - began;
    }
    return spent / REPEATS / events;
}

static void nothing_mapped(void) { unmap(0, PAGES); }
static void all_touched(void) { for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ | PROT_WRITE), touch(order[i]); }
static void all_mapped(void) { nothing_mapped(); for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ | PROT_WRITE); }
static void all_read_only(void) { for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ), read_page(order[i]); }
static void signals(void) { cure = SKIP; for (int i = 0; i < SIGNALS; i++) touch(order[i % PAGES]); }
static void map_each(void) { for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ | PROT_WRITE); }
static void touch_each(void) { for (int i = 0; i < PAGES; i++) touch(order[i]); }
static void fault_each_in(void) { cure = MAP; touch_each(); }
static void unprotect_by_fault(void) { cure = UNPROTECT; touch_each(); }
static void unmap_each(void) { for (int i = 0; i < PAGES; i++) unmap(order[i], 1); }
static void unmap_all(void) { unmap(0, PAGES); }
static void protect_each(void)
{
    for (int i = 0; i < PAGES; i++)
        if (mprotect(reserve + (size_t)order[i] * PAGE, PAGE, PROT_READ))
            die("mprotect");
}

/* A guest page walk: two dependent reads in page tables that the cache does not hold. */
static uint32_t *tables;
static void no_tables(void) {}
static void walk_each(void)
{
    uint32_t at = 1, sum = 0;
    for (int i = 0; i < WALKS; i++) {
        at = at * 1664525 + 1013904223 + (sum & 1);
        uint32_t directory = tables[at >> 22];
        sum += tables[1024 + (directory & 1023) * 1024 + (at >> 12 & 1023)];
    }
    asm volatile("" : : "r"(sum));
}

int main(int argc, char **argv)
{
    static uint8_t stack[1 << 16];
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    fd = memfd_create("calibrate", 0);
    if (fd < 0 || ftruncate(fd, PAGES * PAGE))
        die("memfd");
    reserve = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    tables = calloc(1024 + 1024 * 1024, sizeof *tables);
    if (reserve == MAP_FAILED || !tables)
        die("mmap");
    for (int i = 0; i < PAGES; i++)
        order[i] = i * 101 % PAGES; /* neighbours never follow each other */
    for (int i = 0; i < 1024; i++)
        tables[i] = (uint32_t)i * 389;
    all_touched(); /* the memfd's own pages are there from now on */
    for (int i = 0; i < rounds; i++) {
        printf("signal %g\n", timed(nothing_mapped, signals, SIGNALS));
        printf("mmap %g\n", timed(nothing_mapped, map_each, PAGES));
        printf("touch %g\n", timed(all_mapped, touch_each, PAGES));
        printf("map_on_fault %g\n", timed(nothing_mapped, fault_each_in, PAGES));
        printf("write_fault %g\n", timed(all_read_only, unprotect_by_fault, PAGES));
        printf("protect %g\n", timed(all_touched, protect_each, PAGES));
        printf("unmap %g\n", timed(all_touched, unmap_each, PAGES));
        printf("unmap_all %g\n", timed(all_touched, unmap_all, PAGES));
        printf("walk %g\n", timed(no_tables, walk_each, WALKS));
    }
    return 0;
}
