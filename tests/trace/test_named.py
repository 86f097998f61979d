"""What is not a recording of all accesses is refused by its name, with what to do."""

import gzip

import pytest
from kit.importing import imported

from mmuexp.errors import TraceError

BEHIND = "a trace of memory behind caches, with physical addresses: most accesses are missing"
REQUESTS = "requests to a cache or disk, not memory accesses"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("403.gcc", "3 20734016\n1 20846400 20734016\n", f"Ramulator's: {BEHIND}"),
        ("prac_attacker.trace", "0 8192\n1 20846400\n", f"Ramulator's: {BEHIND}"),
        ("dram.trace", "0x12345680 R\n0x4cbd56c0 W\n", f"Ramulator's: {BEHIND}"),
        ("k6.trc", "0x12345680 READ 5\n0x4cbd56c0  IFETCH 19\n", f"DRAMSim's: {BEHIND}"),
        ("mase.trc", "0x12345680 P_MEM_WR 5\n", f"DRAMSim's: {BEHIND}"),
        ("perf.data", b"PERFILE2\0\0\0\0\0\0\0\0", "perf samples accesses, and a trace needs all of them"),
        ("perf.txt", "0 0x10 [0x38]: PERF_RECORD_SAMPLE(IP, 0x1): 12/12: 0x4\n", "perf samples accesses"),
        ("c.csv", "# time, object, size\n1,2,3\n", REQUESTS),
        ("c.csv", "timestamp,obj_id,obj_size\n1,2,3\n", REQUESTS),
        ("c.csv", "1,5633898611441,512\n2,77,4096\n", REQUESTS),
        ("w.oracleGeneral.bin", b"\1\0\0\0\2\0", REQUESTS),
        ("w.vscsitrace", b"\1\0\0\0\2\0", REQUESTS),
        ("system.cpu.ptrc", b"gem5\x0f\0\0\0", "gem5: it is not read yet"),
        ("t.txt", "2 401a00\n0 7ffe\n", "looks like Dinero's din"),
        ("t.txt", "00418f2c R\n00418f30 W\n", r"an address list \(R in column 2\); .*columns='ao'"),
        ("t.trace", "0x12345681 R\n", r"an address list \(R in column 2\)"),  # no line of a cache begins there
        ("t.txt", "l 0xDEADBEEF 4\ns 0xDEADBEE0 8\n", r"an address list \(l in column 1\); .*columns='oa-'"),
        ("t.txt", "W 3212859348\n", r"an address list \(W in column 1\); .*decimal=True if addresses are decimal"),
        ("t.txt", " W 0x7ffe0010\n", r"columns='oa'"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_named(tmp_path, name, data, says, packed):
    data = data.encode() if isinstance(data, str) else data
    with pytest.raises(TraceError, match=says) as refused:
        imported(tmp_path, gzip.compress(data) if packed else data, name=name + ".gz" * packed)
    assert "; " in str(refused.value) and not (tmp_path / "t.arrow").exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("# a remark\n\n0  8192\n", "line 3 is '0  8192': looks like Ramulator's"),
        (
            "Address list\n" + "00418f2c  R\n" * 20,
            "looks like an address list (R in column 2)",
        ),  # a line above the table
        ("r1\x1b, \xe9 " + "x" * 50, "line 1 is 'r1\\x1b, \xe9 " + "x" * 33 + "'..., which no format begins with"),
    ],
)
def test_the_line_is_quoted(tmp_path, data, says):
    with pytest.raises(TraceError) as refused:
        imported(tmp_path, data)
    assert says in str(refused.value)
