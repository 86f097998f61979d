"""`python -m mmuexp` is `mmuexp`."""

import sys
from contextlib import suppress

from mmuexp.runtime import interrupt


def main() -> None:
    interrupt.install()
    code = 130
    try:
        from mmuexp.cli.main import run

        code = run()
        interrupt.over()
    except KeyboardInterrupt:  # outside `run`: the program loads, or ends
        pass
    if number := interrupt.asked():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, or a full disk
                stream.flush()
        interrupt.end(number)
    sys.exit(code)


if __name__ == "__main__":
    main()
