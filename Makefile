# `make demo` sets up and runs the main job, `make test` sets up and passes the tests, `make docs` makes the site.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs clean

demo: .venv/installed
	$(BIN)/python -m tfcifar.train --level 2 --preset demo --run-dir runs/demo --resume
	@echo "next: source .venv/bin/activate"
	@echo "      python -m tfcifar.predict runs/demo IMAGE"
	@echo "      python -m tfcifar.serve runs/demo"

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov --cov-report term

docs: .venv/installed
	$(BIN)/python -m sphinx -E -W --keep-going -n -q docs docs/_build
	@echo "site: docs/_build/index.html"

clean:
	rm -rf .venv runs docs/_build

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "error: expected Python 3.11 to 3.13, received $$($(PYTHON) --version); try make PYTHON=python3.12"; exit 2; }
	@echo "setting up .venv: 3.3 GB, a minute or two"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
