"""Measure every goal and write results/speed/: `make bench`, or `python -m tests.bench [--rounds N]`.

The cases of one comparison run in turn, round by round, in processes that have started and warmed up before.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from mmuexp.result import manifest

from . import peers, processes
from .measure import Bench
from .table import markdown, read_csv, write_csv

RESULTS = processes.ROOT / "results" / "speed"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each case runs [7]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="the folder to write to [results/speed]")
    given = parser.parse_args()
    os.environ["MMUEXP_STORE"] = ""  # what is timed is counted
    started, load = manifest.utc_now(), f"{os.getloadavg()[0]:.1f}"
    given.output.mkdir(parents=True, exist_ok=True)
    peers.cache_folder().mkdir(parents=True, exist_ok=True)
    python = peers.install()
    with tempfile.TemporaryDirectory(dir=peers.cache_folder()) as folder:
        bench = Bench(given.rounds, python, Path(folder))
        try:
            for part in bench.parts():
                print(f"measuring: {part.__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
                part()
        finally:
            bench.close()
    path = given.output / "speed.csv"
    write_csv(path, bench.rows)
    about = manifest.made_by("bench", ["python", "-m", "tests.bench", *sys.argv[1:]], started, "yes")
    about |= {"rounds": given.rounds, "load": load, "machine": manifest.machine(), "versions": manifest.versions()}
    about |= {"peers": peers.versions(python) | bench.programs, "libc": " ".join(platform.libc_ver())}
    write_manifest(path, about)
    (given.output / "speed.md").write_text(markdown(read_csv(path), about))
    print(f"written: {path}, {path.with_suffix('.md')}", file=sys.stderr)


def write_manifest(path: Path, about: dict) -> None:
    Path(f"{path}{manifest.SUFFIX}").write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
