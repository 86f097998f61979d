"""The folders keep their promises: imports, the length of files and functions; and ARCHITECTURE.md is true."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from kit.places import ROOT, TESTS

STRATEGIES = sorted(path for path in (ROOT / "strategies").glob("*.py") if path.stem != "__init__")
MAY_SEE = ("typing", "numpy", "mmuexp.strategy", "mmuexp.events", "mmuexp.guest", "mmuexp.emulator")
SOURCES = [p for folder in ("mmuexp", "strategies", "tests") for p in sorted((ROOT / folder).rglob("*.py"))]
SOURCES += sorted((ROOT / "mmuexp").rglob("*.[ch]"))


def test_every_folder_of_code_is_in_the_wheel():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in SOURCES if path.suffix == ".py" and path.parts[-2] != "tests"}
    assert {".".join(folder.parts) for folder in folders if folder.parts[0] == "mmuexp"} <= set(listed)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return found


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda p: p.stem)
def test_a_strategy_sees_no_other_and_no_harness(path):
    strangers = {name for name in imported(path) if not any(name == m or name.startswith(m + ".") for m in MAY_SEE)}
    assert strangers == set()


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda p: p.stem)
def test_a_strategy_file_has_its_parts_in_order(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    names = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
    strategy = names[-1]  # the class comes last
    order = [names.index(part) for part in ("EVENTS", "FAST_PATH", "COSTS", "State", "access", strategy)]
    assert order == sorted(order)


def test_the_oracle_imports_nothing_of_ours():
    for path in (TESTS / "truth" / "oracle").glob("*.py"):
        assert not [name for name in imported(path) if name.startswith("mmuexp")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_holds_one_idea(path):
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", [p for p in SOURCES if p.suffix == ".py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_function_is_read_at_one_sitting(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert not [one.name for one in functions if one.end_lineno - one.lineno + 1 > 70]


FOLDERS = sorted(
    {
        path.parent
        for place in ("mmuexp", "strategies")
        for path in (ROOT / place).rglob("*.*")
        if "__pycache__" not in path.parts
    }
)
MAP = (ROOT / "ARCHITECTURE.md").read_text()
WALK = re.findall(
    r"`([\w/]+\.py)`", MAP.partition("from file to table\n")[2].partition("\n1. ")[2].partition("\n## ")[0]
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_architecture_md_says_what_each_folder_is(folder):
    assert f"`{folder.name}/`" in MAP


def test_the_files_that_architecture_md_names_exist():
    named = re.findall(r"`([\w/]+/[\w.]*)`", MAP)
    assert len(named) > 40
    for name in named:
        assert any((place / name).exists() for place in (ROOT, ROOT / "mmuexp", *FOLDERS)), name


def test_one_access_is_followed_through_at_most_25_files():
    """Each is imported by another, or imports one; the loop is loaded by name, once for each scheme."""
    paths = {name: ROOT / name if (ROOT / name).exists() else ROOT / "mmuexp" / name for name in WALK}
    assert 10 < len(paths) == len(WALK) <= 25
    modules = {name: ".".join(path.relative_to(ROOT).with_suffix("").parts) for name, path in paths.items()}
    reached, before = {WALK[0]}, set()
    while reached != before:
        before = set(reached)
        for one, other in ((a, b) for a in WALK for b in WALK if (a in reached) != (b in reached)):
            sees = names_of(paths[one])
            if modules[other] in sees or Path(other).name in sees:
                reached |= {one, other}
    assert reached == {*WALK}


def names_of(path: Path) -> set[str]:
    """Every module that the file imports, and every string in it."""
    found = imported(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found
