"""Import of what QEMU's execlog plugin prints: lengths by what follows, vCPUs, physical addresses."""

import pytest
from kit.importing import imported

from mmuexp.errors import TraceError
from mmuexp.guest import Op
from mmuexp.trace.importers.source import Source

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC
TEXT = (
    '0, 0x401000, 0x458b, "movl 8(%ebp), %eax", load, 0x407ffe10\n'
    '0, 0x401003, 0x301, "addl %eax, (%ebx)", load, 0x407ffe18, store, 0x407ffe18, eax -> 0x00000001, ecx -> 0x2\n'
    '0, 0x401005, 0xa4f3, "rep movsb (%esi), %es:(%edi)", load, 0x10, store, 0x20\n'
    '0, 0x401005, 0xa4f3, "rep movsb (%esi), %es:(%edi)", load, 0x11, store, 0x21, edi -> 0x22, load, 0x30\n'
    '0, 0x401007, 0xc3, "retl "\n'
)


def test_rows_by_hand(tmp_path):
    rows, done, trace = imported(tmp_path, TEXT)
    assert rows == [
        (EXEC, 0x401000, 6, 3),  # each iteration is an instruction: the last one's length is 1 where it comes again
        (LOAD, 0x407FFE10, 1, 1),
        (LOAD, 0x407FFE18, 1, 2), (STORE, 0x407FFE18, 1, 2),
        (LOAD, 0x10, 1, 3), (STORE, 0x20, 1, 3),
        (EXEC, 0x401005, 3, 2),
        (LOAD, 0x11, 1, 1), (STORE, 0x21, 1, 1), (LOAD, 0x30, 1, 1),
    ]  # fmt: skip
    assert done.format == "execlog"
    assert (trace.metadata["sizes"], trace.metadata["code"]) == ("unknown", "lengths unknown")


def test_vcpus_are_threads(tmp_path):
    text = '0, 0x10, 0x90, "nop"\n1, 0x11, 0x90, "nop", load, 0x80\n0, 0x11, 0x90, "nop"\n0, 0x12, 0x90, "nop"\n'
    with pytest.raises(TraceError, match=r"holds 2 threads: 0 \(3 instructions, 0 accesses\), 1 \(1 instr"):
        imported(tmp_path, text)
    assert imported(tmp_path, text, thread=0)[0] == [(EXEC, 0x10, 3, 3)]
    assert imported(tmp_path, text, interleave=True)[0] == [
        (EXEC, 0x10, 1, 1), (EXEC, 0x11, 1, 1), (LOAD, 0x80, 1, 1), (EXEC, 0x11, 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [1 << 20, 1000])
def test_a_rep_has_all_its_accesses_on_one_line(tmp_path, monkeypatch, cut):
    count = 50_000  # 2 MB
    moved = "".join(f", load, {0x1000 + at:#010x}, store, {0x400000 + at:#010x}" for at in range(count))
    line = f'0, 0x401000, 0xa4f3, "rep movsb (%esi), %es:(%edi)"{moved}, esi -> 0x1'
    data = f'0, 0x400ffe, 0x9090, "nop"\n{line} \r\n0, 0x401002, 0xc3, "retl ", load, 0x10\n'.encode()
    monkeypatch.setattr(Source, "chunks", lambda _: (data[at : at + cut] for at in range(0, len(data), cut)))
    rows, done, _ = imported(tmp_path, data)
    pairs = [row for at in range(count) for row in ((LOAD, 0x1000 + at, 1, 2), (STORE, 0x400000 + at, 1, 2))]
    assert rows == [(EXEC, 0x400FFE, 5, 3), *pairs, (LOAD, 0x10, 1, 3)] and done.units == 3
    for spoiled, says in (
        (b", load, 0x10, RAM", "names a device"),
        (b", load", "is not a line"),
        (b", load, x", "is not a line"),
    ):
        data = f"{line}".encode() + spoiled + b"\n"
        with pytest.raises(TraceError, match=f"line 1 .*{says}"):
            imported(tmp_path, data, from_format="execlog")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            '0, 0xc0, 0x8b, "movl", load, 0x00ffee00, RAM',
            "whole-system execlog has physical addresses only; use",
        ),
        ('0, 0xc0, 0x8b, "movl", store, 0x0, serial, al -> 0x1', "names a device"),
        ('0, 0xc0, 0x8b, "movl", RAM', "is not a line of QEMU execlog plugin: expected 'VCPU, 0xPC,"),
        ('0, 0xc0, 0x8b, "movl", load', "is not a line"),
        ('0, 0xc0, 0x8b, "movl, load, 0x10', "is not a line"),
        ("the program's output", "is not a line"),
    ],
)
def test_what_is_refused(tmp_path, line, says):
    with pytest.raises(TraceError) as refused:
        imported(tmp_path, f"{TEXT}{line}\n")
    assert "line 6 " in str(refused.value) and says in str(refused.value)


def test_the_output_of_the_program_is_left_out(tmp_path):
    rows, _, trace = imported(tmp_path, f"hello, world\n{TEXT}bye", skip_foreign=True)
    assert len(rows) == 10 and trace.metadata["left_out_lines"] == "2"
