"""Recording: QEMU runs the program, our plugin in it writes rows to shared memory, the encoder beside it a file.

`record(...)` does it all. `program.py` says what can be recorded, `build.py` compiles the plugin, `ring.py` is the
shared memory, `qemu.py` starts QEMU and watches it.
"""

from mmuexp.record.qemu import Recording, record

__all__ = ["Recording", "record"]
