"""`mmuexp cache`: what lies in the user's cache and settings folders, and how to remove it."""

import json

import click

from mmuexp.cli.console import say
from mmuexp.cli.options import format_option


@click.group()
def command() -> None:
    """Say what mmuexp keeps in your home folder, and remove it.

    \b
    Examples:
      mmuexp cache info
      mmuexp cache clear

    The cache is $XDG_CACHE_HOME/mmuexp, else ~/.cache/mmuexp; settings are in $XDG_CONFIG_HOME/mmuexp, else
    ~/.config/mmuexp.
    """


@command.command(short_help="What the cache and settings folders hold.")
@format_option(("table", "json"), default="table")
def info(format_: str) -> None:
    """List what the cache and the settings folder hold, with sizes.

    \b
    Examples:
      mmuexp cache info
      mmuexp cache info --format json
    """
    from mmuexp.runtime import places

    kept, settings = places.cached(), places.settings()
    folder, settings_folder = str(places.cache_folder()), str(places.settings_folder())
    if format_ == "json":
        document = {"cache": folder, "kinds": [vars(one) for one in kept], "settings": settings_folder}
        document["settings_files"] = [str(path) for path in settings]
        click.echo(json.dumps(document, indent=2))
        return
    click.echo("cache     " + json.dumps(folder)[1:-1])
    for one in kept:
        if one.files or one.kind != places.OTHER:
            click.echo(f"  {one.kind:<8}{one.files:>6,} files {one.size_bytes / 1e6:>8,.1f} MB  {one.what}")
    click.echo("          `mmuexp cache clear` removes these; what is needed again is made again")
    click.echo("settings  " + json.dumps(settings_folder)[1:-1])
    click.echo(f"  hosts   {len(settings):>6,} files  prices that `mmuexp calibrate` measured, or yours; kept")


@command.command(short_help="Remove what mmuexp compiled and counted from the cache folder.")
def clear() -> None:
    """Remove what mmuexp compiled and counted from the cache folder; settings and files of others stay.

    \b
    Examples:
      mmuexp cache clear
      mmuexp cache clear && pip uninstall mmuexp

    What is needed again is compiled again, in some seconds; what is asked for again is replayed.
    """
    from mmuexp.runtime import places

    removed = places.clear()
    others = next(one.files for one in places.cached() if one.kind == places.OTHER)
    left = f"; left {others:,} that mmuexp did not make" if others else ""
    say(f"removed {removed.files:,} files, {removed.size_bytes / 1e6:,.1f} MB{left}")
