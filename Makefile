# `make demo` and `make test` need nothing but make and a Python >= 3.12 (make PYTHON=/path/to/python chooses one).
# Each target makes the environment it needs and reinstalls only when pyproject.toml or constraints.txt change.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
# A process for each core, up to four; the tests of a file stay together, so that what they share is made once.
WORKERS := -n logical --maxprocesses 4 --dist loadfile
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format types docs bench bench-short examples clean distclean

help:  ## Say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1 - /' | awk -F' - ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find-python.sh) || exit 1; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "could not make $(VENV); on Debian or Ubuntu install python3-venv, or name another Python: make PYTHON=..." >&2; exit 1; }

# One stamp for each set of extras: a second run finds it and starts at once.
$(VENV)/.run $(VENV)/.test $(VENV)/.dev $(VENV)/.docs $(VENV)/.bench: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing bayesglm ($(@F:.%=%)) into $(VENV), about a minute the first time"
	@$(PIP) -e '.$(if $(filter .run,$(@F)),,[$(@F:.%=%)])'
	@touch $@

demo: $(VENV)/.run  ## Fit the ship incidents, print what was learnt, leave a report
	@mkdir -p build
	@$(BIN)/python examples/ship_incidents.py --report build/ship_incidents.html

test: $(VENV)/.test  ## Run the quick tests and the doctests
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-slow: $(VENV)/.test  ## Run the slow tests only
	@$(BIN)/python -m pytest -m slow $(WORKERS) $(ARGS)

lint: $(VENV)/.dev  ## Check style with ruff
	@$(BIN)/ruff check .

format: $(VENV)/.dev  ## Let ruff put right what it can
	@$(BIN)/ruff check --fix .

types: $(VENV)/.dev  ## Check types with mypy, strictly
	@$(BIN)/mypy

docs: $(VENV)/.docs  ## Build the documentation into build/docs; examples are run
	@$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs build/docs
	@echo "documentation: build/docs/index.html"

bench: $(VENV)/.bench  ## Compare speed with the peers (hours; ARGS="--workloads small" for a part), and write docs/benchmarks
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.mixtures

bench-short: $(VENV)/.bench  ## The same on small tables, about a minute and a half, printed only
	@$(BIN)/python -m benchmarks --short
	@$(BIN)/python -m benchmarks.mixtures --short speed scoring

examples: $(VENV)/.run  ## Run every example; each asserts a number
	@set -e; for example in examples/*.py; do echo "== $$example"; $(BIN)/python "$$example"; done

clean:  ## Remove what was built, keep the environment
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/gallery docs/api/generated docs/sg_execution_times.rst
	@find bayesglm tests examples docs benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## Remove the environment too
	@rm -rf $(VENV)
