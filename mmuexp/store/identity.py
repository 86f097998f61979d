"""Says what a kept count is a count of: the rows, the scheme, where the replay is cut, and the sources of both.

What has the same identity has the same counts. Whatever is not known to be as it was when this process loaded it has
no identity, and is counted anew: a source that was edited since, a class that stands in no file.
"""

import dataclasses
import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numba

from mmuexp.native.sources import PACKAGE, digest_of, python_files
from mmuexp.result.manifest import MODEL_VERSION
from mmuexp.strategy.bounds import is_own
from mmuexp.strategy.sourcefiles import STARTED_NS, unchanged_files

# what rows go through until they are counts: tests/store/test_store_sources.py follows the imports
FOLDERS = ("blocks", "emulator", "native", "replay", "strategy", "trace")
BESIDE = ["guest.py", "events.py", "result/table.py", "analysis/passes.py", "analysis/cuts.py"]
BESIDE += ["analysis/misses.py", "result/misses.py", "analysis/tlbmisses.py", "result/declared.py"]
NAMES = {"kind", "trace", "spec", "scheme", "sources", "model_version", "compiled"}  # what every identity tells


@cache
def counting_files() -> list[Path]:
    """Every file of ours, apart from the schemes, that can change what is counted."""
    return [*python_files(*(PACKAGE / name for name in FOLDERS)), *(PACKAGE / name for name in BESIDE)]


@cache
def scheme_files() -> list[Path]:
    """The files of the schemes that come with mmuexp."""
    spec: Any = find_spec("mmuexp.strategies")
    return python_files(*map(Path, spec.submodule_search_locations))


def sources() -> str | None:
    """A digest of `counting_files`; None if one of them may not be what this process loaded."""
    files = counting_files()
    return _digest(tuple(files)) if _as_at_start(files) else None


def scheme(cls: type) -> str | None:
    """A digest of the sources of a scheme; None if they may not be what this process loaded.

    A scheme of ours stands in its one file. Somebody else's may take anything from ours.
    """
    module = sys.modules.get(cls.__module__)
    if module is None or vars(module).get(cls.__qualname__) is not cls or not _told_by_spec(cls):
        return None
    files = unchanged_files(module)
    if files is None:
        return None
    if not is_own(cls):
        ours = scheme_files()
        if not _as_at_start(ours):
            return None
        files = [*files, *ours]
    # in an order that is the same on every machine, whatever folders they lie in there
    return digest_of(sorted(files, key=lambda path: (path.parent.name, path.name)), cls.__qualname__)


def identity(kind: str, sha256: str, spec: str, scheme_digest: str, sources_digest: str, how: dict[str, Any]) -> str:
    """The whole of it as a text, the same for the same. `how` is what else decides the counts of this kind."""
    if how.keys() & NAMES:
        raise ValueError("what else decides the counts has a name that is taken")
    whole: dict[str, Any] = {"kind": kind, "trace": sha256, "spec": spec, "scheme": scheme_digest}
    whole |= {"sources": sources_digest, "model_version": MODEL_VERSION}
    whole |= {"compiled": not numba.config.DISABLE_JIT, **how}
    return json.dumps(whole, sort_keys=True)


@cache
def _digest(files: tuple[Path, ...]) -> str:
    return digest_of(files)


def _as_at_start(files: list[Path]) -> bool:
    """Have none of these files changed since this process began?"""
    try:
        return all(path.stat().st_ctime_ns < STARTED_NS for path in files)
    except OSError:
        return False


def _told_by_spec(cls: Any) -> bool:
    """Does a spec say everything of a strategy of this class?"""
    return all("param" in field.metadata for field in dataclasses.fields(cls))
