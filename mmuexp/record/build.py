"""Compiles the QEMU plugins at their first use, in about 0.2 s."""

from importlib.resources import files
from pathlib import Path

from mmuexp.native.compiler import compiled, digest_of

SOURCE = files("mmuexp.record") / "plugin"
USER, SYSTEM = "mmuexp_plugin", "mmuexp_system"  # the plugins: for a program, for a whole guest
HEADERS = sorted(path.name for path in SOURCE.iterdir() if path.name.endswith(".h"))
APIS = (1, 3)  # versions of QEMU's plugin interface: of QEMU 5.2 to 8.2, from 9.1 on
CFLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall")


def _parts(*sources: str) -> dict[str, bytes]:
    return {part: (SOURCE / part).read_bytes() for part in (*sources, *HEADERS)}


def source_hash() -> str:
    """Name the plugins' sources and flags by 16 hex digits."""
    return digest_of(_parts(f"{USER}.c", f"{SYSTEM}.c"), CFLAGS)


def plugin(name: str = USER, api: int = APIS[0], bits: int = 32) -> Path:
    """Compile the plugin `name` for version `api` of QEMU's plugin interface, and guests of so many bits.

    Raises `MmuexpError`: no compiler, a failed compile, a cache that cannot be written.
    """
    return compiled(
        name, _parts(f"{name}.c"), (*CFLAGS, f"-DPLUGIN_API={api}", f"-DGUEST_BITS={bits}"), "the QEMU plugin"
    )
