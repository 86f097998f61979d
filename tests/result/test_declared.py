"""What a trace does not tell is unknown in every table and file, never 0; lower bounds say that they are."""

import csv
import io
import json

import pandas as pd
import pytest
from kit.cli import one_line
from kit.traces import ROWS, columns_of, read, same, write

import mmuexp
from mmuexp.errors import MmuexpError, TraceError, UsageError
from mmuexp.guest import Op
from mmuexp.result.checks import fail_if, parse_check
from mmuexp.result.declared import Declared, declared_in
from mmuexp.result.saved import load
from mmuexp.trace import TraceWriter, open_trace
from mmuexp.trace.verify import verify

EXEC = (Op.EXEC, 0x40000, 20, 5)
TOUCHES = [(op, vaddr, 1, at) for op, vaddr, _, at in ROWS if op != Op.EXEC]  # 7 loads, 4 stores, of unknown sizes
ON_CODE = [(Op.STORE, 0x40800, 1, 1), (Op.STORE, 0x40000, 1, 1)]  # the second overlaps the block, the first does not
SCHEMES = ("softmmu", "byte-lookup", "map-block", "softmmu-qemu10")
SIZES = ["misaligned", "page_cross", "faults_cross", "slow_cross"]
SIZES += ["slow_misaligned", "cross_insns", "cross_ns", "cross_kernel_ns"]
CODE = ["execs", "guest_insns", "translations", "translated_insns"]
CODE += ["protects", "faults_code", "slow_code", "code_list_walks", "searched_blocks"]
TRANSLATOR = ["translate_insns", "translate_ns", "retranslate_ns"]
TRANSLATOR += ["blocks_dropped", "retranslated_insns", "far_accesses", "cold_accesses"]
STORES = ["smc_stores", "code_page_data_stores"]
QEMU10 = ["code_fetches", "code_fills", "scanned_entries"]
EMPTY = {
    "sizes": [*SIZES, *STORES, "wide_units8", "ram_misaligned_units8", "ram_cross_loads", "ram_cross_store_bytes"],
    "code": [*CODE, *STORES, *TRANSLATOR, *QEMU10],
    "told": [],
}


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> dict[str, str]:
    """One trace a declaration; `told` has the rows of `sizes`, and declares nothing."""
    folder, with_code = tmp_path_factory.mktemp("declared"), [EXEC, *TOUCHES, *ON_CODE]
    whole = [row for row in ROWS if row[0] != Op.EXEC]
    all_of_4 = [row if row[0] == Op.EXEC else (row[0], row[1], 4, row[3]) for row in ROWS]
    made = {
        "told": (with_code, {}),
        "sizes": (with_code, {"sizes": "unknown"}),
        "code": (whole, {"code": "none"}),
        "both": (TOUCHES, {"sizes": "unknown", "code": "none"}),
        "assumed": (all_of_4, {"sizes": "assumed 4"}),
        "partly": (ROWS, {"sizes": "partly", "unknown_sizes": "1234"}),
        "some": (ROWS, {"sizes": "partly"}),
        "lengths": (ROWS, {"code": "lengths unknown"}),
    }
    return {name: write(folder / f"{name}.arrow", columns_of(rows), **keys) for name, (rows, keys) in made.items()}


@pytest.fixture(scope="module")
def results(traces) -> dict:
    from mmuexp.analysis.compare import compare

    return {name: compare(path, SCHEMES) for name, path in traces.items()}


def rows_of(result) -> dict[str, dict]:
    return {row["strategy"]: row for row in result.frame.to_dict("records")}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, Declared()),
        ({"sizes": "unknown"}, Declared("unknown")),
        ({"sizes": "assumed 64"}, Declared("assumed", bytes=64)),
        ({"sizes": "partly", "unknown_sizes": "0"}, Declared("partly", count=0)),
        ({"sizes": "partly"}, Declared("partly")),
        ({"code": "none"}, Declared(code="none")),
        ({"sizes": "unknown", "code": "lengths unknown"}, Declared("unknown", "lengths unknown")),
    ],
)
def test_what_metadata_declares(metadata, expected):
    assert declared_in(metadata, "t") == expected


ODD = [
    *({"sizes": text} for text in ("foo", "known", "", "assumed", "assumed 0", "assumed 65", "assumed 4 ", "Unknown")),
    *({"code": text} for text in ("foo", "", "known", "lengths")),
    *({"sizes": "partly", "unknown_sizes": text} for text in ("many", "-1", "", "²")),
]


@pytest.mark.parametrize("metadata", ODD)
def test_a_declaration_that_means_nothing_is_refused(tmp_path, metadata):
    with pytest.raises(TraceError, match=r"mmuexp\.(sizes|code|unknown_sizes) is .*, expected .*mend its writer"):
        declared_in(metadata, "t")


def test_it_is_refused_by_whatever_reads_the_trace(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("t.arrow", columns_of(ROWS), sizes="foo")
    for argv in (
        *(["trace", name, "t.arrow"] for name in ("info", "head", "export")),
        *(["trace", name, "t.arrow", "-o", "n.arrow"] for name in ("compress", "recover")),
        ["trace", "slice", "t.arrow", "0:1", "-o", "n.arrow"],
        ["trace", "relocate", "t.arrow", "--seed", "1", "-o", "n.arrow"],
    ):
        done = cli(*argv)
        assert (done.code, done.out) == (1, "") and "mmuexp.sizes is 'foo', expected " in one_line(done.err), argv
    done = cli("trace", "verify", "t.arrow")
    assert done.code == 3 and "structure      FAILED   mmuexp.sizes is 'foo'" in done.out
    assert [file.name for file in tmp_path.iterdir()] == ["t.arrow"]


@pytest.mark.parametrize(
    "argv",
    [
        *(("compare",), ("sweep", "map_block_bits=12,16", "-s", "map-block", "--trace"), ("misses",), ("claims",)),
        *(("faults", "-s", "map-block"), ("verify", "-s", "map-block"), ("trace", "info"), ("trace", "verify")),
        *(
            ("trace", "slice", "-o", "NEW", "RANGE"),
            ("trace", "compress", "-o", "NEW"),
            ("trace", "relocate", "-o", "NEW"),
        ),
    ],
)
def test_every_command_refuses_it_in_one_line(cli, tmp_path, argv):
    path, new = write(tmp_path / "foo.arrow", columns_of(ROWS), sizes="foo"), tmp_path / "new.arrow"
    words = [str(new) if word == "NEW" else word for word in argv if word != "RANGE"]
    words += ["--seed", "1"] if "relocate" in argv else []
    words += ["--trace"] if argv == ("claims",) else []
    done = cli(*words, path, *["0:5"] * ("RANGE" in argv))
    assert done.code == (3 if "verify" in argv and "trace" in argv else 1)
    assert "mmuexp.sizes is 'foo', expected unknown, partly or assumed N (1 to 64 bytes)" in one_line(done.err)
    assert not new.exists()


@pytest.mark.parametrize("name", ["sizes", "code", "both", "told"])
def test_the_cells_that_are_empty(results, name):
    parts = ["sizes", "code"] if name == "both" else [name]
    empty = {column for part in parts for column in EMPTY[part]}
    frame, known = results[name].frame, results["told"].frame
    for at, scheme in enumerate(SCHEMES):
        for column in known.columns:
            expected = pd.isna(known[column][at]) or column in empty
            assert pd.isna(frame[column][at]) == expected, (scheme, column)
    facts = results[name].manifest["traces"][0]
    assert set(facts.get("unknown", [])) == empty - set(QEMU10)
    assert ("faults" in facts.get("lower_bounds", [])) == (name != "told")


def test_what_is_not_empty_is_what_the_rows_show(results):
    told, sizes = results["told"].frame, results["sizes"].frame
    same_columns = [c for c in told.columns if c not in {"trace", *EMPTY["sizes"]}]
    pd.testing.assert_frame_equal(told[same_columns], sizes[same_columns])


def test_stores_to_code_pages_are_known_in_sum(results):
    told, sizes = rows_of(results["told"]), rows_of(results["sizes"])
    for scheme in SCHEMES:
        assert sizes[scheme]["code_page_stores"] == told[scheme]["smc_stores"] + told[scheme]["code_page_data_stores"]
    assert sizes["softmmu"]["code_page_stores"] == 2
    for name in ("told", "code", "both", "assumed"):
        assert "code_page_stores" not in results[name].frame.columns


def test_the_table_says_unknown_and_lower_bounds(cli, traces):
    done = cli("compare", traces["both"], "-s", "softmmu", "-s", "byte-lookup")
    lines = {line[:24].strip(): line[24:].split() for line in done.out.splitlines()}
    assert lines["page crossings"] == lines["translating guest code"] == ["unknown", "unknown"]
    assert lines["cross"] == lines["code"] == ["-", "unknown"]  # softmmu takes no faults
    assert lines["host faults"] == ["0", ">=", "5"] and lines["kernel time"][:3] == ["0", "ns", ">="]
    assert lines["memory access time"][0] == lines["hit path"][0] == lines["instructions/access"][0] == ">="
    assert "how many cross a page or are misaligned is unknown" in done.words
    assert "This compares lower bounds: the trace lacks sizes of accesses and code" in done.words
    assert "does not tell how many bytes an access has" in done.words and "The trace has no code" in done.words
    assert "counts are exact as far as the trace tells them" in done.words


def test_a_table_of_rows_says_so_too(cli, traces):
    for argv in (
        ("compare", traces["both"], "--every", "6"),
        ("sweep", "tlb_bits=4,8", "-s", "softmmu", traces["both"]),
    ):
        argv = [*argv[:-1], "--trace", argv[-1]] if argv[0] == "sweep" else argv
        done = cli(*argv)
        assert done.code == 0 and "unknown" in done.out and ">= " in done.out
        assert "how many cross a page or are misaligned is unknown" in done.words
        assert "lower bounds" in done.words


def test_windows_are_empty_where_the_total_is(traces):
    from mmuexp.analysis.compare import compare

    frame = compare(traces["sizes"], "map-block", every=5).frame
    assert len(frame[frame["strategy"] == "map-block"]) == 3
    assert frame["page_cross"].isna().all() and frame["smc_stores"].isna().all() and frame["execs"].sum() == 1
    half = compare(traces["code"], "softmmu").manifest["second_half"]
    assert not {"translated_insns", "slow_code", "far_accesses", "cold_accesses"} & half[0]["counts"].keys()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("assumed", "does not tell how many bytes an access has: 4 are assumed for each"),
        ("partly", "1,234 accesses of the recording have no known size, and count as one byte each"),
        ("some", "Some accesses of the recording have no known size"),
        ("lengths", "does not tell how long the last instruction of a block is"),
    ],
)
def test_what_is_counted_is_named_and_not_emptied(cli, traces, results, name, said):
    done = cli("compare", traces[name], "-s", "softmmu", "-s", "byte-lookup")
    assert said in done.words and "lower bound" not in done.words and "unknown" not in done.out
    empty = results[name].frame.isna().sum().sum()
    assert empty == results["told"].frame.isna().sum().sum()
    assert "unknown" not in results[name].manifest["traces"][0]


def test_csv_json_and_parquet_say_it_by_emptiness(cli, traces, tmp_path):
    files = [tmp_path / f"r{suffix}" for suffix in (".csv", ".json", ".parquet")]
    done = cli("compare", traces["both"], "-s", "byte-lookup", *(word for file in files for word in ("-o", file)))
    assert done.code == 0
    row = next(csv.DictReader(io.StringIO(files[0].read_text())))
    assert row["page_cross"] == row["execs"] == row["translate_ns"] == "" and row["faults"] == "5"
    row = json.loads(files[1].read_text())["rows"][0]
    assert row["page_cross"] is row["cross_ns"] is row["guest_insns"] is None
    for file in files:  # read again, shown again, priced again
        assert load(str(file)).frame["misaligned"].isna().all()
        assert cli("export", file, "--format", "csv").out == files[0].read_text()
        assert cli("export", file, "--host", "epyc-vm", "--format", "csv").out == files[0].read_text()
        assert "This compares" in cli("export", file, "--host", "pentium4-2004").words


def test_pages_and_markdown_say_unknown(cli, traces, tmp_path):
    html, md = tmp_path / "r.html", tmp_path / "r.md"
    assert cli("compare", traces["code"], "-s", "map-block", "-s", "softmmu", "-o", html, "-o", md).code == 0
    assert "| execs | unknown | unknown |" in md.read_text() and "| faults_code | unknown |  |" in md.read_text()
    assert "unknown</td>" in html.read_text() and "Times are lower bounds: a trace lacks code." in html.read_text()


def test_a_saved_result_may_be_empty_only_where_its_trace_says_so(tmp_path, traces, results):
    from mmuexp.render.export import EXPORTERS

    document = json.loads(EXPORTERS[".json"].write(results["sizes"]))
    path = tmp_path / "r.json"
    for metadata, what in (
        ({}, "has nothing as misaligned"),
        ({"sizes": "foo"}, "mmuexp.sizes is 'foo'"),
        (7, "metadata"),
    ):
        document["manifest"]["traces"][0]["metadata"] = metadata
        path.write_text(json.dumps(document))
        with pytest.raises(MmuexpError, match=what):
            load(str(path))


@pytest.mark.parametrize(
    ("check", "code", "said"),
    [
        ("page_cross > 0", 2, "asks for page_cross of softmmu, which is unknown"),
        ("byte-lookup:faults_cross > 0", 2, "asks for faults_cross of byte-lookup, which is unknown"),
        ("byte-lookup:faults > 2 * softmmu:cross_ns", 2, "asks for cross_ns of softmmu"),
        ("code_fetches == 0", 2, "asks for code_fetches of softmmu-qemu10"),
        ("softmmu:faults_cross > 0", 0, "could not be decided"),  # the scheme has no such event
        ("byte-lookup:faults > 4", 3, "is decided by lower bounds (faults)"),
        ("byte-lookup:faults > 5", 0, "is decided by lower bounds (faults)"),
        ("loads > 100", 0, ""),
    ],
)
def test_fail_if(cli, traces, check, code, said):
    schemes = [word for scheme in SCHEMES for word in ("-s", scheme)]
    done = cli("compare", traces["both"], *schemes, "--fail-if", check)
    assert done.code == code and said in done.err and (said or not done.err)


def test_fail_if_in_python(results):
    with pytest.raises(UsageError, match="which is unknown"):
        fail_if(results["sizes"], [parse_check("misaligned >= 0")])
    fail_if(results["sizes"], [parse_check("code_page_stores > 2")])
    with pytest.raises(UsageError, match="which is unknown"):
        fail_if(results["code"], [parse_check("translate_ns > 0")])


def test_misses_and_faults_say_so(cli, traces):
    done = cli("misses", traces["both"])
    assert "at least 11 lookups" in done.words and "TLB fills >= 5" in done.words and "lower bounds" in done.words
    assert "The trace has no code" not in done.words  # code fills no TLB
    done = cli("faults", traces["both"], "-s", "byte-lookup")
    lines = {words[0]: words[1:] for line in done.out.splitlines() if (words := line.split())}
    assert lines["cross"] == lines["code"] == ["unknown"] and lines["unmapped"][0] == "3"
    assert "at least 5 host faults" in done.words and "The trace has no code" in done.words
    told = mmuexp.faults(traces["both"], "byte-lookup").attrs["manifest"]["faults"]
    assert told["faults_cross"] is None and told["faults_unmapped"] == 3


def test_verify_compares_what_the_trace_tells(cli, traces):
    done = cli("verify", traces["both"], "-s", "byte-lookup", "--format", "csv")
    events = {row["event"] for row in csv.DictReader(io.StringIO(done.out))}
    assert done.code == 0 and "faults_unmapped" in events
    assert not {"faults_cross", "faults_code", "translations"} & events
    assert "lower bounds" in cli("verify", traces["both"], "-s", "byte-lookup").words


def test_claims_that_need_it_are_not_tested(cli, traces):
    done = cli("claims", "--only", "3", "--trace", traces["both"])
    assert done.code == 0 and done.words.count("not tested") >= 2
    done = (
        cli("claims", "--only", "5,7,10", "--trace", traces["both"])
        if False
        else cli("claims", "--trace", traces["both"])
    )
    assert done.code == 0 and "Lower bounds are compared: both (it lacks sizes of accesses and code)" in done.words


def test_trace_info_says_unknown(cli, traces):
    done = cli("trace", "info", traces["both"])
    lines = {line[:15].strip(): line[15:] for line in done.out.splitlines()}
    for name in ("execs", "guest insns", "access sizes", "misaligned", "page crossing", "code executed", "code pages"):
        assert lines[name] == "unknown", name
    assert lines["data touched"].startswith("at least") and "guest unknown" in lines["trace"]
    told = json.loads(cli("trace", "info", "--format", "json", traces["both"]).out)
    assert (
        told["counts"]["execs"] is told["counts"]["page_cross"] is told["access_sizes"] is told["mix"]["execs"] is None
    )
    assert told["guest"]["code"]["stores"] is told["footprint"]["code_bytes"] is told["shares"]["misaligned"] is None
    assert "4: 11 (assumed)" in cli("trace", "info", traces["assumed"]).out
    assert "(1,234 of them unknown, counted as 1)" in cli("trace", "info", traces["partly"]).out
    assert "at least 20 bytes" in cli("trace", "info", traces["lengths"]).out


@pytest.mark.parametrize(
    ("rows", "keys", "what"),
    [
        (ROWS, {"code": "none"}, "code none; it has 1 EXEC rows"),
        (ROWS, {"sizes": "unknown"}, "sizes unknown; it has 10 rows of another size than 1"),
        (ROWS, {"sizes": "assumed 4"}, "sizes assumed 4; it has 2 rows of another size than 4"),
    ],
)
def test_rows_that_contradict_their_trace(cli, tmp_path, rows, keys, what):
    path = write(tmp_path / "t.arrow", columns_of(rows), **keys)
    found = {check.name: check for check in verify(path)}
    assert (found["declared"].state, found["declared"].detail) == ("FAILED", what)
    if "assumed 4" not in keys.values():
        done = cli("compare", path, "-s", "softmmu")
        assert done.code == 1 and "declares that" in one_line(done.err)


def test_right_declarations_are_checked(traces):
    for name in traces:
        found = {check.name: check.state for check in verify(traces[name])}
        assert found.get("declared") == (None if name == "told" else "ok"), name


def test_declarations_survive_what_is_written_anew(cli, tmp_path, traces):
    new = tmp_path / "new.arrow"
    for argv in (
        ("slice", traces["partly"], "0:5"),
        ("compress", traces["partly"]),
        ("relocate", traces["partly"], "--seed", 1),
        ("recover", traces["partly"]),
    ):
        assert cli("trace", *argv, "-o", new).code == 0
        metadata = open_trace(new).metadata
        whole = argv[0] != "slice"  # of a part nobody knows how many
        assert metadata["sizes"] == "partly" and metadata.get("unknown_sizes") == ("1234" if whole else None), argv
        assert "guest" not in metadata  # nobody guesses one
    assert cli("trace", "slice", traces["both"], "2:5", "-o", new).code == 0
    assert open_trace(new).metadata["code"] == "none" and same(read(open_trace(new)), columns_of(TOUCHES[2:5]))


def test_who_does_not_know_whether_all_is_there_does_not_say_so(cli, tmp_path):
    path, new = str(tmp_path / "t.arrow"), str(tmp_path / "new.arrow")
    with TraceWriter(path, mode="user", metadata={}) as writer:
        writer.append(columns_of(ROWS))
        writer.close(complete=None)
    assert open_trace(path).complete is None
    for argv in (("compress", path), ("relocate", path, "--seed", 1), ("recover", path), ("slice", path, "3:")):
        cli("trace", *argv, "-o", new)
        assert open_trace(new).complete is None and "complete" not in open_trace(new).metadata, argv
    old = write(tmp_path / "old.arrow", columns_of(ROWS))
    with TraceWriter(old, mode="user", metadata={}) as writer:
        writer.append(columns_of(ROWS))
        writer.close(complete="unknown")  # as earlier versions wrote it
    assert {check.name: check.state for check in verify(old)}["complete"] == "unknown"
    assert "cut short" not in cli("compare", old, "-s", "softmmu").out


def test_a_scheme_names_events_of_its_own_alone_as_those_of_code(tmp_path):
    from mmuexp.strategy.mistakes import declared
    from mmuexp.strategy.registry import strategy_class

    cls = strategy_class("softmmu-qemu10")
    odd = type("Odd", (cls,), {"code_events": ("nonsense",), "__module__": cls.__module__})
    with pytest.raises(MmuexpError, match="code_events"):
        declared(odd)
