"""Experiments as folders: experiment.toml asks and answers, `mmuexp rerun` makes all else in the folder from it."""

from mmuexp.runtime.packages import callable_package

callable_package(__name__)
