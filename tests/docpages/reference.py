"""Writes docs/reference.md: the words of kernels, from their docstrings and from the comments beside fields."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from .pages import ROOT

PAGE = ROOT / "docs" / "reference.md"
HEAD = """# What a kernel can say

The words of `mmuexp.emulator` in which a scheme's kernels are written, made from their docstrings by
`python -m tests.docpages`. [Writing a scheme](writing-a-scheme.md) builds one with them; `strategies/` holds ours.

A **page** is a virtual page of the guest, by its number. A **frame** is the physical page behind it, numbered densely
in the order in which a trace names them; in user mode a page is its own frame. Two pages may show one frame (aliases):
what is kept of contents, such as the dirty bit and the blocks of code, is kept by frame; what is kept of translations,
by page. A **window** is a host page of the scheme's reserve that shows a frame.

Kernels are Python that numba compiles: decorated with `@kernel`, over NamedTuples of numpy arrays, without allocation.
They get `s`, the scheme's state, `e`, the emulator's, and `n`, the counters, by `Event`.

**What unsettles.** After `SETTLED` the loop skips the same access (page, load or store, mode, aligned or not). A kernel
that takes the translation of *another* page away says `unsettle(e, page)` for it, or answers `LOST`.
"""
MODULES = {  # what an author needs of each; the rest is the loop's
    "kernel": (),
    "state": (
        "Row",
        "Emulator",
        "frame_of",
        "real_page",
        "address_of",
        "next_page",
        "find_page",
        "unsettle",
        "zeros",
        "records",
    ),
    "faults": ("fault",),
    "code": (
        "is_code_page",
        "find_block",
        "overlapped_block",
        "store_drops_page",
        "store_drops_overlapped",
        "drop_block",
    ),
    "handler": ("map_page", "allow_store", "note_store", "io_fault", "protect_windows"),
    "reserve": (
        "Reserve",
        "new_reserve",
        "new_views",
        "map_window",
        "set_writable",
        "unmap_window",
        "unmap_all",
        "protect_frame",
    ),
    "tlb": ("Tlb", "new_tlb", "tlb_access", "tlb_flush", "tlb_flush_page", "tlb_set"),
    "tables": (
        "Touched",
        "new_touched",
        "touch",
        "parts_touched",
        "Numbering",
        "new_numbering",
        "number_of",
        "find_number",
    ),
}
ANSWERS = ("SETTLED", "LOST", "WATCH_EXEC", "SETTLED_IN_SPELL", "CONFLICT")


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for name, words in MODULES.items():
        module = importlib.import_module(f"mmuexp.emulator.{name}")
        yield f"## mmuexp.emulator.{name}\n\n{_said(module)}\n"
        lines = [line for word in words for line in _word(word, getattr(module, word))]
        yield "\n".join(lines or _answers(module)) + "\n"


def _answers(module: Any) -> list[str]:
    source = inspect.getsource(module)
    said = [f"* `{word}`: {re.search(rf'^{word} = [0-9]+  # (.+)$', source, re.M)[1]}" for word in ANSWERS]
    return [*said, f"* `nothing`: {_said(module.nothing)}"]


def _word(word: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, type):
        yield f"* `{word}`: {_said(thing)}"
        yield from (f"  * `{field}`{said}" for field, said in _fields(thing))
    else:
        python = getattr(thing, "py_func", thing)
        yield f"* `{word}({', '.join(inspect.signature(python).parameters)})`: {_said(python)}"


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    source = inspect.getsource(cls)
    for field in cls._fields:
        said = re.search(rf"^    {field}: \S+(?:  # (.+(?:\n    # .+)*))?$", source, re.M)[1]
        yield field, f": {' '.join(said.replace('# ', '').split())}" if said else ""


def _said(thing: Any) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join(inspect.getdoc(getattr(thing, "py_func", thing)).split("\n\n")[0].split())
