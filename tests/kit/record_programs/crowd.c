/*
 * crowd HOW: thread 1 and 2 add to a cell of a page of their own, 100,000 times or with `spin` 2**32 times, and wait; thread
 * 3 stores 1000 times to its own and then does what HOW says. Prints the address of `cells`, of which thread n uses page n, children page 4.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned cells[8][1024] __attribute__((aligned(4096)));

static unsigned rounds = 100000;

static void *spin(void *argument)
{
    for (unsigned i = 0; i != rounds; i++)
        cells[(int)argument][0]++;
    pause();
    return NULL;
}

static void *once(void *unused)
{
    cells[5][0] = 1;
    return unused;
}

static void children(void)
{
    for (int i = 0; i < 5; i++) {
        int status;
        if (!fork()) {
            for (int k = 0; k < 100000; k++)
                cells[4][0] = k;
            _exit(i);
        }
        wait(&status);
        if (WEXITSTATUS(status) != i)
            _exit(1);
    }
}

static void *last(void *argument)
{
    const char *how = argument;
    for (int i = 0; i < 1000; i++)
        cells[3][0] = i;
    if (!strcmp(how, "exit"))
        exit(11);
    if (!strcmp(how, "_exit"))
        _exit(12);
    if (!strcmp(how, "exec")) {
        execl("/nonexistent/other", "other", NULL);
        execl("/bin/sh", "sh", "-c", "exit 13", NULL);
    }
    if (!strcmp(how, "fault"))
        *(volatile int *)NULL = 1;
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(how, "fork")) {
        children();
        exit(14);
    }
    if (!strcmp(how, "system")) {
        for (int i = 0; i < 3; i++)
            if (system("exit 3") != 3 << 8)
                exit(1);
        exit(15);
    }
    if (!strcmp(how, "create")) {
        for (int i = 0; i < 50; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, once, NULL);
            pthread_join(thread, NULL);
        }
        exit(16);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    printf("%lu\n", (unsigned long)cells);
    fflush(stdout);
    if (!strcmp(argv[argc - 1], "spin"))
        rounds = -1;
    pthread_create(&thread, NULL, spin, (void *)1);
    pthread_create(&thread, NULL, spin, (void *)2);
    pthread_create(&thread, NULL, last, argv[argc - 1]);
    pause();
    return 1;
}
