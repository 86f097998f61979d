"""Runs in a child: what is measured of mmuexp. Every case goes from the file on disk to the finished result."""

import time
from concurrent.futures import ThreadPoolExecutor

import mmuexp
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.result.manifest import commit
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import digest, open_trace, sha256

from .worker import serve


def decode(trace: str, threads: int = 1) -> dict:
    """Only decode. With several threads each takes every so-manieth group."""
    with open_trace(trace) as opened:
        ends = [*opened.group_rows()[1:], opened.file_rows]

        def part(first: int) -> int:
            rows = 0
            for at in range(first, len(ends), threads):
                start = done = ends[at - 1] if at else 0
                for runs in opened.runs(start, ahead=False):
                    done += runs.rows
                    if done == ends[at]:
                        break
                rows += done - start
            return rows

        with ThreadPoolExecutor(threads) as pool:
            return {"rows": sum(pool.map(part, range(threads)))}


def compare(trace: str, schemes: list[str] | None = None) -> dict:
    sha256._known.clear()  # each run is one of a file that this process has not seen
    table = mmuexp.compare(trace, schemes)
    first = table.iloc[0]
    missed = table["faults"].fillna(0) + table["tlb_fills"].fillna(0)
    told = {"rows": int(first["rows"]), "blocks": int(first["execs"]), "accesses": int(first["accesses"])}
    return told | {"missed": [int(n) for n in missed]}


def sweep(trace: str, params: list[str], strategy: str | None = None) -> dict:
    sha256._known.clear()
    return {"runs": len(mmuexp.sweep(params, trace, strategy=strategy))}


def stages(trace: str, scheme: str) -> dict:
    """One scheme, stage by stage in one thread: seconds of each."""
    spent = dict.fromkeys(("decode", "survey", "replay"), 0.0)

    def timed(stage: str, work, *arguments):
        start = time.perf_counter()
        answer = work(*arguments)
        spent[stage] += time.perf_counter() - start
        return answer

    with open_trace(trace) as opened:
        survey, replay = Survey(opened.mode, trace), Replay(parse_spec(scheme), opened.mode)
        pieces = opened.runs(ahead=False)
        while (runs := timed("decode", next, pieces, None)) is not None:
            timed("replay", replay.feed, timed("survey", survey.feed, runs))
    sha256._known.clear()
    start = time.perf_counter()
    digest(trace)
    spent["digest of the file"] = time.perf_counter() - start
    start = time.perf_counter()
    commit()
    spent["git commit"] = time.perf_counter() - start
    return {"stages": spent}


if __name__ == "__main__":
    serve({"decode": decode, "compare": compare, "sweep": sweep, "stages": stages})
