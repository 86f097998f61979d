"""Recording: QEMU runs the program or the guest, our plugin in it writes rows to shared memory, the encoder beside it
a file.

`record(...)` and `record_system(...)` do it all. `program.py` says what can be recorded, `build.py` compiles the
plugins, `ring.py` is the shared memory, `session.py` watches QEMU; `qemu.py` and `system.py` start it.
"""

import sys
from types import ModuleType

from mmuexp.record.qemu import record
from mmuexp.record.session import Recording
from mmuexp.record.system import record_system

__all__ = ["Recording", "record", "record_system"]


class _Callable(ModuleType):
    """Python puts this package over the function `mmuexp.record` when it is imported: so it can be called like that."""

    __call__ = staticmethod(vars(sys.modules["mmuexp"])["record"])


sys.modules[__name__].__class__ = _Callable
