"""Packages that share their name with a function of `mmuexp`: `mmuexp.record` is a folder, and records."""

import sys
from types import ModuleType


def callable_package(name: str) -> None:
    """Make the package of this name callable as the function that it hides.

    Python puts a package over the attribute of the same name as soon as anything in it is imported.
    """
    function = vars(sys.modules["mmuexp"])[name.rpartition(".")[2]]

    class Callable(ModuleType):
        __call__ = staticmethod(function)

    package = sys.modules[name]
    package.__class__ = Callable
    vars(package)["__wrapped__"] = function  # whose signature it has
