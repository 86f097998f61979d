"""Fixtures that several files use."""

from cli_cases import bundled, cli, trace

__all__ = ["bundled", "cli", "trace"]
