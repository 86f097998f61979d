"""What the tests of experiments share: one of its own, in a folder with two recordings."""

import pytest

from kit.cli_cases import write_trace

ABOUT = """
question = "What does {it} cost?"
answer = '''
map-block faults {{faults}} times, in {{share}} of the accesses; softmmu takes {{times}} times its time.
{{order}} is the order, and the mail {{right}}. {{least}} has least.
'''
command = ["compare", "small", "other.arrow", "-s", "softmmu", "-s", "map-block"]
holds = ["map-block:faults > 0", {{ check = "faults == 0", strategy = "softmmu" }}]

[columns]
per_access = "faults / accesses"
twice = "2 * map-block:per_access"

[figures]
faults = {{ value = "map-block:faults", trace = "small" }}
share = {{ value = "map-block:per_access", trace = "small", format = "percent" }}
times = {{ value = "softmmu:insns / map-block:insns", take = "max", format = "ratio" }}
order = {{ order = "faults" }}
right = {{ check = "map-block:faults < softmmu:accesses", yes = "was right", no = "was wrong" }}
least = {{ value = "rows", take = "min", show = "trace" }}

[tables.each]
title = "Each:"
head = "recording"
labels = {{ other = "`other`" }}
columns = [
    {{ head = "faults", value = "map-block:faults" }},
    {{ head = "twice", value = "softmmu:twice", format = ".3f", when = "softmmu:rows > 12", otherwise = "few rows" }},
    {{ value = "softmmu:maps" }},
]

[chart]
mark = "bar"
x = "strategy"
y = "per_access"
facet = "recording"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An experiment in a folder of its own, with two recordings; small has 12 rows, other 24."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "mine"
    home.mkdir()
    write_trace(home / "small.arrow")
    write_trace(home / "other.arrow", repeat=2)
    (home / "experiment.toml").write_text(ABOUT.format(it="it"))
    return home


def edit(folder, old: str, new: str) -> None:
    path = folder / "experiment.toml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
