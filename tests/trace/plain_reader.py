"""Reads traces of format 2 in plain Python, as docs/trace-streams.md has it: `plain_reader.py FILE` prints rows."""

import sys
from itertools import accumulate

import pyarrow as pa


def differences(near, far):
    last, far = 0, iter(far)
    for byte in (near := iter(near)):
        told, shift = byte & 127, 7
        while byte > 127:
            byte = next(near)
            told, shift = told | (byte & 127) << shift, shift + 7
        if told > 2:
            last = (told - 3 >> 1) ^ -(told - 3 & 1)
        elif told != 1:
            last = -last if told else next(far)
        yield last


def table(data, at, count):
    """Take columns of uint16, uint8, uint8, uint8 as rows; return them and where they end."""
    rest = (data[at + start * count : at + (start + 1) * count] for start in (2, 3, 4))
    return list(zip(data[at : at + 2 * count].cast("H"), *rest, strict=True)), at + 5 * count


def batches(path):
    """Yield the rows of each batch: tuples of vaddr, page, size, insns, op, flags."""
    reader = pa.ipc.open_file(path)
    bits = int(reader.schema.metadata.get(b"mmuexp.address_bits", 32))
    limit, word = 1 << bits, "I" if bits == 32 else "Q"
    for index in range(reader.num_record_batches - 1):
        batch, keys = reader.get_batch_with_custom_metadata(index)
        run, changed, near, far, new = (memoryview(column[0].as_buffer()).cast("B") for column in batch)
        run, step = run.cast("H"), differences(near, far.cast(word))
        _, before, count = map(int, keys[b"mmuexp.batch"].split(b","))
        if before == 0:
            shapes = [None]  # of each: its EXEC row, its data rows but for their addresses, and these
        told, at = table(new, 0, count)
        data, at = table(new, at, sum(sites for *_, sites in told))
        others, _ = table(new, at, run.tolist().count(0))
        end, data = 0, iter(data)
        for size, insns, flags, sites in told:
            vaddr = (end + next(step)) % limit if size else 0
            end = vaddr + size if size else end
            block = [(vaddr, 0, size, insns, 2, flags)] if size else []
            shapes.append((block, [next(data) for _ in range(sites)], [0] * sites))
        vaddrs, pages = ([n % limit for n in accumulate(next(step) for _ in others)] for _ in range(2))
        other = zip(vaddrs, pages, others, strict=True)
        bits = (byte >> bit & 1 for byte in changed for bit in range(8))
        known, last, rows = before, 0, []
        for code in run:
            known += code == 1
            block, sites, addresses = shapes[known if code == 1 else code - 1] if code else ([next(other)], [], [])
            rows += block if code else [(vaddr, page, *rest) for vaddr, page, rest in block]
            for place, site in enumerate(sites):
                last = (last if code == 1 else addresses[place]) + (next(step) if next(bits) else 0)
                last = addresses[place] = last % limit
                rows.append((last, 0, *site))
        yield rows


if __name__ == "__main__":
    for found in batches(sys.argv[1]):
        print(*found, sep="\n")
