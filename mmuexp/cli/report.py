"""`mmuexp report`."""

import sys

import click

from mmuexp.cli import options, output
from mmuexp.cli.console import say

FILE = "report.html"


@click.command()
@click.argument("results", metavar="[RESULTS]", required=False)
@click.option("-o", "path", metavar="FILE.html", default=FILE, help=f"Write the page to FILE.html.  [{FILE}]")
@options.host_options("Price at this host profile, beside 2004's.  [here, if `mmuexp calibrate` was run; else epyc-vm]")
def command(results, path, host) -> None:
    """Write one page over all results: which scheme for a workload like yours, why, and how sure to be.

    \b
    Examples:
      mmuexp report
      mmuexp report -o here.html --host pentium4-2004

    RESULTS is a folder of experiments, as results/ is: by default that of mmuexp. Their counts are taken as they are,
    and priced anew; nothing is replayed. The page needs no network: charts, tables that sort, the data behind them and
    the manifest are in it.
    """
    from mmuexp.report.build import report

    writers = {".html": lambda overview: overview.html().encode()}
    with output.saving([path], "html" if path == output.STDOUT else None, writers, print) as save:
        found = report(results, host=host, command=sys.argv)
        for name in found.left_out:
            say(f"{name} is left out, it was never made; `mmuexp rerun` makes it")
        save(found)
