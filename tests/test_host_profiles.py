"""Host profiles: those that are shipped, those of one's own, and what a wrong one says."""

import pytest
from test_price import NS

from mmuexp.errors import MmuexpError, UsageError
from mmuexp.host import PRIMITIVES, load_profile, profile_names


def test_shipped_profiles_name_a_source_for_every_figure():
    assert {"xeon-2.6-vm", "pentium4-2004"} <= set(profile_names())
    today, then = load_profile(), load_profile("pentium4-2004")
    assert today.name == "xeon-2.6-vm"
    # facts.md 5.1, the whole faults that were measured
    assert today.ns["signal"] + today.ns["mprotect"] == pytest.approx(2875, abs=75)
    assert today.ns["signal"] + today.ns["mmap"] + today.ns["page_in"] == pytest.approx(3065, abs=65)
    assert today.ns["munmap"] + today.ns["page_out"] == pytest.approx(1890, abs=1)
    assert all(source.startswith("assumed:") for source in then.source.values())


def profile_text(**changes) -> str:
    entries = {p: f'[{p}]\nns = {NS[p]}\nsource = "measured: here"' for p in PRIMITIVES} | changes
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


def test_a_shipped_profile_is_found_in_capitals():
    assert load_profile("PENTIUM4-2004") == load_profile("pentium4-2004")


def test_a_profile_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "mmuexp" / "hosts").mkdir(parents=True)
    file = tmp_path / "mmuexp" / "hosts" / "mine.toml"
    file.write_text('about = "mine"\n' + profile_text())
    assert load_profile("mine") == load_profile(str(file))
    assert load_profile("mine").ns == NS
    assert "mine" in profile_names()
    with pytest.raises(UsageError):
        load_profile("other")
    with pytest.raises(UsageError):
        load_profile(str(tmp_path / "other.toml"))


def test_a_host_that_was_never_measured_is_told_how(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="`mmuexp calibrate` measures this host"):
        load_profile("here")
    with pytest.raises(UsageError, match="no host profile named 'there'; there are pentium4-2004"):
        load_profile("there")
