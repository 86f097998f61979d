"""How the kernels are compiled, and the words in which they answer."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


class Compiler(Protocol):
    """A decorator that compiles a function and leaves its signature as it is."""

    def __call__(self, function: F, /) -> F: ...


# _nrt=False: no kernel allocates, so none counts references to the arrays it is handed (that alone cost 1 us a call).
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
# Kernels call each other and are called by the loop in loop.py alone: wrappers for Python and C would be dead weight,
# a third of the time it takes to compile them.
INSIDE = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Part of whatever calls it: a call passes each array of `s` and `e`, and took 0.1 us and more.
kernel: Compiler = numba.njit(**INSIDE, forceinline=True)
# Called: for what is long, stands in many places and hardly ever happens, to keep the code, and its compilation, short.
seldom: Compiler = numba.njit(**INSIDE)
entry: Compiler = numba.njit(**OPTIONS, no_cfunc_wrapper=True)  # a kernel that Python calls

# What an access kernel returns, or-ed together.
SETTLED = 1  # the same access, again, would change and count nothing: replay may skip it until something is LOST
LOST = 2  # some other access that was settled may be so no longer
WATCH_EXEC = 8  # every row up to the next EXEC row is asked about, and that one calls the kernel `execute`
# Of an access from one that answers WATCH_EXEC up to the next EXEC row, a *spell*. Again in a spell it would change
# nothing; and if it began this one it would begin any, for one of FAULTS_SOFTMMU.
SETTLED_IN_SPELL = 16  # the same access, again in a spell, would but count one of SOFTMMU_ACCESSES (replay/spells.py)
CONFLICT = 4  # the scheme cannot serve this row: replay stops on it (`Strategy.conflict` says why)


@kernel
def nothing(*args: Any) -> int:
    """Serve as the kernel of a scheme for which this event changes nothing."""
    return 0
