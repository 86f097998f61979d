"""The mail's claims, each tested: figures from counts and prices, and a verdict that follows from them.

A claim is a `Claim` of `model.py` in a file of its subject; its `judge` turns `Evidence` into parts, whose cases give
the verdict. `REGISTRY` has them in the order of the mail. Nobody writes a verdict: change a count or a price, and it
changes.
"""

from mmuexp.claims.block_bits import CLAIMS as BLOCK_BITS
from mmuexp.claims.crossing import CLAIMS as CROSSING
from mmuexp.claims.devices import CLAIMS as DEVICES
from mmuexp.claims.direct_map import CLAIMS as DIRECT_MAP
from mmuexp.claims.linux import CLAIMS as LINUX
from mmuexp.claims.listings import CLAIMS as LISTINGS
from mmuexp.claims.model import Claim
from mmuexp.claims.nbench import CLAIMS as NBENCH
from mmuexp.claims.pool import CLAIMS as POOL
from mmuexp.claims.windows98 import CLAIMS as WINDOWS
from mmuexp.runtime.packages import callable_package

_ALL = (*LISTINGS, *CROSSING, *BLOCK_BITS, *NBENCH, *LINUX, *WINDOWS, *DIRECT_MAP, *POOL, *DEVICES)
REGISTRY: dict[int, Claim] = {claim.number: claim for claim in sorted(_ALL, key=lambda claim: claim.number)}

callable_package(__name__)
