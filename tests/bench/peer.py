"""Runs in the peers' virtual environment: the same accesses through simulators of 256 entries of 4 KiB.

pycachesim's C loop takes addresses from a list in memory; libcachesim reads its binary format (24 bytes a request, the
page already computed). Imports nothing of ours.
"""

import sys
from array import array

from worker import serve


def main(addresses: str, requests: str) -> None:
    import libcachesim
    from cachesim import Cache, CacheSimulator, MainMemory

    with open(addresses, "rb") as file:
        stream = array("I", file.read()).tolist()

    def nothing() -> dict:
        return {}

    def pycachesim(ways: int, policy: str) -> dict:
        memory, cache = MainMemory(), Cache("tlb", 256 // ways, ways, 4096, policy)
        memory.load_to(cache)
        memory.store_from(cache)
        CacheSimulator(cache, memory).load(stream)
        stats = cache.stats()
        return {"accesses": stats["LOAD_count"], "misses": stats["MISS_count"]}

    def libcache(policy: str) -> dict:
        settings = libcachesim.ReaderInitParam(ignore_obj_size=True)
        reader = libcachesim.TraceReader(requests, libcachesim.TraceType.ORACLE_GENERAL_TRACE, settings)
        share, _ = getattr(libcachesim, policy)(256).process_trace(reader)
        return {"accesses": len(stream), "misses": round(share * len(stream))}

    serve({"start": nothing, "pycachesim": pycachesim, "libcachesim": libcache})


if __name__ == "__main__":
    main(*sys.argv[1:])
