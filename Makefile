# Targets a newcomer types. Everything is installed into .venv from the hashed lock; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check format lint types imports sizes words proofs bench bench-quick \
	bench-renewals screenshots lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## make .venv with bridge and its tools

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@sh tools/venv.sh $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## run bridge beside a sandbox storefront and watch orders become balances
	@$(BIN)/bridge demo

test: $(STAMP) ## run the whole suite, on SQLite and on an embedded PostgreSQL
	@$(BIN)/python -m pytest -n auto --dist loadscope $(PYTEST_ARGS)

check: $(STAMP) format lint types imports sizes words test ## the whole gate

format: $(STAMP) ## is the formatting as ruff would have it?
	@$(BIN)/ruff format --check --quiet . || { echo 'formatting differs; run: .venv/bin/ruff format .'; exit 1; }

lint: $(STAMP) ## ruff's rules
	@$(BIN)/ruff check --quiet .

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy --no-error-summary

imports: $(STAMP) ## the floors of docs/architecture.md, kept by import-linter
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

sizes: $(STAMP) ## functions and modules that fit in the eye
	@$(BIN)/python tools/check_sizes.py

words: $(STAMP) ## one word per thing
	@$(BIN)/python tools/check_words.py

proofs: $(STAMP) ## the long proofs: sixty crashes under load (minutes)
	@$(BIN)/python -m pytest -m long --timeout 1800 -o addopts= $(PYTEST_ARGS)

screenshots: $(STAMP) ## draw docs/images anew (needs chromium)
	@$(BIN)/python -m tools.screenshots

bench: $(STAMP) ## measure bridge beside pgbench, a bare loop and a naive peer; writes docs/performance.md
	@$(BIN)/python -m bench

bench-quick: $(STAMP) ## a few minutes of it, printed only
	@$(BIN)/python -m bench --quick

bench-renewals: $(STAMP) ## measure 100,000 renewals due at once, and the API beside them; printed only
	@$(BIN)/python -m bench.renewals

lock: ## resolve the dependencies anew (needs uv) and write hashes only
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove what the targets above made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
