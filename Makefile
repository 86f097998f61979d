# Two commands do all set-up: `make demo` compares the schemes on a bundled recording, `make test` runs all tests.
PYTHON ?= python3
BIN = .venv/bin
RECORDER_PACKAGES = qemu-user qemu-system-x86 gcc gcc-multilib
BROWSER_PACKAGES = chromium chromium-driver
# Three: one waits, for a program or for what another compiles, and two cores are at work. In the order of
# tests/conftest.py: by the number of their tests, the few files that take minutes would come last.
WORKERS = -n 3 --dist loadfile --no-loadscope-reorder

demo: .venv/run
	@$(BIN)/mmuexp compare

test: .venv/test
	@./.ci/need $(RECORDER_PACKAGES) $(BROWSER_PACKAGES) valgrind
	@$(MAKE) -s lint
	@$(BIN)/pytest $(WORKERS)

# what needs no run: seconds; .pre-commit-config.yaml has it run before each commit
lint: .venv/test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@find mmuexp strategies tests -name '*.[ch]' | xargs $(BIN)/clang-format --dry-run -Werror

# longer checks: every recording against the oracle's slices, the kernels as plain Python, the package as users install it
check: .venv/test
	@./.ci/need $(RECORDER_PACKAGES) $(BROWSER_PACKAGES) valgrind
	@$(BIN)/pytest $(WORKERS) -m long

# 200 signals at random moments of every command; minutes
torture: .venv/test
	@./.ci/need $(RECORDER_PACKAGES)
	@$(BIN)/python -m tests.torture signals

# every figure of results/speed, on this machine, beside peers that pip installs into a venv of their own; minutes
bench: .venv/run
	@$(BIN)/python -m tests.bench

recordings: .venv/run
	@./.ci/need $(RECORDER_PACKAGES) dpkg
	@$(MAKE) -C traces/recipes recordings MMUEXP=$(CURDIR)/$(BIN)/mmuexp PYTHON=$(CURDIR)/$(BIN)/python

# A venv without pip, or one whose interpreter is gone, is made anew.
.venv/bin/pip:
	@./.ci/need python3-venv
	@$(PYTHON) -m venv --clear .venv

.venv/run: pyproject.toml .venv/bin/pip
	@echo "installing mmuexp into .venv (once)" >&2
	@$(BIN)/pip install -q --disable-pip-version-check -e .
	@touch $@

# pycachesim, which counts what softmmu does, comes as C. Python compiles a module when it is first wanted, and keeps it:
# four of five that are installed never are.
unexport PYTHONDONTWRITEBYTECODE
.venv/test: pyproject.toml .venv/bin/pip
	@./.ci/need gcc python3-dev
	@echo "installing mmuexp and its test tools into .venv (once)" >&2
	@$(BIN)/pip install -q --disable-pip-version-check --no-compile -e '.[test]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info

.PHONY: demo test lint check torture bench recordings clean
