"""Import of what QEMU's mem plugin prints: bits, symbols with commas, whole guests."""

import pytest
from kit.importing import imported

from mmuexp.errors import TraceError
from mmuexp.guest import Op

LOAD, STORE = Op.LOAD, Op.STORE
HEADER = "insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,access_type,mem_value\n"


def test_rows_by_hand(tmp_path):
    text = (
        f"the program's output\n{HEADER}"
        "0x401000,main,0x7ffe10c8,0x0,32,load,0x00000001\n"
        "0x401004,operator()(int, char),0x7ffe10cc,0x0,128,store,0x00000001000000010000000100000001\n"
        "0x401008,,0x7ffe10cc,0x0,8,load,0x01\r\n"
        "mem accesses: 3\nio accesses: 0\n"
    )
    rows, done, trace = imported(tmp_path, text, skip_foreign=True)
    assert rows == [(LOAD, 0x7FFE10C8, 4, 0), (STORE, 0x7FFE10CC, 16, 0), (LOAD, 0x7FFE10CC, 1, 0)]
    assert done.format == "memplugin" and done.remarks == () and trace.metadata["left_out_lines"] == "1"
    assert trace.metadata["code"] == "none" and "sizes" not in trace.metadata


def test_of_a_whole_guest_the_virtual_addresses_are_taken(tmp_path):
    text = f"{HEADER}0xc0001000,start_kernel,0xc0ffee00,0xffee00,32,load,0x00000001\n"
    rows, done, trace = imported(tmp_path, text)
    assert rows == [(LOAD, 0xC0FFEE00, 4, 0)] and trace.mode == "user"
    assert done.remarks[0].startswith("physical addresses, devices and flushes of the guest are not in it")
    assert trace.metadata["left_out_physical"] == "1"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0x401000,main,0x10,0x0,12,load,0x1", "has an access_size that is not a number of bytes: it is in bits"),
        ("0x401000,main,0x10,0x0,0,load,0x1", "has an access_size that is not a number of bytes"),
        ("0x401000,main,0x10,0x0,32,fetch,0x1", "is not a line of QEMU mem plugin: expected 'insn_vaddr,"),
        ("0x401000,main,0x10,0x0,32,load,", "is not a line"),
        ("0x401000,main,0x10,32,load,0x1", "is not a line"),
    ],
)
def test_what_is_refused(tmp_path, line, says):
    with pytest.raises(TraceError) as refused:
        imported(tmp_path, f"{HEADER}{line}\n")
    assert f"line 2 '{line[:40]}' {says}" in str(refused.value)
