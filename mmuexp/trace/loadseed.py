"""Reads load seeds, the parameter of a sweep that belongs to traces: each says where the program was loaded."""

from collections.abc import Iterable

from mmuexp.errors import UsageError

LOAD_SEED = "load_seed"
SEEDS = 1 << 32
FIRST_SEEDS = range(16)  # of a sweep that names no range
MAX_SEEDS = 1024


def seeds_of(texts: Iterable[str], where: str = LOAD_SEED) -> list[int]:
    """Read seeds from the values of a RANGE, each once. Raises UsageError."""
    texts = list(texts)
    try:
        seeds = list(dict.fromkeys(int(text, 0) for text in texts))
    except ValueError:
        raise UsageError(f"{','.join(texts)!r} names no whole numbers", where=where, todo="write 0..31") from None
    return checked_seeds(seeds, where)


def checked_seeds(seeds: list[int], where: str = LOAD_SEED) -> list[int]:
    """Return the seeds. Raises UsageError for none, too many, or one out of range."""
    if not seeds:
        raise UsageError("no seed is named", where=where, todo="give 0 for the trace as it was recorded")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEEDS:
            raise UsageError(f"{seed!r} is not a seed", where=where, todo=f"seeds are 0 to {SEEDS - 1:,}")
    if len(seeds) > MAX_SEEDS:
        raise UsageError(f"{len(seeds):,} seeds, more than {MAX_SEEDS:,}", where=where, todo="give fewer")
    return seeds
