"""What README.md shows is what the commands print today. A line of `...` stands for lines left out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHOWN = re.findall(r"```console\n\$ (mmuexp [^\n]*)\n(.*?)```", README, re.S)


def test_the_readme_shows_output():
    assert len(SHOWN) >= 2


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command for command, _ in SHOWN])
def test_shown_output_is_real(command, shown):
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = iter(done.stdout.splitlines())
    skipping = False
    for line in shown.splitlines():
        if line == "...":
            skipping = True
            continue
        found = next((p for p in printed if p.rstrip() == line.rstrip()), None) if skipping else next(printed, None)
        assert (found or "").rstrip() == line.rstrip()
        skipping = False


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("command", ["demo", "test", "check"])
def test_make_has_the_commands(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), re.M)
