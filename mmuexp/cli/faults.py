"""`mmuexp faults`."""

import sys

import click

from mmuexp.cli import options, output
from mmuexp.cli.console import say, stdout_console
from mmuexp.cli.progress import progress_bar, tell_of_compiling, telling

TOP = 10


@click.command()
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--trace", metavar="FILE", help="Replay this trace.  [the bundled one]")
@options.schemes_option("The scheme, one: NAME or NAME,key=value.", required=True)
@options.thread_option
@options.out_option("Write the list to FILE, a .csv or .parquet, or - for CSV on stdout; repeatable.")
@options.format_option(("table", "csv"), "Write stdout in this format: table sums up, csv is the list.  [table]")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Sum up, and show the N pages and blocks with most.  [{TOP}]",
)
def command(file, trace, specs, thread, outputs, format_, top) -> None:
    """List every host fault of a run: why, not only how many.

    \b
    Examples:
      mmuexp faults -s map-block --top 5
      mmuexp faults -s byte-lookup,entries=32 -o faults.csv

    The list has a line for each SIGSEGV that the scheme would take: row of the trace from 0; vaddr, the first byte of
    the access in the page that faults; cause, the column of compare that counts it; block, the guest block (map-block);
    page. Without -o it is summed up on stdout by cause, page and block. softmmu takes no host faults.
    """
    from mmuexp.analysis.faults import list_faults
    from mmuexp.render.faultfile import CsvWriter, FaultFile
    from mmuexp.render.faults import print_faults
    from mmuexp.strategy.registry import parse_spec

    if file is not None and trace is not None:
        raise click.UsageError(f"FILE and --trace both name a trace, {file} and {trace}; give one")
    file = file if trace is None else trace
    if len(specs) > 1:
        raise click.UsageError(f"{len(specs)} schemes; give one -s, a list holds the faults of one run")
    listing = format_ == "csv" or (output.STDOUT in outputs and format_ is None)
    if listing and top is not None:
        raise click.UsageError("stdout cannot hold both the list and --top; write the list to a file with -o FILE")
    to_files = bool(set(outputs) - {output.STDOUT})
    summary = not listing and (not to_files or output.STDOUT in outputs or format_ is not None or top is not None)
    strategy = parse_spec(specs[0])
    tell_of_compiling()
    with output.claimed(outputs, lambda path: FaultFile(path, strategy)) as files:
        to_stdout = CsvWriter(sys.stdout.buffer, strategy) if listing else None
        writers = [*files, *([to_stdout] if to_stdout else [])]
        with progress_bar() as progress:
            listed = list_faults(file, strategy, writers, thread=thread, progress=telling(progress))
        for one in files:
            one.finish(listed.manifest)
            say(f"wrote {one.path}")
        if to_stdout:
            to_stdout.end()
            sys.stdout.buffer.flush()
        elif summary:
            print_faults(listed, top or TOP, stdout_console())
            sys.stdout.flush()
        if not listed.sums.causes and not summary:
            say(f"{strategy} takes no host faults: the list is empty")
