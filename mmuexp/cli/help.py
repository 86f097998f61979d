"""`mmuexp help`: the help of a command, as --help prints it."""

import click


@click.command(short_help="Print the help of a command, as --help does.")
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Print the help of a command, as --help does.

    \b
    Examples:
      mmuexp help compare
      mmuexp help trace slice
    """
    found, context = ctx.parent.command, ctx.parent
    for word in words:
        child = found.get_command(context, word) if isinstance(found, click.Group) else None
        if child is None:
            known = f"; there are {', '.join(found.list_commands(context))}" if isinstance(found, click.Group) else ""
            raise click.UsageError(f"{context.command_path} has no command {word!r}{known}", context)
        found, context = child, click.Context(child, info_name=word, parent=context)
    click.echo(found.get_help(context))
