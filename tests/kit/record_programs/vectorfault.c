/* Vector accesses whose second half faults; the handler lets the page in, and they are tried again. */
#include <signal.h>
#include <sys/mman.h>

#define PAGES ((char *)0x50000000)
#define BORDER (PAGES + 4096)

static void let_in(int number)
{
    (void)number;
    mprotect(BORDER, 4096, PROT_READ | PROT_WRITE);
}

static void shut_out(void)
{
    mprotect(BORDER, 4096, PROT_NONE);
}

int main(void)
{
    signal(SIGSEGV, let_in);
    mmap(PAGES, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    shut_out();
    __asm__ volatile("movups %0, %%xmm0" : : "m"(BORDER[-8]));
    shut_out();
    __asm__ volatile("movups %%xmm0, %0" : : "m"(BORDER[-4]) : "memory");
    shut_out();
    __asm__ volatile("vmovups %0, %%ymm0" : : "m"(BORDER[-24]));
    return 0;
}
