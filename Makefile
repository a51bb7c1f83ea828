PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(VENV)/.installed ## virtual environment with everything in it

test: $(VENV)/.installed ## everything that must hold: lint, types, tests
	$(BIN)/ruff check hub adapters tests
	$(BIN)/mypy
	$(BIN)/pytest -q -n 2

demo: $(VENV)/.installed ## run the whole show once: real SFTP, signed answers, failure twins
	$(BIN)/eport demo

.PHONY: help install test demo
