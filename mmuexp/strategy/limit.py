"""What the schemes of a direct map say alike of parameter `guest_limit`."""

from typing import Any

from mmuexp.guest import ADDRESS_BITS, PAGE_BYTES
from mmuexp.strategy.base import param

LIMIT_2004 = 0xA8000000  # QEMU itself is linked there, exec.c:50 at 0d1a29f9fc


def limit_param(default: int, wide: int) -> Any:
    """Declare parameter `guest_limit`; `wide` is its default for a guest of 64 bits."""
    return param(
        default, minimum=PAGE_BYTES, maximum=1 << 47, wide=wide, unit="bytes", hex=True,
        sweep=(1 << 30, 1 << 31, LIMIT_2004, 3 << 30, 1 << ADDRESS_BITS),
        help="guest addresses below it have a place in the host's; whole pages",
    )  # fmt: skip


def whole_pages(strategy: Any, *names: str) -> None:
    """Raises ValueError if one of these parameters is not a multiple of a page."""
    for name in names:
        if getattr(strategy, name) % PAGE_BYTES:
            raise ValueError(f"{name}={getattr(strategy, name):#x} is not a multiple of a page, {PAGE_BYTES} bytes")
