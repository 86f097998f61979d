"""`make torture`, or `python -m tests.torture signals [--count N] [--seconds S] [--seed N]`: 1 if anything broke."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .signals import Torturer, summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.torture", description=__doc__)
    parser.add_argument("what", choices=["signals"])
    parser.add_argument("--count", type=int, default=200, help="signals to send [200]")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments [the time]")
    parser.add_argument("--only", action="append", help="this command alone, by the name that is printed; repeatable")
    parser.add_argument("--busy", action="store_true", help="give more time where more runs than there are processors")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mmuexp-torture-") as folder:
        torturer = Torturer(Path(folder), given.seed, given.only, busy=given.busy)
        for shot in torturer.shots(given.count, given.seconds):
            print(shot, flush=True)
        print(summary(torturer.done))
    return int(any(shot.wrong for shot in torturer.done))


if __name__ == "__main__":
    sys.exit(main())
