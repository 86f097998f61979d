"""Every result in results/ is what its experiment.toml makes today, digit for digit, and no number there was typed."""

import csv
import re
from pathlib import Path

import pytest
from kit.places import RESULTS

from mmuexp.rerun.about import FILE, PLACE, read
from mmuexp.rerun.command import calls_of
from mmuexp.rerun.index import INDEX, index_text
from mmuexp.rerun.rerun import REPORT, experiments, rerun

HOME = RESULTS
FOLDERS = experiments(HOME)
SHAPE = ("rows", "pages", "flushes")
MADE = {INDEX, REPORT, "chart.svg"}  # and the table of each command, with its manifest


def bundled(folder: Path) -> bool:
    """Can it be made from what is in the repository?"""
    return not re.search(r"^recipe\b", (folder / FILE).read_text(), re.M)


def marked(folder: Path):
    long = re.search(r"^long = true", (folder / FILE).read_text(), re.M)
    return pytest.param(folder, id=folder.name, marks=[pytest.mark.long] if long else [])


def test_there_are_results():
    assert len(FOLDERS) >= 9


@pytest.mark.parametrize("folder", [marked(folder) for folder in FOLDERS if bundled(folder)])
def test_made_again_it_is_the_same(folder, monkeypatch):
    monkeypatch.setattr("mmuexp.replay.compiled.has_passed", lambda _: True)  # as test_result_schemes.py says
    outcome = rerun(folder, check=True)
    assert {name: list(found.changes) for name, found in outcome.differences.items()} == {
        n: [] for n in outcome.results
    }
    assert outcome.troubles == ()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_report_is_what_its_counts_say(folder):
    outcome = rerun(folder, check=True, saved=True)
    assert outcome.troubles == ()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_number_of_an_answer_is_typed(folder):
    about = read(folder)
    text = PLACE.sub("", " ".join(about.answer.split()))
    for quoted in sorted(about.quoted, key=len, reverse=True):
        text = text.replace(quoted, "")
    text = re.sub(r"[A-Za-z_][\w.-]*|\d+-bit", "", text)  # a name may hold digits: pentium4-2004
    assert re.findall(r"\d[\d.,]*", text) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_but_the_toml_is_there_by_hand(folder):
    tables = [f"{name}.csv{suffix}" for name in read(folder).commands for suffix in ("", ".manifest.json")]
    named = " ".join(word for words in read(folder).commands.values() for word in words)  # recordings, and schemes
    given = {path.name for path in folder.iterdir() if path.suffix in (".arrow", ".py") and path.stem in named}
    there = {path.name for path in folder.iterdir() if path.is_file()} - given
    assert there <= {"experiment.toml", *MADE, *tables}
    assert {"experiment.toml", REPORT, *tables} <= there


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_counts_of_a_table_add_up(folder):
    for name, call in calls_of(read(folder)).items():
        if call.kind == "misses":
            continue
        with (folder / f"{name}.csv").open() as file:
            rows = [{k: int(v) if v.isdigit() else v for k, v in row.items() if v} for row in csv.DictReader(file)]
        shapes = {
            (row["trace"], row.get("window_index")): row for row in rows
        }  # rows, pages and flushes are the recording's
        for row in rows:
            assert row["accesses"] == row["loads"] + row["stores"]
            assert row["faults"] == sum(count for column, count in row.items() if column.startswith("faults_"))
            calls = [row[name] for name in ("mmap_calls", "mprotect_calls", "munmap_calls") if name in row]
            assert row.get("host_calls", 0) == sum(calls)
            assert row["translations"] <= row["execs"]
            assert [row[s] for s in SHAPE] == [shapes[row["trace"], row.get("window_index")][s] for s in SHAPE]


def test_the_index_is_made_from_them():
    assert (HOME / INDEX).read_text() == index_text(HOME)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", (HOME / INDEX).read_text()))
def test_links_of_the_index_lead_somewhere(target):
    assert (HOME / target).exists()
