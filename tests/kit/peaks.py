"""The largest resident size of a command, which runs in a process of its own."""

import os
import subprocess
import sys


def run(*args, **environment):
    """(exit code, stdout, stderr, largest resident size in MB) of one command in a process of its own."""
    peak = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')), file=sys.stderr)"
    code = f"import sys; from mmuexp.cli.main import run; code = run(sys.argv[1:]); {peak}; sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    *lines, kib = done.stderr.splitlines()
    return done.returncode, done.stdout, lines, int(kib) * 1024 / 1e6
