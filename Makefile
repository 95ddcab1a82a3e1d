# The two commands: `make run` (the demo; ONCE=1 ends after its table) and `make test`.
.DEFAULT_GOAL := help
.PHONY: help run test bench peers torture double-spend load-city lint screenshots lock clean

BIN := .venv/bin
JOBS ?= 3

help:            ## Say what there is
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' Makefile | sed -E 's/:.*##/ —/'

.venv/.run: requirements.lock requirements-build.lock pyproject.toml deploy/setup.sh
	sh deploy/setup.sh run

.venv/.test: requirements-test.lock requirements-build.lock pyproject.toml deploy/setup.sh
	sh deploy/setup.sh test

run: .venv/.run  ## Show Kanhe at work on real input, then stay up with its pages open (ONCE=1: exit; HOST=0.0.0.0: for other devices too)
	$(BIN)/kanhe demo $(if $(ONCE),--once) $(if $(HOST),--host $(HOST))

test: .venv/.test  ## Everything that must hold: lint, types, arrows, benchmarks once, tests (JOBS files of them at a time)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m bench --small
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

bench: .venv/.test  ## Run the benchmarks at full size and draw them (NAMES="a b" for some)
	$(BIN)/python -m bench --picture var/bench/ratios.svg $(NAMES)

peers: .venv/.test  ## Put peers side by side: nginx, zxing-cpp, OpenCV, pyzbar, InsightFace …
	$(BIN)/python -m bench.peers

torture: .venv/.test  ## Kill node and platform at random moments under load (ROUNDS=200 for the full test)
	$(BIN)/python -m tests.torture

double-spend: .venv/.test  ## Try to spend codes twice at two nodes with Redis, all of it disturbed (ATTEMPTS=100000 for the full test)
	$(BIN)/python -m tests.torture.spends

load-city: .venv/.test  ## A platform and a node on loopback with a crowd to load them with
	$(BIN)/python -m kanhe loadtest city --folder var/load-city-$$(date +%s)

lint: .venv/.test  ## Only the linters
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

screenshots: .venv/.test  ## Make the pictures of every page (docs/screenshots)
	KANHE_SCREENSHOTS=1 $(BIN)/python -m pytest tests/browser/test_screenshots.py

lock: .venv/.test  ## Renew the lock files (needs the package uv in .venv)
	sh deploy/lock.sh

clean:           ## Remove the environment and everything that tests made
	rm -rf .venv var build *.egg-info
