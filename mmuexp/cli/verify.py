"""`mmuexp verify`."""

import click

from mmuexp.cli import options, output
from mmuexp.cli.console import say
from mmuexp.cli.progress import progress_bar, tell_of_compiling, telling
from mmuexp.render.verifyfile import WRITERS


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@options.trace_option
@options.schemes_option("Run this scheme: NAME or NAME,key=value; repeatable.  [all]")
@options.thread_option
@options.out_option(f"Write the counts of both to FILE, a {options.any_of(WRITERS)}, or - for stdout; repeatable.")
@options.format_option(("table", "csv", "json"))
@click.option(
    "--time-limit",
    metavar="S",
    type=click.FloatRange(0, 1e6, min_open=True),
    help="End an engine that takes S seconds over 2**20 rows.  [120]",
)
@click.option(
    "--memory",
    "memory_mb",
    metavar="MB",
    type=click.IntRange(min=1),
    help="Refuse a trace whose guest RAM, and the reference beside it, take more than MB.  [2000]",
)
@click.option("--plant", metavar="BUG", hidden=True, help="Let the engine do something wrong, to see it found.")
def command(files, traces, specs, thread, outputs, format_, time_limit, memory_mb, plant) -> None:
    """Run the schemes for real, with mmap and SIGSEGV on this processor, and compare with the model.

    \b
    Examples:
      mmuexp verify -s map-block
      mmuexp verify -s softmmu -s qemu-fast --format csv

    Each scheme has an engine in C. It is given the rows of the trace, and nothing that the model computed. It must take
    every fault that the model predicts, at the same row and address, and count the same events; every load is compared
    with a reference memory. Exit code 0 only if all is equal, 3 if not.
    """
    from mmuexp.analysis.verify import verify
    from mmuexp.errors import CheckFailed
    from mmuexp.render.verify import print_verified, verdict

    if time_limit is not None and time_limit != time_limit:
        raise click.BadParameter("nan is not a time", param_hint="--time-limit")
    given = {"time_limit": time_limit, "memory_mb": memory_mb, "plant": None if plant is None else _plant(plant)}
    how = {"thread": thread, "note": say} | {name: value for name, value in given.items() if value is not None}
    tell_of_compiling()
    format_ = format_ or ("csv" if output.STDOUT in outputs else None)
    with output.saving(outputs, format_, WRITERS, print_verified) as save:
        with progress_bar() as progress:
            found = verify([*traces, *files] or None, specs or None, progress=telling(progress), **how)
        save(found)
    if not found.equal:
        raise CheckFailed(verdict(found.outcomes))


def _plant(name: str):
    from mmuexp.errors import UsageError
    from mmuexp.live.process import Plant

    try:
        return Plant[name.upper().replace("-", "_")]
    except KeyError:
        known = " ".join(plant.name.lower().replace("_", "-") for plant in Plant)
        raise UsageError(f"there is no bug {name!r} to plant", todo=f"there are {known}") from None
