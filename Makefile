# Two commands do everything: make run, make test. A third, make faults, tries to break it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: help setup run test slow faults swap examples browser lint types clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## Make or refresh .venv
	@$(PYTHON) scripts/setup.py --venv $(VENV)

run: setup ## Start everything, train and serve a first model; ONCE=1 stops after the predictions
	@$(BIN)/python -m app up --quickstart $(if $(ONCE),--once)

test: setup lint types ## Run every check, and every test that takes seconds at most
	@$(BIN)/pytest -n $(JOBS) -m "not slow and not browser" $(TESTS)

slow: setup ## Run the tests that take longer: whole deployments, buckets, real weights, every exporter
	@$(BIN)/pytest -m slow $(TESTS)

faults: setup ## Hurt the service in every way we know and count broken promises; SEED=N repeats a run
	@$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED))

swap: setup ## Move an alias 20 times under full load, kill a process meanwhile, serve 200 models; count what failed
	@$(BIN)/python -m tests.swap

examples: setup ## Start a service and run every program of examples/ against it
	@$(BIN)/python scripts/run_examples.py

browser: setup ## Drive the dashboard in a real Chromium, look for what hinders people, take the pictures of the docs
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || { echo "Chromium is missing: apt-get install chromium"; exit 1; }
	@$(BIN)/pytest tests/browser

lint: setup ## Style and import contracts
	@$(BIN)/ruff check app worker tests migrations scripts bench examples
	@$(BIN)/ruff format --check -q app worker tests migrations scripts bench examples
	@$(BIN)/lint-imports --no-cache

types: setup ## Strict mypy
	@$(BIN)/mypy -n $(JOBS)

clean: ## Remove what was built and cached; data stays
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
