"""The mail's claims, each tested: figures from counts and prices, and a verdict that follows from them.

A claim is a `Claim` of `model.py` in a file of its subject; its `judge` turns `Evidence` into parts, whose cases give
the verdict. `REGISTRY` has them in the order of the mail. Nobody writes a verdict: change a count or a price, and it
changes.
"""

from mmuexp.mail.block_bits import CLAIMS as BLOCK_BITS
from mmuexp.mail.crossing import CLAIMS as CROSSING
from mmuexp.mail.devices import CLAIMS as DEVICES
from mmuexp.mail.direct_map import CLAIMS as DIRECT_MAP
from mmuexp.mail.linux import CLAIMS as LINUX
from mmuexp.mail.listings import CLAIMS as LISTINGS
from mmuexp.mail.model import Claim
from mmuexp.mail.nbench import CLAIMS as NBENCH
from mmuexp.mail.pool import CLAIMS as POOL
from mmuexp.mail.windows import CLAIMS as WINDOWS

_ALL = (*LISTINGS, *CROSSING, *BLOCK_BITS, *NBENCH, *LINUX, *WINDOWS, *DIRECT_MAP, *POOL, *DEVICES)
REGISTRY: dict[int, Claim] = {claim.number: claim for claim in sorted(_ALL, key=lambda claim: claim.number)}
