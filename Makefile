# Every target sets up what it needs: a virtual environment in .venv from the locked versions.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: help demo test check bench nightly lock clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

.venv/demo: requirements.lock pyproject.toml $(wildcard hashlib_interop/*.pyx hashlib_interop/core/*.h)
	@echo "setting up .venv (Python packages at the versions of requirements.lock)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "compiling the kernels (without a C compiler: numpy in their place, slower)"
	@PYTHONWARNINGS=ignore $(RUN) pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: requirements-dev.lock .venv/demo
	@echo "adding what the tests need (requirements-dev.lock)"
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/demo  ## four made-up partners, merged; the summary, the conflicts, one why
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./demo.sh

test: .venv/dev  ## style, types and tests; under ten minutes
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) pytest -q -n 2

bench: .venv/dev  ## reading rates beside other readers, as ratios; memory of a merge
	@$(RUN) benchmarks.reading
	@$(RUN) benchmarks.merging

nightly: .venv/dev  ## the same laws with many more examples, and the large merge against the reference
	@HYPOTHESIS_PROFILE=thorough $(RUN) pytest -q -n 2
	@$(RUN) benchmarks.merging reference

lock:  ## renew the locked versions
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(RUN) pip install -q uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml requirements-build.in -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements.lock requirements-dev.in -o requirements-dev.lock

clean:  ## remove what the targets made
	rm -rf .venv demo build *.egg-info hashlib_interop/_*.c hashlib_interop/*.so
