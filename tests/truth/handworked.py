"""All cases whose answers were worked out by hand from MODEL.md: `CASES` to count, `ERRORS` to refuse.

Any program that follows MODEL.md passes them: run the rows, compare the columns of `expect` with ==.
"""

from kit.traces import Case

from truth import handworked_survey as handworked_shape
from truth.handworked_survey import ERRORS, Error
from truth.schemes import byte_lookup as handworked_byte_lookup
from truth.schemes import map_block as handworked_map_block
from truth.schemes import qemu_fast as handworked_qemu_fast
from truth.schemes import softmmu as handworked_softmmu
from truth.schemes import softmmu_qemu10 as handworked_softmmu_qemu10
from truth.schemes import softmmu_qemu10_code as handworked_softmmu_qemu10_code

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
