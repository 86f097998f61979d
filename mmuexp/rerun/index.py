"""README.md of a folder of experiments: every question with its answer, and the format of experiment.toml."""

from pathlib import Path

from mmuexp.errors import MmuexpError
from mmuexp.render.export import load
from mmuexp.rerun.about import read
from mmuexp.rerun.report import ExperimentReport
from mmuexp.rerun.rerun import MadeFile, experiments

INDEX = "README.md"
MARK = "<!-- Written by `mmuexp rerun`: change the experiment.toml of a folder, not this. -->"
INTRODUCTION = """
What the recordings say of the mail's claims. Each folder is one experiment, and all but its `experiment.toml` is made
from that: `mmuexp rerun results/NAME` makes it again, `mmuexp rerun results/NAME --check` compares every digit with
what is here, `--all` does so with all of them.
"""
FORMAT = """
## The format of experiment.toml

A folder of your own works as well: `mmuexp rerun myexp/`. `counts.csv` (with its manifest) holds the table as the
command wrote it, `report.md` question, answer and tables for reading, `chart.svg` the chart.

```toml
question = "..."
answer = "... {margin} ..."               # every {name} is a figure: no number is written by hand
recipe = "make -C traces/recipes boot"    # if its recordings are not in the repository: what makes them
quoted = ["Windows 98"]                   # numbers of the answer that are no results: a test looks for others
long = true                               # `make check` makes it again, `make test` does not
command = ["compare", "luajit", "-s", "map-block", "-s", "softmmu"]   # compare, sweep or misses, without -o
holds = [                                 # what the answer's words rest on; where it is not true, rerun exits with 3
    "map-block:ns < softmmu:ns",
    { check = "faults_code == 0", trace = ["linux_early", "linux_user"] },
]

[commands]                                # or several: each makes NAME.csv, and the first is the one that is meant
counts = ["compare", "luajit"]
pentium4 = ["compare", "luajit", "--host", "pentium4-2004"]

[columns]                                 # derived columns, for all that follows; COLUMN@RECORDING is another row's
p = "(ns@habit_10 - ns@habit_100) / (faults_code@habit_10 - faults_code@habit_100)"

[figures]                                 # an expression, or a table with value or check
faults = "map-block:faults"
margin = { value = "softmmu:ns / map-block:ns", trace = "luajit", format = "ratio" }
least = { value = "softmmu:ns / map-block:ns", take = "min", show = "trace" }
verdict = { check = "map-block:ns < softmmu:ns", yes = "was right", no = "was wrong" }

[tables.rates]                            # goes below the answer; a line for each value of the column `rows`
rows = "trace"
columns = [{ head = "faults", value = "map-block:faults", when = "map-block:faults > 0", otherwise = "none" }]

[chart]              # mmuexp.render.chart.draw; columns may be derived, `recording`, or `setting`: it and swept values
mark = "line"
x = "map_block_bits"
y = "ns"
```

* An expression is what `--fail-if` takes: `[SPEC:]COLUMN`, numbers, `+ - * / ( )`, at most one comparison. A bare
  column is that of each row in turn, `SPEC:COLUMN` that of the scheme beside it. Integers are exact. Blanks keep a SPEC
  apart from `-` and `/`. `qemu-fast` means all its runs, `qemu-fast,` the one with every default.
* Figures, holds, tables and the chart may choose rows: `of` (a command), `trace` and `strategy` (a name or several),
  `where = { map_block_bits = 12 }` (an empty cell fits). A table with `of = ["counts", "pentium4"]` is made of each;
  {host} in its title is the host of its prices.
* `take` is one (as it is: several different values are an error), min, median, max, sum, count. A check is of all rows.
  `show` is value, or a column of the row that was taken (trace, strategy). A table's columns may have both, too.
* `format` is count, ratio, percent, duration, size, digits, or as in `,.3f`.
* A word that names a recording is a file of the folder, of the repository, or of its traces/, with `.arrow` or without.
"""


def index_text(home: Path) -> str:
    """An experiment that is not made yet, or whose experiment.toml does not fit its table, stands there as such."""
    parts = ["# Results", MARK, INTRODUCTION.strip()]
    folders = experiments(home)
    parts += [_entry(folder) for folder in folders]
    others = [path for path in sorted(home.glob(f"*/{INDEX}")) if path.parent.resolve() not in folders]
    if others:
        links = ", ".join(f"[{path.parent.name}]({path.parent.name}/{INDEX})" for path in others)
        parts.append(f"Made by other commands, which their pages name: {links}.")
    return "\n\n".join(parts) + "\n\n" + FORMAT.strip() + "\n"


def _entry(folder: Path) -> str:
    try:
        about = read(folder)
        results = {name: load(str(folder / f"{name}.csv")) for name in about.commands}
        answer = ExperimentReport(about, results).answer
        return f"**[{about.name}]({about.name}/report.md)** *{about.question}*\n\n{answer}"
    except MmuexpError as error:
        return f"**{folder.name}** is not made yet: {error.what}."


def is_index(path: Path) -> bool:
    """Is this file one that was written here? Nobody else's README is touched."""
    try:
        return MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def write_index(home: Path) -> str:
    """Write README.md of `home`; returns its path."""
    file = MadeFile(str(home / INDEX))
    try:
        file.write(index_text(home).encode())
    finally:
        file.discard()
    return file.path
