/*
 * What the host's kernel takes for the calls that schemes make: `primitives ROUNDS` prints lines `name ns` for each
 * primitive and round: as `name` where a guest between two events uses some of the caches; calls as `near.name`, too,
 * where it uses nothing, and as `far.name` where it uses as much as the second-level cache holds. Synthetic: pages of a memfd in a reserve, touched in an order that no prefetcher guesses, in one
 * process on one processor, as the engines do it. Times are processor time, the kernel's part included.
 */
#define _GNU_SOURCE
#include <emmintrin.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* One mapping shows all pages, as guest RAM mostly is: a page of it that is protected splits it in three. */
static void all_in_one(void)
{
    if (mmap(reserve, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        die("mmap");
    for (int i = 0; i < PAGES; i++)
        touch(order[i]);
}

static void protect_and_open(int page)
{
    protect(page);
    if (mprotect(reserve + (size_t)page * PAGE, PAGE, PROT_READ | PROT_WRITE))
        die("mprotect");
}

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

static uint8_t code_data[1024];

/* A page of a guest's page table beside its copy, 64 bytes at a time, as Dolphin does it (MMU.cpp:1468-1490). */
static uint8_t *tables_and_copies; /* 2 * PAGES pages: more than the second-level cache holds */
static void compare(int page)
{
    const __m128i *table = (const void *)(tables_and_copies + (size_t)page * PAGE);
    const __m128i *copy = table + (size_t)PAGES * PAGE / sizeof *copy;
    unsigned changed = 0;
    for (unsigned at = 0; at < PAGE / sizeof *table; at += 4) {
        __m128i one = _mm_cmpeq_epi8(table[at], copy[at]), two = _mm_cmpeq_epi8(table[at + 1], copy[at + 1]);
        __m128i three = _mm_cmpeq_epi8(table[at + 2], copy[at + 2]), four = _mm_cmpeq_epi8(table[at + 3], copy[at + 3]);
        __m128i same = _mm_and_si128(_mm_and_si128(one, two), _mm_and_si128(three, four));
        changed += _mm_movemask_epi8(same) != 0xffff;
    }
    asm volatile("" : : "r"(changed));
}
/* clang-format off */
static void compare_table(int page) { compare(page % TABLES); }
/* clang-format on */

/*
 * Backpatching. A site is a load in code of its own, 5 bytes long; it is found by its address, its stub is written
 * piece by piece, and its first bytes become a jump. Then it runs: what the processor must throw away is in the time.
 */
enum { SITE_BYTES = 192, STUB_BYTES = 96, LOAD_BYTES = 5 };
static const uint8_t LOADING[] = {0x8b, 0x07, 0x0f, 0x1f, 0x00, 0xc3}; /* movl (%rdi), %eax; nopl (%rax); ret */
static uint8_t *code;                                                  /* PAGES sites, then as many stubs */
static uint8_t *site_at[PAGES], *emitted;

asm(".text\nslow_load: movl (%rdi), %eax\n ret\n");
extern char slow_load[];

static void __attribute__((noinline)) emit(const void *bytes, size_t length)
{
    memcpy(emitted, bytes, length);
    emitted += length;
}

static void __attribute__((noinline)) emit_jump(const uint8_t *to)
{
    int32_t by = to - (emitted + LOAD_BYTES);
    emit("\xe9", 1);
    emit(&by, sizeof by);
}

static void __attribute__((noinline)) emit_register(bool push, unsigned number)
{
    uint8_t code = (push ? 0x50 : 0x58) + (number & 7);
    if (number > 7)
        emit("\x41", 1);
    emit(&code, 1);
}

/* Registers that a call may change, but for the one with the data: rcx, rdx, rsi, r8 to r11. */
static void emit_stub(const uint8_t *back)
{
    static const uint8_t saved[] = {1, 2, 6, 8, 9, 10, 11};
    const void *callee = slow_load;
    for (unsigned i = 0; i < sizeof saved; i++)
        emit_register(true, saved[i]);
    emit("\x48\xb8", 2); /* movq $slow_load, %rax; call *%rax */
    emit(&callee, sizeof callee);
    emit("\xff\xd0", 2);
    for (unsigned i = sizeof saved; i-- > 0;)
        emit_register(false, saved[i]);
    emit_jump(back);
}

static void run_site(int page)
{
    asm volatile("call *%0" : : "r"(site_at[page]), "D"(code_data) : "rax", "cc", "memory");
}

static int find_site(const uint8_t *address)
{
    int low = 0, high = PAGES - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (site_at[middle] <= address)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void patch_site(int page)
{
    int site = find_site(site_at[page]);
    uint8_t *stub = emitted = code + (size_t)PAGES * SITE_BYTES + (size_t)site * STUB_BYTES;
    emit_stub(site_at[site] + LOAD_BYTES);
    emitted = site_at[site];
    emit_jump(stub);
}

static void patch_and_run(int page)
{
    patch_site(page);
    run_site(page);
}

static void none_patched(void)
{
    for (int i = 0; i < PAGES; i++) {
        memcpy(site_at[i], LOADING, sizeof LOADING);
        run_site(i);
    }
}

static void all_patched(void)
{
    none_patched();
    for (int i = 0; i < PAGES; i++)
        patch_and_run(i);
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
    asm(".text\n.balign 4096\n" name ":\n.rept 64\n .balign 64\n .set at, 0\n"                                          \
        " .rept " groups "\n" GROUP " .set at, (at + 32) & 511\n .endr\n 1: ret\n .balign 4096\n.endr\n")
/* clang-format on */
HELPERS("helpers_short", "10");
HELPERS("helpers_long", "50");
extern char helpers_short[], helpers_long[];

/* Blocks that compare 0, 16 and 64 bytes of their source as PCSX2's do: cmp and jne for each 4. */
enum { CHECKED_BYTES = 256 };
/* clang-format off */
#define CHECKED(name, words)                                                                                           \
    asm(".text\n.balign 4096\n" name ":\n.rept 64\n .set at, 0\n"                                                    \
        " .rept " words "\n cmpl $0, at+512(%rdi)\n jne 1f\n .set at, at + 4\n .endr\n 1: ret\n .balign 256\n.endr\n")
/* clang-format on */
CHECKED("checked_none", "0");
CHECKED("checked_few", "4");
CHECKED("checked_many", "16");
extern char checked_none[], checked_few[], checked_many[];

static void run_turns(int page, char *code, size_t bytes)
{
    for (int i = 0; i < TURNS; i++) {
        char *turn = code + (size_t)((page + i) % COPIES) * bytes;
        asm volatile("call *%0" : : "r"(turn), "D"(code_data) : "rax", "rcx", "rdx", "cc", "memory");
    }
}
/* clang-format off */
static void helpers_of_few(int page) { run_turns(page, helpers_short, PAGE); }
static void helpers_of_many(int page) { run_turns(page, helpers_long, PAGE); }
static void check_none(int page) { run_turns(page, checked_none, CHECKED_BYTES); }
static void check_few(int page) { run_turns(page, checked_few, CHECKED_BYTES); }
static void check_many(int page) { run_turns(page, checked_many, CHECKED_BYTES); }
/* clang-format on */

/* What an engine's own code does. Here the guest's data alone make too much noise: `far` is many tables in turn. */
static void print_own(const char *where, long bytes)
{
    guest_bytes = bytes;
    printf("%scompare_table %g\n", where, timed(nothing, compare_table, PAGES));
    double patched = timed(all_patched, run_site, PAGES);
    printf("%spatch %g\n", where, timed(none_patched, patch_and_run, PAGES) - patched);
}

static void print_calls(const char *where, long bytes)
{
    guest_bytes = bytes;
    run_guest(); /* its memory is there from now on */
    printf("%ssignal %g\n", where, timed(nothing_mapped, skip, PAGES));
    printf("%smmap %g\n", where, timed(nothing_mapped, map_page, PAGES));
    printf("%smap_on_fault %g\n", where, timed(nothing_mapped, fault_in, PAGES));
    printf("%swrite_fault %g\n", where, timed(all_read_only, unprotect, PAGES));
    printf("%sprotect %g\n", where, timed(all_touched, protect, PAGES));
    double amid = timed(all_in_one, protect_and_open, PAGES) - timed(all_touched, protect_and_open, PAGES);
    printf("%smapping %g\n", where, amid / 4); /* two are made, and two taken away */
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
    tables_and_copies = mmap(NULL, 2 * PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code = mmap(NULL, PAGES * (SITE_BYTES + STUB_BYTES), PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserve == MAP_FAILED || tables_and_copies == MAP_FAILED || code == MAP_FAILED || !tables)
        die("mmap");
    for (int i = 0; i < PAGES; i++)
        order[i] = i * 101 % PAGES; /* neighbours never follow each other */
    memset(tables_and_copies, 7, 2 * PAGES * PAGE);
    for (int i = 0; i < PAGES; i++)
        site_at[i] = code + (size_t)i * SITE_BYTES;
    for (int i = 0; i < 1024; i++)
        tables[i] = (uint32_t)i * 389;
    all_touched(); /* the memfd's own pages are there from now on */
    long far = sysconf(_SC_LEVEL2_CACHE_SIZE);
    far = far <= GUEST_BYTES ? FAR_BYTES : far > MOST_BYTES ? MOST_BYTES : far;
    for (int i = 0; i < rounds; i++) {
        print_calls("near.", 0);
        print_calls("far.", far);
        print_calls("", GUEST_BYTES);
        print_own("near.", 0);
        double none = timed(nothing, check_none, PAGES), few = timed(nothing, check_few, PAGES) - none;
        double byte = (timed(nothing, check_many, PAGES) - none - few) / 48;
        printf("inline.checked_entry %g\ninline.checked_byte %g\n", (few - 16 * byte) / TURNS, byte / TURNS);
        printf("far.compare_table %g\n", timed(nothing, compare, PAGES));
        print_own("", GUEST_BYTES);
        printf("walk_level %g\n", timed(nothing, walk, PAGES) / WALKS / 2);
        double seldom = timed(nothing, helpers_of_many, PAGES) - timed(nothing, helpers_of_few, PAGES);
        printf("insn %g\n", seldom / TURNS / (LONG - SHORT) / 10);
    }
    return 0;
}
