"""`mmuexp diff`."""

import sys

import click

from mmuexp.cli import options, output
from mmuexp.render.difffile import WRITERS


@click.command()
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
@options.out_option(f"Write the changes to FILE, a {options.any_of(WRITERS)}, or - for stdout; repeatable.")
@options.format_option()
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
    from mmuexp.render.diff import print_diff
    from mmuexp.render.difffile import diff_of
    from mmuexp.result import manifest

    started = manifest.utc_now()
    wanted = [name for text in columns for name in text.split(",")] or None
    for path in outputs:
        for one in (a, b) if path != output.STDOUT else ():
            refuse_itself(one, path, "is one of the results to be compared")
    with output.saving(outputs, format_, WRITERS, print_diff) as save:
        found = diff_of(a, b, columns=wanted, tolerance=tolerance)
        save(found, manifest.of_run("diff", sys.argv, started, "yes"))
    return 3 if found else 0
