"""`mmuexp faults`."""

import sys
from contextlib import ExitStack

import click

from mmuexp.cli import output

TOP = 10


@click.command(short_help="List every host fault of a run, and the pages and blocks that cause most.")
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--trace", metavar="FILE", help="Replay this trace.  [the bundled one]")
@click.option(
    "-s",
    "--strategy",
    "specs",
    metavar="SPEC",
    required=True,
    multiple=True,
    help="The scheme, one: NAME or NAME,key=value.",
)
@output.thread_option
@click.option(
    "-o",
    "outputs",
    metavar="FILE",
    multiple=True,
    help="Write the list to FILE, a .csv or .parquet, or - for CSV on stdout; repeatable.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv"]),
    help="Write stdout in this format: table sums up, csv is the list.  [table]",
)
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
    from mmuexp.analysis.faults import list_faults, takes_faults
    from mmuexp.render.faultfile import CsvWriter, FaultFile
    from mmuexp.render.faults import print_faults
    from mmuexp.strategy.registry import parse_spec

    if file is not None and trace is not None:
        raise click.UsageError(f"FILE and --trace both name a trace, {file} and {trace}; give one")
    if len(specs) > 1:
        raise click.UsageError(f"{len(specs)} schemes; give one -s, a list holds the faults of one run")
    listing = format_ == "csv" or (output.STDOUT in outputs and format_ is None)
    if listing and top is not None:
        raise click.UsageError("stdout cannot hold both the list and --top; write the list to a file with -o FILE")
    files = list(dict.fromkeys(path for path in outputs if path != output.STDOUT))
    summary = not listing and (not files or output.STDOUT in outputs or format_ is not None or top is not None)
    strategy = parse_spec(specs[0])
    output.tell_of_compiling()
    with ExitStack() as stack:
        opened = []
        for path in files:
            opened.append(FaultFile(path, strategy))
            stack.callback(opened[-1].discard)
        output.refuse_twice(opened)
        to_stdout = CsvWriter(sys.stdout.buffer, strategy) if listing else None
        writers = [*opened, *([to_stdout] if listing else [])]
        with output.progress_bar() as progress:
            listed = list_faults(trace or file, strategy, writers, thread=thread, progress=output.telling(progress))
        for one in opened:
            one.finish(listed.manifest)
            output.say(f"wrote {one.path}")
        if to_stdout:
            to_stdout.end()
            sys.stdout.buffer.flush()
        elif summary:
            print_faults(listed, top or TOP, output.stdout_console())
            sys.stdout.flush()
        if not takes_faults(strategy) and not summary:
            output.say(f"{strategy} takes no host faults: the list is empty")
