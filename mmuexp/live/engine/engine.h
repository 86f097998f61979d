/*
 * The live engine: a trace replayed through the real thing. Guest RAM lies in a memfd, pages are shown by real mmap and
 * mprotect, faults are real SIGSEGVs, and an access is the instructions of the scheme's listing.
 *
 * It is given rows and parameters, and nothing that the model computed: what it counts is what happened to it.
 * A scheme is one C file (strategies/NAME.c) that defines `scheme`; read qemu_fast.c first, the smallest.
 *
 *   main.c     process, commands, the counters that it hands out     rows.c    what is no access: blocks, MAP, FLUSH
 *   fault.c    the SIGSEGV handler                                   code.c    translated blocks, code pages
 *   reserve.c  windows: the host pages that show guest pages         ram.c     guest RAM, and the reference beside it
 *   tlb.c      QEMU's software TLB                                   loop.h    the loop over rows, for each scheme anew
 *   fetch.c    which blocks are looked up when they are entered    plan.c     the block at work, for schemes that ask
 *   sites.c    access sites that are patched                       direct.c   fastmem's and views' common part
 *   paths.h    how a fast path is written down, found and patched
 *   translate.c and .h     for time: runs of accesses as straight-line code, as a translator would emit it
 */
#ifndef MMUEXP_ENGINE_H
#define MMUEXP_ENGINE_H

#ifndef __x86_64__
#error "the live engine runs on x86-64 hosts"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PAGE_BITS = 12, PAGE_BYTES = 1 << PAGE_BITS, PAGE_MASK = PAGE_BYTES - 1, PAGES = 1 << 20, MAX_SIZE = 64 };
/*
 * Programs for guests of 64 bits are compiled with WIDE. Their addresses have 48 bits, and all above are alike. Pages are
 * numbered by first use there, for arrays; of a guest of 32 bits the number is the page.
 */
#ifdef WIDE
typedef uint64_t column_t, window_t;
#define ADDRESS_BITS 48
#define LAST_PAGE ((UINT64_C(1) << 52) - 1)
uint32_t page_number(uint64_t page);
int64_t page_number_if_any(uint64_t page); /* -1: none yet */
#else
typedef uint32_t column_t, window_t;
#define ADDRESS_BITS 32
#define LAST_PAGE ((uint64_t)PAGES - 1)
static inline uint32_t page_number(uint64_t page)
{
    return page;
}
static inline int64_t page_number_if_any(uint64_t page)
{
    return page;
}
#endif
static const uint64_t ADDRESS_PAGES = UINT64_C(1) << (ADDRESS_BITS - PAGE_BITS);
static inline int64_t page_index(uint64_t page) /* in a table of ADDRESS_PAGES, from its middle where they are signed */
{
    return ADDRESS_BITS == 32 ? (int64_t)page : (int64_t)(page << PAGE_BITS) >> PAGE_BITS;
}

enum op { OP_LOAD, OP_STORE, OP_EXEC, OP_FLUSH, OP_FLUSH_PAGE, OP_MAP };
enum flag { FLAG_IO = 1, FLAG_USER = 2 };

/* What is counted, under the names of the CSV columns: EVENTS(X) is X(NAME) of each in mmuexp/events.py, made by
 * live/build.py. */
#include "events.h"
/* clang-format off */
/* extra_0 is the first of a scheme's own `extra_events`; the last four are the engine's. */
#define COUNTERS(X)                                                                                                    \
    EVENTS(X)                                                                                                          \
    X(extra_0) X(extra_1) X(extra_2) X(extra_3) X(extra_4) X(extra_5) X(extra_6) X(extra_7)                            \
    X(signals) X(system_calls) X(checked_loads) X(checked_stores)
/* clang-format on */
#define X(name) COUNT_##name,
enum counter { COUNTERS(X) COUNTER_COUNT, NOT_NEEDED = COUNTER_COUNT };
#undef X

/* Shared with live/process.py: a header, one chunk of rows by columns, a log of the faults that they took. */
enum { CHUNK_ROWS = 1 << 20, LOG_RECORDS = 2 * CHUNK_ROWS, HEADER_BYTES = 4096, MESSAGE_BYTES = 512 };

struct header {
    uint64_t counter[COUNTER_COUNT];
    uint64_t cpu_ns;     /* that the rows of the last command took, the kernel's part included */
    uint64_t logged;     /* records of the last command */
    uint64_t failed_row; /* with a message: the row of the trace */
    uint64_t failure;    /* enum failure */
    char message[MESSAGE_BYTES];
};

/* Why it stopped: the host's fault, or the scheme's. */
enum failure { FAILED_HOST, FAILED_WRONG, FAILED_MAPPINGS };

struct fault_record {
    uint64_t row;
    column_t vaddr; /* first byte of the access in the page that faulted */
    uint8_t cause;  /* enum counter */
} __attribute__((packed));

struct columns {
    const column_t *vaddr, *page;
    const uint16_t *size;
    const uint8_t *insns, *op, *flags;
};

extern struct header *header;
extern struct columns rows;
#define count (header->counter)
extern bool system_mode, checked;

/* The row at work. The loop keeps `row_at` up to date, so that a handler knows the whole access. */
extern volatile uint32_t row_at, rows_end; /* rows_end: where the loop stops; a handler may bring it nearer */
extern uint64_t rows_before;               /* rows of earlier chunks */

struct row {
    uint64_t number;              /* in the trace */
    uint64_t vaddr, page, second; /* second: the next page, where the access crosses */
    uint32_t size;
    uint32_t first, last, second_last; /* offsets of its bytes in `page`, and of its last one in `second` */
    bool store, io, user, crosses;
};
/*
 * In translated code: the row at work is row_at + row; its kind (translate.c), and one. 0 in the loop. A row's columns are
 * in no cache where they are needed now and then, and an emulator's helper is told what it needs of them.
 */
extern volatile union at_work {
    uint32_t both;
    struct {
        uint8_t row, kind;
    };
} run_access;
extern volatile bool run_left; /* a handler ended the loop or the run, if only behind its last row */
struct row current_row(void);
void populate(uint32_t n);
void prepare_tables(uint32_t n);
static inline void touch(void *at) /* the host gives the page behind it, for writing, if it has not yet */
{
    asm volatile("lock orb $0, (%0)" : : "r"(at) : "memory", "cc");
}
void count_insns(uint32_t n);
uint64_t guest_insns(void);  /* at a FLUSH: of all blocks entered before it; the guest's clock */
void other_row(uint32_t at); /* EXEC, FLUSH, FLUSH_PAGE, MAP, annotations */

/* What a scheme gives; a function that has nothing to do may be NULL. */
struct scheme {
    void (*start)(void);            /* parameters can be read: make tables and reserve */
    void (*run)(void);              /* rows row_at .. rows_end */
    uint64_t (*context)(bool user); /* what translated code finds in r8 */
    bool (*fault)(const struct row *row, uintptr_t address, long long *registers); /* false: not ours */
    void (*protect)(uint32_t frame);                                               /* the page became a code page */
    void (*flush)(void);
    void (*flush_page)(uint64_t page);
    void (*fetch)(uint64_t page, bool user);       /* the page of a block that is looked up, before it is entered */
    void (*mapped)(uint64_t page, uint32_t frame); /* a MAP row makes a page known that was not */
    void (*touch_tables)(uint64_t page);           /* those that its handler reads of a page, by `touch` */
    void (*prepare)(uint64_t vaddr);    /* tables too large to be filled at start: what an access will read */
    bool knows_blocks;                  /* `at_work` and `aside` are made before a chunk runs */
    void (*translated)(uint32_t block); /* a block was translated, for the first time or again */
    bool has_sites;                     /* which are patched: translated code is each block's own */
    bool (*by_tlb)(bool user);          /* are all accesses of this mode done by the TLB? */
};
extern const struct scheme scheme;

extern uint64_t (*moved_address)(uint64_t vaddr); /* set at start: what the fast path takes for a guest address */
uint64_t parameter(const char *name);             /* of the spec; a word is its place among the choices */
void fail_as(enum failure why, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
#define fail(...) fail_as(FAILED_HOST, __VA_ARGS__)
#define wrong(...) fail_as(FAILED_WRONG, __VA_ARGS__) /* it ran, and what came out is not what must */

/* pages: a frame is a guest-physical page, in a system trace by the order in which MAP rows first name them */
uint32_t frame_of(uint64_t page);   /* fails on an unknown page */
int64_t known_frame(uint64_t page); /* -1: unknown */
uint64_t physical(uint32_t frame);  /* its page number, of 32 bits */
uint32_t frame_of_map(uint64_t physical);
int64_t frame_named(uint64_t physical); /* the other way round; -1: no row named it */
void touched(const struct row *row);    /* user mode: its pages are known from the next row on */
extern uint8_t dirty[PAGES];

/* ram.c */
extern int ram_fd;
extern uint8_t *ram; /* all of guest-physical memory, always accessible: what helpers and handlers use */
extern uint64_t ram_pages;
void ram_start(void);
#ifdef WIDE
uint8_t *ram_at(uint32_t frame);
off_t ram_offset(uint32_t frame); /* in the file */
#else
static inline off_t ram_offset(uint32_t frame)
{
    return (off_t)physical(frame) << PAGE_BITS;
}
static inline uint8_t *ram_at(uint32_t frame)
{
    return ram + ram_offset(frame);
}
#endif
void store_bytes(const struct row *row, const void *bytes);
void load_bytes(const struct row *row, void *bytes);
uint64_t whole_row(const struct row *row, uint64_t data);
extern uint8_t row_bytes[MAX_SIZE]; /* the data of the row at work */
extern volatile bool row_done;      /* a handler or helper completed all of it */
void name_row(uint64_t number, unsigned size);
void check_row(const struct row *row); /* against the reference */
void check_ram(void);

/* plan.c: of each row of the chunk, for a scheme that `knows_blocks` */
extern uint32_t at_work[CHUNK_ROWS]; /* the block of the last EXEC row, also if it was dropped since; 0: none */
extern uint8_t aside[CHUNK_ROWS];    /* the loop does this row, for it must look at more than the access */
void plan_blocks(uint32_t n);
void plan_first_accesses(bool until_flush); /* user mode: the first access to each page is one of those */

/* fetch.c: a byte for each EXEC row of the chunk: is its block looked up? All are 0 where a scheme does not ask. */
extern uint8_t fetches[CHUNK_ROWS];
void plan_fetches(uint32_t n);
void fetch_block(uint32_t row);

/* code.c: a small memory of blocks entered, each good until it is dropped or a page moves */
enum { ENTERED = 1 << 12 };
struct entered {
    column_t vaddr;
    uint32_t size;
    uint64_t epoch;
    uint32_t block;
};
extern struct entered entered[ENTERED];
extern uint64_t code_epoch;
static inline struct entered *entered_at(uint64_t vaddr)
{
    return &entered[(vaddr ^ vaddr >> 12) & (ENTERED - 1)];
}
bool is_code_page(uint32_t frame);
void *zeroed(size_t bytes); /* of address space; the host gives pages as they are touched */
void touch_code_tables(uint32_t frame);
void touch_block_tables(uint32_t blocks);
uint32_t block_of(uint64_t start, uint32_t size, int32_t second); /* its number, given now if it had none */
uint32_t execute_block(uint64_t vaddr, uint32_t size, uint32_t insns);
bool drop_block(uint32_t number); /* false: it was not there */
void store_drops_page(uint32_t frame, uint32_t first, uint32_t last);
void store_to_code_by_helper(uint32_t frame, uint32_t first, uint32_t last);
void store_to_code_by_list(uint32_t frame, uint32_t first, uint32_t last); /* the same without a bitmap */
void store_to_code_unseen(uint32_t frame, uint32_t first, uint32_t last);  /* the guest names the bytes: no helper */

/* What is done with a code page: parameters `code` and `check_after`. A scheme without them has CODE_PAGE. */
enum code { CODE_PAGE, CODE_BLOCK, CODE_CHECK, CODE_FREE };
extern enum code code_policy;
void code_start(unsigned checks); /* where checked_entries, checked_bytes and checks_failed are counted */
bool noticed(uint32_t frame);     /* a code page of which stores must not pass silently? */
bool store_keeps_code(uint32_t frame, uint32_t first, uint32_t last, bool code_fault);
void store_passed(uint32_t row); /* a store was done, by whatever way */
extern bool stores_pass;         /* by `store_passed`, each of them */
bool is_checked(uint32_t block);
bool checked_entry(struct entered *entry);         /* counted, and the source is what it was; else nothing was done */
extern void (*const checked_entry_vector)(void);   /* the stub that calls it, for code that may be copied */
static const uint64_t CHECKED = UINT64_C(1) << 63; /* in the epoch of a checked block that was entered */

static inline bool entered_before(uint32_t row)
{
    const struct entered *block = entered_at(rows.vaddr[row]);
    return block->vaddr == rows.vaddr[row] && block->size == rows.size[row] && block->epoch == code_epoch &&
           !fetches[row]; /* else it is a matter for other_row */
}

/* sites.c: accesses of a block, by position and direction, that a fault patched */
void sites_start(bool remember, bool by_block);
bool is_slow(uint32_t block, unsigned position, unsigned op); /* all are direct before sites_start */
bool patch_site(uint32_t row);                                /* false: it was patched before */
void sites_of_translated(uint32_t block);

/* translate.c: for time, not for data */
void rewrite_sites(uint32_t block, unsigned position, unsigned op); /* in all translated code: slow, or direct again */
bool in_translated_code(uint64_t address);
extern uint64_t stub_context;   /* what r8 is inside of a stub: the TLB of the mode */
extern uint64_t stores_context; /* what r9 is in translated code of a scheme that has another table for stores */
void plan_runs(uint32_t n);
void run_translated(void (*loop)(void));
uint64_t translated_end(uint64_t address, uint64_t rbx, uint64_t r12, uint64_t *leave);
void translated_row(uint64_t address, uint64_t rbx); /* called from there? then row_at is made to say which row */

/* reserve.c */
extern uint8_t *reserve;
void reserve_start(size_t windows, size_t guard_bytes);
void reserve_views(size_t views, size_t span); /* as many stretches of `span` windows, one behind the other */
size_t pages_shown(size_t view);
size_t tables_shown(size_t view); /* page tables of the guest that stand for these */
extern bool every_page_dirty;     /* there is no dirty bit: a page that is not a code page is writable at once */
void touch_reserve_tables(uint32_t frame);
void touch_window_tables(size_t window);
uint8_t *inaccessible(size_t bytes);
bool in_reserve(uintptr_t address);
int64_t shown(size_t window); /* the frame that it shows, -1: inaccessible */
bool any_shown(void);
bool writable(size_t window);
void show_page(size_t window, uint32_t frame, bool writable);
void open_window(size_t window); /* for stores, by one mprotect */
bool writable_for_load(uint32_t frame);
void conceal(size_t window); /* a device's page that still shows RAM must fault, uncounted; until `reveal` */
void reveal(void);
void replace_page(size_t window); /* it shows nothing, and the next page comes to lie over it: no host call */
enum counter needed(const struct row *row, size_t window, uint32_t frame); /* the cause of its fault, NOT_NEEDED */
bool serve_page(const struct row *row, size_t window, uint32_t frame, uint32_t first, uint32_t last,
                enum counter cause);
void note_store(uint32_t frame, uint32_t first, uint32_t last);
void unmap_windows(size_t first, size_t windows); /* one host call */
void protect_windows(uint32_t frame);
void settle_peak(void);
void peak_now(void);
void check_mappings(void); /* against the kernel's own list */

/* fault.c */
void fault_start(void);
void wake_kernel(void);
void fault_counted(enum counter cause, const struct row *row, uint64_t vaddr);
void complete(const struct row *row, long long *registers);           /* the access is done: go on behind it */
void complete_and_leave(const struct row *row, long long *registers); /* and the loop ends behind this row */
void patch_paths(int kind, uint32_t value);

/* planted bugs, by which tests see that `verify` can fail */
/* clang-format off */
enum plant { PLANT_NONE, PLANT_WRONG_PAGE, PLANT_NO_PROTECT, PLANT_SMALL_POOL, PLANT_STALE_ENTRY, PLANT_LOST_FILL,
             PLANT_CRASH, PLANT_HANG, PLANT_FORGOTTEN_SITE, PLANT_STALE_PAGE, PLANT_NOT_COMPARED };
/* clang-format on */
extern enum plant planted;

#endif
