"""What compare shows where no scheme is named: map-block with the pool of 2004 and with one of today, in 80 columns."""

import pytest
from kit.places import HONEST_FILE

import mmuexp
from mmuexp.errors import MmuexpError
from mmuexp.strategy import Strategy
from mmuexp.strategy.mistakes import declared
from mmuexp.strategy.registry import all_strategies, default_strategies, parse_spec

HONEST = HONEST_FILE
POOLS = ["map-block", "map-block,pool_blocks=1024"]


IN_USER_MODE = ["softmmu", "byte-lookup", *POOLS, "qemu-fast", "softmmu-qemu10"]
LINUX = ["qemu-fast,kernel_offset=0x30000000", "qemu-fast,guest_limit=0x100000000"]  # where its kernel fits


def test_what_is_shown_where_no_scheme_is_named():
    """The one place where these specs are written down again: other tests ask `default_strategies`."""
    assert [str(strategy) for strategy in default_strategies("user")] == IN_USER_MODE
    in_system_mode = [*IN_USER_MODE[:-1], *LINUX, IN_USER_MODE[-1]]
    assert [str(strategy) for strategy in default_strategies("system")] == in_system_mode


def test_the_spec_alone_is_the_pool_of_the_mail():
    assert parse_spec("map-block").reserved_bytes() == 4_456_448  # 4.25 MiB
    assert parse_spec(POOLS[1]).reserved_bytes() == 16 * 4_456_448


def test_the_table_shows_both_and_fits_a_terminal_of_80(cli, bundled, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = cli("compare").out.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 80
    assert len(table[-1].split()) > 5  # a column each: it is not a table of rows
    assert list(mmuexp.compare()["strategy"]) == [str(strategy) for strategy in default_strategies("user")]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("SYSTEM_LAYOUTS", "()"), *((f"{kind}LAYOUTS", text) for kind in ("", "SYSTEM_") for text in ("3", "({}, 2)"))],
)
def test_layouts_that_are_none_are_told(tmp_path, name, wrong):
    text = HONEST.read_text()
    assert '    name = "honest"\n' in text
    (tmp_path / "own.py").write_text(
        text.replace('    name = "honest"\n', f'    name = "honest"\n    {name} = {wrong}\n')
    )
    with pytest.raises(MmuexpError, match=rf"own\.py:\d+: strategy honest: {name} is .*give dicts of parameters"):
        parse_spec(str(tmp_path / "own.py"))


@pytest.mark.parametrize("cls", all_strategies().values(), ids=lambda cls: cls.name)
def test_ours_declare_theirs_rightly(cls):
    """That of address spaces has none for programs, which have one."""
    declared(cls)


def test_each_layout_of_a_registered_scheme_is_shown(tmp_path, monkeypatch):
    class Two(Strategy):
        name = "two"
        LAYOUTS = ({}, {})

    monkeypatch.setattr("mmuexp.strategy.registry.all_strategies", lambda: {"two": Two})
    assert len(default_strategies("user")) == 2
    assert len(default_strategies("system")) == 1


def test_a_scheme_that_is_not_for_all_is_shown_where_it_is_named(cli, bundled):
    assert not [spec for mode in ("user", "system") for spec in default_strategies(mode) if spec.name == "page-table"]
    assert "page-table" in cli("compare", "-s", "page-table").out
    assert "page-table" in cli("strategy", "list").out


def test_the_listing_is_that_of_the_parameters(cli):
    """8 by default; without the test of the low bits 6; 86Box's, which is a call."""
    for spec, count in {"page-table": 8, "page-table,detect=off": 6, "page-table,form=call": 15}.items():
        assert parse_spec(spec).hit_insns() == count
        assert f"Fast path ({count} instructions on a hit)" in cli("strategy", "show", spec).out
