"""Recording: QEMU runs the program or the guest, our plugin in it writes rows to shared memory, the encoder beside it
a file.

`record(...)` and `record_system(...)` do it all. `program.py` says what can be recorded, `build.py` compiles the
plugins, `ring.py` is the shared memory, `session.py` watches QEMU; `qemu.py` and `system.py` start it.
"""

from mmuexp.record.qemu import record
from mmuexp.record.session import Recording
from mmuexp.record.system import record_system
from mmuexp.runtime.packages import callable_package

__all__ = ["Recording", "record", "record_system"]

callable_package(__name__)
