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
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

demo: $(VENV)/.installed ## the whole show: real SFTP, signed answers, failure twins; stays open until Ctrl-C
	@$(BIN)/eport demo

bench: $(VENV)/.installed ## how fast it is here: reading, mapping, the whole journey
	$(BIN)/python tests/benchmarks/bench_edifact.py
	$(BIN)/python tests/benchmarks/bench_xml.py
	$(BIN)/python tests/benchmarks/bench_mapping.py
	$(BIN)/python tests/benchmarks/bench_journey.py
	$(BIN)/python tests/benchmarks/bench_evidence.py
	$(BIN)/python tests/benchmarks/bench_scrape.py
	$(BIN)/python tests/benchmarks/bench_history.py 100000 5
	$(BIN)/python tests/benchmarks/bench_backlog.py

prove: $(VENV)/.installed ## kill every role at every step, break everything around the hub, and have an independent checker look
	$(BIN)/eport prove crash --kills 300
	$(BIN)/eport prove faults

generated: $(VENV)/.installed ## every message of every directory in ../shared/edifact, every single mistake: takes half an hour
	$(BIN)/python -m tests.unit.edifact.test_generated

fuzz: $(VENV)/.installed ## spoiled input for every reader of what strangers send, ten minutes each
	$(BIN)/python tests/security/fuzz.py --seconds 600 all

lock: ## requirements.lock anew: every package with its hashes, as of today
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	{ sed -n '/^# /p' requirements.lock; .venv-lock/bin/pip-compile --quiet --generate-hashes --strip-extras --no-annotate \
		--no-header --no-emit-options --allow-unsafe --extra postgresql --extra amqp -o - setup.cfg; } > .lock && mv .lock requirements.lock
	rm -rf .venv-lock

.PHONY: help install test demo bench prove generated lock fuzz
