/* Stores at page 0, which is not mapped: dies of SIGSEGV. */
int main(void)
{
    *(volatile int *)16 = 1;
    return 0;
}
