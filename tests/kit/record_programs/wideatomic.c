/* Twenty lock cmpxchg16b on one cell: the first ten alone, the others beside a thread that waits. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

static struct {
    uint64_t low, high;
} __attribute__((aligned(16))) cell;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void ten(void)
{
    for (int i = 0; i < 10; i++)
        __asm__ volatile("lock cmpxchg16b cell(%%rip)" : : "a"(i), "d"(0), "b"(i + 1), "c"(0) : "memory", "cc");
}

static void *waits(void *unused)
{
    pthread_mutex_lock(&lock);
    return unused;
}

int main(void)
{
    pthread_t thread;
    ten();
    pthread_mutex_lock(&lock);
    pthread_create(&thread, NULL, waits, NULL);
    ten();
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    printf("%lu\n", (unsigned long)(uintptr_t)&cell);
    return 0;
}
