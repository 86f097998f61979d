"""The commands that are interrupted: what each is given, and the files that it may leave."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "traces"


class Command(NamedTuple):
    """`words` after `mmuexp`; `writes` are the files of the folder that it runs in. `endless`: it never ends itself."""

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    endless: bool = False


def _with_manifests(*names: str) -> tuple[str, ...]:
    return (*names, *(f"{name}.manifest.json" for name in names))


def _to(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("-o", name))


def prepare(folder: Path) -> dict[str, Command]:
    """The commands by name; what they read is made in `folder`."""
    lu, small, guest = str(TRACES / "lu.arrow"), str(TRACES / "ownpage.arrow"), str(TRACES / "linux_early.arrow")
    saved, log, program = folder / "saved.json", folder / "lackey.gz", folder / "spin"
    _run(sys.executable, "-m", "mmuexp", "compare", small, "-s", "softmmu", "-s", "map-block", "-o", str(saved))
    lines = [b"I  08048000,4\n", b" L 09000000,4\n", b" S 09000004,4\n"]
    log.write_bytes(gzip.compress(b"".join(lines) * 400_000, 1))
    _run("gcc", "-m32", "-static", "-o", str(program), "-x", "c", "-", input=b"int main(void) { for (;;) ; }")
    pages = ("a.csv", "b.html", "c.svg")
    both = ("-s", "softmmu", "-s", "map-block")
    return {
        "compare": Command(("compare", small, lu, *both, *_to("c.csv")), _with_manifests("c.csv")),
        "compare page": Command(("compare", small, *both, *_to("c.html", "c.svg")), _with_manifests("c.html", "c.svg")),
        "compare guest": Command(("compare", guest, "--format", "csv")),
        "compare live": Command(("compare", small, "--live", *both)),
        "sweep": Command(("sweep", "MAP_BLOCK_BITS", "--trace", small, "-o", "s.csv"), _with_manifests("s.csv")),
        "misses": Command(("misses", lu, "--load-seed", "0..3")),
        "faults": Command(("faults", lu, "-s", "map-block", "-o", "f.csv"), _with_manifests("f.csv")),
        "verify": Command(("verify", small, *both)),
        "record": Command(("record", "-o", "r.arrow", "--", str(program)), ("r.arrow",), True),
        "record guest": Command(("record", "--system", "-o", "g.arrow", "--", "-display", "none"), ("g.arrow",), True),
        "report": Command(("report", "-o", "r.html"), _with_manifests("r.html")),
        "rerun": Command(("rerun", str(ROOT / "results" / "page-crossing"), "--check")),
        "claims": Command(("claims", "-o", "c.csv"), _with_manifests("c.csv")),
        "calibrate": Command(("calibrate", "--rounds", "3", "-o", "here.toml"), ("here.toml",)),
        "strategy check": Command(("strategy", "check", "map-block")),
        "export": Command(("export", str(saved), *_to(*pages)), _with_manifests(*pages)),
        "diff": Command(("diff", str(saved), str(saved), "-o", "d.csv"), _with_manifests("d.csv")),
        "trace info": Command(("trace", "info", guest)),
        "trace verify": Command(("trace", "verify", lu)),
        "trace head": Command(("trace", "head", lu)),
        "trace slice": Command(("trace", "slice", lu, "5:2000000", "-o", "t.arrow"), ("t.arrow",)),
        "trace compress": Command(("trace", "compress", lu, "-o", "t.arrow"), ("t.arrow",)),
        "trace recover": Command(("trace", "recover", lu, "-o", "t.arrow"), ("t.arrow",)),
        "trace export": Command(("trace", "export", lu, "-o", "t.csv"), ("t.csv",)),
        "trace relocate": Command(("trace", "relocate", lu, "--seed", "7", "-o", "t.arrow"), ("t.arrow",)),
        "trace import": Command(("trace", "import", str(log), "-o", "t.arrow"), ("t.arrow",)),
    }  # fmt: skip


def _run(*words: str, **options) -> None:
    subprocess.run(words, check=True, capture_output=True, **options)
