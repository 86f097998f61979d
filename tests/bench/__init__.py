"""How fast is it, against what? `make bench` (or `python -m tests.bench`) measures the goals of results/speed/."""
