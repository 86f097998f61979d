"""The command line's front door: which commands exist, and how a failure becomes one line and an exit code.

Nothing heavy is imported here: a command's module is loaded when the command is used, so that `mmuexp --help`
answers at once. `run` is the only place that turns exceptions into exit codes (interface.md):
0 done, 1 an input, a strategy or the machine failed, 2 wrong usage, 3 a check failed, 130 interrupted (143 by SIGTERM).
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module

import click

from mmuexp.cli.console import say
from mmuexp.cli.inputs import guard_inputs
from mmuexp.errors import MmuexpError, one_line, speaking_of_options
from mmuexp.progress import told_to
from mmuexp.runtime import interrupt

# name -> what it does. The module mmuexp.cli.<name> holds it as `command`.
COMMANDS = {
    "compare": "Replay recordings through the schemes and print what each one costs.",
    "sweep": "Compare one scheme with itself over a range of a parameter.",
    "misses": "Tell compulsory, capacity and conflict misses of softmmu's TLB apart.",
    "faults": "List every host fault of a run, and the pages and blocks that cause most.",
    "report": "Write one page over all results: which scheme for a workload like yours, and how sure.",
    "verify": "Run the schemes for real (mmap, SIGSEGV) and compare with the model.",
    "calibrate": "Measure this host's prices, and write them as a host profile.",
    "claims": "Test what the mail claims: figures and a verdict for each claim.",
    "export": "Write a saved result's tables again, in another format, without a replay.",
    "rerun": "Make the results of an experiment's folder again, or check them.",
    "diff": "Say what changed between two saved results, exactly.",
    "record": "Record a real x86 program, of 32 or 64 bits, or a whole guest as a trace.",
    "trace": "Look at, check, cut and convert recordings.",
    "strategy": "List, explain and check the translation schemes.",
    "help": "Print the help of a command, as --help does.",
    "completion": "Print or install the script by which your shell completes.",
    "store": "Say what is kept of counts, forget it, or check it by replays.",
    "cache": "Say what mmuexp keeps in your home folder, and remove it.",
}

COMPLETE = "_MMUEXP_COMPLETE"  # in the environment: the shell asks for completions


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for; each also takes -v."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = import_module(f"mmuexp.cli.{name}").command
        _accept_verbose(command)
        guard_inputs(name, command)
        if COMPLETE in os.environ:
            from mmuexp.cli.complete import teach

            teach(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click would import every command here, only to ask for its first sentence
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]):
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)


def _remember_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    root = ctx.find_root()
    root.meta["mmuexp.verbosity"] = root.meta.get("mmuexp.verbosity", 0) + value


VERBOSE = click.Option(
    ["-v", "--verbose"],
    count=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_verbosity,
    help="Say more; -vv shows the traceback of a failure.",
)


def _accept_verbose(command: click.Command) -> None:
    """-v is understood before and after a command's name."""
    if not any("-v" in param.opts for param in command.params):
        command.params.append(VERBOSE)
    for child in getattr(command, "commands", {}).values():
        _accept_verbose(child)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from mmuexp.version import version

        click.echo(f"mmuexp {version()}")
        ctx.exit()


@click.group(cls=LazyGroup, params=[VERBOSE], context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)
def group() -> None:
    """Record real x86 programs and read off what competing guest-memory translation schemes cost.

    \b
    Examples:
      mmuexp compare
      mmuexp sweep MAP_BLOCK_BITS
    """
    from mmuexp.runtime.memory import tune_malloc

    tune_malloc()


def _one_line(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__


def _stdout_to_nowhere() -> None:
    """What is still buffered for a closed pipe or a full disk would be reported again when Python ends."""
    with suppress(OSError, ValueError, AttributeError):  # a stdout without a descriptor needs nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: click.ClickException) -> int:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "mmuexp"
    message = error.format_message().rstrip(".")
    say(f"{' '.join(message.split())}; see `{path} --help`")
    return 2


def _execute(argv: Sequence[str], meta: dict) -> int:
    with group.make_context("mmuexp", list(argv)) as ctx:
        try:
            code = group.invoke(ctx)
        finally:
            meta.update(ctx.meta)
    sys.stdout.flush()
    return code if isinstance(code, int) and not isinstance(code, bool) else 0


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. A command may return an int to choose its own."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):  # None if the caller closed them (`>&-`)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (for the life of the process)
        elif hasattr(getattr(sys, name), "reconfigure"):  # what the terminal's encoding has not is escaped
            getattr(sys, name).reconfigure(errors="backslashreplace")
    if COMPLETE in os.environ:
        group.main(argv, prog_name="mmuexp", complete_var=COMPLETE)
    meta: dict = {}
    try:
        with speaking_of_options(), told_to(say):
            return _execute(argv, meta)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return _usage(error)
    except BrokenPipeError:
        _stdout_to_nowhere()
        return 0
    except (KeyboardInterrupt, click.Abort) as error:
        if not interrupt.asked() and (mistake := _somebodys(error)):
            return _failure(mistake)
        say("interrupted")
        return 128 + (interrupt.asked() or signal.SIGINT)
    except (MmuexpError, click.ClickException, SystemExit, Exception) as error:
        if number := interrupt.asked():  # it came of that: a child that ^C reached too, an import cut short
            say("interrupted")
            return 128 + number
        if meta.get("mmuexp.verbosity", 0) >= 2:
            import traceback

            traceback.print_exc()
        return _failure(error)


def _somebodys(error: BaseException) -> MmuexpError | None:
    """The error as the mistake of somebody else's scheme, if one was loaded and it came of that."""
    mistakes = sys.modules.get("mmuexp.strategy.mistakes")
    return mistakes.somebodys(error) if mistakes else None


def _failure(error: BaseException) -> int:
    if not isinstance(error, MmuexpError | OSError | click.ClickException):
        error = _somebodys(error) or error
    if isinstance(error, MmuexpError):
        say(_one_line(error))
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        say(f"{error.filename}: {error.strerror or _one_line(error)}")
    elif isinstance(error, OSError):  # no file of ours: stdout, or the machine
        say(f"{(error.strerror or _one_line(error)).lower()}; stdout may be cut short")
        _stdout_to_nowhere()
    elif isinstance(error, MemoryError):
        say("out of memory; replay fewer schemes at once")
    elif isinstance(error, click.ClickException):
        say(" ".join(error.format_message().split()))
    else:
        say(f"unexpected {type(error).__name__}: {_one_line(error)}; this is a bug, -vv shows where")
    return 1
