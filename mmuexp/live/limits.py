"""What a run needs of the host: mappings, where it has not enough of them, and memory, before it is taken."""

from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError, option
from mmuexp.guest import PAGE_BYTES
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy import Strategy

MAP_COUNT = Path("/proc/sys/vm/max_map_count")
MEMORY_MB = 2_000  # that an engine may take unless the user says otherwise


def memory_needed(trace: Any, label: str) -> int:
    """At most so many bytes: guest RAM has each page that the trace touches, and the reference has it once more."""
    survey = Survey(trace.mode, label)
    for columns in trace.batches():
        survey.check(columns)
    pages = survey.counts()["pages"] if trace.mode == "user" else len(survey.frame_numbers())
    return 2 * PAGE_BYTES * pages


def check_memory(needed: int, label: str, limit_mb: int) -> str:
    """What an engine takes, in words. Raises MmuexpError where that is over the limit."""
    megabytes = -(-needed // 1_000_000)
    told = f"guest RAM and its reference take {megabytes:,} MB"
    if megabytes > limit_mb:
        todo = f"give it that with {option('memory_mb', megabytes)}, or cut it: mmuexp trace slice"
        raise MmuexpError(f"{told}, and {limit_mb:,} MB are allowed", where=label, todo=todo)
    return told


def mappings_needed(trace: Any, strategy: Strategy, label: str) -> str:
    """How many mappings the whole trace needs, as the model knows, and how many the host allows."""
    survey = Survey(trace.mode, label)
    replay = Replay(strategy, trace.mode, where=label, address_bits=trace.address_bits)
    for columns in trace.batches():
        replay.feed(survey.feed(columns))
    allowed = MAP_COUNT.read_text().strip() if MAP_COUNT.exists() else "unknown"
    return f"the trace needs {replay.counts()['peak_mappings']:,}, and vm.max_map_count is {allowed}"
