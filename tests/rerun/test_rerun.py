"""`mmuexp rerun`: an experiment of one's own, made, checked, broken in every way, and made again."""

import csv
import json
import re
import shutil

from kit.cli import edit, files, one_line
from kit.traces import columns_of, load, write, write_trace

import mmuexp
from mmuexp.rerun.index import MARK, write_index


def test_all_but_the_toml_is_made(cli, folder):
    done = cli("rerun", "mine/")
    assert (done.code, done.out) == (0, "")
    assert {path.name for path in folder.iterdir()} == {
        *("experiment.toml", "small.arrow", "other.arrow"),
        *("counts.csv", "counts.csv.manifest.json", "report.md", "chart.svg"),
    }
    rows = list(csv.DictReader((folder / "counts.csv").open()))
    assert [(row["trace"], row["strategy"]) for row in rows] == [
        (trace, strategy) for trace in ("small.arrow", "other.arrow") for strategy in ("softmmu", "map-block")
    ]
    about = json.loads((folder / "counts.csv.manifest.json").read_text())
    assert about["command"] == "mmuexp compare small.arrow other.arrow -s softmmu -s map-block"
    assert str(folder) not in json.dumps(about)
    assert (folder / "chart.svg").read_bytes().startswith(b"<svg")


def test_figures_tables_and_commands_stand_in_the_report(cli, folder):
    cli("rerun", "mine")
    text = (folder / "report.md").read_text()
    rows = {(row["trace"], row["strategy"]): row for row in csv.DictReader((folder / "counts.csv").open())}
    small, other = (rows[f"{name}.arrow", "map-block"] for name in ("small", "other"))
    faults, twice = int(small["faults"]), 2 * int(other["faults"]) / 22  # 11 accesses of 12 rows, see kit.traces
    times = max(
        int(rows[f"{name}.arrow", "softmmu"]["insns"]) / int(row["insns"])
        for name, row in (("small", small), ("other", other))
    )
    assert (
        f"faults {faults} times, in {100 * faults / 11:.1f} % of the accesses; softmmu takes {times:.2f} times" in text
    )
    assert "The mail was right. small has least." in text
    lines = [line for line in text.splitlines() if line.startswith(("| other", "| small"))]
    assert lines == [f"| small | {faults} | few rows | - |", f"| other | {int(other['faults'])} | {twice:.3f} | - |"]
    assert "    mmuexp compare small.arrow other.arrow -s softmmu -s map-block\n" in text
    assert "![mine](chart.svg)" in text
    assert "## Every count" in text


def test_a_check_of_what_was_made_writes_nothing(cli, folder):
    cli("rerun", "mine")
    before = files(folder)
    done = cli("rerun", "mine", "--check")
    assert done.code == 0
    assert "mine, counts.csv: Equal: " in one_line(done.err)
    assert files(folder) == before
    assert "report is what its saved counts say" in one_line(cli("rerun", "mine", "--check", "--saved").err)


def test_an_integer_that_differs_is_shown(cli, folder):
    cli("rerun", "mine")
    lines = (folder / "counts.csv").read_text().splitlines()
    faults = lines[0].split(",").index("faults")
    cells = lines[2].split(",")
    was, cells[faults] = int(cells[faults]), str(int(cells[faults]) + 1)
    (folder / "counts.csv").write_text("\n".join([*lines[:2], ",".join(cells), *lines[3:]]) + "\n")
    before = files(folder)
    done = cli("rerun", "mine", "--check")
    assert done.code == 3
    assert re.search(rf"^faults +{was + 1} +{was} +-1 ", done.out, re.M)
    assert "small.arrow, map-block" in done.out
    assert files(folder) == before
    outcome = mmuexp.rerun(folder, check=True)
    assert outcome.failed
    assert list(outcome.differences["counts"].frame["difference"]) == [-1]


def test_an_edited_recording_is_seen(cli, folder):
    cli("rerun", "mine")
    write_trace(folder / "small.arrow", rows=13)
    done = cli("rerun", "mine", "--check")
    assert done.code == 3
    assert re.search(r"^rows +12 +13 +\+1 ", done.out, re.M)
    assert "small.arrow is another recording" in done.out


def test_a_report_that_was_edited_is_stale(cli, folder):
    cli("rerun", "mine")
    (folder / "report.md").write_text((folder / "report.md").read_text().replace("map-block", "map-blok", 1))
    for saved in ([], ["--saved"]):
        done = cli("rerun", "mine", "--check", *saved)
        assert done.code == 3
        assert "report.md is not what its experiment.toml and its counts say" in done.err
    assert cli("rerun", "mine", "--saved").code == 0
    assert cli("rerun", "mine", "--check").code == 0


def test_a_new_question_needs_no_replay(cli, folder, monkeypatch):
    cli("rerun", "mine")
    counts = (folder / "counts.csv").read_bytes()
    edit(folder, "What does it cost?", "And now?")
    monkeypatch.setattr("mmuexp.rerun.rerun.run", None)
    assert cli("rerun", "mine", "--saved").code == 0
    assert (folder / "report.md").read_text().startswith("# mine\n\n*And now?*\n")
    assert (folder / "counts.csv").read_bytes() == counts


def test_what_the_answer_rests_on_must_hold(cli, folder):
    edit(folder, '"map-block:faults > 0"', '"map-block:faults < softmmu:tlb_fills"')
    done = cli("rerun", "mine")
    assert done.code == 3
    assert "map-block:faults < softmmu:tlb_fills is not true of small: map-block has faults" in done.err
    assert "**This does not hold: map-block:faults < softmmu:tlb_fills" in (folder / "report.md").read_text()
    assert cli("rerun", "mine", "--check").code == 3


def test_what_was_never_made_cannot_be_checked(cli, folder):
    for options in (["--check"], ["--saved"], ["--check", "--saved"]):
        done = cli("rerun", "mine", *options)
        assert (done.code, "mine: has no counts.csv yet; make it" in one_line(done.err)) == (1, True)
    assert not (folder / "report.md").exists()


def test_an_interruption_leaves_what_was_there(cli, folder, monkeypatch):
    cli("rerun", "mine")
    before = files(folder)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmuexp.rerun.rerun.run", interrupt)
    assert cli("rerun", "mine").code == 130
    assert files(folder) == before


def test_the_examples_of_the_help_are_options_that_exist(cli, folder, tmp_path):
    from mmuexp.cli.rerun import command

    (tmp_path / "results").mkdir()
    folder.rename(tmp_path / "results" / "page-crossing")
    assert cli("rerun", "page-crossing").code == 0
    examples = [line.split()[1:] for line in command.help.splitlines() if line.strip().startswith("mmuexp ")]
    assert [cli(*words).code for words in examples] == [0, 0]


def test_a_drawing_that_is_gone_is_missed(cli, folder):
    cli("rerun", "mine")
    (folder / "chart.svg").unlink()
    done = cli("rerun", "mine", "--check")
    assert (done.code, "chart.svg is not there" in done.err) == (3, True)


def test_a_recording_that_is_not_here_says_what_makes_it(cli, folder):
    cli("rerun", "mine")
    (folder / "other.arrow").unlink()
    edit(folder, "question", 'recipe = "make other"\nquestion')
    for option in ([], ["--check"]):
        before = files(folder)
        done = cli("rerun", "mine", *option)
        assert done.code == 1
        assert "mine: needs the recording other.arrow, which is not here; make it: make other" in one_line(done.err)
        assert files(folder) == before
    assert cli("rerun", "mine", "--saved").code == 0


def test_recordings_of_a_repository_are_called_from_its_root(cli, folder, tmp_path):
    (tmp_path / "traces").mkdir()
    (folder / "other.arrow").rename(tmp_path / "traces" / "other.arrow")
    assert cli("rerun", folder).code == 0
    rows = list(csv.DictReader((folder / "counts.csv").open()))
    assert [row["trace"] for row in rows[::2]] == ["mine/small.arrow", "traces/other.arrow"]


def test_several_commands_are_several_tables(cli, folder):
    edit(folder, "command = [", "answer2 = [")
    text = (folder / "experiment.toml").read_text()
    words = re.search(r"answer2 = (.*)\n", text)[1]
    old = words[:-1] + ', "--host", "pentium4-2004"]'
    text = text.replace(f"answer2 = {words}\n", "") + f"\n[commands]\nnow = {words}\nold = {old}\n"
    text = text.replace("{{least}}", "{least}").replace(
        "[figures]", '[figures]\nns = { value = "map-block:ns", of = "old", trace = "small" }'
    )
    (folder / "experiment.toml").write_text(text.replace("has least.", "has least, {ns} ns."))
    done = cli("rerun", "mine")
    assert done.code == 0, done.err
    assert {"now.csv", "old.csv", "old.csv.manifest.json"} <= {path.name for path in folder.iterdir()}
    ns = [float(next(csv.DictReader((folder / f"{name}.csv").open()))["handler_ns"]) for name in ("now", "old")]
    assert ns[0] < ns[1]
    assert "[old.csv](old.csv)" in (folder / "report.md").read_text()
    assert cli("rerun", "mine", "--check").code == 0
    edit(folder, 'title = "Each:"', 'title = "At {host}:"\nof = ["now", "old"]')
    assert cli("rerun", "mine", "--saved").code == 0
    text = (folder / "report.md").read_text()
    assert re.findall(r"^At .*:$", text, re.M) == ["At epyc-vm:", "At pentium4-2004:"]
    assert text.count("| recording | faults | twice |") == 2


def test_a_sweep_is_an_experiment(cli, folder):
    (folder / "experiment.toml").write_text(
        "question = 'q'\nanswer = '{at} {least}'\n"
        "command = ['sweep', 'map_block_bits=12,16', '--trace', 'small', '-s', 'map-block,pool_blocks=8']\n"
        "[figures]\nat = { value = 'table_bytes', where = { map_block_bits = 12 }, format = 'size' }\n"
        "least = { value = 'table_bytes', take = 'min' }\n"
        "[tables.bits]\nrows = 'map_block_bits'\ncolumns = [{ value = 'table_bytes' }]\n"
    )
    assert cli("rerun", "mine").code == 0
    text = (folder / "report.md").read_text()
    assert "4 MiB 262,144\n" in text  # 4 bytes for each of 2**20 and 2**16 blocks
    assert "| 12 | 4,194,304 |\n| 16 | 262,144 |" in text


def test_all_experiments_of_a_folder_and_their_index(cli, folder, tmp_path):
    home = tmp_path / "results"
    home.mkdir()
    folder.rename(home / "mine")
    (home / "gone").mkdir()
    (home / "gone" / "experiment.toml").write_text(
        "question = 'Why?'\nanswer = 'So.'\nrecipe = 'make gone'\ncommand = ['compare', 'gone']\n"
    )
    (home / "README.md").write_text("Somebody's own.\n")
    done = cli("rerun", "--all")
    assert done.code == 1
    assert "gone: needs the recording gone, which is not here; make it: make gone" in done.err
    assert "gone: has no counts.csv yet" in done.err
    shutil.copy(home / "mine" / "counts.csv", home / "gone")
    done = cli("rerun", "--all")
    assert (done.code, "make it: make gone" in done.err) == (0, True)
    assert (home / "gone" / "report.md").read_text().startswith("# gone\n\n*Why?*\n\nSo.\n")
    assert cli("rerun", "--all", "--check").code == 0
    assert (home / "README.md").read_text() == "Somebody's own.\n"
    (home / "README.md").write_text(MARK)
    assert cli("rerun", "mine", "--saved").code == 0
    index = (home / "README.md").read_text()
    assert "**[mine](mine/report.md)** *What does it cost?*\n\nmap-block faults" in index
    assert "*Why?*\n\nSo.\n" in index
    assert cli("rerun", "mine", "--check").code == 0
    (home / "README.md").write_text(f"{MARK}\nedited\n")
    done = cli("rerun", "mine", "--check")
    assert (done.code, "README.md is stale" in done.err) == (3, True)
    write_index(home)
    assert (home / "README.md").read_text() == index


UNTOLD = """
question = "How much crosses a page?"
answer = "At least {faults} host faults."
command = ["compare", "t", "-s", "softmmu", "-s", "map-block"]
columns = { each = "page_cross / accesses" }

[figures]
faults = { value = "map-block:faults", take = "sum" }

[tables.answer]
rows = "strategy"
columns = [
    { head = "crossings", value = "page_cross" },
    { head = "of all", value = "each" },
    { head = "faults", value = "faults" },
    { head = "fills", value = "tlb_fills" },
    { head = "evictions", value = "evictions" },
]
"""


def test_what_a_trace_does_not_tell_is_unknown_in_an_answer(cli, tmp_path):
    """Unknown is not a dash, which a scheme has that has no such event; and a lower bound is told to be one."""
    write(tmp_path / "t.arrow", columns_of([load(0x1000, size=1), load(0x2FFF, size=1)]), sizes="unknown")
    (tmp_path / "experiment.toml").write_text(UNTOLD)
    done = cli("rerun", tmp_path)
    assert done.code == 0, done.err
    report = (tmp_path / "report.md").read_text()
    assert "At least >= 2 host faults." in report
    lines = [line for line in report.splitlines() if line.startswith(("| softmmu |", "| map-block |"))]
    assert lines == [
        "| softmmu | unknown | unknown | 0 | >= 2 | - |",
        "| map-block | unknown | unknown | >= 2 | - | 0 |",
    ]
