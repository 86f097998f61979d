/*
 * Fast paths as templates: each scheme's LOAD and STORE once more, with fixed registers, for translate.c to copy.
 * Included behind loop.h, while LOAD and STORE are those of the main path. r8 holds CONTEXT. A scheme that does some
 * accesses by another path includes it behind that loop once more, with SLOW_TEMPLATES defined.
 */
#undef PATHS
#undef TEMPLATES_NAME
#ifdef SLOW_TEMPLATES
#define PATHS "mmuexp_slow_templates"
#define TEMPLATES_NAME slow_templates
#else
#define PATHS "mmuexp_templates"
#define TEMPLATES_NAME templates
#endif
#undef CONTEXT
#define CONTEXT context
#undef STORES_CONTEXT
#define STORES_CONTEXT for_stores

#define TEMPLATES(n)                                                                                                   \
    (void)LOAD(n, vaddr, vaddr);                                                                                       \
    STORE(n, vaddr, vaddr, vaddr)

/* Never called. */
static __attribute__((used, noinline)) void TEMPLATES_NAME(uint64_t row_vaddr, uint64_t row_context)
{
    register uint64_t vaddr asm("rcx") = row_vaddr;
    register uint64_t context asm("r8") = row_context;
    register uint64_t for_stores asm("r9") = row_context;
    (void)for_stores;
    TEMPLATES(1);
    TEMPLATES(2);
    TEMPLATES(4);
    TEMPLATES(8);
}

#undef PATHS
#define PATHS "mmuexp_paths"
#undef TEMPLATES
