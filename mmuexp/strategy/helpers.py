"""What softmmu's helper takes in the live engine: of softmmu, and of each scheme whose C half enters one like it.

That helper is generic C. callgrind counts 313, 267 and 376 instructions for the first three, which take less time than
so many of the hit path do where a helper runs often: these are what calibrate measured, less a helper entered.
"""

from dataclasses import replace

from mmuexp.price.primitives import Cost

_SOURCE = "measured: calibrate's also.fill, misaligned and crossing, less a helper and a hit, in instructions of a hit"
FILL = Cost(helper=1, hit=206, source=_SOURCE)
MISALIGNED = Cost(helper=1, hit=151, source=_SOURCE)
CROSSING = Cost(helper=1, hit=422, source=_SOURCE + "; loads and stores, both lookups and all bytes")
SEARCHED_BLOCK = Cost(
    hit=66,
    least=28,
    most=200,
    source="measured: calibrate's also.searched_block, in instructions of a hit; lists of 8, to many in no near cache",
)


def like(cost: Cost, source: str) -> Cost:
    """Give what another scheme's C half takes for the same; `source` says how one knows."""
    return replace(cost, source=source)
