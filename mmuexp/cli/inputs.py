"""No command writes over a file that it reads, by whatever name or suffix it is given."""

from collections.abc import Iterator
from functools import wraps
from typing import Any

import click

OUTPUT, STDIN = "-o", "-"
LOOK_THEMSELVES = ("diff", "record", "trace")  # they say more exactly what the file is


def guard_inputs(name: str, command: click.Command) -> None:
    """Let a command refuse an output that is one of its inputs before it begins."""
    work = command.callback
    writes = any(OUTPUT in param.opts for param in command.params)
    if name in LOOK_THEMSELVES or work is None or not writes or hasattr(work, "__wrapped__"):
        return

    @wraps(work)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _refuse_inputs(click.get_current_context())
        return work(*args, **kwargs)

    command.callback = guarded


def _refuse_inputs(ctx: click.Context) -> None:
    outputs: list[str] = []
    inputs: list[str] = []
    for param in ctx.command.params:
        (outputs if OUTPUT in param.opts else inputs).extend(_texts(ctx.params.get(param.name or "")))
    if not (outputs and inputs):
        return
    from mmuexp.errors import refuse_itself
    from mmuexp.result.manifest import SUFFIX

    read = [name for text in inputs for name in _files(text)]
    for output in outputs:
        for name in read:
            refuse_itself(name, output, "is read by this command")
            refuse_itself(name, output + SUFFIX, "is read by this command")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _texts(one)


def _files(text: str) -> Iterator[str]:
    """The files that an argument may mean: a trace, a profile, a scheme before its settings."""
    yield "/dev/stdin" if text == STDIN else text
    if "," in text:
        yield text.partition(",")[0]
