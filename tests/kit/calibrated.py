"""`calibrate` with rounds that are known, for tests of what is made of them."""

import pytest

from mmuexp.live import calibrate, timing

KERNEL = {  # ns, three rounds
    "signal": [1000, 1300, 900], "mmap": [2000, 2100, 2600], "map_on_fault": [4000, 4100, 4400],
    "write_fault": [1800, 2000, 1950], "protect": [500, 600, 700], "unmap": [900, 1000, 1100],
    "unmap_all": [300, 420, 330], "walk_level": [10, 15, 12], "insn": [0.1, 0.3, 0.2],
}  # fmt: skip
ALONE = [name for name in KERNEL if name not in ("walk_level", "insn")]
KERNEL |= {f"near.{name}": [ns - 100 for ns in KERNEL[name]] for name in ALONE}
KERNEL |= {f"far.{name}": [2 * ns for ns in KERNEL[name]] for name in ALONE}
EVENTS = {"helper": [20.0, 22, 18], "scan": [0.5, 0.25, 1], "drop": [30, 40, 35], "fill": [25.123456, 24, 26]}
EVENTS |= {"split": [7.0, 6, 8]}
LOOPS = {"short hit": [0.1, 0.2, 0.3], "long hit": [0.1, 0.4, 0.5], "dependent hit": [0.2, 0.3, 0.4]}
LOOPS |= {"short access": [0.5, 0.4, 0.9], "long access": [0.5, 0.4, 0.9], "dependent access": [4, 5, 6]}
PATHS = {
    "softmmu": 12,
    "byte-lookup": 8,
    "map-block": 5,
    "qemu-fast": 2,
    "softmmu-qemu10": 10,
}  # in ns / 8
for name, eighths in PATHS.items():
    LOOPS |= {f"short path.{name}": [eighths / 8 - 0.125] * 3, f"long path.{name}": [eighths / 8 + 0.25] * 3}
    LOOPS |= {f"dependent path.{name}": [eighths / 8 + ns for ns in (4, 4.5, 5)]}
LOOPS |= {f"{timing.WIDE}{name}": list(ns) for name, ns in LOOPS.items() if not name.startswith("dependent")}
TRANSLATE = [1000, 900, 1300]


@pytest.fixture
def known(monkeypatch, tmp_path):
    """`calibrate` with rounds that are known, and a configuration folder of its own."""
    monkeypatch.setattr(calibrate, "kernel", lambda rounds, step=None: KERNEL)
    monkeypatch.setattr(timing, "hits", lambda rounds, step=None: LOOPS)
    monkeypatch.setattr(timing, "events", lambda rounds, step, kinds: EVENTS)
    monkeypatch.setattr(calibrate, "translate_ns", lambda rounds: TRANSLATE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return calibrate
