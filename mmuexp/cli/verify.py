"""`mmuexp verify`."""

import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from mmuexp.cli import output
from mmuexp.render.export import Output, json_bytes, to_csv, to_parquet

if TYPE_CHECKING:
    from mmuexp.analysis.verify import Verified


def _json(found: "Verified") -> bytes:
    return json_bytes({"manifest": found.manifest, "rows": json.loads(found.frame.to_json(orient="records"))})


def _html(found: "Verified") -> bytes:
    from mmuexp.render.html.verify import verify_html

    return verify_html(found.outcomes, found.frame, found.manifest).encode()


WRITERS = {".csv": to_csv, ".json": _json, ".parquet": to_parquet, ".html": _html}


@click.command(short_help="Run the schemes for real (mmap, SIGSEGV) and compare with the model.")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--trace", "traces", metavar="FILE", multiple=True, help="Run this trace; repeatable.")
@output.schemes_option("Run this scheme: NAME or NAME,key=value; repeatable.  [all]")
@output.thread_option
@click.option(
    "-o",
    "outputs",
    metavar="FILE",
    multiple=True,
    help=f"Write the counts of both to FILE, a {output.any_of(WRITERS)}, or - for stdout; repeatable.",
)
@click.option(
    "--format", "format_", type=click.Choice(["table", "csv", "json"]), help="Write stdout in this format.  [table]"
)
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
    from mmuexp.render.verify import print_outcomes, verdict
    from mmuexp.replay import compiled

    if sys.stderr.isatty():
        compiled.on_compile = lambda name: output.say(f"compiling {name} for this machine; it takes some seconds")
    if time_limit is not None and time_limit != time_limit:
        raise click.BadParameter("nan is no time", param_hint="--time-limit")
    options = {"thread": thread} | ({} if time_limit is None else {"time_limit": time_limit})
    if memory_mb is not None:
        options["memory_mb"] = memory_mb
    if plant is not None:
        options["plant"] = _plant(plant)
    paths = list(dict.fromkeys(path for path in outputs if path != output.STDOUT))
    with ExitStack() as stack:
        opened = []
        for path in paths:
            opened.append(Output(path, WRITERS))
            stack.callback(opened[-1].discard)
        output.refuse_twice(opened)
        with output.progress_bar() as progress:
            found = verify(
                [*traces, *files] or None, specs or None, progress=output.telling(progress), note=output.say, **options
            )
        output.save_all(opened, found)
    if format_ in ("csv", "json") or output.STDOUT in outputs:
        output.write_bytes(WRITERS[f".{format_ or 'csv'}"](found))
    elif format_ == "table" or not paths:
        print_outcomes(found.outcomes, output.stdout_console())
    sys.stdout.flush()
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
