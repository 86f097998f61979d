"""Prints README.md's table of the recordings, from the files themselves.

python3 table.py   (with mmuexp installed, from this folder)
"""

from pathlib import Path

from mmuexp.trace import digest, open_trace

PACKAGES = {"gzip": "gzip 1.12-1", "bzip2": "bzip2 1.0.8-5+b1", "luajit": "luajit 2.1.0~beta3+git20220320"}
PACKAGES |= {"python": "python3.11 3.11.2-6+deb12u8, from the script on", "tcc": "tcc 0.9.27+git20200814"}
PACKAGES |= {f"{name}64": f"{PACKAGES[name]}, amd64" for name in ("gzip", "python", "tcc")}
LINUX = {"i386": "Linux 6.1.176-1 booting, from row {:,}", "x86_64": "Linux 6.1.192-3, amd64, booting, from row {:,}"}


def line(path: Path) -> str:
    trace = open_trace(path)
    per_row = trace.size_bytes / trace.rows
    program = PACKAGES.get(path.stem, f"workloads/{path.stem}")
    if trace.mode == "system":
        program = LINUX[trace.metadata["guest"]].format(trace.window[0])
    cells = [
        f"`{path.name}`",
        program,
        f"`{trace.metadata['command']}`",
        trace.metadata["date"][:10],
        f"{trace.rows:,}",
        f"{trace.size_bytes:,}",
        f"{per_row:.2f}",
        f"`{digest(path)}`",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    print("| file | program | command | date | rows | bytes | B/row | sha256 |")
    print("|---|---|---|---|---:|---:|---:|---|")
    for path in sorted(Path(__file__).parent.parent.glob("*.arrow"), key=lambda p: -p.stat().st_size):
        print(line(path))


main()
