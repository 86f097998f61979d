"""What schemes have in common, asked of the oracle; kernels and oracle agree elsewhere (test_truth.py)."""

import pytest
from hypothesis import given, settings
from kit.traces import PAGES_APART, any_traces, traces

from truth import code_policies, oracle
from truth.oracle.guest import FLUSH, IO, PAGE
from truth.schemes import FILES

SPECS = [
    spec for name in ("fastmem", "views") for spec in (*FILES[name].SPECS, *FILES[name].TIGHT)
] + code_policies.SPECS
BY_BYTES = ["fastmem,code=block", "fastmem,code=block,patch=always", "fastmem,code=check,check_after=0"]
BY_BYTES += ["fastmem,code=free", "fastmem,code=free,patch=memory,flush=diff", "qemu-fast,code=block", "page-table"]
quick = settings(max_examples=25, deadline=None)


def sound(scheme) -> None:
    """No window lets a store slip by of which the scheme wants to know, and the books of the reserve are right."""
    reserve, policy, guest = scheme.reserve, scheme.policy, scheme.guest
    for position, window in reserve.at.items():
        assert position in reserve.windows_of[window.frame]
        if window.writable:
            assert not policy.noticed(window.frame)
            assert window.frame in guest.dirty or not scheme.track
    assert scheme.n["maps"] - scheme.n["unmaps"] == len(reserve.at)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.startswith("page-table")])
@given(trace=any_traces(max_wishes=30))
@quick
def test_no_store_slips_by(spec, trace):
    mode, rows = trace
    guest, scheme = oracle.new(spec, mode)
    for row in rows:
        oracle.step(guest, scheme, *row)
        scheme.row_done()
        sound(scheme)
    n = guest.n
    assert n["host_calls"] == sum(n[column] for column in oracle.CALLS)
    assert n.get("checks_failed", 0) <= n.get("checked_entries", 0) <= n["execs"]
    assert n.get("patches", 0) <= n["softmmu_accesses"]


def below_the_end(rows, *, io: bool):
    """Without rows that end above 2**32, and without IO unless it is wanted."""
    return [row for row in rows if row[1] + row[2] <= 1 << 32 and (io or row[0] > 2 or not row[4] & IO)]


@given(rows=traces("system"))
@quick
def test_never_patched_it_is_qemu_fast(rows):
    kept = below_the_end(rows, io=False)
    same = [column for column in oracle.columns("qemu-fast") if column != "faults_softmmu"]
    for code in ("page", "block", "check", "free"):
        fast = oracle.run(kept, f"qemu-fast,guest_limit=0x100000000,code={code}", "system")
        direct = oracle.run(kept, f"fastmem,code={code}", "system")
        differ = {column for column in same if (direct[column] or 0) != (fast[column] or 0)}
        assert differ == set()


@given(rows=traces("system"))
@quick
def test_one_space_is_fastmem_that_compares(rows):
    rows = [(FLUSH, 0, 1, 0, 0, 0) if row[0] == FLUSH else row for row in rows]
    one, direct = oracle.run(rows, "views", "system"), oracle.run(rows, "fastmem,flush=diff,patch=never", "system")
    apart = {"reserved_bytes", "peak_mappings"}  # the guard behind the view is in the reserve
    assert {column for column in {*one} & {*direct} - apart if (one[column] or 0) != (direct[column] or 0)} == set()


@pytest.mark.parametrize("spec", BY_BYTES)
@given(trace=any_traces(PAGES_APART[:-1]))
@quick
def test_whoever_drops_by_bytes_translates_alike(spec, trace):
    """A block is translated again where a store overlapped it, whether that was noticed, compared or told."""
    mode, rows = trace
    rows = below_the_end(rows, io=True)
    same = ["translations", "translated_insns", "retranslated_insns", "blocks_dropped"]
    want, got = oracle.run(rows, "softmmu", mode), oracle.run(rows, spec, mode)
    if "check" in spec:  # a changed block that is not entered again is still there
        same.remove("blocks_dropped")
    assert [got[column] for column in same] == [want[column] for column in same]


@pytest.mark.parametrize(
    "spec", ["fastmem,patch=code", "fastmem,patch=always,code=check", "fastmem,how=block,remember=0", "fastmem,map=all",
             "fastmem,code=never", "fastmem,code=check,check_after=256", "fastmem,dirty=clear", "views,views=0",
             "views,drop_maps=1048577", "page-table,live=1", "page-table,detect=none", "page-table,tables=3"],
)  # fmt: skip
def test_parameters_that_make_no_sense(spec):
    with pytest.raises(ValueError):
        oracle.run([], spec, "user")


def test_reserves_of_views_follow_one_another():
    _, scheme = oracle.new("views,views=2", "system")
    assert scheme.reserve.pages * PAGE == scheme.totals()["reserved_bytes"]
