"""Fetches a recording that a URL names, once, into the cache folder; the filesystems are those of fsspec.

What is kept is named after the URL and what its server says of it (ETag, generation, time, size): one that changed is
fetched again, and one whose server says nothing is fetched each time. Credentials are what the libraries find by
themselves. At most `LIMIT_BYTES` are kept (keeping.py).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mmuexp.errors import MmuexpError, TraceError, one_line, reason_of
from mmuexp.progress import remark
from mmuexp.runtime import partfile
from mmuexp.runtime.alone import alone
from mmuexp.runtime.places import cache_folder
from mmuexp.trace import keeping

PROTOCOLS = ("s3", "gs", "https", "http")
EXTRA = "pip install 'mmuexp[cluster]'"
LIMIT_BYTES = 16 << 30
# what servers say by which an object is told from a later one of its name
TELLS = ("ETag", "etag", "VersionId", "generation", "md5Hash", "Content-MD5", "Digest", "Last-Modified", "LastModified")
WAIT_SECONDS = 60  # for the next bytes
MAGIC = "*?["
Answer = TypeVar("Answer")


def is_url(name: str) -> bool:
    """Is this the URL of a recording, or of several?"""
    protocol, found, _ = name.partition("://")
    return bool(found) and protocol.lower() in PROTOCOLS


def listed(url: str, suffix: str) -> list[str] | None:
    """The recordings that a URL stands for: a folder (it ends in /) or a pattern; None for what is one recording."""
    folder = url.endswith("/")
    protocol = urlsplit(url).scheme.lower()
    if not folder and not (protocol in ("s3", "gs") and any(one in url for one in MAGIC)):
        return None
    if protocol not in ("s3", "gs"):
        todo = "name each recording, one a line of a list (.txt)"
        raise TraceError("is a folder of a web server, which does not say what is in it", where=url, todo=todo)
    system = _system(url)
    found = _asked(url, lambda: system.find(url) if folder else system.glob(url))
    names = sorted(f"{protocol}://{name}" for name in found if name.endswith(suffix) or not folder)
    if not names:
        what = f"holds no recording (*{suffix})" if folder else "fits nothing"
        raise TraceError(what, where=url, todo="name another")
    return names


def opened(url: str) -> int:
    """Fetch a recording unless that was done: the descriptor of its file. Raises TraceError, MmuexpError."""
    system = _system(url)
    about = _asked(url, lambda: system.info(url))
    if about.get("type") == "directory":
        raise TraceError("is a folder", where=url, todo="write / behind it for all recordings in it")
    size, tells = about.get("size"), {name: str(about[name]) for name in TELLS if about.get(name)}
    key = hashlib.sha256(json.dumps([url, size, tells], sort_keys=True).encode()).hexdigest()
    target = cache_folder() / "fetched" / f"{key}.arrow"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(keeping.used(target)):
            with suppress(FileNotFoundError):
                if tells:
                    return keeping.opened(target)
            _fetch(system, url, size, target)
            fd = keeping.opened(target)
            if not tells:
                target.unlink()
        keeping.let_go(target, LIMIT_BYTES)
        return fd
    except OSError as error:
        what = f"{url} cannot be kept: {reason_of(error)}"
        raise MmuexpError(what, where=str(target.parent), todo="make room, or fetch it yourself") from None


@cache
def _system_of(protocol: str) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in ("http", "https"):
        import aiohttp

        waits = aiohttp.ClientTimeout(total=None, sock_connect=WAIT_SECONDS, sock_read=WAIT_SECONDS)
        options = {"client_kwargs": {"timeout": waits, "trust_env": True}}
    return fsspec.filesystem(protocol, **options)


def _system(url: str) -> Any:
    """The filesystem of a URL. Raises TraceError, MmuexpError where its package is not installed."""
    parts = urlsplit(url)
    if not parts.netloc or (parts.scheme.lower() in ("http", "https") and "@" in parts.netloc):
        what = "names nobody to ask" if not parts.netloc else "holds a password, which would stand in every result"
        raise TraceError(what, where=url.rpartition("@")[2], todo="give credentials as the library of its service does")
    try:
        return _system_of(parts.scheme.lower())
    except ImportError as error:
        needed = error.name or "fsspec"
        todo = "pip install gcsfs" if needed == "gcsfs" or "gcsfs" in str(error) else EXTRA
        raise MmuexpError(f"needs {needed}, which is not installed", where=url, todo=todo) from None


def _asked(url: str, ask: Callable[[], Answer]) -> Answer:
    """What a server answers. Whatever goes wrong there is one line."""
    try:
        return ask()
    except FileNotFoundError:
        raise TraceError("is not there", where=url, todo="name another, or see who may read it") from None
    except PermissionError as error:
        todo = "give the library of its service credentials that may"
        raise TraceError(f"may not be read: {one_line(str(error))}", where=url, todo=todo) from None
    except (MmuexpError, MemoryError):
        raise
    except Exception as error:  # of whatever library speaks to its service
        what = f"cannot be fetched: {type(error).__name__}: {one_line(str(error))}".rstrip(": ")
        raise TraceError(what, where=url, todo="see that its service can be reached, and run it again") from None


def _fetch(system: Any, url: str, size: int | None, target: Path) -> None:
    from fsspec.callbacks import Callback

    class Bounded(Callback):
        """Ends what brings more bytes than were told."""

        def call(self, *_: Any, **__: Any) -> None:
            if self.value > (LIMIT_BYTES if size is None else size):
                raise TraceError("brings more bytes than its server told", where=url, todo="run it again")

    began = time.monotonic()
    fd, part = partfile.create(str(target))
    os.close(fd)
    try:
        _asked(url, lambda: system.get_file(url, part, callback=Bounded()))
        came = os.path.getsize(part)
        if size is not None and came != size:
            what = f"came as {came:,} bytes, and its server told {size:,}"
            raise TraceError(what, where=url, todo="run it again")
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    took = time.monotonic() - began
    remark(f"{url}: fetched ({came / 1e6:,.1f} MB, {took:.1f} s) into {target.parent}")
