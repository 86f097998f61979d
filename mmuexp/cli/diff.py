"""`mmuexp diff`."""

import sys

import click

from mmuexp.cli import output
from mmuexp.render.difffile import WRITERS


@click.command(short_help="Say what changed between two saved results, exactly.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--columns", metavar="NAME[,NAME]...", multiple=True, help="Compare these columns alone; repeatable.")
@click.option(
    "--tolerance",
    type=float,
    default=0.0,
    metavar="PART",
    help="Let numbers that are not whole differ by this part, such as 1e-9.  [0]",
)
@click.option(
    "-o",
    "outputs",
    metavar="FILE",
    multiple=True,
    help=f"Write the changes to FILE, a {output.any_of(WRITERS)}, or - for stdout; repeatable.",
)
@click.option("--format", "format_", type=click.Choice(output.FORMATS), help="Write stdout in this format.  [table]")
def command(a, b, columns, tolerance, outputs, format_) -> int:
    """Say what changed between two saved results: every cell, exactly.

    \b
    Examples:
      mmuexp diff before.csv after.csv
      mmuexp diff before.json after.csv --columns faults,ns --format csv

    A and B are what compare or sweep wrote with -o: .json, or .csv or .parquet. Rows belong together by trace,
    strategy, window and swept values. Integers are compared exactly; an empty cell (no such event) is not 0. The exit
    code is 0 if they are equal, 3 if not. The manifests say why, if they tell.
    """
    from mmuexp.errors import refuse_itself
    from mmuexp.render.difffile import diff_of
    from mmuexp.render.export import Output
    from mmuexp.result.manifest import of_run, utc_now

    started = utc_now()
    wanted = [name for text in columns for name in text.split(",")] or None
    files: list[Output] = []
    try:
        for path in dict.fromkeys(path for path in outputs if path != output.STDOUT):
            for one in (a, b):
                refuse_itself(one, path, "is one of the results to be compared")
            files.append(Output(path, WRITERS))
        output.refuse_twice(files)
        found = diff_of(a, b, columns=wanted, tolerance=tolerance)
        for file in files:
            file.save(found, of_run("diff", sys.argv, started, "yes"))
            output.say(f"wrote {file.path}")
    finally:
        for file in files:
            file.discard()
    if not files or output.STDOUT in outputs or format_:
        if format_ in (None, "table"):
            from mmuexp.render.diff import print_diff

            print_diff(found, output.stdout_console())
        else:
            output.write_bytes(WRITERS[f".{format_}"](found))
        sys.stdout.flush()
    return 3 if found else 0
