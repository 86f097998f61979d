"""`mmuexp misses`."""

import click

from mmuexp.cli import options, output


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@options.trace_option
@options.schemes_option("Of this TLB: softmmu, or softmmu,tlb_bits=6; repeatable.  [softmmu]")
@click.option(
    "--load-seed",
    "seeds",
    metavar="RANGE",
    help="Load the program elsewhere, once for each seed, as in 0..31; 0 is as recorded.  [0]",
)
@click.option("--join-pages", metavar="N", type=int, help="Pages at most N apart are one region, which moves.  [256]")
@click.option("--move-bits", metavar="N", type=int, help="Draw each region's offset from 2**N pages around 0.  [8]")
@options.thread_option
@options.store_option
@options.result_options
def command(files, traces, specs, seeds, join_pages, move_bits, thread, store, outputs, format_, checks) -> None:
    """Tell compulsory, capacity and conflict misses of softmmu's TLB apart, wherever the program was loaded.

    \b
    Examples:
      mmuexp misses
      mmuexp misses --load-seed 0..31 -s softmmu -s softmmu,tlb_bits=10

    A fill of the direct-mapped TLB is compulsory (the page was never looked up), due to a flush, to the first store
    after loads (write right), to capacity (a fully associative LRU TLB of as many entries fills, too), or else a
    conflict. The kinds add up to tlb_fills. A region, the pages of a recording that lie near each other, moves as a
    whole; seeds are for user-mode recordings.
    """
    from mmuexp.analysis.misses import misses
    from mmuexp.analysis.ranges import expand
    from mmuexp.result.misses import COLUMNS
    from mmuexp.trace.loadseed import seeds_of

    given = {"join_pages": join_pages, "move_bits": move_bits}
    how = {name: value for name, value in given.items() if value is not None}
    if seeds is not None:
        how["load_seed"] = seeds_of(expand(seeds, what="--load-seed"), "--load-seed")

    def work(progress):
        return misses([*traces, *files] or None, specs or None, thread=thread, store=store, progress=progress, **how)

    output.run_and_save(work, outputs, format_, checks, COLUMNS[2:])
