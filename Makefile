# `make demo` shows the system, `make test` proves it, `make check` reads it.
# All of them need Python 3.11 or newer, and make .venv from the lock.

BIN := .venv/bin
ARGS ?=
# Tests wait for servers more than they compute.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n > 4 ? n : 4)))
MINUTES ?= 30
TIMES ?= 1

.PHONY: help demo test model mutants chaos soak docs-test compose-test bench bench-hit-rate check format lock clean
.DEFAULT_GOAL := help

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: ## Start the whole system with data and a tour; ARGS=--fresh starts over
	@scripts/environment run
	@$(BIN)/anomaly-cache demo $(ARGS)

test: ## Run every test on real servers; ARGS="-k word" for some of them
	@scripts/environment dev
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

model: ## Search the small worlds of the protocol's model farther than `make test` does; ARGS="--most-states N" for more
	@scripts/environment dev
	$(BIN)/python -m tests.model $(ARGS)

mutants: ## Run every weakened build, and see that each is caught; ARGS="name …" for some of them
	@scripts/environment dev
	$(if $(ARGS),,$(BIN)/pytest -q -m mutants)
	$(BIN)/python -m tests.mutants $(ARGS)

chaos: ## Break whatever can break, and look for an old answer; ARGS="-k word" for some of the faults, TIMES=20 in a row
	@scripts/environment dev
	@for run in $$(seq $(TIMES)); do \
	  CHAOS_REPORTS=.chaos $(BIN)/pytest tests/chaos -m chaos -rA -n $(WORKERS) --dist load --maxschedchunk 1 $(ARGS) || exit 1; \
	done

soak: ## Break things at random for MINUTES=30, and judge every answer; ARGS="--seed 7" draws others
	@scripts/environment dev
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) $(ARGS)

docs-test: ## Run the documentation's make and pip commands in a clean copy, README's first of all, on the clock
	@scripts/environment dev
	$(BIN)/pytest tests/acceptance -m docs $(ARGS)

compose-test: ## Try compose.yaml for real, with Docker or with Podman and stand-in images; ARGS=--keep leaves it running
	@scripts/environment dev
	$(BIN)/python -m tests.compose $(ARGS)

bench: ## Measure speed, freshness, writes and growth in 20 minutes, on an idle machine; ARGS=--quick for a look
	@scripts/environment dev
	@scripts/tools bench
	@$(BIN)/python -m bench $(ARGS)

bench-hit-rate: ## Measure the hit rate under writes, on an idle machine; takes 4 minutes
	@scripts/environment dev
	$(BIN)/python -m bench.hit_rate $(ARGS)

check: ## Lint, formatting, types, import directions, the lock, what is depended on
	@scripts/environment dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/lock --check
	scripts/audit

format: ## Put the code into its one form
	@scripts/environment dev
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

lock: ## Write uv.lock and the requirements for pip from pyproject.toml
	scripts/lock

clean: ## Remove what was made here, the demo's data too
	rm -rf .venv .demo .bench .chaos .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
