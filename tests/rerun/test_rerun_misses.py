"""`rerun` of load addresses: a run of misses, a median, the value at which something is least, a scheme from a file."""

import pytest
from kit.cli import OWN_SCHEME, one_line
from kit.traces import columns_of, load, store, write

COPY = [row for at in range(0, 40, 4) for row in (load(0x1000 + at), store(0x101000 + at))]

SEEDS = """
question = "Where?"
answer = "{least} to {most}, {median} in the middle; {here} at seed {worst}, of {seeds}."
command = ["misses", "copy", "--load-seed", "0..4", "--join-pages", "16", "-s", "softmmu"]
holds = ["tlb_fills >= lru_fills"]

[figures]
least = { value = "tlb_fills", take = "min" }
most = { value = "tlb_fills", take = "max" }
median = { value = "tlb_fills", take = "median" }
here = { value = "tlb_fills", where = { load_seed = 0 } }
worst = { value = "tlb_fills", take = "max", show = "load_seed" }
seeds = { value = "rows", take = "count" }

[tables.spread]
columns = [
    { head = "median", value = "tlb_fills", take = "median" },
    { head = "worst seed", value = "tlb_fills", take = "max", show = "load_seed" },
]

[chart]
mark = "point"
x = "load_seed"
y = "tlb_fills"
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "copy.arrow", columns_of(COPY))
    return tmp_path


def test_load_addresses_are_an_experiment(cli, folder):
    """Two pages of one set: 20 fills as recorded, 2 wherever they do not meet."""
    (folder / "experiment.toml").write_text(SEEDS)
    done = cli("rerun", folder)
    assert done.code == 0, done.err
    report = (folder / "report.md").read_text()
    assert "\n2 to 20, 2 in the middle; 20 at seed 0, of 5.\n" in report
    assert "| copy | 2 | 0 |" in report
    assert "mmuexp misses copy.arrow --load-seed 0..4 --join-pages 16 -s softmmu\n" in report
    assert "| TLB fills | 2 | 2 | 20 | 20 |" in report
    assert cli("rerun", "--check", folder).code == 0
    (folder / "counts.csv").write_text((folder / "counts.csv").read_text().replace(",20,2,", ",21,2,"))
    assert cli("rerun", "--check", folder).code == 3


def test_a_sweep_over_load_addresses_is_one_too(cli, folder):
    sweep = '["sweep", "load_seed=0..2", "-s", "softmmu", "--trace", "copy"]'
    text = (
        'question = "?"\nanswer = "{n}"\ncommand = '
        + sweep
        + '\n[figures]\nn = { value = "tlb_fills", take = "sum" }\n'
    )
    (folder / "experiment.toml").write_text(text)
    assert cli("rerun", folder).code == 0
    assert "\n60\n" in (folder / "report.md").read_text()  # 256 pages apart they are one region, and always meet


def test_a_scheme_from_a_file_is_called_by_its_name(cli, folder, plain_python):
    (folder / "own.py").write_text(OWN_SCHEME)
    text = """
question = "?"
answer = "{same}, {bits}"
command = ["compare", "copy", "-s", "softmmu", "-s", "own.py", "-s", "own.py,tlb_bits=9"]
[figures]
same = { check = "own,:tlb_fills == softmmu:tlb_fills", yes = "the same", no = "another" }
bits = "own,tlb_bits=9:tlb_fills"
"""
    (folder / "experiment.toml").write_text(text)
    done = cli("rerun", folder)
    assert done.code == 0, done.err
    assert "\nthe same, 2\n" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"0..4"', '"x"', "no whole numbers"),
        ('"16"', '"wide"', "--join-pages 'wide' is not a whole number"),
        ('"--join-pages", "16"', '"--host", "pentium4-2004"', "misses has no --host"),
        ('show = "load_seed" }\nseeds', 'show = "address" }\nseeds', "shows 'address'"),
        ('take = "median"', 'take = "middle"', "take is 'middle'"),
        ('value = "tlb_fills", take = "min"', 'value = "strange:tlb_fills", take = "min"', "no strategy is called"),
    ],
)
def test_what_is_wrong_is_one_line(cli, folder, old, new, said):
    assert old in SEEDS
    (folder / "experiment.toml").write_text(SEEDS.replace(old, new, 1))
    done = cli("rerun", folder)
    assert done.code in (1, 2)
    assert said in one_line(done.err)
    assert not (folder / "report.md").exists()


def test_two_kinds_of_command_share_what_both_have(cli, folder):
    """`each` needs a column of compare, and is not derived of misses."""
    text = """
question = "?"
answer = "{each}, {worst}"
[commands]
counts = ["sweep", "tlb_bits=8,9", "--trace", "copy"]
fills = ["misses", "copy"]
[columns]
each = "tlb_fills / accesses"
misses_each = "conflict / lookups"
[figures]
each = { value = "each", take = "max" }
worst = { of = "fills", value = "misses_each", format = ".1f" }
[chart]
mark = "line"
x = "tlb_bits"
y = ["tlb_fills", "table_bytes"]
facet = "setting"
across = 1
"""
    (folder / "experiment.toml").write_text(text)
    done = cli("rerun", folder)
    assert done.code == 0, done.err
    assert "\n1, 0.9\n" in (folder / "report.md").read_text()  # 20 fills of 20 accesses; 18 of them conflicts
    picture = (folder / "chart.svg").read_text()
    assert ">tlb_fills<" in picture and ">table_bytes<" in picture and ">copy<" in picture
    (folder / "experiment.toml").write_text(text.replace("conflict / lookups", "conflicts"))
    assert "no column 'conflicts'" in one_line(cli("rerun", folder).err)
