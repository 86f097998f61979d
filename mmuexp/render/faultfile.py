"""Writes the faults of a run as CSV or Parquet while they come. A file appears whole, its manifest beside it."""

from typing import Any

import numpy as np

from mmuexp.analysis.faults import COLUMNS, columns_of
from mmuexp.emulator.faults import FAULT, WIDE_FAULT
from mmuexp.render.export import Output

PIECE = 1 << 17  # faults that are formatted at once; a row group of Parquet


class FaultWriter:
    """Collects what is appended into pieces of PIECE faults, and writes each to a binary file that stays open."""

    def __init__(self, file: Any, strategy: Any):
        from mmuexp.trace.export import Unclosed

        self.strategy, self._file = strategy, Unclosed(file)
        self._writer: Any = None  # from the first faults on, which tell how many bits addresses have
        self._held = np.zeros(0, FAULT)

    def _open(self, file: Any, schema: Any) -> Any:
        raise NotImplementedError

    def append(self, records: np.ndarray) -> None:
        """FAULT[faults] more."""
        if self._writer is None:
            self._held = np.zeros(0, records.dtype)
            self._writer = self._open(self._file, _schema(records.dtype))
        held = np.concatenate([self._held, records])
        whole = len(held) - len(held) % PIECE
        for start in range(0, whole, PIECE):
            self._writer.write_batch(_arrow(held[start : start + PIECE], self.strategy))
        self._held = held[whole:].copy()

    def end(self) -> None:
        self.append(np.zeros(0, self._held.dtype))  # opens what nothing opened yet
        if len(self._held):
            self._writer.write_batch(_arrow(self._held, self.strategy))
        self._writer.close()


class CsvWriter(FaultWriter):
    """Numbers in decimal; `block` is an empty field where the scheme has no blocks."""

    def _open(self, file: Any, schema: Any) -> Any:
        from pyarrow import csv

        file.write((",".join(COLUMNS) + "\n").encode())  # pyarrow would quote the names
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        return csv.CSVWriter(file, schema, write_options=options)


class ParquetWriter(FaultWriter):
    """Columns of `_schema`, compressed by zstd."""

    def _open(self, file: Any, schema: Any) -> Any:
        from pyarrow import parquet

        return parquet.ParquetWriter(file, schema, compression="zstd")


def _schema(records: np.dtype) -> Any:
    """Make the schema for such records: FAULT, or WIDE_FAULT."""
    import pyarrow as pa

    address = pa.uint64() if records == WIDE_FAULT else pa.uint32()
    kinds = {"row": pa.uint64(), "cause": pa.string()}
    return pa.schema([pa.field(name, kinds.get(name, address), nullable=name == "block") for name in COLUMNS])


def _arrow(records: np.ndarray, strategy: Any) -> Any:
    import pyarrow as pa

    schema = _schema(records.dtype)
    columns: Any = columns_of(records, strategy)
    used, codes = np.unique(columns["cause"], return_inverse=True)
    names = pa.array([strategy.column_of(int(at)) for at in used], pa.string())
    columns["cause"] = names.take(pa.array(codes))
    if columns["block"] is None:
        columns["block"] = pa.nulls(len(records), schema.field("block").type)
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in COLUMNS], schema=schema)


class FaultFile(Output):
    """One output file for the faults of a run. Claimed when it is made, filled by `append`, named by `finish`.

    Raises UsageError for an unknown suffix, MmuexpError for a path that cannot be written.
    """

    def __init__(self, path: str, strategy: Any):
        super().__init__(path, {".csv": CsvWriter, ".parquet": ParquetWriter})
        with self._writing():
            self._file = self._data_file().open("wb")
            self._pieces = self.writer(self._file, strategy)

    def append(self, records: np.ndarray) -> None:
        """FAULT[faults] more."""
        with self._writing():
            self._pieces.append(records)

    def finish(self, manifest: dict) -> None:
        """The run is over: the file and its manifest get their names."""
        with self._writing():
            self._pieces.end()
            self._file.close()
            self._finish(manifest)

    def discard(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        super().discard()
