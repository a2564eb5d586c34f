# Everything runs in .venv, which the first target that needs it makes. `make PYTHON=python3.12 demo`
# chooses another Python (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PACKAGING := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */make \1\t/' | expand -t 16

demo: $(VENV)/.installed  ## train R1-Zero on the embedded model, minutes on a laptop; table and report
	$(BIN)/aha run zero --preset tiny --out runs/demo --resume
	@$(BIN)/aha show runs/demo --html

test: $(VENV)/.installed-test  ## the tests without the slow ones
	$(BIN)/python -m pytest

test-all: $(VENV)/.installed-test  ## all tests
	$(BIN)/python -m pytest -m "slow or not slow"

check: $(VENV)/.installed-check  ## lint, format and types
	$(BIN)/ruff check aha tests benchmarks docs examples
	$(BIN)/ruff format --check aha tests benchmarks docs
	$(BIN)/mypy

bench: $(VENV)/.installed-bench  ## measure against transformers and TRL; writes benchmarks/results/
	$(BIN)/python -m benchmarks.rollout
	$(BIN)/python -m benchmarks.grpo_step
	$(BIN)/python -m benchmarks.sft
	$(BIN)/python -m benchmarks.sandbox
	$(BIN)/python -m benchmarks.verify

clean:  ## remove .venv and what tools left behind; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

# Stamps: an install is repeated only when the packaging files have changed since.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is older than 3.11"; echo "hint: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python $(PACKAGING)
	@echo "installing aha into $(VENV) (torch is large: minutes the first time)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	@$(PIP) --editable ".[$*]"
	@touch $@
