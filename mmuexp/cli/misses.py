"""`mmuexp misses`."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

import click

from mmuexp.cli import output

if TYPE_CHECKING:
    from mmuexp.result import Result


@click.command(short_help="Tell compulsory, capacity and conflict misses of softmmu's TLB apart.")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--trace", "traces", metavar="FILE", multiple=True, help="Replay this trace; repeatable.")
@output.schemes_option("Of this TLB: softmmu, or softmmu,tlb_bits=6; repeatable.  [softmmu]")
@click.option(
    "--load-seed",
    "seeds",
    metavar="RANGE",
    help="Load the program elsewhere, once for each seed, as in 0..31; 0 is as recorded.  [0]",
)
@click.option(
    "--join-pages", metavar="N", type=int, help="Pages at most N apart are one region and move together.  [256]"
)
@click.option("--move-bits", metavar="N", type=int, help="Draw each region's offset from 2**N pages around 0.  [8]")
@click.option(
    "-o",
    "outputs",
    metavar="FILE",
    multiple=True,
    help="Write the result to FILE, a .csv .json .md or .parquet, or - for stdout; repeatable.",
)
@click.option("--format", "format_", type=click.Choice(output.FORMATS), help="Write stdout in this format.  [table]")
def command(files, traces, specs, seeds, join_pages, move_bits, outputs, format_) -> None:
    """Tell compulsory, capacity and conflict misses of softmmu's TLB apart, wherever the program was loaded.

    \b
    Examples:
      mmuexp misses
      mmuexp misses --load-seed 0..31 -s softmmu -s softmmu,tlb_bits=10

    A fill of the direct-mapped TLB is compulsory (the page was never looked up), due to a flush, to the first store
    after loads (write right), to capacity (a fully associative LRU TLB of as many entries fills, too), or else a
    conflict. The kinds add up to tlb_fills. A region, the pages of a recording that lie near each other, moves as a
    whole; seeds are for user-mode recordings.
    """
    from mmuexp.loadseed import seeds_of
    from mmuexp.misses import misses
    from mmuexp.ranges import expand

    given = {"join_pages": join_pages, "move_bits": move_bits}
    options = {name: value for name, value in given.items() if value is not None}
    if seeds is not None:
        options["load_seeds"] = seeds_of(expand(seeds, what="--load-seed"), "--load-seed")
    paths = list(dict.fromkeys(path for path in outputs if path != output.STDOUT))
    with ExitStack() as stack:
        opened = [_claimed(path, stack) for path in paths]
        output.refuse_twice(opened)
        with output.progress_bar() as progress:
            found = misses([*traces, *files] or None, specs or None, progress=output.telling(progress), **options)
        for one in opened:
            one.save(found)
            output.say(f"wrote {one.path}")
    if not paths or output.STDOUT in outputs or format_ is not None:
        _print(found, format_ or "table")


def _print(found: "Result", format_: str) -> None:
    if format_ == "table":
        from mmuexp.render.misses import print_misses

        print_misses(found, output.stdout_console())
    else:
        sys.stdout.write(_writers()[f".{format_}"](found).decode())
    sys.stdout.flush()


def _writers() -> dict[str, Callable[["Result"], bytes]]:
    from mmuexp.export import to_csv, to_json, to_parquet
    from mmuexp.render.misses import markdown

    return {".csv": to_csv, ".json": to_json, ".md": lambda found: markdown(found).encode(), ".parquet": to_parquet}


def _claimed(path: str, stack: ExitStack):
    from mmuexp.export import Output

    class MissesFile(Output):
        writers: ClassVar[Mapping[str, Callable]] = _writers()

    file = MissesFile(path)
    stack.callback(file.discard)
    return file
