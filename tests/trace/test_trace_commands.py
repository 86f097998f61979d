"""`mmuexp trace`: what each command says of a trace whose every figure is known, its outputs and exit codes."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from kit.traces import SYSTEM, columns_of, concat, program_rows, read, system_rows, write, write_foreign, write_trace

from mmuexp.errors import TraceError
from mmuexp.guest import USER, Columns, Op
from mmuexp.trace import digest, open_trace
from mmuexp.trace.head import rows as head_rows
from mmuexp.trace.info import info
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import verify

META = {"mmuexp.format": "1", "mmuexp.mode": "user"}


def test_info_by_hand(tmp_path, cli):
    path = write(tmp_path / "t.arrow", SYSTEM, "system", command="qemu", recorder="me")
    told = info(path)
    assert told["counts"] == {
        "rows": 12, "accesses": 4, "loads": 3, "stores": 1, "execs": 1, "guest_insns": 2, "misaligned": 1,
        "page_cross": 0, "io_accesses": 1, "flushes": 1, "page_flushes": 1, "pages": 2, "mode_switches": 3,
    }  # fmt: skip
    assert told["mix"] == {
        "loads": 3, "stores": 1, "execs": 1, "flushes": 1, "page_flushes": 1, "map_rows": 4, "annotations": 1,
    }  # fmt: skip
    assert told["footprint"] == {
        "data_pages": 2, "data_bytes": 8192, "code_pages": 1, "code_bytes": 8, "physical_pages": 3,
    }  # fmt: skip
    assert told["shares"] == {"misaligned": 0.25, "page_cross": 0.0, "io": 0.25, "user": 0.5}
    assert told["access_sizes"] == {"1": 1, "4": 3}
    assert told["sha256"] == digest(path) and told["size_bytes"] == os.path.getsize(path)
    assert told["bytes_per_row"] == os.path.getsize(path) / 12 and told["window"] == (0, 12)
    done = cli("trace", "info", path, "--format", "json")
    assert done.code == 0 and json.loads(done.out) == json.loads(json.dumps(told))
    done = cli("trace", "info", path)
    assert done.code == 0 and done.err == "" and "\x1b" not in done.out
    for text in (
        "system mode",
        "command         qemu",
        "licence         unknown",
        "25.000 % of accesses",
        "8 bytes, on 1 pages",
    ):
        assert text in done.out


def test_info_counts_a_byte_of_code_once(tmp_path):
    """0x1000 to 0x100b by two blocks that overlap, 0x1010 to 0x1011 by itself, and four bytes over a page's end."""
    blocks = [(0x1000, 8), (0x2FFE, 4), (0x1004, 8), (0x1000, 8), (0x1010, 2), (0x1001, 2)]
    path = write(tmp_path / "t.arrow", columns_of([(Op.EXEC, vaddr, size, 1) for vaddr, size in blocks]))
    assert info(path)["footprint"] | {"code_pages": 3, "code_bytes": 12 + 2 + 4} == info(path)["footprint"]


def test_info_of_what_the_file_does_not_tell(tmp_path, cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # the path of a temporary file is long
    path = write_foreign(tmp_path / "f.arrow", columns_of([(Op.EXEC, 0, 4, 1)])._asdict(), META)
    done = cli("trace", "info", path)
    assert done.code == 0
    told = dict(line.split(maxsplit=1) for line in done.out.splitlines() if " " in line)
    assert told["complete"] == told["window"] == told["licence"] == "unknown"
    assert told["rows"] == "1 (declared: unknown)" and told["misaligned"] == "0, none"


def test_what_a_file_says_does_not_drive_the_terminal(tmp_path, cli):
    path = write(tmp_path / "t.arrow", columns_of([(Op.LOAD, 0, 4, 1)]), command="a\x1b[31m\nb", **{"x\x07": "y"})
    done = cli("trace", "info", path)
    assert done.code == 0 and "a\\x1b[31m b" in done.out and not {"\x1b", "\x07"} & set(done.out)


def test_the_empty_trace(tmp_path, cli):
    path = write(tmp_path / "t.arrow", Columns(*(column[:0] for column in SYSTEM)), "system")
    assert cli("trace", "info", path).code == cli("trace", "verify", path).code == 0
    assert len(cli("trace", "head", path).out.splitlines()) == 1
    assert cli("trace", "export", path, "-o", tmp_path / "t.csv").code == 0
    assert (tmp_path / "t.csv").read_text() == "vaddr,page,size,insns,op,flags\n"
    assert cli("trace", "export", path, "-o", tmp_path / "t.parquet").code == 0
    assert pyarrow.parquet.read_table(str(tmp_path / "t.parquet")).num_rows == 0
    assert cli("trace", "slice", path, ":", "-o", tmp_path / "s.arrow").code == 2


def test_info_stops_at_a_bad_row(tmp_path, cli):
    path = write(tmp_path / "t.arrow", columns_of([(Op.LOAD, 0, 4, 0), (9, 0, 0, 0)]))
    done = cli("trace", "info", path)
    assert (done.code, done.out) == (1, "") and "row 1: op 9 is reserved" in done.err


def test_head(tmp_path, cli):
    path = write(tmp_path / "t.arrow", SYSTEM, "system")
    done = cli("trace", "head", path, "-n", "5")
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 6
    assert lines[1].split() == ["0", "MAP", "0x00001000", "12", "0", "0x101"]
    assert lines[4].split() == ["3", "LOAD", "0x00002000", "4", "1", "USER"]
    done = cli("trace", "head", path, "--start", "8", "-n", "100", "--format", "csv")
    assert done.out.splitlines()[:2] == ["row,op,vaddr,size,insns,flags,page", "8,NOTE 200,0,0,0,,0"]
    assert len(done.out.splitlines()) == 5
    assert [row["row"] for row in json.loads(cli("trace", "head", path, "--format", "json").out)] == list(range(10))
    assert list(head_rows(path, 99, 5)) == []
    bad = write(tmp_path / "b.arrow", system_rows((7, 0, 0, 0, 0xFF)))
    missing = cli("trace", "head", tmp_path / "missing.arrow")
    assert (missing.code, missing.out) == (1, "")  # no titles over rows that never come
    assert "op 7" in cli("trace", "head", bad).out and "IO|USER|0xfc" in cli("trace", "head", bad).out


def test_verify_a_good_trace(tmp_path, cli):
    done = cli("trace", "verify", write_trace(tmp_path / "t.arrow"))
    assert done.code == 0 and done.err == ""
    assert [line.split()[-2 if "yes" in line else 0] for line in done.out.splitlines()]
    assert all("ok" in line.split()[:3] for line in done.out.splitlines())


def test_verify_names_the_first_bad_row(tmp_path, cli):
    rows = program_rows(50_000)
    rows.size[[40_000, 45_000]] = 0
    done = cli("trace", "verify", write(tmp_path / "t.arrow", rows))
    assert done.code == 3 and "row 40,000: " in done.err and "45,000" not in done.out + done.err
    assert "digests        ok" in done.out
    assert f"mmuexp trace slice {tmp_path / 't.arrow'} 0:40000 -o " in done.err and "recover" not in done.err
    assert cli("trace", "slice", tmp_path / "t.arrow", "0:40000", "-o", tmp_path / "n.arrow").code == 0
    assert cli("trace", "verify", tmp_path / "n.arrow").code == 0
    rows.size[0] = 0
    done = cli("trace", "verify", write(tmp_path / "t.arrow", rows))
    assert done.code == 3 and "row 0: " in done.err and "0:0" not in done.err


def test_verify_says_unknown_where_there_is_no_digest(tmp_path, cli):
    path = write_foreign(tmp_path / "f.arrow", program_rows(100)._asdict(), META)
    done = cli("trace", "verify", path, "--format", "json")
    states = {check["name"]: check["state"] for check in json.loads(done.out)}
    assert done.code == 0
    assert states == {
        "structure": "ok", "metadata": "unknown", "declared rows": "unknown", "complete": "unknown",
        "digests": "unknown", "rows": "ok",
    }  # fmt: skip


def test_verify_finds_a_wrong_digest(tmp_path, cli):
    path = write(tmp_path / "t.arrow", program_rows(100))
    with open_trace(path) as trace:
        data = trace.layouts[0].custom["mmuexp.crc32"].encode()
    content = (tmp_path / "t.arrow").read_bytes()
    assert content.count(data) == 1
    (tmp_path / "t.arrow").write_bytes(content.replace(data, b"00000000"))
    done = cli("trace", "verify", path)
    assert done.code == 3 and "1 of 1: first batch 0 (rows 0 to 99)" in done.err
    read(open_trace(path))  # replay does not look at it


def test_verify_the_digest_of_one_huge_batch(tmp_path, monkeypatch):
    import pyarrow as pa

    from mmuexp.trace.format import crc32

    rows = program_rows(5000)
    for name in ("decode.BATCH_ROWS", "decode.WHOLE_ROWS", "verify.BATCH_ROWS"):
        monkeypatch.setattr(f"mmuexp.trace.{name}", 700)
    table = pa.table(rows._asdict()).replace_schema_metadata(META)
    for told, state in ((crc32(rows), "ok"), ("12345678", "FAILED")):
        with pa.OSFile(str(tmp_path / "f.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_batch(table.to_batches()[0], custom_metadata={"mmuexp.crc32": told})
        assert {check.name: check.state for check in verify(tmp_path / "f.arrow")}["digests"] == state


def test_verify_warns_of_a_page_that_alternates(tmp_path, cli):
    turn = [
        (Op.FLUSH_PAGE, 0x1000),
        (Op.MAP, 0x1000, 0, 0, 0, 1),
        (Op.FLUSH_PAGE, 0x1000),
        (Op.MAP, 0x1000, 0, 0, 0, 2),
    ]
    # the first two MAP rows do not go back to anything: 102 and 103 MAP rows are 100 and 101 alternations
    for rows, warned in (((turn * 51), False), ((turn * 51 + turn[:2]), True)):
        done = cli("trace", "verify", write(tmp_path / "t.arrow", system_rows(*rows), "system"))
        assert done.code == 0
        assert ("page 0x1 alternates 101 times" in done.out) == warned
    flushed = [(Op.FLUSH, 0, 1) if op == Op.FLUSH_PAGE else (op, *rest) for op, *rest in turn]  # processes take turns
    assert (
        "alternates"
        not in cli("trace", "verify", write(tmp_path / "f.arrow", system_rows(*flushed * 99), "system")).out
    )


def test_verify_warns_of_user_traces_without_the_flag(tmp_path, cli):
    path = write(tmp_path / "t.arrow", system_rows((Op.LOAD, 0, 4, 0, USER), (Op.LOAD, 0, 4), (Op.EXEC, 0, 4, 1)))
    done = cli("trace", "verify", path)
    assert done.code == 0 and "warning  2 rows of a user-mode trace lack the USER flag, first row 1" in done.out


def test_verify_of_what_is_damaged_and_of_what_is_none(tmp_path, cli):
    whole = write(tmp_path / "t.arrow", program_rows(100))
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "t.arrow").read_bytes()[:-9])
    done = cli("trace", "verify", tmp_path / "cut.arrow")
    assert done.code == 3 and "trace recover" in done.err and done.err.count("\n") == 1
    (tmp_path / "text").write_text("hello\n")
    assert cli("trace", "verify", tmp_path / "text").code == 1
    assert cli("trace", "verify", tmp_path / "none").code == 1
    assert cli("trace", "verify", whole).code == 0


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["slice", "t.arrow", "x", "-o", "n.arrow"], 2, "expected START:STOP"),
        (["slice", "t.arrow", "5:5", "-o", "n.arrow"], 2, "holds no row; the trace has rows 0:12"),
        (["slice", "t.arrow", "99:", "-o", "n.arrow"], 2, "holds no row"),
        (["slice", "t.arrow", "0:5"], 2, "-o"),
        (["slice", "t.arrow", "0:5", "-o", "t.arrow"], 2, "is the trace to be cut"),
        (["slice", "t.arrow", "0:5", "-o", "-"], 2, "cannot go to stdout"),
        (["slice", "t.arrow", "0:5", "-o", "none/n.arrow"], 1, "cannot be written: no such file"),
        (["slice", "none", "0:5", "-o", "n.arrow"], 1, "none: cannot be read"),
        (["export", "t.arrow", "-o", "n.xls"], 2, "expected .csv or .parquet or .arrow or .din or .xdin or .lackey"),
        (["export", "t.arrow", "-o", "none/n.csv"], 1, "cannot be written"),
        (["recover", "t.arrow", "-o", "t.arrow"], 2, "is the file to be mended"),
        (["recover", "text", "-o", "n.arrow"], 1, "does not begin as a trace does"),
        (["recover", "/proc/self/mem", "-o", "n.arrow"], 1, "/proc/self/mem: does not begin as a trace does"),
        (["import", "text", "-o", "n.arrow"], 1, "text: line 1 is 'hello', which no format begins with"),
        (["import", "text"], 2, "-o"),
        (["import", "--from", "lackey", "text", "-o", "text"], 2, "text: is what is to be imported"),
        (["import", "--from", "lackey", "text", "-o", "./text"], 2, "is what is to be imported"),
        (["head", "-n", "x", "t.arrow"], 2, "-n"),
        (["info"], 2, "FILE"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_one_line_and_nothing_half_written(tmp_path, monkeypatch, cli, argv, code, says):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.arrow", SYSTEM, "system")
    (tmp_path / "text").write_text("hello\n")
    done = cli("trace", *argv)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert says in done.err
    assert sorted(os.listdir()) == ["t.arrow", "text"]


def test_export(tmp_path, cli):
    rows = concat([program_rows(70_000), columns_of([(Op.STORE, 0xFFFFFFFF, 64, 255)])])
    path = write(tmp_path / "t.arrow", rows, command="ls")
    for name, load in (("t.parquet", pyarrow.parquet.read_table), ("t.csv", pyarrow.csv.read_csv)):
        done = cli("trace", "export", path, "-o", tmp_path / name)
        assert done.code == 0 and done.out == "" and "70,001 rows" in done.err
        table = load(str(tmp_path / name))
        assert table.column_names == list(rows._fields)
        assert all(np.array_equal(table[name].to_numpy(), column) for name, column in rows._asdict().items())
    assert pyarrow.parquet.read_schema(str(tmp_path / "t.parquet")).metadata[b"mmuexp.command"] == b"ls"
    whole = (tmp_path / "t.csv").read_text()
    code = "from mmuexp.cli.main import run; import sys; sys.exit(run())"
    done = subprocess.run([sys.executable, "-c", code, "trace", "export", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == whole


@pytest.mark.parametrize("argv", [["export"], ["head", "-n", "70000"], ["head", "-n", "70000", "--format", "csv"]])
def test_a_closed_pipe_ends_quietly(tmp_path, argv):
    path = write(tmp_path / "t.arrow", program_rows(70_000))
    code = "from mmuexp.cli.main import run; import sys; sys.exit(run())"
    command = [sys.executable, "-c", code, "trace", argv[0], path, *argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_recover_says_how_many_rows(tmp_path, cli):
    write(tmp_path / "t.arrow", program_rows(100))
    (tmp_path / "cut").write_bytes((tmp_path / "t.arrow").read_bytes()[:-9])
    done = cli("trace", "recover", tmp_path / "cut", "-o", tmp_path / "n.arrow")
    assert done.code == 0 and "100 rows" in done.err
    trace = open_trace(tmp_path / "n.arrow")
    assert trace.complete == "recovered: its footer was missing; 100 rows in whole batches" and trace.window == (0, 100)
    with pytest.raises(TraceError):
        open_trace(tmp_path / "cut")


def test_import_says_what_moved(tmp_path, cli):
    (tmp_path / "t.txt").write_text("I  108000000,3\n L 1fff000000,130\n")
    done = cli("trace", "import", tmp_path / "t.txt", "-o", tmp_path / "t.arrow", "--rebase")
    assert done.code == 0 and done.out == ""
    assert "moved 0x100000000 to 0x00000000" in done.err
    assert "1 records over 64 bytes split" in done.err and "4 rows from 2 lines of lackey" in done.err
    done = cli("trace", "import", tmp_path / "t.txt", "-o", tmp_path / "t.arrow")
    assert done.code == 0 and "moved 0x" not in done.err
    with open_trace(tmp_path / "t.arrow") as trace:
        assert trace.address_bits == 64


@pytest.mark.parametrize(("told", "shown"), [(None, "unknown: the file does not tell"), ("0", "0"), ("7", "7")])
def test_flushes_that_nobody_is_sure_of(tmp_path, cli, told, shown):
    more = {} if told is None else {"flushes_unsure": told}
    done = cli("trace", "info", write(tmp_path / "t.arrow", SYSTEM, "system", **more))
    assert [line.split(None, 1)[1].startswith(shown) for line in done.out.splitlines() if "_unsure" in line] == [True]


@pytest.mark.parametrize(("told", "of_a_part"), [("0", "0"), ("7", None)])
def test_of_a_part_is_known_what_is_none_of_the_whole(tmp_path, told, of_a_part):
    whole = write(tmp_path / "t.arrow", SYSTEM, "system", flushes_unsure=told)
    slice_trace(whole, 0, 5, str(tmp_path / "s.arrow"))
    with open_trace(tmp_path / "s.arrow") as part:
        assert part.metadata.get("flushes_unsure") == of_a_part


def test_without_a_flush_there_is_none_to_be_sure_of(tmp_path, cli):
    rows = Columns(*(column[SYSTEM.op != Op.FLUSH] for column in SYSTEM))
    assert "_unsure" not in cli("trace", "info", write(tmp_path / "t.arrow", rows, "system")).out
    assert "_unsure" not in cli("trace", "info", write_trace(tmp_path / "u.arrow")).out


def test_traces_are_written_without_pandas(tmp_path, trace):
    """pyarrow imports it where it makes arrays of what it is given, and that takes longer than a small recording."""
    lines = [["trace", "slice", trace, "0:5", "-o", "s.arrow"]]
    lines += [["trace", "export", trace, "-o", f"e.{suffix}"] for suffix in ("arrow", "csv", "parquet")]
    code = f"from mmuexp.cli.main import run; print([run(line) for line in {lines}], 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[0, 0, 0, 0] False\n", done.stderr
