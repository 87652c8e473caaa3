# Everything is one word; `make` alone lists the words. Only Python 3.11+ and make are needed.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DATA ?= $(or $(VIGIE_DATA),../shared/data)

help: ## list these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install everything into it

# After the first install nothing below needs the network.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable '.[train,dev]'
	touch $@

demo: setup ## run a real batch from object storage to events and a report (IMAGES=folder for yours)
	$(BIN)/vigie demo $(IMAGES)

test: setup ## run the tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

test-all: setup ## run the tests, the long ones too
	$(BIN)/python -m pytest

check: setup ## format, lint, strict types, room boundaries
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## measure speed against peers; figures go to build/bench and the README
	for program in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$program .py) || exit 1; done

train: setup ## train the waste detector on DATA (an hour on two cores)
	$(BIN)/vigie train waste --data $(DATA)/waste

train-privacy: setup ## train the network that finds personal data on DATA (two hours on two cores)
	$(BIN)/vigie train privacy --data $(DATA)

train-occupancy: setup ## train what counts people and vehicles, and the look of stalls, on DATA (an hour)
	$(BIN)/vigie train occupancy --data $(DATA)
	$(BIN)/vigie train stalls --data $(DATA)

train-vegetation: setup ## train what tells heights from straight above on DATA (an hour)
	$(BIN)/vigie train vegetation --data $(DATA)

docs: setup ## write again what is generated: the README's benchmark table, the events' contract
	$(BIN)/python -m benchmarks.record
	$(BIN)/vigie events contract docs/events

golden: setup ## rewrite the tests' golden files from what the code does now
	$(BIN)/python -m pytest -m 'not slow' --golden

constraints: ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --upgrade --all-extras pyproject.toml --output-file constraints.txt

clean: ## remove the environment and everything built
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.PHONY: help setup demo test test-all check bench train train-privacy train-occupancy train-vegetation docs golden constraints clean
