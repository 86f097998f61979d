/*
 * The little that a freestanding 32-bit x86 Linux program needs: start, write, exit. No C library, so that every row
 * of a recording is ours. A workload defines `int run(void)`: 0 when its result is right; that is the exit code.
 */
#ifndef TINY_H
#define TINY_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

static inline int syscall3(int number, int a, int b, int c)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

static inline void __attribute__((noreturn)) leave(int code)
{
    for (;;)
        syscall3(252, code, 0, 0); /* exit_group */
}

static inline void say(const char *text)
{
    int length = 0;
    while (text[length])
        length++;
    syscall3(4, 1, (int)text, length); /* write to stdout */
}

/* a 32-bit xorshift generator (Marsaglia 2003): the same numbers in every run */
static u32 random_state = 2463534242u;

static inline u32 random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static inline u32 mix(u32 sum, u32 value)
{
    return (sum << 5 | sum >> 27) ^ value;
}

int run(void);

void __attribute__((noreturn, force_align_arg_pointer)) _start(void)
{
    int code = run();
    say(code ? "wrong\n" : "right\n");
    leave(code);
}

/* gcc may call these even where there is no C library */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ bytes)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return result;
}

void *memset(void *to, int value, __SIZE_TYPE__ bytes)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return result;
}

#endif
