# Two commands matter: `make run` and `make test`. Both need Python 3.11+ and nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test lint bench faults fuzz contracts format

# Each process compiles its code once, not at each of its starts.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
PACKAGES := autotrading_project console trading sessions rules portfolios market journal foundation
# Checks load the settings but need no server: these values let nothing in.
CHECK_ENV := SECRET_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG \
	DATABASE_URL=postgres://checks:checks@127.0.0.1:1/checks REDIS_URL=redis://127.0.0.1:1/0 \
	DATA_DIR=/nonexistent ALLOW_HTTP=0 DEBUG=0 READ_DOT_ENV=0

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables of make run: PORT HOST DATA_DIR DEMO=0 SCALE DATABASE_URL REDIS_URL (see .env.example)"

run: ## Start everything: PostgreSQL, Valkey, the demo, all processes (Ctrl-C stops it)
	@deploy/install.sh requirements.txt
	@exec $(BIN)/python -m autotrading_project.runner

test: ## Run all tests on temporary PostgreSQL and Valkey servers (ARGS="-k name" chooses)
	@deploy/install.sh requirements-dev.txt
	@exec $(BIN)/python -m autotrading_project.embedded exec -- $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: ## Check style, types, import contracts, migrations and deployment settings
	@deploy/install.sh requirements-dev.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(CHECK_ENV) $(BIN)/mypy $(PACKAGES) benchmarks tests/conftest.py tests/harness
	$(BIN)/lint-imports
	$(CHECK_ENV) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python manage.py write_contracts --check

bench: ## Measure, one JSON line a figure (ONLY=group,… chooses)
	@deploy/install.sh requirements.txt
	@exec $(BIN)/python -m benchmarks $(ONLY)

faults: ## Kill everything while it trades, and count: KILLS=n SEED=s ORDERS=n FAST=1 (docs/faults.md)
	@deploy/install.sh requirements-dev.txt
	@exec $(BIN)/python -m autotrading_project.embedded exec --durable -- $(BIN)/python -m tests.faults \
		--kills $(or $(KILLS),60) --orders $(or $(ORDERS),0) --seed $(or $(SEED),1) $(if $(filter 1,$(FAST)),--fast) $(ARGS)

fuzz: ## Ask the API all that its schema allows, and near it, as three people: EXAMPLES=n each operation (ARGS)
	@deploy/install.sh requirements-dev.txt
	@exec env FUZZ_EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/python -m autotrading_project.embedded exec -- \
		$(BIN)/python -m pytest -s tests/contract_api/test_fuzzed.py $(ARGS)

contracts: ## Write docs/examples/ and the documents that other people's programs are written against anew
	@deploy/install.sh requirements-dev.txt
	EXAMPLES=write $(BIN)/python -m autotrading_project.embedded exec -- $(BIN)/python -m pytest -q \
		tests/integration/api/test_examples.py
	$(CHECK_ENV) $(BIN)/python manage.py write_contracts

format: ## Let ruff format the code and fix what it can
	@deploy/install.sh requirements-dev.txt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
