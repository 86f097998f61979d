"""A trace in DuckDB, Polars and pandas: how many bytes its stores write, by the three of them."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

with pa.OSFile("rows.arrow") as file:
    trace = pa.ipc.open_file(file).read_all()  # DuckDB reads no Arrow file by itself, but any table of pyarrow's
print("DuckDB", duckdb.sql("SELECT count(*), sum(size) FROM trace WHERE op = 1").fetchall()[0])

frame = pl.read_ipc("rows.arrow")
print("Polars", frame.filter(pl.col("op") == 1).select(pl.len(), pl.col("size").cast(pl.UInt64).sum()).row(0))

table = pd.read_feather("rows.arrow")  # or trace.to_pandas()
stores = table[table["op"] == 1]
print("pandas", (len(stores), int(stores["size"].sum())))
