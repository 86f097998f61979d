"""The fields of `Cost` are the one list of primitives: what is planted there has a price everywhere."""

import json
import subprocess

import pytest
from kit.planted import Planted
from kit.traces import columns_of, load, write

PROFILE = "mmuexp/price/profiles/epyc-vm.toml"
FIELD = """    source: str = ""
    least:"""
POKE = """
[poke]
ns = 1000
source = "measured: planted"
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A primitive of the kernel, in `Cost` and in one profile; a scheme whose misaligned accesses hold two of it."""
    folder = tmp_path_factory.mktemp("planted")
    edits = {
        "mmuexp/price/primitives.py": (FIELD, f'    poke: float = _primitive(KERNEL, 0, "a planted one")\n{FIELD}'),
        PROFILE: ("[signal]", f"{POKE}\n[signal]"),
        "strategies/softmmu.py": (
            'COSTS = {\n    "wide',
            "COSTS = {\n    Event.SLOW_MISALIGNED: Cost(poke=2, source='read: planted'),\n    \"wide",
        ),
    }
    write(folder / "t.arrow", columns_of([load(0x1001), load(0x1005), load(0x1008)]))
    return Planted(folder, edits)


def test_a_planted_primitive_costs_what_a_profile_says(copy):
    at = {}
    for ns in (0, 1000):
        told = copy.mmuexp("compare", "t.arrow", "-s", "softmmu", "--host", f"epyc-vm,poke={ns}", "--format", "json")
        at[ns] = json.loads(told)
    one, other = (at[ns]["rows"][0] for ns in (0, 1000))
    assert one["slow_misaligned"] == 2
    assert other["kernel_ns"] - one["kernel_ns"] == 2 * 2 * 1000
    assert other["ns"] - one["ns"] == other["access_ns"] - one["access_ns"] == pytest.approx(4000)
    about = at[1000]["manifest"]["prices"]
    assert about["host"]["prices"]["poke"]["ns"] == 1000
    assert about["strategies"]["softmmu"]["slow_misaligned"]["poke"] == 2


def test_a_planted_primitive_is_shown(copy):
    assert "2 poke" in copy.mmuexp("strategy", "show", "softmmu")


def test_a_profile_that_does_not_price_it_is_refused(copy):
    done: subprocess.CompletedProcess = copy.python("-m", "mmuexp", "compare", "t.arrow", "--host", "pentium4-2004")
    assert done.returncode == 1
    assert "[poke] is missing" in done.stderr and len(done.stderr.splitlines()) == 1
