"""`mmuexp compare`."""

import click

from mmuexp.cli import options, output


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@options.trace_option
@options.host_options()
@options.schemes_option("Replay this scheme: NAME or NAME,key=value; repeatable.")
@click.option(
    "--reference",
    metavar="SPEC",
    help="Measure the others against this scheme.  [softmmu, else the first at its defaults, else the first]",
)
@click.option(
    "--every", type=click.IntRange(min=1), metavar="ROWS", help="Count each window of so many rows by itself."
)
@options.warmup_option
@click.option(
    "--live", is_flag=True, help="Also run the schemes for real, and say what translation takes on this host."
)
@click.option("--rounds", type=click.IntRange(1, 10_000), metavar="N", help="With --live: measure N times.")
@click.option(
    "--time",
    "seconds",
    type=click.FloatRange(0, 100_000, min_open=True),
    metavar="SECONDS",
    help="With --live: measure until the schemes are told apart, or so long.  [10]",
)
@options.thread_option
@options.jobs_option
@options.store_option
@options.cluster_option
@options.result_options
def command(files, traces, specs, outputs, format_, checks, **how) -> None:
    """Replay recordings through the translation schemes and print what each one costs.

    \b
    Examples:
      mmuexp compare
      mmuexp compare -s softmmu -s map-block,map_block_bits=20 --format csv

    A FILE is a trace, or what another tool recorded, which is imported first: docs/importing.md.
    Without FILE or --trace it replays the bundled recording, without -s the four schemes of 2004 and softmmu-qemu10. A
    FILE may be a folder, a list of names (.txt) or a pattern in quotes: then a recording that cannot be replayed costs
    its own row, and exit code 1 in the end. After several recordings follows a summary over all. A SPEC is a scheme's
    name with settings: map-block,evict=lifo,pool_blocks=32; `mmuexp strategy list` names them. Or it is a group: mail
    (the four of 2004), today (what emulators are built with now), all (every scheme). Where nothing or a group is
    named, some come in several settings: map-block with the pool of 2004 and with one of today. Counts are exact;
    times are a model at the prices of the host profile. With --live each scheme also runs for real, with mmap and
    SIGSEGV, beside a loop without translation, at prices that are measured first, unless --host names others.
    """
    from mmuexp.analysis.compare import compare
    from mmuexp.result.table import LIVE, WINDOW
    from mmuexp.strategy.registry import own_columns, possible_schemes

    def work(progress):
        return compare([*traces, *files] or None, specs or None, **how, progress=progress)

    schemes = possible_schemes(specs or None, how["reference"]) if checks else []
    columns = (*([WINDOW] if how["every"] else []), *(LIVE if how["live"] else []), *own_columns(schemes))
    known = [str(scheme) for scheme in schemes]
    output.refuse_failures(output.run_and_save(work, outputs, format_, checks, columns, known))
