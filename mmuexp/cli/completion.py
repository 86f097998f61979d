"""`mmuexp completion`: the script by which a shell completes command lines, printed or put where the shell looks."""

import os
from pathlib import Path
from typing import Any

import click

from mmuexp.cli.console import say

# shell -> where it looks for a user's scripts: a variable, the folder without it, the file
PLACES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/mmuexp"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_mmuexp"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/mmuexp.fish"),
}
NEXT = {
    "bash": "a new shell completes, if the package bash-completion is installed",
    "zsh": "put `fpath+=({folder})` before compinit in ~/.zshrc, and start a new shell",
    "fish": "a new shell completes",
}


@click.command()
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.option("--install", is_flag=True, help="Write it to where the shell looks for a user's scripts.")
def command(shell: str, install: bool) -> None:
    """Print the script by which a shell completes commands, options, schemes, parameters, hosts and files.

    \b
    Examples:
      mmuexp completion bash
      mmuexp completion fish

    With --install it is written below your home folder, and one line says where.
    """
    from click.shell_completion import BashComplete, get_completion_class

    from mmuexp.cli.main import COMPLETE, group

    if shell == "bash":
        source = BashComplete.source_template % {
            "complete_func": "_mmuexp_completion",
            "complete_var": COMPLETE,
            "prog_name": "mmuexp",
        }  # fmt: skip  (click's `source` would start a bash, to look at its version)
    else:
        complete: Any = get_completion_class(shell)
        source = complete(group, {}, "mmuexp", COMPLETE).source()
    if shell == "fish":  # a value with a comma in it, such as map-block,evict=, is one value
        source = source.replace('string split ","', 'string split --max 1 ","')
    if not install:
        click.echo(source)
        return
    variable, otherwise, name = PLACES[shell]
    target = Path(os.environ.get(variable) or Path.home() / otherwise) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source + "\n", encoding="utf-8")
    say(f"wrote {target}; {NEXT[shell].format(folder=target.parent)}")
