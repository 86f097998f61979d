"""The schemes that are tried. A scheme is a file here, named as it is: map_block.py is map-block. It holds

    ORACLE       the class that counts by MODEL.md, made of a guest and the scheme's parameters (truth/oracle/ has five)
    EMPTY        columns that the scheme does not have
    OWN          columns that no other scheme has, if there are any
    ALWAYS_ZERO  columns that hold 0 whatever happens, if there are any
    SPECS        what is tried of it: its defaults, other parameters
    TIGHT        parameters so small that tables, pools and reserves overflow
    CASES        traces whose counts were worked out on paper; every column of the scheme is counted in one of them

The parameter `code` of the schemes of 2004 has its cases and specs in truth/code_policies.py.

Whatever in tests/ wants a list of schemes takes it from here. Imports nothing of the package.
"""

from importlib import import_module
from pkgutil import iter_modules

from truth import code_policies

FILES = {module.name.replace("_", "-"): import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)}
NAMES = list(FILES)
OWN = {name: getattr(file, "OWN", []) for name, file in FILES.items()}
ALWAYS_ZERO = {name: getattr(file, "ALWAYS_ZERO", []) for name, file in FILES.items()}
EMPTY = {name: file.EMPTY for name, file in FILES.items()}
TIGHT = [spec for file in FILES.values() for spec in file.TIGHT]
SPECS = [spec for file in FILES.values() for spec in (*file.SPECS, *file.TIGHT)] + code_policies.SPECS
CASES = [case for file in FILES.values() for case in file.CASES] + code_policies.CASES
