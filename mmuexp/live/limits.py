"""What a run needs of the host, where the host has not enough."""

from pathlib import Path
from typing import Any

from mmuexp.replay import Replay
from mmuexp.shape import Survey
from mmuexp.strategy import Strategy

MAP_COUNT = Path("/proc/sys/vm/max_map_count")


def mappings_needed(trace: Any, strategy: Strategy, label: str) -> str:
    """How many mappings the whole trace needs, as the model knows, and how many the host allows."""
    survey, replay = Survey(trace.mode, label), Replay(strategy, trace.mode, where=label)
    for columns in trace.batches():
        replay.feed(survey.feed(columns))
    allowed = MAP_COUNT.read_text().strip() if MAP_COUNT.exists() else "unknown"
    return f"the trace needs {replay.counts()['peak_mappings']:,}, and vm.max_map_count is {allowed}"
