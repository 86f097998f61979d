"""`python -m mmuexp` is `mmuexp`."""

import sys


def main() -> None:
    try:
        from mmuexp.cli.main import run
    except KeyboardInterrupt:  # ^C while Python is still importing
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()
