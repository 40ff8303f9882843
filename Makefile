# What a person types. make prepares the environment; Snakemake decides what is stale (see Snakefile).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CORES  ?= all
FUZZ   ?= 3000
FAULTS ?= 10

.DEFAULT_GOAL := help
.PHONY: help book pdf lab release readme test fuzz faults bench archive lint clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed once, and again when the lock or the package's own description changes.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed, this is %s; say which: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing requirements.lock into $(VENV) (on Linux this downloads up to 6 GB)"
	@$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

book: $(READY)  ## execute the chapters and build the pages: _build/html/index.html
	@$(BIN)/python -m model_collapse.book build --cores $(CORES)

pdf: book  ## print the whole book: _build/book.pdf (wants chromium)
	@$(BIN)/python -m model_collapse.book pdf

lab: $(READY)  ## open JupyterLab, where every chapter runs
	@$(BIN)/jupyter lab chapters/index.ipynb

release: pdf  ## bring site, PDF, records and checksums together: _build/release
	@$(BIN)/python -m model_collapse.book release

readme: $(READY)  ## fill README.md with a picture and the verdicts, from the records
	@$(BIN)/python -m model_collapse.book readme

test: $(READY)  ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile  # more threads than cores wait for each other

fuzz: $(READY)  ## read thousands of damaged and hostile files, and count
	@MODEL_COLLAPSE_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q -s --timeout 3600 tests/faults/test_readers.py

faults: $(READY)  ## kill runs of every family at random, fill the disk, damage files, and count
	@MODEL_COLLAPSE_FAULTS=$(FAULTS) $(BIN)/python -m pytest -q -s --timeout 7200 tests/faults --deselect tests/faults/test_readers.py

bench: $(READY)  ## time the package against what one would write otherwise
	@$(BIN)/python -m benchmarks

archive: $(READY)  ## make the records at the scale of the papers (hours; make book never does this)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m snakemake --snakefile workflow/archive.smk --cores $(CORES) \
	  --rerun-incomplete --rerun-triggers mtime --nolock  # each run holds its own lock, so a killed archive starts again

lint: $(READY)  ## check the style of code and notebooks
	@$(BIN)/ruff check .

clean:  ## remove what was built; the environment and the records stay
	rm -rf _build .snakemake .pytest_cache .ruff_cache
