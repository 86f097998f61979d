"""`mmuexp record`: run a program under QEMU and write what it does."""

import sys
from pathlib import Path

import click

from mmuexp.errors import shown


# what follows the program's name is the program's own
@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--system", is_flag=True, help="Record a whole guest: the arguments are QEMU's.")
@click.option("--guest", type=click.Choice(["i386", "x86_64"]), help="With --system: which processor.  [i386]")
@click.option("-o", "--output", metavar="FILE", help="Write the trace to FILE.  [PROGRAM.arrow]")
@click.option("--skip", metavar="ROWS", type=click.IntRange(min=0), default=0, help="Leave the first ROWS out.")
@click.option("--limit", metavar="ROWS", type=click.IntRange(min=1), help="Record at most ROWS; a guest ends then.")
@click.option("--start-at-pc", metavar="ADDR", help="Begin when a program executes ADDR, a number or a symbol.")
@click.option("--start-on-output", metavar="TEXT", help="Begin when a guest has printed TEXT on QEMU's stdout.")
@click.option("--stop-on-output", metavar="TEXT", help="End when a guest has printed TEXT, after that of the start.")
@click.option("--time-limit", metavar="S", type=click.FloatRange(min=0, min_open=True), help="End it after S seconds.")
@click.option("-L", "--root", metavar="FOLDER", help="Look in FOLDER for the program's loader and libraries.")
@click.option("--force", is_flag=True, help="Overwrite an earlier recording of that name.")
@click.option("--licence", metavar="TEXT", help="Write into the trace what it may be used under.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] PROGRAM [ARGS]...")
@click.pass_context
def command(ctx, /, system, guest, output, start_at_pc, start_on_output, stop_on_output, root, force, command, **how):
    """Record an x86 Linux program, or a whole guest: each load, each store and each block of code that it runs.

    \b
    Examples:
      mmuexp record -o ls.arrow -- ls /
      make -C traces/workloads   # builds the programs that these two record
      mmuexp record -- traces/workloads/build/crossing
      mmuexp record -o sort.arrow --skip 1000 --limit 50000 -- traces/workloads/build/numeric_sort

    The program, of 64 bits or of 32, runs under qemu-x86_64 or qemu-i386 with its own input, output and exit code; a
    script stands for its interpreter. Programs and libraries of Debian's i386 packages run from a folder that they are
    unpacked into (-L).

    With --system the guest runs under qemu-system-i386, or with --guest x86_64 under qemu-system-x86_64, with its page
    tables, device memory and firmware: as in
    mmuexp record --system -o boot.arrow -- -nographic -kernel vmlinuz -initrd initrd -append console=ttyS0
    """
    from mmuexp.record import record, record_system
    from mmuexp.record.system import default_output

    if system and root:
        raise click.UsageError("-L is for programs; a guest has QEMU's own -L after the --")
    if system and start_at_pc is not None:
        raise click.UsageError("--start-at-pc is for programs; a guest has --start-on-output")
    if guest and not system:
        raise click.UsageError("--guest is for --system; a program's file tells its width")
    if not system and (start_on_output is not None or stop_on_output is not None):
        raise click.UsageError("--start-on-output and --stop-on-output are for guests; a program has --start-at-pc")
    if output is None:
        output = default_output(command) if system else Path(command[0]).name + ".arrow"
    how |= {"note": say, "seconds": how.pop("time_limit"), "force": force or may_overwrite(output)}
    if system:
        how |= {"guest": guest, "start_on_output": start_on_output, "stop_on_output": stop_on_output}
        done = record_system(command, output, **how)
    else:
        done = record(command, output, root=root, start_at_pc=start_at_pc, **how)
    if done.failure:
        raise done.failure
    say(summary(done))
    ctx.exit(done.exit_code)


def may_overwrite(output: str) -> bool:
    """Ask, on a terminal, if there is a recording already. Off a terminal the answer is no."""
    from mmuexp.trace.left import older

    if not (older(output) and sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(f"mmuexp record: {output} is there already; overwrite it?", err=True)


def say(line: str) -> None:
    print(f"mmuexp record: {shown(line)}", file=sys.stderr, flush=True)


def summary(done) -> str:
    """One line: rows, bytes, and how fast."""
    line = f"{done.rows:,} rows, {done.size_bytes / 1e6:.2f} MB"
    if done.rows:
        line += f" ({done.size_bytes / done.rows:.2f} B/row)"
    line += f" in {done.path}, {done.rows / done.seconds / 1e6:.1f} M rows/s"
    if done.window[0]:
        line += f"; {done.window[0]:,} rows skipped"
    return line if done.complete == "yes" else f"{line}; cut short: {done.complete}"
