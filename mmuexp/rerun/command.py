"""The words of an experiment's command -> a run of `compare`, `sweep` or `misses`, whatever folder one stands in.

A recording is FOLDER/word, ROOT/word or ROOT/traces/word, with .arrow or without. ROOT is the nearest folder above
that holds traces/; outside of a repository the folder itself, and the recordings that come with the package. In the
results it is called by its path from ROOT, so that tables do not tell where they were made.
"""

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.rerun.about import FILE, About
from mmuexp.result.table import Result

# option -> the parameter of `compare`, `sweep` or `misses` that it stands for
OPTIONS = {"--trace": "traces", "-s": "strategies", "--strategy": "strategies", "--reference": "reference"}
OPTIONS |= {"--host": "host", "--every": "every", "--warmup": "warmup", "--rounds": "rounds", "--time": "seconds"}
OPTIONS |= {"--load-seed": "load_seed", "--join-pages": "join_pages", "--move-bits": "move_bits", "--live": "live"}
SHARED = {"params", "traces", "strategies"}
KINDS = {"compare": SHARED | {"reference", "host", "every", "warmup", "live", "rounds", "seconds"}}
KINDS |= {"sweep": SHARED | {"reference", "host", "warmup"}}
KINDS |= {"misses": SHARED | {"load_seed", "join_pages", "move_bits"}}
WHOLE = {"every", "warmup", "rounds", "join_pages", "move_bits"}
TRACES = "traces"


class MissingRecording(MmuexpError):
    """An experiment whose recording is not on this machine."""


@dataclass(frozen=True)
class Call:
    """`kind` is one of KINDS; `traces` label -> file, None if it is nowhere; `options` as that function takes."""

    kind: str
    words: tuple[str, ...]
    traces: dict[str, Path | None]
    params: tuple[str, ...]
    strategies: tuple[str, ...]
    options: dict[str, Any]

    @property
    def line(self) -> str:
        """As one may type it in ROOT."""
        return shlex.join(["mmuexp", *self.words])

    @property
    def live(self) -> bool:
        """Is it measured, too?"""
        return bool(self.options.get("live"))

    @property
    def missing(self) -> list[str]:
        return [label for label, file in self.traces.items() if file is None]


def root_of(folder: Path) -> Path:
    """The repository that the folder lies in, or the folder."""
    return next((above for above in folder.parents if (above / TRACES).is_dir()), folder)


def calls_of(about: About) -> dict[str, Call]:
    """The name of each command -> what it runs. Raises MmuexpError for words that are not a command."""
    return {name: _call(about, words) for name, words in about.commands.items()}


def _call(about: About, words: Sequence[str]) -> Call:
    kind, *rest = words
    if kind not in KINDS:
        raise about.error(f"command {kind!r} cannot be run again", todo=f"give {' or '.join(KINDS)}")
    shown, traces, options = [kind], {}, {}
    listed: dict[str, list[str]] = {"params": [], "strategies": []}
    for flag, name, value in _split(rest, kind, about):
        if name not in KINDS[kind]:
            raise about.error(f"{kind} has no {flag}", todo="leave it out")
        told = value
        if name == "traces":
            told, file = _find(about.folder, value)
            traces[told] = file
        elif name in SHARED:
            listed[name].append(_beside(about.folder, value))
        elif name in options:
            raise about.error(f"{flag} is given twice", todo="give it once")
        else:
            options[name] = _option(flag, name, value, about)
        bare = name == "params" or (name == "traces" and kind != "sweep")
        shown += [*[flag] * (not bare), *[told] * (name != "live")]
    return Call(kind, tuple(shown), traces, tuple(listed["params"]), tuple(listed["strategies"]), options)


def _split(words: Sequence[str], kind: str, about: About) -> Iterator[tuple[str, str, str]]:
    """(option, the parameter that it stands for, value) of each word or pair of words; the value of --live is ""."""
    left = list(words)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if flag in OPTIONS:
            if flag != "--live" and not equals:
                if not left:
                    raise about.error(f"{flag} has no value", todo="write one behind it")
                value = left.pop(0)
            yield "-s" if flag == "--strategy" else flag, OPTIONS[flag], value
        elif word.startswith("-"):
            todo = f"a command may have {' '.join(OPTIONS)}; its files are made by `mmuexp rerun`"
            raise about.error(f"{flag} has no place in a command", todo=todo)
        else:
            yield "--trace", "params" if kind == "sweep" else "traces", word


def _option(flag: str, name: str, value: str, about: About) -> Any:
    """The value of an option, as the parameter takes it."""
    if name == "live":
        return True
    if name == "load_seed":
        from mmuexp.analysis.ranges import expand
        from mmuexp.trace.loadseed import seeds_of

        where = f"{about.name}/{FILE}"
        return seeds_of(expand(value, what=where), where)
    if name in WHOLE:
        if not value.replace("_", "").isdecimal():
            raise about.error(f"{flag} {value!r} is not a whole number")
        return int(value)
    if name == "seconds":
        try:
            return float(value)
        except ValueError:
            raise about.error(f"{flag} {value!r} is not a number") from None
    return _beside(about.folder, value)


def _beside(folder: Path, word: str) -> str:
    """A file that a word begins with (a scheme, a host profile), if it stands in the folder or in ROOT."""
    name, comma, rest = word.partition(",")
    if name.endswith((".py", ".toml")):
        for place in (folder, root_of(folder)):
            if (place / name).is_file():
                return f"{place / name}{comma}{rest}"
    return word


def _find(folder: Path, word: str) -> tuple[str, Path | None]:
    """(how it is called, its file, None if it is nowhere) of a recording."""
    root = root_of(folder)
    names = [word] if word.endswith(".arrow") else [word, f"{word}.arrow"]
    places = [folder / name for name in names] + [root / name for name in names]
    places += [root / TRACES / name for name in names]
    for place in places:
        if place.is_file():
            file = Path(os.path.normpath(place))
            return (str(file.relative_to(root)) if file.is_relative_to(root) else word), file
    for name in names:
        bundled = resources.files("mmuexp.traces") / name
        if isinstance(bundled, Path) and bundled.is_file():
            return f"{TRACES}/{name}", bundled
    return word, None


def run(
    about: About, call: Call, progress: Callable[[str, int, int | None], None] | None = None, store: bool = True
) -> Result:
    """Replay, or take what the store has. Raises MissingRecording, which says what makes it, and MmuexpError."""
    from mmuexp.analysis.compare import compare, sweep
    from mmuexp.analysis.misses import misses

    if call.missing:
        made = f"make it: {about.recipe}" if about.recipe else "put it into the folder, or see traces/README.md"
        raise MissingRecording(f"needs the recording {call.missing[0]}, which is not here", where=about.name, todo=made)
    labels = {str(file): label for label, file in call.traces.items()}
    traces, schemes = list(labels) or None, list(call.strategies) or None
    options = {**call.options, "store": store, "progress": progress, "command": ["mmuexp", *call.words]}
    if call.kind == "sweep":
        if len(call.strategies) > 1:
            raise MmuexpError("a sweep varies one scheme", where=about.name, todo="give one -s")
        result = sweep(call.params, traces, strategy=schemes and schemes[0], **options)
    else:
        result = (compare if call.kind == "compare" else misses)(traces, schemes, **options)
    return _called(result, labels)


def _called(result: Result, labels: dict[str, str]) -> Result:
    """The result with recordings by their labels, in place of the paths of this machine."""
    result.frame["trace"] = [labels.get(trace, trace) for trace in result.frame["trace"]]
    for part in ("traces", "verdicts", "certainty", "pressure", "second_half", "left_out", "from_store", "failed"):
        for one in result.manifest.get(part, []):
            one["trace"] = labels.get(one["trace"], one["trace"])
    return result
