"""The manual page: the texts of --help, all of them, as `man` shows them."""

import re
import subprocess
import sys

import pytest
from kit.cli import ALL_COMMANDS

from mmuexp.cli.main import COMMANDS


@pytest.fixture(scope="module")
def roff() -> str:
    done = subprocess.run([sys.executable, "-m", "mmuexp", "help", "--man"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def shown(roff) -> str:
    """The page as text. groff says on stderr what it does not understand."""
    words = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=400n", "-rHY=0"]
    done = subprocess.run(words, input=roff, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text.replace("\u2010", "-").replace("\u2212", "-"))


def test_every_command_option_and_sentence_of_the_help_is_there(shown):
    page = squeezed(shown)
    for name, command in ALL_COMMANDS.items():
        assert squeezed(f"mmuexp {name}") in page
        for paragraph in (command.help or "").replace("\b", "").split("\n\n"):
            assert squeezed(paragraph) in page, (name, paragraph)
        for param in command.params:
            for word in param.opts if param.param_type_name == "option" and not param.hidden else ():
                assert word in page, (name, word)
            help_text = getattr(param, "help", None)
            if help_text and not param.hidden:
                assert squeezed(help_text) in page, (name, help_text)


def test_it_has_the_sections_of_a_manual_page(roff, shown):
    sections = re.findall(r"^\.SH (.*)$", roff, flags=re.MULTILINE)
    assert sections == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS"]
    assert re.search(r"^\.TH MMUEXP 1 ", roff)
    assert roff.isascii() and re.search(r"^NAME\n +mmuexp - Record ", shown, flags=re.MULTILINE)
    heads = re.findall(r"^\.SS mmuexp (\w+)", roff, flags=re.MULTILINE)
    assert list(dict.fromkeys(heads)) == list(COMMANDS)


def test_what_is_a_command_of_roff_is_printed(shown):
    from mmuexp.cli.manual import _roff

    odd = "\n".join(map(_roff, [".so /etc/passwd", "'br", r"a\fBb \n(yr", '-- ^C `x` ~ "q"']))
    words = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"]
    done = subprocess.run(words, input=f".TH X 1\n.nf\n{odd}\n", capture_output=True, text=True)
    for line in (".so /etc/passwd", "'br", r"a\fBb \n(yr", '-- ^C `x` ~ "q"'):
        assert line in done.stdout and done.stderr == ""
