"""A trace without mmuexp: one block, and a load of each of 16 pages."""

import pyarrow as pa

exec_, load, user = 2, 0, 2
columns = {
    "vaddr": pa.array([0x08049000] + [0x08100000 + 4096 * i for i in range(16)], pa.uint32()),
    "page": pa.array([0] * 17, pa.uint32()),
    "size": pa.array([64] + [4] * 16, pa.uint16()),
    "insns": pa.array([16, *range(1, 17)], pa.uint8()),
    "op": pa.array([exec_] + [load] * 16, pa.uint8()),
    "flags": pa.array([user] * 17, pa.uint8()),
}
table = pa.table(columns).replace_schema_metadata({"mmuexp.format": "1", "mmuexp.mode": "user"})
with pa.ipc.new_file("own.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
    writer.write_table(table)
