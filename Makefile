# The newcomer's way: git clone, make demo, make test. Each target sees to what it needs; what is there is used again.

PYTHON := sh scripts/python
# What the set-up found missing on this machine (.bursar/env) is told to every command.
IN_ENV := set -a; . ./.bursar/env; set +a;

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo test fuzz check lint types bench bench-search bench-search-short bench-search-cost bench-sandbox bench-sandbox-speed bench-scale chaos down clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do printf '%-20s %s\n' "$$target" "$$what"; done

setup: ## virtual environment, Redis, Docker engine, sandbox image
	@$(PYTHON) -m scripts.setup

setup-tests: # and what only the tests need
	@$(PYTHON) -m scripts.setup --tests

demo: setup ## the main job on the starter problems: a rehearsal, no key, no cost
	@$(IN_ENV) .venv/bin/python examples/demo.py

test: setup-tests ## all tests
	@$(IN_ENV) .venv/bin/pytest tests --numprocesses 2 --dist loadfile --no-loadscope-reorder; status=$$?; [ -z "$$BURSAR_UNTESTED" ] || echo "$$BURSAR_UNTESTED"; exit $$status

fuzz: setup-tests ## thousands of cases of bad input, other ones each time
	@$(IN_ENV) BURSAR_FUZZ=long .venv/bin/pytest tests/fuzz --numprocesses 2 --timeout 3600

check: lint types test ## lint, types and all tests

lint: setup ## style and the arrows between the packages
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports

types: setup ## mypy --strict, on the packages and the set-up
	@.venv/bin/mypy --strict
	@.venv/bin/mypy --strict -p scripts

bench: setup ## wall time against the sum of the calls' latencies
	@$(IN_ENV) .venv/bin/python bench/end_to_end.py

bench-search: setup ## the search against FLAML, Optuna and chance, on worlds of known truth (ARGS="--jobs 2"); hours
	@$(IN_ENV) .venv/bin/python -m bench.search.run $(ARGS)

bench-search-short: setup ## the same on few worlds, for every day
	@$(IN_ENV) .venv/bin/python -m bench.search.run --short $(ARGS)

bench-search-cost: setup ## whether slots wait for the search, and what it takes of a core: docs/benchmarks/search-cost.md
	@$(IN_ENV) .venv/bin/python -m bench.search_cost docs/benchmarks/search-cost.md

bench-sandbox: setup ## verdicts on recorded programs against those recorded: ARGS="--share 0.03"
	@$(IN_ENV) .venv/bin/python bench/sandbox_agreement.py $(ARGS)

bench-sandbox-speed: setup ## programs a second, against a docker run for each: docs/benchmarks/sandbox-speed.md
	@$(IN_ENV) .venv/bin/python bench/sandbox_speed.py docs/benchmarks/sandbox-speed.md

bench-scale: setup ## idle slots, proposals, results a second, memory: bench/README.md
	@$(IN_ENV) .venv/bin/python -m bench.search_cost
	@$(IN_ENV) .venv/bin/python bench/throughput.py
	@$(IN_ENV) .venv/bin/python bench/memory.py

chaos: setup-tests ## whole studies while everything breaks: 200 seeded schedules (ARGS="--schedules 200 --seed 0 --page docs/benchmarks/chaos.md")
	@$(IN_ENV) .venv/bin/python -m tests.chaos $(ARGS)

down: ## stop what the set-up started
	@$(PYTHON) -m scripts.stop

clean: down ## remove what can be made again; studies in .bursar/ are kept
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -f .bursar/env .bursar/setup.log .bursar/dockerd.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
