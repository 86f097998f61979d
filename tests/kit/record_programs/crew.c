/*
 * crew THREADS ROUNDS: as many threads do the same work, each on a page of its own, at the same time; `alone` as third
 * word: one after the other. Prints the address of `cells`, of which thread n stores ROUNDS times at the page n. What
 * a thread does between two calls of `mark` is the same in each run: it makes no system call and takes no lock.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile unsigned cells[64][1024] __attribute__((aligned(4096)));
static volatile unsigned marks[64];
static unsigned rounds;

__attribute__((noinline)) static void mark(unsigned n)
{
    marks[n] = n;
}

static void *work(void *argument)
{
    unsigned n = (unsigned long)argument;
    mark(n);
    for (unsigned i = 0; i < rounds; i++) {
        cells[n][i & 1023] = i;
        __asm__ volatile("lock incl %0" : "+m"(cells[n][0]));
    }
    mark(n);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = atoi(argv[1]);
    int alone = argc > 3 && !strcmp(argv[3], "alone");
    pthread_t started[64];
    rounds = atoi(argv[2]);
    printf("%lu %lu\n", (unsigned long)cells, (unsigned long)marks);
    fflush(stdout);
    for (unsigned n = 0; n < threads; n++) {
        pthread_create(&started[n], NULL, work, (void *)n);
        if (alone)
            pthread_join(started[n], NULL);
    }
    for (unsigned n = 0; n < threads && !alone; n++)
        pthread_join(started[n], NULL);
    return 4;
}
