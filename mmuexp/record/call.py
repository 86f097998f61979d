"""Serves `mmuexp.record`: one function for programs and guests, whose arguments nobody has checked before."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmuexp.errors import UsageError, option
from mmuexp.record.qemu import record
from mmuexp.record.session import Recording
from mmuexp.record.system import record_system

OF_PROGRAMS = ("root", "start_at_pc")
OF_GUESTS = ("guest", "start_on_output", "stop_on_output")


def called(command: Sequence[str], output: Any, *, system: bool, only: Mapping[str, Any], how: dict) -> Recording:
    """Record what `command` says; `only` holds the options of programs or of guests alone, `how` those of both.

    Raises UsageError for arguments that do not fit, MmuexpError as `record` and `record_system` do.
    """
    if isinstance(command, str | bytes) or not all(isinstance(word, str | os.PathLike) for word in command):
        raise UsageError(f"{command!r} is not a list of texts", where="command", todo="give a text for each word")
    words = [os.fspath(word) for word in command]
    if not words:
        raise UsageError("is empty", where="command", todo="name a program, or arguments of QEMU")
    for name in OF_PROGRAMS if system else OF_GUESTS:
        if only[name] is not None:
            whose = "programs" if system else "guests"
            raise UsageError(f"is for {whose}", where=option(name), todo="leave it out")
    _checked(how)
    given = {name: only[name] for name in (OF_GUESTS if system else OF_PROGRAMS)}
    run: Callable[..., Recording] = record_system if system else record
    if given.get("root") is not None:
        given["root"] = os.fspath(given["root"])
    note = how.pop("note") or (lambda line: None)
    done = run(words, os.fspath(output), **given, **how, note=note)
    if done.failure:
        raise done.failure
    return done


def _checked(how: Mapping[str, Any]) -> None:
    for name, least in (("skip", 0), ("limit", 1)):
        rows = how[name]
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < least):
            raise UsageError(f"{rows!r} rows", where=option(name), todo=f"give a whole number from {least}")
    seconds = how["seconds"]
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise UsageError(f"{seconds!r} seconds", where=option("time_limit"), todo="give more than 0")
