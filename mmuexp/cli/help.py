"""`mmuexp help`: the help of a command, as --help prints it."""

import click


@click.command()
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.option("--man", is_flag=True, help="Print the manual page of all commands, for man(1), in roff.")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], man: bool) -> None:
    """Print the help of a command, as --help does.

    \b
    Examples:
      mmuexp help compare
      mmuexp help trace slice

    With --man it is a page with all of them: mmuexp help --man > mmuexp.1. `mmuexp help columns` lists the columns of
    results, which --fail-if and -o FILE.csv name.
    """
    if man:
        from mmuexp.cli.manual import page
        from mmuexp.version import version

        if words:
            raise click.UsageError("the manual page has all commands; leave the name out", ctx)
        click.echo(page(ctx.find_root(), version()), nl=False)
        return
    if words == ("columns",):
        return _print_columns()
    context = ctx.find_root()
    found = context.command
    for word in words:
        child = found.get_command(context, word) if isinstance(found, click.Group) else None
        if child is None:
            known = f"; there are {', '.join(found.list_commands(context))}" if isinstance(found, click.Group) else ""
            raise click.UsageError(f"{context.command_path} has no command {word!r}{known}", context)
        found, context = child, click.Context(child, info_name=word, parent=context)
    click.echo(found.get_help(context))


def _print_columns() -> None:
    from mmuexp.result.columns import described
    from mmuexp.strategy.registry import all_strategies

    formatter = click.HelpFormatter()
    formatter.write_text("The columns of a result, by what they tell. An empty cell: the scheme has no such event.")
    own = dict.fromkeys(name for cls in all_strategies().values() for name in cls.extra_events)
    for what, names in described(own):
        with formatter.section(what):
            formatter.write_text(" ".join(names))
    click.echo(formatter.getvalue(), nl=False)
