"""Experiments as folders: experiment.toml asks and answers, `mmuexp rerun` makes all else in the folder from it."""
