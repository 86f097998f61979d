"""Emulator state that every scheme shares, as arrays, and the kernels that change it (MODEL.md, section 2).

`state` knows pages and frames, `code` translated blocks and code pages, `faults` counts host faults and logs them,
`reserve` knows the host's mappings, `handler` what a SIGSEGV handler does with a page, `tlb` QEMU's software TLB. A
strategy file is written in these words.
"""
