"""Names what the table of `mmuexp misses` holds; `analysis/misses.py` fills it and tells what each kind of miss is."""

from typing import Any

from mmuexp.result.table import IDENTITY

KIND = "misses"  # of the Result
KINDS = ("compulsory", "flush", "write_right", "capacity", "conflict")  # MissKind in analysis/tlbmisses.py
COLUMNS = (*IDENTITY, "load_seed", "tlb_fills", *KINDS, "lru_fills", "lookups", "rows", "flushes", "regions")


def frame_of(records: list[dict[str, Any]]) -> Any:
    """Make a DataFrame of rows, by the names in COLUMNS."""
    import pandas as pd

    frame = pd.DataFrame(records, columns=list(COLUMNS))
    return frame.astype({name: "Int64" for name in COLUMNS if name not in IDENTITY})
