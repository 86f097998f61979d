"""What another tool recorded, in the place of a trace: imported once, kept while it is the same, bounded, and told."""

import gzip
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit.drmemtrace import INSTR, READ, recorded
from kit.importing import instruction
from kit.recordings import need
from kit.traces import read, same

import mmuexp
from mmuexp.errors import MmuexpError, TraceError
from mmuexp.guest import Op
from mmuexp.progress import told_to
from mmuexp.trace import foreign, open_trace
from mmuexp.trace.importers.work import import_trace

LACKEY = b"".join(b"I  %08x,3\n L %08x,4\n S %08x,8\n" % (i * 3, i * 64, i * 4096 + 4092) for i in range(300))
LACKEY_ROWS = 600 + -(-300 // 64)  # data, and blocks of 64 instructions
LIST = b"00418f2c R\n00418f30 W\n"
PINATRACE = b"0x401000: R 0x7ffe10c8\n#eof\n"
SPECS = ("softmmu", "map-block")


def drmemtrace(thread: int = 7) -> bytes:
    return recorded((INSTR, 4, 0x1000), (READ, 8, 0x2004), bits=0x20, thread=thread)


FILES = {
    "lackey.log": LACKEY,
    "lackey.txt": LACKEY,
    "lackey.log.gz": gzip.compress(LACKEY, mtime=0),
    "drmemtrace.trace": drmemtrace(),
    "some.champsim.trace": instruction(0x1000, reads=[0x5000]),
    "pinatrace.out": PINATRACE,
    "one.xdin": b"i 1000 4\nr 2000 8\n",
    "one.din": b"2 1000\n0 2000\n",
    "mem.csv": b"insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,access_type,mem_value\n"
    b"0x1000,,0x2000,0x0,32,load,0x0\n",
    "exec.log": b'0, 0x1000, 0x90, "nop"\n0, 0x1001, 0x8b, "mov eax, [ebx]", load, 0x2000\n',
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """Where imports are kept, and the folder that the test works in."""
    monkeypatch.setattr(foreign, "imports_folder", lambda: tmp_path / "kept")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "kept"


@pytest.fixture
def remarks():
    found: list[str] = []
    with told_to(found.append):
        yield found


def made(name: str) -> str:
    Path(name).write_bytes(FILES[name])
    return name


def kept(place) -> list[Path]:
    return sorted(place.glob("*.arrow"))


@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file_is_what_an_import_makes_of_it(place, remarks, name):
    done = import_trace(made(name), "by-hand.arrow")
    with open_trace(name) as found, open_trace("by-hand.arrow") as wanted:
        assert same(read(found), read(wanted)) and found.metadata == wanted.metadata and found.path == name
        assert found.sha256() == wanted.sha256()
    (line,) = remarks
    assert line.startswith(f"{name}: imported ({done.format}, {done.rows:,} rows, ") and str(place) in line
    assert len(kept(place)) == 1


@pytest.mark.long
def test_every_command_that_takes_a_trace_takes_it(cli, place):
    made("lackey.log")
    import_trace("lackey.log", "t.arrow")
    words = [word for spec in SPECS for word in ("-s", spec)]
    for command in (
        ["compare", "FILE", *words, "--format", "csv"],
        ["misses", "FILE", "--format", "csv"],
        ["sweep", "TLB_BITS=4,8", "--trace", "FILE", "--format", "csv"],
        ["faults", "--trace", "FILE", "-s", "map-block", "--format", "csv"],
        ["trace", "info", "FILE"],
        ["trace", "head", "FILE"],
        ["trace", "verify", "FILE"],
        ["trace", "export", "FILE"],
        ["trace", "slice", "FILE", "0:9", "-o", "NEW.arrow"],
        ["trace", "compress", "FILE", "-o", "NEW.arrow"],
        ["trace", "relocate", "FILE", "--seed", "1", "-o", "NEW.arrow"],
    ):
        of_trace = cli(*(word.replace("FILE", "t.arrow") for word in command))
        wanted = (of_trace.code, of_trace.out.replace("t.arrow", "lackey.log"))
        assert wanted[0] == 0, of_trace.err
        of_log = cli(*(word.replace("FILE", "lackey.log") for word in command))
        assert (of_log.code, of_log.out) == wanted, of_log.err
        assert "imported" not in of_log.err or command[0] == "compare"
    assert len(kept(place)) == 1


def test_it_says_once_and_imports_again_when_the_file_changed(place, remarks):
    made("lackey.log")
    for _ in range(3):
        open_trace("lackey.log").close()
    assert len(remarks) == 1 and len(kept(place)) == 1
    Path("lackey.log").write_bytes(LACKEY + b" L 00000000,1\n")
    with open_trace("lackey.log") as trace:
        assert trace.rows == LACKEY_ROWS + 1
    os.rename("lackey.log", "other.log")  # a name may decide what a file is taken for
    open_trace("other.log").close()
    assert len(remarks) == 3


def test_what_was_only_just_written_is_known_by_its_bytes(place, remarks, monkeypatch):
    """Its times may stay the same when it changes once more; later they tell enough."""
    monkeypatch.setattr(foreign, "_state", lambda _: [])
    made("lackey.log")
    for _ in range(2):
        open_trace("lackey.log").close()
    Path("lackey.log").write_bytes(LACKEY.replace(b",8", b",4"))
    for _ in range(2):
        open_trace("lackey.log").close()
    assert len(remarks) == 2 and len(kept(place)) == 1
    (used,) = place.glob("*.used")
    assert used.read_text()
    monkeypatch.setattr("mmuexp.trace.sha256.is_calm", lambda _: True)
    open_trace("lackey.log").close()
    assert not used.read_text() and len(remarks) == 2


def test_another_mmuexp_or_another_importer_imports_again(place, remarks, monkeypatch):
    open_trace(made("lackey.log")).close()
    monkeypatch.setattr(foreign, "_sources", lambda: "another")
    open_trace("lackey.log").close()
    assert len(remarks) == 2


def test_a_folder_is_one_recording_and_several_threads_are_an_error_with_the_way_out(place, cli):
    inside = Path("server.dir/trace")
    inside.mkdir(parents=True)
    (inside / "a.trace").write_bytes(drmemtrace(7))
    assert cli("compare", "server.dir", "-s", "softmmu").code == 0
    assert "server.dir: imported (drmemtrace, 2 rows" in cli.err
    (inside / "b.trace").write_bytes(drmemtrace(8))
    assert cli("compare", "server.dir", "-s", "softmmu").code == 1
    (line,) = cli.err.splitlines()
    assert line.startswith("mmuexp: server.dir: holds 2 threads in 2 files: 7 (1 instructions, 1 accesses), 8")
    command = "(of `mmuexp trace import server.dir -o NEW.arrow`)"
    assert line.endswith(f"take one with --thread 7, or all with --interleave {command}")
    assert len(kept(place)) == 1 and not list(place.glob("*.part"))
    with pytest.raises(TraceError, match="is a folder, and no recording of one"):
        open_trace(".")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.trace",
            LIST,
            "looks like an address list .*--columns ao .*(of `mmuexp trace import a.trace -o NEW.arrow`)",
        ),
        ("a.txt", LIST, "looks like an address list .*--columns ao .*(of `mmuexp trace import a.txt -o NEW.arrow`)"),
        ("a.log", b"0 418f2c\n1 418f30\n", "looks like Dinero's din.*--from din (of `mmuexp trace import a.log -o "),
        ("a.bin", instruction(0x1000) * 2, "begins with the bytes 00 10 .*--from (of `mmuexp trace import "),
        ("a.log", LACKEY + b"the program's\n", "line 901 'the program's' .*--skip-foreign (of `mmuexp trace import "),
        ("a.log", LACKEY[:-3], "ends within a line: it was cut"),
        ("a.gz", gzip.compress(LACKEY)[:-9], "does not decompress"),
    ],
)
def test_what_cannot_be_taken_as_it_is_names_the_command(place, name, content, told):
    Path(name).write_bytes(content)
    with pytest.raises(TraceError, match=re.escape(told).replace(r"\.\*", ".*")):
        mmuexp.compare(name, SPECS)
    assert not list(place.iterdir())


def test_a_program_of_64_bits_is_compared_as_it_is(place, remarks):
    log = b"".join(b"I  %x,4\n L %x,8\n" % (0x400000, 0x7FFE00000000 + (i << 32)) for i in range(300))
    Path("wide.log").write_bytes(log)
    found = mmuexp.compare("wide.log", SPECS)
    assert list(found["tlb_fills"][:1]) == [300] and list(found["pages"]) == [300, 300]
    with open_trace("wide.log") as trace:
        assert trace.address_bits == 64 and trace.rows == 600
    assert len(remarks) == 1 and "moved" not in remarks[0]


def test_a_corpus_of_them(place, cli):
    for name in ("lackey.log", "pinatrace.out", "one.xdin"):
        made(name)
    Path("deep/one.dir").mkdir(parents=True)
    Path("deep/one.dir/a.trace").write_bytes(drmemtrace())
    Path("README").write_text("What these are.\n")
    Path("result.csv").write_text("trace,strategy,rows\na,softmmu,1\n")
    found = mmuexp.compare(".", "softmmu")
    assert list(found["trace"]) == ["./deep/one.dir", "./lackey.log", "./one.xdin", "./pinatrace.out"]
    assert list(mmuexp.compare("deep/*", "softmmu")["trace"]) == ["deep/one.dir"]
    Path("list.txt").write_text("lackey.log\none.xdin\n")
    assert list(mmuexp.compare("list.txt", "softmmu")["trace"]) == ["lackey.log", "one.xdin"]
    Path("cut.log").write_bytes(LACKEY[:-3])
    assert cli("compare", "*.log", "-s", "softmmu").code == 1
    assert "1 of 2 recordings could not be replayed" in cli.err
    import_trace("lackey.log", "one.arrow")  # a folder with traces stands for these
    assert list(mmuexp.compare(".", "softmmu")["trace"]) == ["./one.arrow"]


def test_a_folder_of_several_formats_is_a_corpus_whatever_its_names(place):
    for name in ("drmemtrace.trace", "some.champsim.trace"):
        made(name)
    assert list(mmuexp.compare(".", "softmmu")["trace"]) == ["./drmemtrace.trace", "./some.champsim.trace"]


def test_what_was_used_longest_ago_goes(place, remarks, monkeypatch):
    names = [f"{n}.log" for n in range(4)]
    for name in names:
        Path(name).write_bytes(LACKEY)
    for name in names[:3]:
        open_trace(name).close()
    size = kept(place)[0].stat().st_size
    open_trace(names[0]).close()
    monkeypatch.setattr(foreign, "LIMIT_BYTES", 3 * size)
    open_trace(names[3]).close()
    assert len(kept(place)) == 3 and len(list(place.iterdir())) == 6
    open_trace(names[0]).close()
    assert len(remarks) == 4
    open_trace(names[1]).close()
    assert len(remarks) == 5
    monkeypatch.setattr(foreign, "LIMIT_BYTES", 0)  # what was just imported stays; who reads another keeps it
    with open_trace(names[1]) as reading, open_trace(names[2]) as newest:
        assert len(kept(place)) == 1
        assert same(read(reading), read(newest))


def test_the_store_tells_of_imports_and_forgets_them(place, cli):
    open_trace(made("lackey.log")).close()
    held = json.loads(cli("store", "info", "--format", "json").out)["imports"]
    assert held == {
        "path": str(place), "imports": 1, "size_bytes": kept(place)[0].stat().st_size, "limit_bytes": 4 << 30
    }  # fmt: skip
    assert "1 recordings of other tools" in cli("store", "info").out
    with open_trace("lackey.log") as trace:
        assert cli("store", "clear").code == 0 and "1 import" in cli.err
        assert trace.first_op() is not None  # who reads it keeps it
    assert cli("store", "clear").code == 0 and "import" not in cli.err
    assert not list(place.iterdir())


def test_a_damaged_import_is_made_again(place, remarks):
    open_trace(made("lackey.log")).close()
    (file,) = kept(place)
    file.write_bytes(file.read_bytes()[:-9])
    with open_trace("lackey.log") as trace:
        assert trace.rows == LACKEY_ROWS
    assert len(remarks) == 2


def test_no_place_for_it_is_one_line(place):
    place.write_text("a file stands where the folder would")
    with pytest.raises(MmuexpError, match=r"its import cannot be kept: .*keep it elsewhere: mmuexp trace import"):
        open_trace(made("lackey.log"))


def test_a_file_that_grows_meanwhile_is_refused(place, monkeypatch):
    made("lackey.log")
    states = iter([["before"], ["after"]])
    monkeypatch.setattr(foreign, "_state", lambda _: next(states))
    with pytest.raises(TraceError, match="changed while it was read; wait until it is whole"):
        open_trace("lackey.log")
    assert not kept(place)


def _open(barrier, results, place):
    foreign.imports_folder = lambda: place
    barrier.wait()
    said: list[str] = []
    with told_to(said.append), open_trace("lackey.log") as trace:
        results.put((trace.sha256(), len(said)))


def test_of_two_processes_one_imports_and_the_other_waits(place):
    made("lackey.log")
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    for _ in range(3):
        context.Process(target=_open, args=(barrier, results, place), daemon=True).start()
    found = [results.get(timeout=60) for _ in range(3)]
    assert len({digest for digest, _ in found}) == 1 and sorted(said for _, said in found) == [0, 0, 1]
    assert len(kept(place)) == 1


def test_after_kill_9_nothing_half_is_found(place):
    """The next one imports, and takes away what the killed one left."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from mmuexp.trace import foreign, open_trace, format\n"
        "foreign.imports_folder = lambda: Path(sys.argv[1])\n"
        "format.TraceWriter.close = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "open_trace('lackey.log')\n"
    )
    made("lackey.log")
    done = subprocess.run([sys.executable, "-c", script, place], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL and list(place.glob("*.part")) and not kept(place)
    with open_trace("lackey.log") as trace:
        assert trace.rows == LACKEY_ROWS
    assert len(kept(place)) == 1 and not list(place.glob("*.part"))


@pytest.mark.long
def test_a_log_of_the_real_valgrind_is_compared(place, cli):
    """lackey's lines, counted by themselves, are the rows; its last line says that the recording is whole."""
    need("valgrind", "valgrind")
    words = ["valgrind", "--tool=lackey", "--trace-mem=yes", "--log-file=true.log", "/bin/true"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    log = Path("true.log").read_bytes()
    Path("true.log.gz").write_bytes(gzip.compress(log))
    loads, stores, both = (len(re.findall(rb"^ %s " % kind, log, re.MULTILINE)) for kind in (b"L", b"S", b"M"))
    with open_trace("true.log.gz") as trace:
        ops = read(trace).op
        assert trace.complete == "yes" and trace.address_bits == 64 and "guest" not in trace.metadata
        assert [int((ops == op).sum()) for op in (Op.LOAD, Op.STORE)] == [loads + both, stores + both]
    found = mmuexp.compare("true.log.gz", "softmmu")
    assert list(found["guest_insns"]) == [len(re.findall(b"^I  ", log, re.MULTILINE))]
    assert list(found["accesses"]) == [loads + stores + 2 * both]
