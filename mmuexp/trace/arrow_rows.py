"""The rows of a trace as Arrow has them: a table with one column for each of the trace's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmuexp.guest import Columns, dtypes_of

if TYPE_CHECKING:
    import numpy as np

    from mmuexp.trace import Trace


def row_schema(address_bits: int) -> Any:
    """Make the schema of tables of rows."""
    import pyarrow as pa

    types = dtypes_of(address_bits)._asdict()
    return pa.schema([pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in types.items()])


def record_batch(columns: Columns, schema: Any) -> Any:
    """Show rows as Arrow has them."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([_array(column) for column in columns], schema=schema)


def record_batches(trace: Trace, schema: Any) -> Iterator:
    """Yield the rows of a trace as Arrow has them."""
    for columns in trace.batches():
        yield record_batch(columns, schema)


def _array(column: np.ndarray) -> Any:
    """Show a column as Arrow has it; pa.array would import pandas, which takes longer than a small export."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.from_numpy_dtype(column.dtype), len(column), [None, pa.py_buffer(column)])
