"""`python -m mmuexp` is `mmuexp`."""

import sys


def main() -> None:
    from mmuexp.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
