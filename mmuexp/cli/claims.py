"""`mmuexp claims`."""

import sys
from contextlib import nullcontext

import click

from mmuexp.cli import options, output
from mmuexp.cli.progress import progress_bar, tell_of_compiling


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@options.trace_option
@options.host_options("Price at this host profile, beside 2004's.  [here, if `mmuexp calibrate` was run; else epyc-vm]")
@click.option("--only", metavar="N", type=int, multiple=True, help="Test this claim alone; repeatable.")
@click.option("--replay", is_flag=True, help="Count anew from the recordings, where they are here.")
@options.store_option
@options.out_option("Write the report to FILE, a .csv .json .md or .html, or - for stdout; repeatable.")
@options.format_option()
def command(files, traces, host, only, replay, store, outputs, format_) -> None:
    """Test what the mail of 2004 claims: for each claim figures and a verdict, computed from counts and prices.

    \b
    Examples:
      mmuexp claims
      mmuexp claims --only 6 --host pentium4-2004 --format csv

    Without FILE or --trace it takes the counts that results/ holds, which `mmuexp rerun` makes again, and prices them
    at the profile of 2004 and at this host's. A verdict is: holds, holds when (the condition is a closed form), or does
    not hold. The exit code is 0 whatever they are.
    """
    from mmuexp.claims.file import WRITERS
    from mmuexp.claims.report import claims
    from mmuexp.render.claims import print_report

    tell_of_compiling()
    given = [*traces, *files] or None
    with output.saving(outputs, format_, WRITERS, print_report) as save:
        with progress_bar() if given or replay else nullcontext() as progress:
            how = {"host": host, "replay": replay, "store": store, "progress": progress}
            found = claims(given, only=only or None, **how, command=sys.argv)
        output.say_what_is_from_store([found.manifest])
        save(found)
