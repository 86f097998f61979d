"""Child processes that measure: each warms up, then answers one request at a time, so that cases can be interleaved.

A request is a line of JSON {"case": name, ...arguments}, the answer one with "seconds" and what else the case
tells. This file imports nothing of ours: the peers' interpreter runs it, too.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable


def serve(cases: dict[str, Callable[..., dict]]) -> None:
    """In the child: answer requests until the input ends. What a case returns beside is added to its times."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to stderr
    for line in sys.stdin:
        request = json.loads(line)
        case = cases[request.pop("case")]
        cpu, start = time.process_time(), time.perf_counter()
        try:
            answer = case(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        spent = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        print(json.dumps(spent | answer), file=out, flush=True)


class Worker:
    """In the parent: a child, on `cores` processors (None: all)."""

    def __init__(self, command: list[str], cores: int | None = None, **options):
        self.command = command
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        if cores is not None:
            os.sched_setaffinity(self._child.pid, sorted(os.sched_getaffinity(0))[-cores:])

    def ask(self, case: str, **arguments) -> dict:
        self._child.stdin.write(json.dumps({"case": case, **arguments}) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command[0]} ended during {case}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{case}: {answer['error']}")
        return answer

    def close(self) -> None:
        self._child.stdin.close()
        self._child.wait()


def interleaved(rounds: int, cases: dict[str, Callable[[], dict]]) -> dict[str, list[dict]]:
    """Each case once without counting, then `rounds` times all of them in turn."""
    found: dict[str, list[dict]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, run in cases.items():
            answer = run()
            if number:
                found[name].append(answer)
    return found
