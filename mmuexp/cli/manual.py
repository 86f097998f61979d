"""The manual page of mmuexp in roff, man(7): every command with the very texts that --help shows."""

import re
from inspect import cleandoc

import click

EXIT_CODES = (
    ("0", "It is done."),
    ("1", "An input, a scheme or the machine failed."),
    ("2", "Wrong usage."),
    ("3", "A check failed."),
    ("130, 143", "Interrupted, by ^C or by SIGTERM."),
)


def page(root: click.Context, version: str) -> str:
    """Write the page of a group and all its commands. `root` is the group's context."""
    summary, *rest = _paragraphs(root.command)
    name = root.command_path
    lines = [f'.TH {_roff(name.upper())} 1 "" "{_roff(f"{name} {version}")}" "User Commands"']
    lines += [".SH NAME", f"{_roff(name)} \\- {_roff(summary.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {_roff(name)}", _roff(_arguments(root))]
    lines += [".SH DESCRIPTION", *_texts([summary, *rest]), ".SH OPTIONS", *_options(root), ".SH COMMANDS"]
    for context in _commands(root):
        lines += [f".SS {_roff(f'{context.command_path} {_arguments(context)}')}"]
        lines += [*_texts(_paragraphs(context.command)), *_options(context)]
    lines += [".SH EXIT STATUS", *(line for code in EXIT_CODES for line in _entry(*code))]
    return "\n".join(lines) + "\n"


def _commands(parent: click.Context) -> list[click.Context]:
    """Of all commands below, in the order of the help; a group before its commands."""
    group, found = parent.command, []
    if not isinstance(group, click.Group):
        return []
    for name in group.list_commands(parent):
        child = group.get_command(parent, name)
        if child is not None and not child.hidden:
            context = click.Context(child, info_name=name, parent=parent)
            found += [context, *_commands(context)]
    return found


def _arguments(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _paragraphs(command: click.Command) -> list[str]:
    return [text for text in re.split(r"\n\s*\n", cleandoc(command.help or "")) if text]


def _texts(paragraphs: list[str]) -> list[str]:
    """Paragraphs; those that click does not wrap (they begin with a backspace) keep their lines."""
    lines = []
    for text in paragraphs:
        if text.startswith("\b"):
            lines += [".PP", ".nf", *map(_roff, text.removeprefix("\b").strip("\n").split("\n")), ".fi"]
        else:
            lines += [".PP", _roff(" ".join(text.split()))]
    return lines


def _options(context: click.Context) -> list[str]:
    records = [param.get_help_record(context) for param in context.command.get_params(context)]
    return [line for record in records if record and record[1] for line in _entry(*record)]


def _entry(term: str, text: str) -> list[str]:
    return [".TP", f".B {_roff(term)}", _roff(" ".join(text.split()))]


def _roff(text: str) -> str:
    """The text as roff prints it: no character of it is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    text = text.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text
