"""`mmuexp export`."""

import click

from mmuexp.cli import options, output


@click.command()
@click.argument("result", metavar="RESULT")
@options.host_options("Price the counts anew, at this host profile.  [the prices that RESULT was saved with]")
@options.schemes_option("Where RESULT is priced anew and holds a scheme of your own: its file; repeatable.")
@options.result_options
def command(result, host, specs, outputs, format_, checks) -> None:
    """Write a saved result's tables again, in another format or at other prices, without a replay.

    \b
    Examples:
      mmuexp export result.json -o result.csv
      mmuexp export result.json --host pentium4-2004 --price signal=900

    RESULT is what compare or sweep wrote with -o: .json, or .csv or .parquet (with the manifest beside it).
    """
    from mmuexp.result.saved import load

    if specs and host is None:
        raise click.UsageError("a scheme is wanted where prices are; give --host or --price, too")
    saved = load(result)
    if host is not None:
        from mmuexp.analysis.reprice import reprice

        saved = reprice(saved, host, strategies=specs or None)
    numbers = [name for name, kind in saved.frame.dtypes.items() if kind.kind in "iuf"]
    schemes = list(dict.fromkeys(saved.frame["strategy"]))
    output.run_and_save(lambda progress: saved, outputs, format_, checks, numbers, schemes)
