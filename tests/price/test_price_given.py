"""--price: one price in place of the profile's, without a file; told wherever the profile is named."""

import json

import pytest
from kit.cli import one_line

from mmuexp.analysis.compare import compare
from mmuexp.claims.gather import hosts_of
from mmuexp.errors import UsageError
from mmuexp.price.host import load_profile, split_prices


def test_the_price_stands_in_place_of_the_profiles_and_nothing_else_does():
    plain, given = load_profile("pentium4-2004"), load_profile("pentium4-2004,signal=300,insn=0.5")
    assert given.ns == {**plain.ns, "signal": 300.0, "insn": 0.5}
    assert given.name == "pentium4-2004,signal=300,insn=0.5"
    assert given.prices["signal"].source.startswith("given: ")
    assert {**given.prices, "signal": 0, "insn": 0} == {**plain.prices, "signal": 0, "insn": 0}


def test_what_is_given_is_not_assumed():
    plain, given = load_profile("xeon-2.6-vm"), load_profile("xeon-2.6-vm,insn=0.19")
    assert plain.assumed("insn")
    assert not given.assumed("insn")


def test_kernel_time_moves_by_the_signals_alone(trace):
    """map-block on a trace: each host fault is one signal, so ten ns more for it are ten ns for each fault."""
    spec = "map-block"
    plain, more = (compare(trace, [spec], host=host).frame for host in ("xeon-2.6-vm", "xeon-2.6-vm,signal=1185"))
    row, other = (
        {k: frame[frame.strategy == spec][k].iloc[0] for k in ("kernel_ns", "faults")} for frame in (plain, more)
    )
    assert row["faults"] == other["faults"] > 0
    assert other["kernel_ns"] - row["kernel_ns"] == pytest.approx(10 * row["faults"])


def test_the_command_takes_several_and_the_manifest_tells(cli, trace):
    assert cli("compare", trace, "--price", "signal=300", "--price", "mmap=7", "--format", "json").code == 0
    host = json.loads(cli.out)["manifest"]["prices"]["host"]
    assert host["name"] == "epyc-vm,signal=300,mmap=7"
    assert (host["prices"]["signal"]["ns"], host["prices"]["mmap"]["ns"]) == (300, 7)
    assert host["prices"]["signal"]["source"].startswith("given: ")
    assert cli("compare", trace, "--host", "pentium4-2004", "--price", "signal=300", "--format", "json").code == 0
    assert json.loads(cli.out)["manifest"]["prices"]["host"]["name"] == "pentium4-2004,signal=300"


@pytest.mark.parametrize(
    ("price", "told"),
    [
        ("sig=300", "checked_byte, signal, mmap"),
        ("signal=-1", "signal=-1"),
        ("signal=nan", "signal=nan"),
        ("signal=inf", "signal=inf"),
        ("insn=0", "insn=0"),
        ("signal=", "signal="),
        ("signal", "signal=300"),
        ("signal=3,mmap=4", "signal=300"),
    ],
)
def test_what_is_no_price_is_one_line(cli, trace, price, told):
    done = cli("compare", trace, "--price", price)
    assert (done.code, done.out) == (2, "")
    assert told in one_line(done.err)


def test_a_path_with_commas_is_a_path(tmp_path):
    assert split_prices("a,b/host.toml") == ("a,b/host.toml", {})
    with pytest.raises(UsageError, match="no such host profile file"):
        load_profile(str(tmp_path / "a,b.toml"))


def test_claims_and_the_report_price_the_host_that_was_asked_for():
    day, host = hosts_of(",signal=300")
    assert day.ns["signal"] == load_profile("pentium4-2004").ns["signal"]
    assert host.ns["signal"] == 300
