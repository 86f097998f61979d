"""`mmuexp claims`."""

import sys
from contextlib import nullcontext

import click

from mmuexp.cli import output


@click.command(short_help="Test what the mail claims: figures and a verdict for each claim.")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--trace", "traces", metavar="FILE", multiple=True, help="Test the claims on this trace; repeatable.")
@output.host_options("Price at this host profile, beside 2004's.  [here, if `mmuexp calibrate` was run; else epyc-vm]")
@click.option("--only", metavar="N", type=int, multiple=True, help="Test this claim alone; repeatable.")
@click.option("--replay", is_flag=True, help="Count anew from the recordings, where they are here.")
@click.option(
    "-o",
    "outputs",
    metavar="FILE",
    multiple=True,
    help="Write the report to FILE, a .csv .json .md or .html, or - for stdout; repeatable.",
)
@click.option("--format", "format_", type=click.Choice(output.FORMATS), help="Write stdout in this format.  [table]")
def command(files, traces, host, only, replay, outputs, format_) -> None:
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
    from mmuexp.render.export import Output

    names = list(dict.fromkeys(path for path in outputs if path != output.STDOUT))
    reports: list[Output] = []
    try:
        for path in names:
            reports.append(Output(path, WRITERS))
        output.refuse_twice(reports)
        given = [*traces, *files] or None
        with output.progress_bar() if given or replay else nullcontext() as progress:
            found = claims(given, only=only or None, host=host, replay=replay, progress=progress, command=sys.argv)
        for file in reports:
            file.save(found)
            output.say(f"wrote {file.path}")
    finally:
        for file in reports:
            file.discard()
    if reports and output.STDOUT not in outputs and format_ is None:
        return
    if format_ in (None, "table"):
        from mmuexp.render.terminal.claims import print_report

        print_report(found, output.stdout_console())
    else:
        output.write_bytes(WRITERS[f".{format_}"](found))
    sys.stdout.flush()
