"""The notebook's interface: `compare`, `sweep`, `faults` and `open_trace`; the command line adds nothing to them.

    >>> import mmuexp
    >>> table = mmuexp.compare("gzip.arrow", ["softmmu", "map-block,map_block_bits=20"])

Everything else is imported when it is first used (PEP 562 for `open_trace`): importing mmuexp costs nothing.
"""

__all__ = ["__version__", "claims", "compare", "diff", "faults", "open_trace", "report", "rerun", "sweep", "tlb_misses"]


def compare(traces=None, strategies=None, **options):
    """Replay traces (paths) under strategies (specs): a tidy DataFrame, its manifest in `.attrs["manifest"]`.

    None is the bundled trace, and all schemes. Options: reference host every progress, see `mmuexp.experiment.compare`.
    """
    from mmuexp import experiment

    return experiment.compare(traces, strategies, **options).frame


def sweep(params, traces=None, **options):
    """Replay traces over parameter values ("map_block_bits=12..22"): a tidy DataFrame, its manifest in `.attrs`.

    Options: strategy reference host progress, see `mmuexp.experiment.sweep`.
    """
    from mmuexp import experiment

    return experiment.sweep(params, traces, **options).frame


def faults(trace, strategy, **options):
    """Every host fault of one trace (a path; None is the bundled one) under a scheme (a spec): a DataFrame, a row each.

    Columns: row vaddr cause block page; block is missing where the scheme has none. The manifest is in `.attrs`. It is
    held in memory, some 50 bytes a fault; `mmuexp faults -o FILE` streams it. Options: progress.
    """
    from mmuexp import faultlog

    return faultlog.faults(trace, strategy, **options)


def claims(traces=None, **options):
    """The mail's claims, tested: a DataFrame, a row a figure, case, condition or verdict; its manifest in `.attrs`.

    None takes the counts of results/; paths are recordings of yours. Options: only host replay progress, see
    `mmuexp.mail.report.claims`, whose Report holds the findings as objects.
    """
    from mmuexp.mail import report

    return report.claims(traces, **options).frame


def report(results=None, **options):
    """The page of `mmuexp report`: `.html()` is its text, `.manifest` what it was made of.

    `results` is a folder of experiments, None that of mmuexp. Options: host, see `mmuexp.overview.build.report`.
    """
    from mmuexp.overview import build

    return build.report(results, **options)


def diff(a, b, **options):
    """What changed between two results (paths, or what compare and sweep return): a DataFrame, a row a change.

    Columns: change trace strategy window_index column a b difference ratio. Options: columns tolerance, see
    `mmuexp.difference.diff`.
    """
    from mmuexp import difffile

    return difffile.diff_of(a, b, **options).frame


def rerun(folder, **options):
    """Make an experiment's folder again from its experiment.toml; `check=True` writes nothing and says what changed.

    Returns `results` (name of a command -> DataFrame in `.frame`), `differences`, `troubles`, `written`. Options: check
    saved progress, see `mmuexp.folders.rerun.rerun`.
    """
    from mmuexp.folders import rerun as folders

    return folders.rerun(folder, **options)


def tlb_misses(traces=None, strategies=None, **options):
    """Why softmmu's TLB fills (compulsory, flush, write right, capacity, conflict): a DataFrame.

    A row each trace, softmmu spec and load seed. Options: load_seed join_pages move_bits progress, see
    `mmuexp.misses.misses`.
    """
    from mmuexp.misses import misses

    return misses(traces, strategies, **options).frame


def __getattr__(name: str):
    if name == "__version__":
        from mmuexp.version import version

        return version()
    if name == "open_trace":
        from mmuexp.trace import open_trace

        return open_trace
    raise AttributeError(f"module 'mmuexp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
