"""What may stand where the cursor is, for the shell: schemes, their parameters, host profiles, files, commands.

It must answer while the user waits, so no scheme is imported (that costs seconds of numba): names and parameters are
read from the source of the files in strategies/.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

LOAD_SEED = "load_seed"


@cache
def schemes() -> dict[str, tuple[str, ...]]:
    """Every scheme's name, and the parameters that its class declares; of other packages the names alone."""
    found: dict[str, tuple[str, ...]] = {}
    spec = find_spec("mmuexp.strategies")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("[a-z]*.py")):
            found |= dict(_declared(path))
    return found | {point.name: () for point in entry_points(group="mmuexp.strategies")}


def _declared(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            body: list[Any] = node.body
            names = [one.value.value for one in body if _assigns(one, "name")]
            fields: list[Any] = [one for one in body if isinstance(one, ast.AnnAssign) and _is_param(one)]
            params = tuple(one.target.id for one in fields)
            if names:
                yield names[0], params


def _assigns(node: ast.stmt, name: str) -> bool:
    return (
        isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and ast.unparse(node.targets[0]) == name
    )


def _is_param(node: ast.AnnAssign) -> bool:
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("param")


def _beginning(words: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.lower().startswith(incomplete.lower())]


def files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


def specs(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """A scheme's name; behind a comma, its parameters that are not set yet."""
    if "/" in incomplete or incomplete.startswith("."):
        return files(ctx, incomplete)
    *settled, _ = incomplete.split(",")
    if not settled:
        return _beginning(list(schemes()), incomplete)
    set_ = {setting.partition("=")[0].lower() for setting in settled[1:]}
    params = [name for name in schemes().get(settled[0], ()) if name not in set_]
    return _beginning([f"{','.join(settled)},{name}=" for name in params], incomplete)


def swept(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """A parameter of the scheme of -s, or of any; a file if no parameter begins so."""
    chosen = [spec.partition(",")[0] for spec in ctx.params.get("specs") or ()]
    owners = [params for name, params in schemes().items() if not chosen or name in chosen]
    names = sorted({name for params in owners for name in params} | {LOAD_SEED})
    return _beginning(names, incomplete) or files(ctx, incomplete)


def hosts(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from mmuexp.price.host import profile_names

    return _beginning(profile_names(), incomplete) or files(ctx, incomplete)


def prices(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from mmuexp.price.primitives import PRICES

    return _beginning([f"{primitive}=" for primitive in PRICES], incomplete)


def commands(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from mmuexp.cli.main import COMMANDS

    return _beginning(list(COMMANDS), incomplete)


BY_METAVAR: dict[str | None, Callable[[click.Context, str], list[CompletionItem]]] = {
    "SPEC": specs,
    "NAME": specs,
    "PARAM[=RANGE]... [FILE]...": swept,
    "PROFILE": hosts,
    "PRIMITIVE=NS": prices,
    "[COMMAND]...": commands,
    **dict.fromkeys(["FILE", "[FILE]", "[FILE]...", "FILE.html", "NEW", "RESULT", "A", "B", None], files),
    **dict.fromkeys(["FOLDER", "[FOLDER]...", "[RESULTS]"], folders),
}


def teach(command: click.Command) -> None:
    """Give each parameter of the command, and of those below it, what completes it: its metavar tells what it is."""
    for param in command.params:
        text = isinstance(param.type, click.types.StringParamType) and not getattr(param, "is_flag", False)
        if text and (complete := BY_METAVAR.get(param.metavar)):
            vars(param)["shell_complete"] = complete
    for child in getattr(command, "commands", {}).values():
        teach(child)
