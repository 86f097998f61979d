"""`mmuexp trace`: look at, check, cut and convert recordings."""

import csv
import json
import os
import sys

import click

from mmuexp.cli.console import say
from mmuexp.cli.options import any_of, format_option
from mmuexp.cli.progress import progress_bar
from mmuexp.trace.export import WRITERS
from mmuexp.trace.importers import formats


@click.group()
def command() -> None:
    """Look at, check, cut and convert recordings.

    \b
    Examples:
      mmuexp trace info gzip.arrow
      mmuexp trace slice gzip.arrow 0:1000000 -o start.arrow
    """


FORMATS = format_option(("table", "json"), default="table")
NEGATIVE = {"ignore_unknown_options": True}  # a range may begin with a minus
TARGET = click.option("-o", "--output", "target", metavar="NEW", required=True, help="Write to this file.")


@command.command(short_help="What a trace holds, and where it came from.")
@click.argument("file")
@FORMATS
def info(file, format_) -> None:
    """Say what a trace holds: counts, mix, footprint, shares, where it came from, and what matters in its guest.

    \b
    Examples:
      mmuexp trace info gzip.arrow
      mmuexp trace info --format json gzip.arrow

    \b
    Of the guest:
      between flushes  rows, and pages with data, from one FLUSH to the next
      stores to code   stores to a physical page that was executed before
      working set      pages with data in each whole window of so many rows
      address map      regions of 4 MiB, neighbours of one use merged;
                       r loaded, w stored to, x executed, d device; execs are blocks
    """
    from mmuexp.trace import info as work

    with progress_bar() as show:
        told = work.info(file, show)
    if format_ == "json":
        _json(told)
    else:
        from mmuexp.render.terminal.wrap import wrapped

        print(wrapped(work.lines(told)), flush=True)


@command.command()
@click.argument("file")
@click.option("-n", "count", metavar="N", type=click.IntRange(min=0), default=10, help="Print this many rows.  [10]")
@click.option("--start", metavar="ROW", type=click.IntRange(min=0), default=0, help="Begin at this row.  [0]")
@format_option(("table", "csv", "json"), default="table")
def head(file, count, start, format_) -> None:
    """Print the first rows of a trace.

    \b
    Examples:
      mmuexp trace head gzip.arrow
      mmuexp trace head -n 20 --start 1000000 gzip.arrow
    """
    from mmuexp.trace.head import COLUMNS, rows

    wanted = rows(file, start, count)
    if format_ == "json":
        _json([row._asdict() for row in wanted])
    elif format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(wanted)
    else:
        print(f"{'row':>12}  {'op':<10}  {'vaddr':<10}  {'size':>5}  {'insns':>5}  {'flags':<7}  page")
        for row in wanted:
            page = f"{row.page:#x}" if row.page or row.op == "MAP" else ""
            numbers = f"{row.vaddr:#010x}  {row.size:>5}  {row.insns:>5}"
            line = f"{row.row:>12,}  {row.op:<10}  {numbers}  {row.flags:<7}  {page}"
            print(line.rstrip())
    sys.stdout.flush()


@command.command(short_help="Check schema, digests and rows.")
@click.argument("file")
@FORMATS
def verify(file, format_) -> None:
    """Check a trace's schema, digests and rows, and name the first bad row (exit code 3).

    \b
    Examples:
      mmuexp trace verify gzip.arrow
      mmuexp trace verify --format json gzip.arrow

    States: ok; FAILED; warning (suspicious, but no error); unknown (the file does not hold what it takes to check).
    """
    from mmuexp.errors import CheckFailed, one_line
    from mmuexp.trace import verify as work

    with progress_bar() as show:
        checks = work.verify(file, show)
    if format_ == "json":
        _json([check._asdict() for check in checks])
    else:
        from mmuexp.render.terminal.wrap import wrapped

        print(wrapped(f"{check.name:<15}{check.state:<9}{one_line(check.detail)}" for check in checks))
        sys.stdout.flush()
    bad = [check for check in checks if check.state == work.FAILED]
    if bad:
        todo = "" if "; " in bad[0].detail else f"keep what is good: mmuexp trace recover {file} -o NEW.arrow"
        raise CheckFailed(f"{bad[0].name}: {bad[0].detail}", where=file, todo=todo)


@command.command(name="slice", short_help="Cut a range of rows out of a trace.", context_settings=NEGATIVE)
@click.argument("file")
@click.argument("range_", metavar="START:STOP")
@TARGET
def slice_(file, range_, target) -> None:
    """Cut rows START to STOP (not included) out of a trace, as a trace of its own.

    \b
    Examples:
      mmuexp trace slice gzip.arrow 0:1000000 -o start.arrow
      mmuexp trace slice gzip.arrow 5000000: -o rest.arrow

    The new trace begins with what is known at its start: MAP rows in system mode, else whose turn it is (THREAD).
    """
    from mmuexp.trace.reader import open_trace
    from mmuexp.trace.rewrite import parse_range, slice_trace

    with open_trace(file) as trace:
        start, stop = parse_range(range_, trace.file_rows)
        mode = trace.mode
    done = slice_trace(file, start, stop, target)
    before = f"{done.known:,} MAP rows" if mode == "system" else "a THREAD row"
    known = f" after {before} for what is known there" if done.known else ""
    say(f"wrote {target}: {done.rows:,} rows{known}")


@command.command(short_help="Write a trace again, compressed more.")
@click.argument("file")
@click.option("--level", metavar="N", type=int, help="ZSTD's, 1 to 22.  [15]")
@TARGET
def compress(file, level, target) -> None:
    """Write a trace again, with more work put into its compression: a smaller file, which decodes faster.

    \b
    Examples:
      mmuexp trace compress gzip.arrow -o small.arrow
      mmuexp trace compress gzip.arrow --level 19 -o smallest.arrow

    Rows and metadata stay as they are. Above level 15 a file shrinks on, but decodes slower.
    """
    from mmuexp.trace.rewrite import compress_trace

    done = compress_trace(file, target, **({} if level is None else {"level": level}))
    say(f"wrote {target}: {done.rows:,} rows, {done.before_bytes:,} bytes before, {done.after_bytes:,} now")


@command.command(short_help="Move a user-mode recording to another load address.")
@click.argument("file")
@click.option("--seed", metavar="N", type=int, required=True, help="Which load address; 0 is as recorded.")
@click.option("--join-pages", metavar="N", type=int, help="Pages at most N apart move together.  [256]")
@click.option("--move-bits", metavar="N", type=int, help="Draw each offset from 2**N pages around 0.  [8]")
@TARGET
def relocate(file, seed, join_pages, move_bits, target) -> None:
    """Move a user-mode recording to another load address, each region of it by whole pages.

    \b
    Examples:
      mmuexp trace relocate gzip.arrow --seed 7 -o moved.arrow
      mmuexp trace relocate gzip.arrow --seed 7 --join-pages 16 -o scattered.arrow

    A region is what touched pages at most --join-pages apart make up. The same seed is the same address everywhere.
    """
    from mmuexp.trace.rewrite import relocate_file

    given = {"join_pages": join_pages, "move_bits": move_bits}
    moved = relocate_file(file, target, seed, **{name: n for name, n in given.items() if n is not None})
    for region, offset in zip(moved.regions, moved.offsets, strict=True):
        say(f"moved {region.first << 12:#010x} ({region.pages:,} pages) by {offset:+,} pages")
    say(f"wrote {target}: {moved.file_rows:,} rows")


@command.command(short_help="Write a trace's rows for other programs.")
@click.argument("file")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="NEW",
    default="-",
    help=f"Write this {any_of(WRITERS)} file; - is stdout.  [-]",
)
@click.option(
    "--to",
    type=click.Choice([suffix.removeprefix(".") for suffix in WRITERS]),
    help="Write this format, whatever NEW's suffix.  [csv on stdout]",
)
def export(file, target, to) -> None:
    """Write a trace's rows for other programs, in the format that NEW's suffix names.

    \b
    Examples:
      mmuexp trace export gzip.arrow -o gzip.parquet
      mmuexp trace export gzip.arrow -o gzip.xdin
      mmuexp trace export gzip.arrow --to lackey -o gzip.txt

    \b
    din, xdin  what Dinero reads; din has no sizes
    lackey     what valgrind's lackey prints
    """
    from mmuexp.trace.export import export as work

    done = work(file, target, to)
    for what, count in done.left.items():
        say(f"{to or os.path.splitext(target)[1][1:]} has no word for {count:,} {what}")
    if target != "-":
        say(f"wrote {target}: {done.rows:,} rows")


class _Import(click.Command):
    """Takes `--rebase` and `--rebase=16MiB`: a flag that may have a value of its own behind an equals sign."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        one = "--rebase="
        return super().parse_args(ctx, [f"--rebase-size={a[len(one) :]}" if a.startswith(one) else a for a in args])


FROM = f"Read this format: {'; '.join(f'{name}, {meaning}' for name, meaning in formats().items())}.  [by content]"


@command.command(name="import", cls=_Import, short_help="Turn what another tool recorded into a trace.")
@click.argument("file")
@TARGET
@click.option("--from", "format_", metavar="FORMAT", help=FROM)
@click.option("--thread", metavar="ID", help="Take this thread's rows alone, as if it had a file of its own.")
@click.option("--interleave", is_flag=True, help="Take all threads, in the order in which they were recorded.")
@click.option("--size", metavar="BYTES", type=int, help="Where the format tells no sizes: what each access has.")
@click.option("--skip-foreign", is_flag=True, help="Leave out lines that are not the format's, and count them.")
@click.option(
    "--columns", metavar="SPEC", help="Of an address list: a address, o operation, t thread, s size, - other."
)
@click.option("--decimal", is_flag=True, help="Addresses of an address list are decimal.")
@click.option(
    "--rebase",
    is_flag=True,
    help="Make a trace of 32 bits: move each 256 MiB region, in order of first touch, into 4 GiB; --rebase=16MiB too.",
)
@click.option("--rebase-size", hidden=True, metavar="SIZE")
def import_(file, target, format_, rebase, rebase_size, thread, **given) -> None:
    """Turn what another tool recorded (a file, compressed or not; a folder; - for stdin) into a trace.

    \b
    Examples:
      mmuexp trace import lackey.log.gz -o program.arrow
      mmuexp trace import drmemtrace.server.dir --thread 4711 -o worker.arrow
      mmuexp trace import --from champsim 605.mcf.xz -o mcf.arrow

    What is read, how to record it and what is lost on the way: docs/importing.md.
    """
    from mmuexp.trace.importers import Options
    from mmuexp.trace.importers.work import import_trace

    options = Options(thread=None if thread is None else _thread(thread), **given)
    with progress_bar() as show:
        done = import_trace(
            file, target, from_format=format_, rebase=rebase_size or rebase, options=options, progress=show
        )
    for origin, new in done.moved:
        say(f"moved {origin:#x} to {new:#010x}")
    for words in (*(f"{note.number:,} {note.words}" for note in done.notes if note.number), *done.remarks):
        say(words)
    say(f"wrote {target}: {done.rows:,} rows from {done.units:,} {done.unit}s of {done.format}")


def _thread(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a thread: give its number", param_hint="--thread") from None


@command.command(short_help="Mend a trace whose writer was killed.")
@click.argument("file")
@TARGET
def recover(file, target) -> None:
    """Mend a trace whose writer was killed, or that was cut or damaged: keep its whole batches up to there.

    \b
    Examples:
      mmuexp trace recover killed.arrow -o mended.arrow
      mmuexp trace recover damaged.arrow -o good-part.arrow
    """
    from mmuexp.trace.recover import recover as work

    done = work(file, target)
    say(f"wrote {target}: {done.rows:,} rows; {os.path.basename(file)}: {done.reason}")


def _json(value) -> None:
    json.dump(value, sys.stdout, indent=2)
    print(flush=True)
