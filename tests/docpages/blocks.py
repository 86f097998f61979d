"""What a page shows of a command's output, and what it should show."""

import difflib
import re

ELIDED = "..."


def difference(shown: tuple[str, ...], printed: str) -> str | None:
    """The first line shown that the command does not print there, or None. A line of `...` stands for any lines."""
    lines = iter(printed.splitlines())
    skipping = False
    for line in shown:
        if line == ELIDED:
            skipping = True
            continue
        found = next((p for p in lines if p.rstrip() == line.rstrip()), None) if skipping else next(lines, None)
        if found is None or found.rstrip() != line.rstrip():
            return f"shown: {line}\nprinted: {found}"
        skipping = False
    rest = None if skipping else next((p for p in lines if p.strip()), None)
    return None if rest is None else f"printed too, and not shown: {rest}"


def renewed(shown: tuple[str, ...], printed: str) -> list[str]:
    """`shown`, as it should be now: the same parts left out, each part as it is printed today."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    runs = _runs(shown)
    result: list[str] = []
    at = 0
    for number, run in enumerate(runs):
        if number:
            result.append(ELIDED)
        if not run:
            continue
        begin = _find(lines, at, run[0]) if number else 0
        open_end = number == len(runs) - 1
        end = len(lines) if open_end else _find(lines, begin + len(run) - 1, run[-1]) + 1
        result += lines[begin:end]
        at = end
    return result


def _runs(shown: tuple[str, ...]) -> list[list[str]]:
    """The lines between the elisions; empty at an end that is one."""
    runs: list[list[str]] = [[]]
    for line in shown:
        if line == ELIDED:
            runs.append([])
        else:
            runs[-1].append(line)
    return runs


def _find(lines: list[str], at: int, wanted: str) -> int:
    """Where the line is that says now what `wanted` said: by its name, else by its beginning, else the likest."""
    for same in (lambda line: _name(line) == _name(wanted), lambda line: line.startswith(wanted)):
        found = next((i for i in range(at, len(lines)) if same(lines[i])), None)
        if found is not None:
            return found
    likeness = [difflib.SequenceMatcher(None, line, wanted).ratio() for line in lines[at:]]
    if not likeness or max(likeness) < 0.5:
        raise LookupError(f"no line like this is printed any more: {wanted}")
    return at + likeness.index(max(likeness))


def _name(line: str) -> str:
    """What a line is about: the first column of a table; of a sentence, its words without its figures."""
    return re.sub(r"[\d.,]+", "#", re.split(r"\s{2,}", line.rstrip())[0] or line.strip())
