"""All cases whose answers were worked out by hand from MODEL.md: `CASES` to count, `ERRORS` to refuse.

Any program that follows MODEL.md passes them: run the rows, compare the columns of `expect` with ==.
"""

import handworked_byte_lookup
import handworked_map_block
import handworked_qemu_fast
import handworked_shape
import handworked_softmmu
import handworked_softmmu_qemu10
import handworked_softmmu_qemu10_code
from handworked_shape import ERRORS, Error
from tracerows import Case

__all__ = ["CASES", "ERRORS", "Case", "Error"]

CASES: list[Case] = [
    *handworked_shape.CASES,
    *handworked_softmmu.CASES,
    *handworked_byte_lookup.CASES,
    *handworked_map_block.CASES,
    *handworked_qemu_fast.CASES,
    *handworked_softmmu_qemu10.CASES,
    *handworked_softmmu_qemu10_code.CASES,
]
