# `make run` and `make test` are all that a fresh machine with Python 3.11 needs.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.sseproxy-setup
DATA ?= data
LISTEN ?= 127.0.0.1:9000
BENCH ?= --backend

.PHONY: help setup run check test bench format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv, with the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed"; exit 1; }
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

run: setup ## start the proxy on the embedded store in ./data, and print how to talk to it
	@exec $(BIN)/sseproxy serve --data $(DATA) --listen $(LISTEN) --show-credentials

check: setup ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/architecture

test: setup ## every test
	$(BIN)/python -m pytest

bench: setup ## speed beside a bare server, and over a SeaweedFS beside that alone, in one run
	$(BIN)/python tests/bench $(BENCH)

format: setup ## bring the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## drop .venv and caches; ./data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
