"""The options that several commands share."""

from collections.abc import Callable, Iterable, Sequence

import click

from mmuexp.render.export import PRINTABLE, WRITERS

FORMATS = ("table", *(suffix.removeprefix(".") for suffix in PRINTABLE))
Decorator = Callable[[Callable], Callable]

trace_option = click.option("--trace", "traces", metavar="FILE", multiple=True, help="Replay this trace; repeatable.")
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replay with N threads; 1 decodes in the same one, too.  [as many as cores]",
)
warmup_option = click.option(
    "--warmup",
    type=click.IntRange(min=0),
    metavar="ROWS",
    help="Count from this row on, with all that the rows before it left in tables and pools.  [0]",
)
store_option = click.option(
    "--no-store",
    "store",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Replay all, and keep nothing: do not take what was counted before of the same rows.",
)
cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Have the workers of a Dask cluster count: tcp://HOST:PORT of its scheduler, or local:N for N processes here.",
)
checks_option = click.option(
    "--fail-if",
    "checks",
    metavar="EXPR",
    multiple=True,
    help="Exit with code 3 if EXPR is true of a row: softmmu:tlb_fills>1000, map-block:access_ns > 1.05 *"
    " softmmu:access_ns. `mmuexp help columns` lists the columns.",
)


def any_of(suffixes: Iterable[str]) -> str:
    """List suffixes as help texts do: `.csv .json or .md`."""
    *others, last = suffixes
    return f"{' '.join(others)} or {last}" if others else last


def out_option(help_: str) -> Decorator:
    """-o FILE, repeatable, as `outputs`."""
    return click.option("-o", "outputs", metavar="FILE", multiple=True, help=help_)


def format_option(
    formats: Sequence[str] = FORMATS, help_: str = "Write stdout in this format.  [table]", default: str | None = None
) -> Decorator:
    """--format, as `format_`."""
    return click.option("--format", "format_", type=click.Choice(formats), default=default, help=help_)


def result_options(command: Callable) -> Callable:
    """-o FILE, --format and --fail-if, for commands that print a Result."""
    out = out_option(
        f"Write the result to FILE, a {any_of(WRITERS)}, instead of the table; -o - also prints it. Repeatable."
    )
    return out(format_option()(checks_option(command)))


def schemes_option(help_: str, metavar: str = "SPEC", required: bool = False) -> Decorator:
    """-s SPEC, repeatable, as `specs`."""
    return click.option("-s", "--strategy", "specs", metavar=metavar, multiple=True, required=required, help=help_)


def host_options(
    help_: str = "Take the prices of this host profile, by its name or as a TOML file of your own.  [epyc-vm]",
) -> Decorator:
    """--host PROFILE, and --price, whose prices follow the profile's name as settings follow a scheme's."""

    def keep(ctx: click.Context, _param: click.Parameter, prices: Sequence[str]) -> None:
        for price in prices:
            if not all(price.partition("=")) or "," in price:
                raise click.BadParameter(f"{price!r} is not a price; give one as in signal=300 (ns)")
        ctx.meta["mmuexp.prices"] = prices

    def named(ctx: click.Context, _param: click.Parameter, host: str | None) -> str | None:
        if host == "":
            raise click.BadParameter("'' is not a host profile; give the name of one, or a TOML file of your own")
        prices = ctx.meta.get("mmuexp.prices", ())
        return ",".join([host or "", *prices]) if prices else host

    def add(command: Callable) -> Callable:
        price = click.option(
            "--price",
            metavar="PRIMITIVE=NS",
            multiple=True,
            is_eager=True,  # known before the profile is named
            expose_value=False,
            callback=keep,
            help="Take this price in place of the profile's: signal=300; repeatable.",
        )
        return click.option("--host", metavar="PROFILE", callback=named, help=help_)(price(command))

    return add


def thread_option(command: Callable) -> Callable:
    """--thread, as the number that the Python interface takes, None for all."""

    def checked(_context: click.Context, _parameter: click.Parameter, text: str) -> int | None:
        if text == "all":
            return None
        from mmuexp.errors import UsageError
        from mmuexp.trace.threads import checked_thread

        try:
            return checked_thread(text)
        except UsageError as error:
            raise click.BadParameter(f"{error.what}; {error.todo}") from None

    help_ = "Take the rows of this thread alone; `mmuexp trace info` names them.  [all]"
    return click.option("--thread", metavar="ID|all", default="all", callback=checked, help=help_)(command)
