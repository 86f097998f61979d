"""Other programs read what is exported of a trace; all columns of our tables are plain names in SQL."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from kit.places import TRACES

import mmuexp
from mmuexp.trace.export import export

TRACE = str(TRACES / "crossing.arrow")


@pytest.fixture(scope="module")
def columns() -> dict[str, list[int]]:
    """What our own reader finds."""
    found = {}
    with mmuexp.open_trace(TRACE) as trace:
        for batch in trace.batches():
            for name in ("vaddr", "size", "insns", "op", "flags"):
                found.setdefault(name, []).extend(getattr(batch, name).tolist())
    return found


def test_each_reads_the_same_rows(columns, tmp_path):
    path = str(tmp_path / "rows.arrow")
    export(TRACE, path)
    with pa.OSFile(path) as file:
        rows = pa.ipc.open_file(file).read_all()
    assert rows.num_rows == len(columns["op"])
    names = ", ".join(columns)
    by_duckdb = duckdb.sql(f"SELECT {names} FROM rows").fetchall()
    frame, polars = pd.read_feather(path), pl.read_ipc(path)
    assert by_duckdb == list(zip(*columns.values(), strict=True))
    for name, values in columns.items():
        assert frame[name].tolist() == polars[name].to_list() == values


def test_duckdb_alone_reads_no_trace():
    """So the page says that it goes through pyarrow; should this change, the page can say so."""
    with pytest.raises(duckdb.Error):
        duckdb.sql(f"SELECT * FROM '{TRACE}'").fetchall()


def test_columns_of_results_are_no_keywords_of_sql():
    result = mmuexp.compare(TRACE, ["softmmu", "map-block"], every=100_000)
    assert "window_index" in result.columns
    for name in result.columns:
        assert len(duckdb.sql(f"SELECT {name} FROM result ORDER BY {name}").fetchall()) == len(result), name
