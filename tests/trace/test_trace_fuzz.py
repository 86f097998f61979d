"""Traces with some bytes changed, by seeds that are always the same: every command answers by one line, or by rows."""

import random

import pytest
from kit.traces import SYSTEM, concat, dense_rows, program_rows, write, write_foreign

from mmuexp.guest import Columns
from mmuexp.trace import layout
from mmuexp.trace.rewrite import compress_trace

COMMANDS = ("info", "verify", "recover", "export", "slice", "compare")
TRIES, MORE_TRIES = 120, 900


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list[bytes]:
    """Whole traces: ours, of both modes, and foreign ones of several batches, codecs and types."""
    folder = tmp_path_factory.mktemp("seeds")
    rows = program_rows(300)
    made = [write(folder / "user", rows, command="ls"), write(folder / "system", SYSTEM, "system")]
    wide = {name: column.astype("u8") for name, column in rows._asdict().items()}
    for codec in (None, "lz4", "zstd"):
        made.append(write_foreign(folder / f"{codec}", rows._asdict(), batch=70, compression=codec,
                                  tail={"mmuexp.rows": "300", "mmuexp.crc32": "00000000"}))  # fmt: skip
    made.append(write_foreign(folder / "wide", wide, compression="lz4"))
    made.append(write(folder / "dense", concat([dense_rows(200), Columns(*(column[:50] for column in rows))])))
    compress_trace(made[0], str(folder / "compressed"))
    return [open(path, "rb").read() for path in [*made, folder / "compressed"]]


def mutated(data: bytes, random: random.Random) -> bytes:
    """A few bytes of a trace changed: any, those of its headers and its footer, its length, or numbers in it."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        # headers are some hundred bytes among thousands of rows, and decide more
        at = random.choice((random.randrange(len(data)), len(data) - 1 - random.randrange(min(len(data), 1500)),
                            random.randrange(min(len(data), 1500))))  # fmt: skip
        kind = random.randrange(7)
        if kind == 0:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            width = random.choice((2, 4, 8))
            number = random.choice((0, 1, 2, -1, 1 << 7, 1 << 15, 1 << 31, 1 << 40, (1 << 63) - 1, 300, 70))
            data[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
        elif kind == 3:
            del data[at : at + random.choice((1, 4, 8, 64, 400))]
        elif kind == 4:
            data[at:at] = data[at : at + random.choice((1, 8, 64, 400))]
        elif kind == 5:
            other = random.randrange(len(data))
            data[at : at + 16] = data[other : other + 16]
        else:
            del data[at:]
        if len(data) < 2:
            return bytes(data)
    return bytes(data)


def words_of(command: str, path, folder) -> list:
    new = folder / f"new.{'csv' if command == 'export' else 'arrow'}"
    new.unlink(missing_ok=True)
    return {
        "compare": ["compare", path, "-s", "softmmu", "-s", "map-block", "--format", "csv"],
        "slice": ["trace", "slice", path, "5:", "-o", new],
        "info": ["trace", "info", path],
        "verify": ["trace", "verify", path],
    }.get(command) or ["trace", command, path, "-o", new]


def one(number: int, seeds, folder, cli) -> None:
    random_ = random.Random(number)
    path = folder / "t.arrow"
    path.write_bytes(mutated(random_.choice(seeds), random_))
    for command in COMMANDS:
        done = cli(*words_of(command, path, folder))
        say = f"try {number}, {command}: {done.code}: {done.err}"
        assert done.code in ((0, 1, 3) if command == "verify" else (0, 1, 2) if command == "slice" else (0, 1)), say
        assert "this is a bug" not in done.err and "Traceback" not in done.err, say
        lines = [line for line in done.err.splitlines() if "left out" not in line]
        assert len(lines) <= 1 or command == "verify", say
        if command in ("recover", "slice"):
            new = folder / "new.arrow"
            assert new.exists() == (done.code == 0), say
            assert not list(folder.glob("*.part")), say
            if command == "slice" and done.code == 0:  # what is written with right CRCs is a right trace
                again = cli("trace", "verify", new)
                assert again.code == 0, f"{say}\n{again.out}{again.err}"


@pytest.mark.parametrize("part", range(4))
def test_mutated_traces(seeds, tmp_path, cli, part):
    for number in range(part, TRIES, 4):
        one(number, seeds, tmp_path, cli)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_many_mutated_traces(seeds, tmp_path, cli, part):
    for number in range(TRIES + part, MORE_TRIES, 4):
        one(number, seeds, tmp_path, cli)


def test_mutations_reach_what_decides(seeds):
    """Some leave a trace whole, most do not: else the test above would look at one line again and again."""
    changed = [mutated(seeds[0], random.Random(number)) for number in range(200)]
    starts = sum(data.startswith(layout.MAGIC) for data in changed)
    ends = sum(data.endswith(layout.MAGIC) for data in changed)
    assert 150 < starts < 200 and 100 < ends < 200
    assert len(set(changed)) > 190
