"""Calls vl-convert, which draws charts, in a process beside ours: when that dies, only a chart is missing.

It is started when the first chart is drawn, and answers all others, too.
"""

import atexit
import base64
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError

CHILD = Path(__file__).with_name("vega_child.py")
_running: list[subprocess.Popen[bytes]] = []  # one, or none


def convert(name: str, **arguments: Any) -> Any:
    """Return what `vl_convert.NAME(**arguments)` does. Raises MmuexpError where that fails, or ends its process."""
    child = _child()
    assert child.stdin and child.stdout  # both are pipes
    try:
        child.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except OSError:
        line = b""
    except BaseException:
        child.kill()
        _end()  # its answer would be taken for that of the next call
        raise
    if not line.endswith(b"\n"):
        raise _failed(f"its renderer {_how(_end())}")
    answer = json.loads(line)
    if "error" in answer:
        raise _failed(answer["error"][:300])
    return base64.b64decode(answer["bytes"]) if "bytes" in answer else answer["made"]


def _failed(why: str) -> MmuexpError:
    return MmuexpError(f"the chart cannot be drawn: {why}", todo="give it more memory, or write a .csv")


def _child() -> subprocess.Popen[bytes]:
    if not _running or _running[0].poll() is not None:
        _end()
        command = [sys.executable, "-P", str(CHILD)]
        pipe = subprocess.PIPE
        _running.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL))
    return _running[0]


@atexit.register
def _end() -> int:
    """End the process, if there is one, and return its exit code."""
    code = 0
    while _running:
        child = _running.pop()
        assert child.stdin and child.stdout
        with suppress(OSError):
            child.stdin.close()  # at which it ends
        try:
            code = child.wait(1)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        child.stdout.close()
    return code


def _how(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
