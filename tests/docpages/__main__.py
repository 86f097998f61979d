"""Writes what the commands print today into README.md and docs/, draws its pictures, and runs its notebook."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from . import notebook, pictures, prices, reference
from .blocks import difference, renewed
from .pages import NOT_RUN, PAGES, ROOT, commands
from .run import execute, program, scratch


def write_page(page: Path, folder: Path) -> None:
    text = page.read_text()
    lines, shift = text.splitlines(), 0
    with scratch(folder, program() if "./program" in text else None):
        for command in commands(text):
            if command.runs == NOT_RUN:
                continue
            done = execute(command)
            if done.code:
                sys.exit(f"{page.name}: {command.line}: {done.err.strip()}")
            if command.shown and difference(command.shown, done.out):
                now = renewed(command.shown, done.out)
                begin = command.first + shift
                lines[begin : begin + len(command.shown)] = now
                shift += len(now) - len(command.shown)
                print(f"{page.name}: renewed {command.line}")
    page.write_text("\n".join(lines) + "\n")
    for name in pictures.drawn(folder):
        if pictures.is_stale(folder, name):
            (ROOT / name).write_bytes((folder / name).read_bytes())
            print(f"{page.name}: drew {name}")


def main() -> None:
    reference.PAGE.write_text(reference.text())
    prices.PAGE.write_text(prices.text())
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            write_page(page, Path(folder))
    if notebook.renew():
        print("notebook.ipynb: renewed")


main()
