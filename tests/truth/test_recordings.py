"""The bundled recordings: each is whole, its entry in traces/README.md is true, and together they stay small."""

import pytest
from kit.places import TRACES

from mmuexp.trace import digest, open_trace

FILES = sorted(TRACES.glob("*.arrow"))
REAL_PROGRAMS = ["gzip.arrow", "bzip2.arrow", "luajit.arrow"]
BOTH_WIDTHS = ["gzip", "python", "tcc"]
WINDOWS = {  # first row, rows: of Linux boots, and of Python from its script on
    "linux_firmware.arrow": (0, 5_000_000),
    "linux_early.arrow": (1_197_500_000, 5_000_000),
    "linux_patching.arrow": (1_248_500_000, 3_000_000),
    "linux_user.arrow": (3_395_000_000, 5_000_000),
    "linux64_early.arrow": (1_987_000_000, 4_000_000),
    "linux64_patching.arrow": (2_068_000_000, 1_000_000),
    "linux64_user.arrow": (2_870_000_000, 3_500_000),
    "linux_spaces.arrow": (3_483_579_000, 4_000_000),
    "python.arrow": (26_284_578, 2_285_560),
    "python64.arrow": (22_654_431, 1_729_208),
}


def test_what_is_there():
    sizes = {path.name: path.stat().st_size for path in FILES}
    assert {*REAL_PROGRAMS, *WINDOWS, "crossing.arrow", "smc.arrow", "textdata.arrow"} <= sizes.keys()
    assert sum(sizes.values()) < 30e6
    assert max(sizes.values()) < 12e6
    assert sizes["luajit.arrow"] < 6e6  # it is in the wheel, which stays below 10 MB


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recording_is_what_the_readme_says(path):
    trace = open_trace(path)
    lines = (TRACES / "README.md").read_text().splitlines()
    entry = next(line for line in lines if line.startswith(f"| `{path.name}` |"))
    cells = [cell.strip().strip("`") for cell in entry.strip("|").split("|")]
    assert cells[2] == trace.metadata["command"]
    assert cells[3] == trace.metadata["date"][:10]
    assert cells[4:6] == [f"{trace.rows:,}", f"{path.stat().st_size:,}"]
    assert cells[7] == digest(path)
    mode = "system" if path.name.startswith("linux") else "user"
    window = WINDOWS.get(path.name, (0, trace.rows))
    assert (trace.mode, trace.window) == (mode, window)
    assert trace.complete in ("yes", f"the limit of {window[1]:,} rows")
    assert sum(len(batch.op) for batch in trace.batches()) == trace.rows
    if path.name in REAL_PROGRAMS:
        assert 5e6 <= trace.rows <= 20e6


@pytest.mark.parametrize("name", BOTH_WIDTHS)
def test_a_program_is_there_for_both_widths(name):
    guests, commands = [], []
    for path in (TRACES / f"{name}.arrow", TRACES / f"{name}64.arrow"):
        guests.append(open_trace(path).metadata["guest"])
        commands.append(open_trace(path).metadata["command"])
    assert guests == ["i386", "x86_64"]
    assert commands[1].replace("root64", "root").replace("x86_64-linux", "i386-linux") == commands[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recording_tells_no_path_of_the_machine_that_made_it(path):
    metadata = open_trace(path).metadata
    assert metadata["licence"].startswith("CC0-1.0")
    words = " ".join(metadata.values()).split()
    assert not [word for word in words if word.startswith(("/", "~", "'/", '"/'))]
