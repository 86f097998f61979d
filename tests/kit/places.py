"""Where things lie."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
TRACES = ROOT / "traces"
RESULTS = ROOT / "results"
HONEST_FILE = TESTS / "kit" / "strategy_files" / "honest.py"  # a scheme of somebody's that keeps the contract
