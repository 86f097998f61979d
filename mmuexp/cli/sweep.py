"""`mmuexp sweep`."""

import click

from mmuexp.cli import options, output


def _no_plot(_context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked:
        raise click.UsageError("--plot is gone; -o FILE.svg, .png or .html draws the sweep")


@click.command()
@click.argument("words", metavar="PARAM[=RANGE]... [FILE]...", nargs=-1, required=True)
@options.trace_option
@options.host_options()
@options.schemes_option("Vary this scheme; fix its others as in map-block,evict=lifo.", metavar="NAME")
@click.option(
    "--reference",
    metavar="SPEC",
    help="Measure each value against this scheme.  [the swept one at its defaults if they are swept, else the first]",
)
@click.option("--plot", is_flag=True, hidden=True, expose_value=False, callback=_no_plot)
@options.warmup_option
@options.thread_option
@options.jobs_option
@options.store_option
@options.cluster_option
@options.result_options
def command(words, traces, specs, outputs, format_, checks, **how) -> None:
    """Compare one scheme with itself over a range of a parameter, or of several.

    \b
    Examples:
      mmuexp sweep MAP_BLOCK_BITS
      mmuexp sweep pool_blocks=8,64,512 -o sweep.svg
      mmuexp sweep map_block_bits=12..22:2 evict=fifo,lifo --format csv

    A RANGE is 12..22, 12..22:2, 8,64,512 or a mix; without one, what the scheme declares. Several PARAMs make every
    combination. Without FILE or --trace it replays the bundled recording. MAP_BLOCK_BITS alone is shown twice, for a
    pool of 64 blocks and for one of 64 MiB, because larger blocks make a larger pool. LOAD_SEED=0..31 -s NAME loads a
    user-mode program elsewhere, once for each seed; 0 is as recorded.
    """
    from mmuexp.analysis.compare import sweep
    from mmuexp.analysis.ranges import load_seeds, params_and_files, plan
    from mmuexp.strategy.registry import own_columns, possible_schemes
    from mmuexp.trace.loadseed import LOAD_SEED

    if len(specs) > 1:
        raise click.UsageError(f"-s {specs[0]} and -s {specs[1]}: a sweep varies one scheme; compare takes several")
    strategy = specs[0] if specs else None
    params, files = params_and_files(words, strategy)
    planned = plan(params, strategy)
    numbers = [name for name, value in planned[0].values.items() if not isinstance(value, str)]
    numbers += [] if load_seeds(params) is None else [LOAD_SEED]
    schemes = possible_schemes([one.strategy for one in planned], how["reference"])

    def work(progress):
        return sweep(params, [*traces, *files] or None, strategy=strategy, **how, progress=progress)

    columns, specs = [*numbers, *own_columns(schemes)], [str(scheme) for scheme in schemes]
    output.refuse_failures(output.run_and_save(work, outputs, format_, checks, columns, specs))
