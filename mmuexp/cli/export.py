"""`mmuexp export`."""

import click

from mmuexp.cli import output


@click.command(short_help="Write a saved result's tables again, in another format, without a replay.")
@click.argument("result", metavar="RESULT")
@output.output_options
def command(result, outputs, format_, checks) -> None:
    """Write a saved result's tables again, in another format, without a replay.

    \b
    Examples:
      mmuexp export result.json -o result.csv
      mmuexp export result.json --format md

    RESULT is what compare or sweep wrote with -o: .json, or .csv or .parquet (with the manifest beside it).
    """
    from mmuexp.export import load

    saved = load(result)
    numbers = [name for name, kind in saved.frame.dtypes.items() if kind.kind in "iuf"]
    schemes = list(dict.fromkeys(saved.frame["strategy"]))
    output.run_and_save(lambda progress: saved, outputs, format_, checks, numbers, schemes)
