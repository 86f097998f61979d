"""Host profiles: those that are shipped, those of one's own, and what a wrong one says."""

import pytest
from kit.prices import NS

from mmuexp.errors import MmuexpError, UsageError
from mmuexp.price.host import NEEDED, OF_TIERS, load_profile, priced_at, profile_names, profile_of_dict
from mmuexp.price.primitives import PRICES


def test_shipped_profiles_name_a_source_for_every_figure():
    assert {"xeon-2.6-vm", "pentium4-2004"} <= set(profile_names())
    today, then = load_profile(), load_profile("pentium4-2004")
    today = load_profile("xeon-2.6-vm")
    # facts.md 5.1, the whole faults that were measured
    assert today.ns["signal"] + today.ns["mprotect"] == pytest.approx(2875, abs=75)
    assert today.ns["signal"] + today.ns["mmap"] + today.ns["page_in"] == pytest.approx(3065, abs=65)
    assert today.ns["munmap"] + today.ns["page_out"] == pytest.approx(1890, abs=1)
    assert all(price.assumed for price in then.prices.values())


@pytest.mark.parametrize("name", ["epyc-vm", "xeon-2.6-vm", "pentium4-2004"])
def test_shipped_profiles_price_every_primitive_with_a_range(name):
    for price, found in load_profile(name).prices.items():
        assert found.low_ns <= found.ns <= found.high_ns, price
        assert found.assumed or found.low_ns < found.high_ns or not found.high_ns, f"{price} has no range"


def test_an_older_profile_prices_what_it_does_not_know_by_its_instructions(tmp_path):
    file = tmp_path / "old.toml"
    file.write_text(profile_text())
    old = load_profile(str(file))
    assert old.prices.keys() == PRICES.keys()
    assert (old.ns["hit"], old.ns["access"], old.ns["walk_level"]) == (NS["insn"], 0, 75 * NS["insn"])
    assert (old.ns["helper"], old.ns["translate"]) == (20 * NS["insn"], 6700 * NS["insn"])
    assert all(old.assumed(name) for name in PRICES if name not in NEEDED)


def test_a_range_is_the_files_or_the_spread_or_half_and_double(tmp_path):
    file = tmp_path / "mine.toml"
    text = '[hit]\nns = 2\nlow_ns = 1.5\nhigh_ns = 4\nsource = "measured: x"\n'
    text += '[access]\nns = 2\nsource = "assumed: x"\n[scan]\nns = 2\nspread_ns = 1\nsource = "measured: x"\n'
    text += '[path.softmmu]\nns = 5\nsource = "measured: x"\n[dependent.softmmu]\nns = 9\nsource = "measured: x"\n'
    file.write_text(text + profile_text())
    found = load_profile(str(file))
    ends = {name: found.prices[name][2:4] for name in ("hit", "access", "scan")}
    assert ends == {"hit": (1.5, 4), "access": (1, 4), "scan": (1.5, 2.5)}
    assert (found.path["softmmu"].ns, found.dependent["softmmu"].ns) == (5, 9)
    assert profile_of_dict(found.as_dict(), "there") == found


def test_a_price_given_for_the_hit_path_is_not_hidden_by_one_measured_whole(tmp_path):
    file = tmp_path / "mine.toml"
    names = ("path.softmmu", "far.softmmu", "cold.softmmu", *OF_TIERS)
    file.write_text("".join(f'[{name}]\nns = 5\nsource = "measured: x"\n' for name in names) + profile_text())
    kept = load_profile(f"{file},signal=3")
    assert [kept.path["softmmu"].ns, kept.far["softmmu"].ns, kept.cold["softmmu"].ns] == [5, 5, 5]
    assert [kept.ns[name] for name in OF_TIERS] == [5, 5, 5, 5]
    assert profile_of_dict(kept.as_dict(), "there") == kept
    given = load_profile(f"{file},hit=3")
    assert not given.path
    assert not given.far
    assert not given.cold
    assert not {*OF_TIERS} & given.prices.keys()
    assert load_profile(f"{file},hit=3").prices["hit"] == priced_at(3, "given: by the user, in place of the profile's")


def profile_text(**changes) -> str:
    entries = {p: f'[{p}]\nns = {NS[p]}\nsource = "measured: here"' for p in NEEDED} | changes
    return "\n".join(entries.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (profile_text(insn=""), "[insn] is missing"),
        (profile_text(speed='[speed]\nns = 1\nsource = "read: x"'), "unknown key 'speed'"),
        (profile_text(insn='[insn]\nns = 1\nsource = "read: x"\nunit = "s"'), "unknown key 'unit' in [insn]"),
        (profile_text(insn='[insn]\nns = -1\nsource = "read: x"'), "ns of [insn] is -1"),
        (profile_text(insn='[insn]\nns = 1e308\nsource = "read: x"'), "more than 1,000,000,000, a second"),
        (profile_text(insn=f'[insn]\nns = 1{"0" * 400}\nsource = "read: x"'), "more than 1,000,000,000, a second"),
        (profile_text(insn=f'[insn]\nns = 1{"0" * 5000}\nsource = "read: x"'), "is not TOML"),
        (profile_text(insn='[insn]\nns = inf\nsource = "read: x"'), "ns of [insn] is not a number"),
        (profile_text(insn='[insn]\nns = "1"\nsource = "read: x"'), "ns of [insn] is not a number"),
        (profile_text(insn='[insn]\nns = nan\nsource = "read: x"'), "ns of [insn] is not a number"),
        (profile_text(insn='[insn]\nns = true\nsource = "read: x"'), "ns of [insn] is not a number"),
        (profile_text(insn="[insn]\nns = 1"), "source is missing in [insn]"),
        (profile_text(insn='[insn]\nns = 1\nsource = "somewhere"'), "source of [insn] does not begin with"),
        ("insn = 3\n", "insn is not a table"),
        (profile_text(access='[access]\nns = -1\nsource = "read: x"'), "ns of [access] is -1"),
        ("access = 3\n" + profile_text(), "access is not a table"),
        (profile_text(also='[also.fill]\nns = "1"\nsource = "read: x"'), "ns of [also.fill] is not a number"),
        (profile_text(also="[also.fill]\nns = 1"), "source is missing in [also.fill]"),
        (profile_text(also="[also]\nfill = 1"), "also.fill is not a table"),
        ("also = 3\n" + profile_text(), "also is not a table"),
        (profile_text(insn='[insn]\nns = 1\nsource = "read: x"\nspread_ns = -1'), "spread_ns of [insn] is -1"),
        (
            profile_text(hit='[hit]\nns = 1\nsource = "read: x"\nlow_ns = 2'),
            "ns of [hit], 1, is not in its range, 2 to 1",
        ),
        ("path = 3\n" + profile_text(), "path is not a table"),
        (profile_text(path='[path.softmmu]\nns = "x"\nsource = "read: x"'), "ns of [path.softmmu] is not a number"),
        ("[insn\n", "is not TOML"),
    ],
)
def test_a_wrong_profile_is_one_clear_line(tmp_path, text, says):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(MmuexpError) as failure:
        load_profile(str(file))
    assert says in str(failure.value)
    assert str(file) in str(failure.value)


def test_what_is_no_profile_is_not_read_into_memory(tmp_path):
    """A recording by mistake, say: the line comes at once, however large the file."""
    file = tmp_path / "huge.toml"
    file.write_text(profile_text() + "\n")
    with file.open("r+b") as opened:
        opened.truncate(1 << 40)  # a hole of 1 TiB
    with pytest.raises(MmuexpError, match="is not a host profile: it has more than 1,048,576 bytes"):
        load_profile(str(file))
    file.write_text(profile_text() + "\n#" + "x" * 900_000)
    assert load_profile(str(file)).ns["insn"] == NS["insn"]


def test_what_is_there_and_no_file_is_not_called_missing(tmp_path):
    with pytest.raises(UsageError, match="is not a file"):
        load_profile(f"{tmp_path}/")
    with pytest.raises(UsageError, match="no such host profile file"):
        load_profile(str(tmp_path / "none.toml"))


def test_a_shipped_profile_is_found_in_capitals():
    assert load_profile("PENTIUM4-2004") == load_profile("pentium4-2004")


def test_a_profile_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "mmuexp" / "hosts").mkdir(parents=True)
    file = tmp_path / "mmuexp" / "hosts" / "mine.toml"
    file.write_text('about = "mine"\n' + profile_text())
    assert load_profile("mine") == load_profile(str(file))
    assert {name: load_profile("mine").ns[name] for name in NEEDED} == NS
    assert load_profile("mine").prices["mapping"] == (0, "assumed: in what mprotect takes", 0, 0, None)
    assert "mine" in profile_names()
    with pytest.raises(UsageError):
        load_profile("other")
    with pytest.raises(UsageError):
        load_profile(str(tmp_path / "other.toml"))


def test_a_host_that_was_never_measured_is_told_how(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="`mmuexp calibrate` measures this host"):
        load_profile("here")
    with pytest.raises(UsageError, match="no host profile named 'there'; there are epyc-vm, pentium4-2004"):
        load_profile("there")
