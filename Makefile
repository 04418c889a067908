# What one does here, from a clean machine that has python3 (3.11 or newer) and make.
# uv is used where it is on the PATH, and pip otherwise; both install requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
INSTALL := $(if $(UV),uv pip install --quiet --compile-bytecode --python $(BIN)/python,$(BIN)/python -m pip install --quiet --no-compile)
ARGS ?=

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-renew test guarantees lint types imports docs fix bench pictures lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo '  ARGS="..." is handed on: make test ARGS="-k survival"; PYTHON=python3.12 picks another Python.'

setup: $(READY) ## make .venv with everything, if it is not there or out of date

demo: $(READY) ## a made-up history, measured from start to finish
	$(BIN)/shelflife demo $(ARGS)

# One thread each: those of many small models wait for each other longer than they learn.
demo-renew: $(READY) ## a real market of two years, renewed by its plan through gateway and API
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.renew.market $(ARGS)

# One thread each: every core is at work already. A test that takes many times as long as the longest waits for ever:
# its process is ended, with every stack told, so that no wait outlasts it.
test: $(READY) ## every test and every example in the docs, on every core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile \
	  --timeout 600 --timeout-method thread $(ARGS)

guarantees: $(READY) ## the statistical guarantees, simulated in full (minutes)
	SHELFLIFE_GUARANTEES=full $(BIN)/python -m pytest -m guarantee $(ARGS)

lint: $(READY) ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## types, strictly
	$(BIN)/mypy

imports: $(READY) ## imports run one way
	$(BIN)/lint-imports

docs: $(READY) ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html is ready"

fix: $(READY) ## put right what a program can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure the figures of lifespan in docs/benchmarks.md; the others name their programs
	$(BIN)/python bench/lifespan.py $(ARGS)

pictures: $(READY) ## draw the pictures of the docs anew
	$(BIN)/python docs/pictures.py $(ARGS)

lock: ## refresh requirements.lock (needs uv); UPGRADE=1 takes the newest of everything
	uv pip compile pyproject.toml --group dev --extra dask --extra delta --extra postgres --extra server --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock

clean: ## remove what was made here
	rm -rf $(VENV) site dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# A changed lock makes .venv anew, so that nothing is left over from the one before.
$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "Shelflife needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
ifneq ($(UV),)
	@echo "Setting up $(VENV) with uv from requirements.lock (once; some 100 packages)"
	@uv venv --quiet --seed --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@echo "Setting up $(VENV) with pip from requirements.lock (once; some 100 packages, a minute or three)"
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) has no venv: install it (Debian, Ubuntu: apt-get install python3-venv), or uv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
endif
	@$(INSTALL) --require-hashes -r requirements.lock
ifeq ($(UV),)
	@$(BIN)/python -m compileall -q -j 0 -x '/tests/' $(VENV)/lib >/dev/null || true # pip does so on one core, and some cannot be
endif
	@touch $@

# The package itself is built by the locked hatchling, so that nothing unlocked is fetched.
$(READY): $(LOCKED) pyproject.toml
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@
