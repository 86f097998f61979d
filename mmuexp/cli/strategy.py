"""`mmuexp strategy`: what schemes there are, what each is, and whether somebody's file keeps the contract."""

import json
import sys

import click

from mmuexp.cli.console import say
from mmuexp.cli.options import format_option


@click.group()
def command() -> None:
    """List, explain and check the translation schemes.

    \b
    Examples:
      mmuexp strategy list
      mmuexp strategy show map-block
    """


@command.command("list")
@format_option(("table", "json"), default="table")
def list_(format_: str) -> None:
    """List the schemes: name, hit path, parameters, whose they are.

    The first sentence of each stands there too, and the emulators that are known by it.

    \b
    Examples:
      mmuexp strategy list
      mmuexp strategy list --format json
    """
    from mmuexp.render.terminal.wrap import wrapped
    from mmuexp.strategy.describe import instructions, summary
    from mmuexp.strategy.registry import all_strategies

    broken: list = []
    found = [summary(cls) for cls in all_strategies(broken=broken).values()]
    for error in broken:
        say(str(error))
    if format_ == "json":
        click.echo(json.dumps(found, indent=2))
        return
    width = max(len(one["name"]) for one in found)
    for one in found:
        line = f"{'':<{width}}  {instructions(one['hit_insns'])} on a hit; {' '.join(one['parameters'])}"
        known = ", ".join(design["name"] for design in one["designs"])
        lines = [f"{one['name']:<{width}}  {one['what']}", line, *[f"{'':<{width}}  as in: {known}"] * bool(known)]
        click.echo(wrapped(lines))


@command.command("show", short_help="Explain one scheme: its fast path, events, prices, parameters.")
@click.argument("name", metavar="NAME")
@format_option(("text", "json"), "Write stdout in this format.  [text]", default="text")
def show(name: str, format_: str) -> None:
    """Explain one scheme: what it is, its fast path, its events and prices with sources, its parameters with ranges.

    \b
    Examples:
      mmuexp strategy show map-block
      mmuexp strategy show softmmu --format json
    """
    from mmuexp.render.terminal.wrap import wrapped
    from mmuexp.strategy.describe import as_text, description
    from mmuexp.strategy.registry import parse_spec

    strategy = parse_spec(name)
    about = description(strategy)
    click.echo(json.dumps(about, indent=2) if format_ == "json" else wrapped(as_text(about).splitlines()))


@command.command("check", short_help="Run the contract tests on a strategy of your own.")
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--trace", "traces", metavar="FILE", multiple=True, type=click.Path(), help="Check on a recording, too.")
def check(file: str, traces: tuple[str, ...]) -> None:
    """Run the contract tests on a strategy of your own: a Python file, or the name of a registered scheme.

    A file that passes is trusted until it changes: from then on it runs without bounds checks, as fast as our own.

    \b
    Examples:
      mmuexp strategy check strategies/softmmu.py
      mmuexp strategy check strategies/softmmu.py --trace traces/lu.arrow
      mmuexp strategy check softmmu
    """
    from pathlib import Path

    from mmuexp.contract.rules import check as run_checks
    from mmuexp.errors import CheckFailed
    from mmuexp.strategy.registry import namesake, strategies_of_file, strategy_class
    from mmuexp.trace import open_trace

    for trace in traces:  # one that cannot be read is told before the checks, which take a minute
        open_trace(trace).close()
    path = Path(file)
    classes = strategies_of_file(path) if path.suffix == ".py" or path.exists() else [strategy_class(file)]
    failed = 0
    for cls in classes:
        if namesake(cls):
            say(f"{file}: {cls.name} is a scheme of mmuexp, too; name yours otherwise to compare the two")
        for what, wrong in run_checks(cls, traces):
            failed += wrong is not None
            click.echo(f"{cls.name}: {'FAILED' if wrong else 'ok    '} {what}" + (f"\n    {wrong}" if wrong else ""))
            sys.stdout.flush()
    if failed:
        raise CheckFailed(f"{failed} of the contract's checks failed", where=file, todo="mend the first")
