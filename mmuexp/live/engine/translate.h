/*
 * Fast paths as templates: each scheme's LOAD and STORE once more, with fixed registers, for translate.c to copy.
 * Included behind loop.h, while LOAD and STORE are those of the main path. r8 holds CONTEXT.
 */
#undef PATHS
#define PATHS "mmuexp_templates"
#undef CONTEXT
#define CONTEXT context

#define TEMPLATES(n)                                                                                                   \
    (void)LOAD(n, vaddr, vaddr);                                                                                       \
    STORE(n, vaddr, vaddr, vaddr)

/* Never called. */
static __attribute__((used, noinline)) void templates(uint64_t row_vaddr, uint64_t row_context)
{
    register uint64_t vaddr asm("rcx") = row_vaddr;
    register uint64_t context asm("r8") = row_context;
    TEMPLATES(1);
    TEMPLATES(2);
    TEMPLATES(4);
    TEMPLATES(8);
}

#undef PATHS
#define PATHS "mmuexp_paths"
#undef TEMPLATES
