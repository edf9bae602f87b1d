# Two commands: `make run` serves on http://127.0.0.1:8080, `make test` runs every check and test.
# They need Python 3.11 to 3.13 and make. PYTHON=... chooses the Python, ARGS=... adds options.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/pytest -n 2 --dist loadfile
DEBIAN_POSTGRESQL := /usr/lib/postgresql/15/bin

.PHONY: run test test-all check fmt bench lock clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

run: $(VENV)/.run ## serve with the embedded PostgreSQL, data in ./data
	@exec $(BIN)/ehr-server serve $(ARGS)

test: check ## every check and test, about ten minutes on two cores
	$(PYTEST) -m "not slow" $(ARGS)
	@if [ -x $(DEBIAN_POSTGRESQL)/postgres ]; then set -x; \
	  $(BIN)/python tests/given_postgresql.py $(DEBIAN_POSTGRESQL) $(PYTEST) -m smoke; \
	else echo "no PostgreSQL in $(DEBIAN_POSTGRESQL): the smoke suite on it is left out"; fi

test-all: check ## the slow tests too; with Java, the example with PySpark
	@if command -v java > /dev/null; then $(PIP) install --editable '.[spark]'; \
	else echo "no Java: the example with PySpark is left out"; fi
	$(PYTEST) $(ARGS)

check: $(VENV)/.test ## lint, format, types, floors, secrets, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/scan_secrets.py
	$(BIN)/python tools/audit_dependencies.py

fmt: $(VENV)/.test ## put the sources into their format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## measure, print the table, save it under bench/results
	$(BIN)/python -m bench $(ARGS)

# The locks hold every version and its hashes, for all platforms; `make lock` writes them anew.
COMPILE = $(VENV)/lock/bin/uv pip compile pyproject.toml --quiet --upgrade --universal \
  --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links --extra build --extra examples
lock: $(VENV)/.run ## choose the newest versions that pyproject.toml allows
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --quiet install uv
	$(COMPILE) --output-file requirements.txt
	$(COMPILE) --extra test --extra analysts --output-file requirements-test.txt

clean: ## remove the environment and the caches, never the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/.made
	@echo "installing into $(VENV)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.run
	@echo "installing the test extras into $(VENV)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-test.txt
	@touch $@

# A Python that starts, has a fit version and can make environments.
FIT = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
$(VENV)/.made:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
	  if "$$python" -c "$(FIT)" >/dev/null 2>&1; then \
	    "$$python" -m venv $(VENV) && touch $@ && exit 0; exit 1; fi; \
	done; \
	echo "No fit Python found: 3.11, 3.12 or 3.13 with its venv module is needed." >&2; \
	echo "Install it (Debian: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; \
	exit 1
