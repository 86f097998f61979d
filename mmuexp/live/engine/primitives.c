/*
 * What the host's kernel takes for the calls that schemes make: `primitives ROUNDS` prints lines `name ns` for each
 * primitive and round: as `name` where a guest between two events uses some of the caches; calls as `near.name`, too,
 * where it uses nothing, and as `far.name` where it uses as much as the second-level cache holds. Synthetic: pages of a memfd in a reserve, touched in an order that no prefetcher guesses, in one
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

enum { PAGE = 4096, PAGES = 256, REPEATS = 4, LINE = 64 };
/* FAR_BYTES: if not told */
enum { GUEST_BYTES = 128 << 10, FAR_BYTES = 1 << 20, MOST_BYTES = 4 << 20, FAR_EVENTS = 64 };
enum { WALKS = 16, TABLES = 16 }; /* walks at a time, in the page tables of a guest that uses 64 MiB */

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

/* Between two events the guest uses the caches for itself: its own time is measured alone, and subtracted. */
static uint8_t guest[MOST_BYTES];
static long guest_bytes;
static void run_guest(void)
{
    uint32_t sum = 0;
    for (long at = 0; at < guest_bytes; at += LINE)
        sum += guest[at]++;
    asm volatile("" : : "r"(sum));
}

/* Time of `step` on each page, `before` made ready untimed: ns an event; the median of rounds is the caller's. */
static double timed(void (*before)(void), void (*step)(int page), int events)
{
    double spent = 0, alone = 0;
    int repeats = guest_bytes > GUEST_BYTES ? 1 : REPEATS; /* such a guest takes longer than the event */
    if (repeats == 1 && events > FAR_EVENTS)
        events = FAR_EVENTS;
    for (int i = 0; i < repeats; i++) {
        double began = now_ns();
        for (int at = 0; at < events; at++)
            run_guest();
        alone += now_ns() - began;
        before();
        began = now_ns();
        for (int at = 0; at < events; at++) {
            run_guest();
            step(order[at % PAGES]);
        }
        spent += now_ns() - began;
    }
    return (spent - alone) / repeats / events;
}

/* clang-format off */
static void nothing_mapped(void) { unmap(0, PAGES); }
static void all_touched(void) { for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ | PROT_WRITE), touch(order[i]); }
static void all_read_only(void) { for (int i = 0; i < PAGES; i++) map(order[i], PROT_READ), read_page(order[i]); }
static void skip(int page) { cure = SKIP; touch(page); }
static void map_page(int page) { map(page, PROT_READ | PROT_WRITE); }
static void fault_in(int page) { cure = MAP; touch(page); }
static void unprotect(int page) { cure = UNPROTECT; touch(page); }
static void unmap_page(int page) { unmap(page, 1); }
static void unmap_all(int page) { (void)page; unmap(0, PAGES); }
static void protect(int page)
{
    if (mprotect(reserve + (size_t)page * PAGE, PAGE, PROT_READ))
        die("mprotect");
}

static void nothing(void) {}
/* clang-format on */

/* Guest page walks: two reads each, of which the second waits for the first, and the next walk for the second. */
static uint32_t *tables;
static void walk(int page)
{
    static uint32_t at = 1;
    uint32_t sum = page;
    for (int i = 0; i < WALKS; i++) {
        at = at * 1664525 + 1013904223 + (sum & 1);
        uint32_t directory = tables[at >> 22 & (TABLES - 1)];
        sum += tables[1024 + (directory & (TABLES - 1)) * 1024 + (at >> 12 & 1023)];
    }
    asm volatile("" : : "r"(sum));
}

/*
 * Code that runs seldom: COPIES helpers that take turns, more than the first instruction cache holds, each of 10
 * instructions a group. A group loads, computes, compares, jumps and stores as helpers do, in a line of its own.
 */
enum { COPIES = 64, TURNS = 16, SHORT = 10, LONG = 50 };
#define GROUP                                                                                                          \
    "movl at(%rdi), %eax\n addl $1, %eax\n cmpl $-1, %eax\n je 1f\n movl %eax, at+4(%rdi)\n"                           \
    "movq at+8(%rdi), %rdx\n leaq 8(%rdx,%rax), %rcx\n testb $1, at+16(%rdi)\n jne 1f\n movq %rcx, at+24(%rdi)\n"
/* clang-format off */
#define HELPERS(name, groups)                                                                                          \
    asm(".text\n.balign 64\n" name ":\n.rept 64\n .balign 64\n .set at, 0\n"                                          \
        " .rept " groups "\n" GROUP " .set at, (at + 32) & 511\n .endr\n 1: ret\n .balign 4096\n.endr\n")
/* clang-format on */
HELPERS("helpers_short", "10");
HELPERS("helpers_long", "50");
extern char helpers_short[], helpers_long[];
static uint8_t helpers_data[1024];

static void run_helpers(int page, char *code)
{
    for (int i = 0; i < TURNS; i++) {
        char *turn = code + (size_t)((page + i) % COPIES) * PAGE;
        asm volatile("call *%0" : : "r"(turn), "D"(helpers_data) : "rax", "rcx", "rdx", "cc", "memory");
    }
}
/* clang-format off */
static void helpers_of_few(int page) { run_helpers(page, helpers_short); }
static void helpers_of_many(int page) { run_helpers(page, helpers_long); }
/* clang-format on */

static void print_calls(const char *where, long bytes)
{
    guest_bytes = bytes;
    run_guest(); /* its memory is there from now on */
    printf("%ssignal %g\n", where, timed(nothing_mapped, skip, PAGES));
    printf("%smmap %g\n", where, timed(nothing_mapped, map_page, PAGES));
    printf("%smap_on_fault %g\n", where, timed(nothing_mapped, fault_in, PAGES));
    printf("%swrite_fault %g\n", where, timed(all_read_only, unprotect, PAGES));
    printf("%sprotect %g\n", where, timed(all_touched, protect, PAGES));
    printf("%sunmap %g\n", where, timed(all_touched, unmap_page, PAGES));
    printf("%sunmap_all %g\n", where, timed(all_touched, unmap_all, 1) / PAGES);
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
    tables = calloc(1024 + TABLES * 1024, sizeof *tables);
    if (reserve == MAP_FAILED || !tables)
        die("mmap");
    for (int i = 0; i < PAGES; i++)
        order[i] = i * 101 % PAGES; /* neighbours never follow each other */
    for (int i = 0; i < 1024; i++)
        tables[i] = (uint32_t)i * 389;
    all_touched(); /* the memfd's own pages are there from now on */
    long far = sysconf(_SC_LEVEL2_CACHE_SIZE);
    far = far <= GUEST_BYTES ? FAR_BYTES : far > MOST_BYTES ? MOST_BYTES : far;
    for (int i = 0; i < rounds; i++) {
        print_calls("near.", 0);
        print_calls("far.", far);
        print_calls("", GUEST_BYTES);
        printf("walk_level %g\n", timed(nothing, walk, PAGES) / WALKS / 2);
        double seldom = timed(nothing, helpers_of_many, PAGES) - timed(nothing, helpers_of_few, PAGES);
        printf("insn %g\n", seldom / TURNS / (LONG - SHORT) / 10);
    }
    return 0;
}
