"""Writes the faults of a run as CSV or Parquet while they come. A file appears whole, its manifest beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmuexp.analysis.faults import COLUMNS, columns_of
from mmuexp.emulator.faults import FAULT
from mmuexp.render.export import Output

PIECE = 1 << 17  # faults that are formatted at once; a row group of Parquet


class _Pieces:
    """Collects what is appended into pieces of PIECE faults, and writes each to a binary file that stays open."""

    def __init__(self, file: Any, strategy: Any):
        self.file, self.strategy = file, strategy
        self._held = np.zeros(0, FAULT)

    def append(self, records: np.ndarray) -> None:
        """FAULT[faults] more."""
        held = np.concatenate([self._held, records])
        whole = len(held) - len(held) % PIECE
        for start in range(0, whole, PIECE):
            self._write(_arrow(held[start : start + PIECE], self.strategy))
        self._held = held[whole:].copy()

    def end(self) -> None:
        if len(self._held):
            self._write(_arrow(self._held, self.strategy))

    def _write(self, batch: Any) -> None:
        raise NotImplementedError


class CsvWriter(_Pieces):
    """Numbers in decimal; `block` is an empty field where the scheme has no blocks."""

    def __init__(self, file: Any, strategy: Any):
        super().__init__(file, strategy)
        file.write((",".join(COLUMNS) + "\n").encode())

    def _write(self, batch: Any) -> None:
        import pyarrow as pa
        from pyarrow import csv

        text = pa.BufferOutputStream()
        csv.write_csv(batch, text, csv.WriteOptions(include_header=False, quoting_style="none"))
        self.file.write(text.getvalue())


class ParquetWriter(_Pieces):
    """Columns of `_schema`, compressed by zstd."""

    def __init__(self, file: Any, strategy: Any):
        from pyarrow import parquet

        from mmuexp.trace.export import Unclosed

        super().__init__(file, strategy)
        self._writer = parquet.ParquetWriter(Unclosed(file), _schema(), compression="zstd")

    def _write(self, batch: Any) -> None:
        self._writer.write_batch(batch)

    def end(self) -> None:
        super().end()
        self._writer.close()


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"row": pa.uint64(), "cause": pa.string()}
    return pa.schema([pa.field(name, kinds.get(name, pa.uint32()), nullable=name == "block") for name in COLUMNS])


def _arrow(records: np.ndarray, strategy: Any) -> Any:
    import pyarrow as pa

    columns: Any = columns_of(records, strategy)
    used, codes = np.unique(columns["cause"], return_inverse=True)
    names = pa.array([strategy.column_of(int(at)) for at in used], pa.string())
    columns["cause"] = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names).cast(pa.string())
    if columns["block"] is None:
        columns["block"] = pa.nulls(len(records), pa.uint32())
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in COLUMNS], schema=_schema())


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
