"""RANGE texts, whose parameter it is, and the combinations that follow."""

import pytest
from kit.places import ROOT

from mmuexp.analysis.ranges import combinations, companions_of, expand, owner, parse_ranges, tables_of
from mmuexp.errors import UsageError
from mmuexp.strategy.registry import all_strategies, known_classes


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12..15", "12 13 14 15"),
        ("12..22:4", "12 16 20"),
        ("12..21:4", "12 16 20"),
        ("8,64,512", "8 64 512"),
        ("12..14,20,14", "12 13 14 20"),
        ("7", "7"),
        ("5..5", "5"),
        ("0x10..0x12", "16 17 18"),
        ("fifo, lifo", "fifo lifo"),
    ],
)
def test_ranges(text, values):
    assert expand(text) == values.split()


@pytest.mark.parametrize("text", ["", "1,", "22..12", "a..b", "1..9:0", "1..9:-1", "1..9:", "1..", "1..99999999"])
def test_no_ranges(text):
    with pytest.raises(UsageError):
        expand(text)


def test_parameters_are_case_insensitive_and_may_come_as_a_mapping():
    assert parse_ranges(["MAP_BLOCK_BITS=12..13", "Evict"]) == {"map_block_bits": ["12", "13"], "evict": None}
    assert parse_ranges({"map_block_bits": range(12, 14), "evict": None, "entries": 8}) == {
        "map_block_bits": ["12", "13"],
        "evict": None,
        "entries": ["8"],
    }


def test_a_file_in_place_of_a_parameter_is_told(tmp_path):
    file = tmp_path / "second.arrow"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="as `traces`"):
        parse_ranges([str(file)])


def test_a_parameter_twice():
    with pytest.raises(UsageError, match="twice"):
        parse_ranges(["tlb_bits=4", "TLB_BITS=5"])


class Declares:
    def __init__(self, *names):
        self.names = names

    def params(self):
        return dict.fromkeys(self.names)


def test_the_owner_of_a_parameter():
    classes = {"a": Declares("x", "y"), "b": Declares("x", "z")}
    assert owner(["y"], classes) == "a"
    assert owner(["x", "z"], classes) == "b"
    with pytest.raises(UsageError, match=r"a and b.*-s a or -s b"):
        owner(["x"], classes)
    with pytest.raises(UsageError, match="different ones"):
        owner(["y", "z"], classes)
    with pytest.raises(UsageError, match="did you mean"):
        owner(["zz"], {"a": Declares("zzz")})


def test_our_own_schemes_own_their_parameters():
    classes = all_strategies()
    assert owner(["map_block_bits"], classes) == "map-block"
    assert owner(["tlb_bits"], {"softmmu": classes["softmmu"]}) == "softmmu"


def specs(spec, *params):
    return [str(c.strategy) for c in combinations(spec, parse_ranges(params))]


def test_several_parameters_make_the_product():
    assert specs("map-block", "evict=fifo,lifo", "pool_blocks=8,9") == [
        "map-block,pool_blocks=8",
        "map-block,pool_blocks=9",
        "map-block,pool_blocks=8,evict=lifo",
        "map-block,pool_blocks=9,evict=lifo",
    ]


def test_no_range_takes_the_declared_one():
    declared = all_strategies()["byte-lookup"].params()["entries"].sweep
    assert [c.values for c in combinations("byte-lookup", {"entries": None})] == [{"entries": v} for v in declared]


def test_block_bits_are_shown_for_64_blocks_and_for_64_mib():
    found = combinations("map-block", parse_ranges("map_block_bits=12..13"))
    assert [c.values for c in found] == [
        {"map_block_bits": 12, "pool_blocks": 64, "pool_mib": 0},
        {"map_block_bits": 13, "pool_blocks": 64, "pool_mib": 0},
        {"map_block_bits": 12, "pool_blocks": 64, "pool_mib": 64},
        {"map_block_bits": 13, "pool_blocks": 64, "pool_mib": 64},
    ]


def test_a_table_of_64_mib_ends_where_it_holds_no_block():
    found = combinations("map-block", parse_ranges("map_block_bits=24,26,40"))
    assert [(c.values["map_block_bits"], c.values["pool_mib"]) for c in found] == [(24, 0), (26, 0), (40, 0), (24, 64)]


@pytest.mark.parametrize(("spec", "also"), [("map-block,pool_blocks=32", ()), ("map-block", ("pool_mib=8",))])
def test_unless_the_pool_is_given(spec, also):
    found = combinations(spec, parse_ranges(["map_block_bits=12..13", *also]))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("spec", "params", "says"),
    [
        ("map-block", ["tlb_bits=4"], "has no parameter tlb_bits"),
        ("map-block,evict=lifo", ["evict=fifo,lifo"], "both fixed by -s and swept"),
        ("map-block", ["map_block_bits=12..99"], "out of range"),
        ("map-block,pool_mib=64", ["map_block_bits=26"], "holds no block"),
        ("map-block", ["pool_blocks=1..999", "map_block_bits"], "combinations, more than"),
    ],
)
def test_wrong_sweeps(spec, params, says):
    with pytest.raises(UsageError, match=says):
        combinations(spec, parse_ranges(params))


def test_the_tables_of_a_sweep_come_from_the_scheme_that_is_swept(tmp_path):
    """A scheme of somebody's own declares other companions, and no file of ours knows of them."""
    text = (ROOT / "strategies" / "map_block.py").read_text()
    for before, after in {
        '"a pool of 64 blocks": {"pool_blocks": 64, "pool_mib": 0},': '"one at a time": {"map_pages": 1},',
        '"a pool of 64 MiB": {"pool_blocks": 64, "pool_mib": 64},': '"four": {"map_pages": 4},',
        'name = "map-block"': 'name = "mine"',
    }.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    file = tmp_path / "mine.py"
    file.write_text(text)
    swept = {"map_block_bits": ["12", "16"]}
    rows = [one.values for one in combinations(str(file), swept)]
    assert rows == [{"map_block_bits": bits, "map_pages": pages} for pages in (1, 4) for bits in (12, 16)]
    found = tables_of(rows, [*rows[0]], companions_of(known_classes(["mine,map_pages=4"])))
    assert found == [("one at a time", rows[:2], {"map_pages"}), ("four", rows[2:], {"map_pages"})]
    alone = [one.values for one in combinations(f"{file},map_pages=2", swept)]
    assert alone == [{"map_block_bits": 12}, {"map_block_bits": 16}]


def test_companions_that_are_none_are_told_with_their_line(cli, trace, tmp_path):
    text = (ROOT / "strategies" / "map_block.py").read_text()
    file = tmp_path / "mine.py"
    file.write_text(text.replace('{"pool_blocks": 64, "pool_mib": 0}', '{"pools": 64}'))
    done = cli("compare", trace, "-s", str(file))
    assert done.code == 1
    assert "the companions of map_block_bits hold {'pools': 64}" in done.err and "mine.py:" in done.err


def test_a_result_names_no_file_to_be_run(cli, trace, tmp_path, monkeypatch):
    """A saved result is not trusted: a scheme that is named like a file of Python is not imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    assert cli("sweep", "tlb_bits=4,8", trace, "-s", "softmmu", "-o", "r.csv").code == 0
    saved = (tmp_path / "r.csv").read_text()
    (tmp_path / "r.csv").write_text(saved.replace(",softmmu,", ",evil.py,").replace(",softmmu\n", ",evil.py\n"))
    cli("export", "r.csv")
    cli("export", "r.csv", "--host", "pentium4-2004")
    assert not (tmp_path / "ran").exists()
