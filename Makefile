# Every target sets up what it needs: a virtual environment in .venv from the locked versions.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: help demo test check bench bench-membership bench-billion bench-table sanitize fuzz nightly lock clean
FUZZ_SECONDS ?= 60
FULL ?=
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

.venv/demo: requirements/run.lock pyproject.toml $(wildcard hashlib_interop/*.pyx hashlib_interop/*/*.pyx hashlib_interop/core/*.h)
	@echo "setting up .venv (Python packages at the versions of requirements/run.lock)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements/run.lock
	@echo "compiling the kernels (without a C compiler: numpy in their place, slower)"
	@PYTHONWARNINGS=ignore $(RUN) pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: requirements/dev.lock .venv/demo
	@echo "adding what the tests need (requirements/dev.lock)"
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

.venv/fuzz: requirements/fuzz.lock .venv/dev
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements/fuzz.lock \
		|| echo "atheris does not install here: all edits will be made up"
	@touch $@

.venv-%/done: requirements/%.lock
	@echo "setting up .venv-$* (Python packages at the versions of $<)"
	@test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
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

bench-membership: .venv/dev .venv-bench/done .venv-approximate/done  ## hash sets beside all else, as ratios; FULL=name: all sizes, kept as results/name.json
	@(command -v hfind && command -v md5deep) > /dev/null || echo "hfind or md5deep is not there and is left out: apt-get install sleuthkit hashdeep" >&2
	@$(RUN) benchmarks.membership $(if $(FULL),--name $(FULL),--quick)
	@$(if $(FULL),$(RUN) benchmarks.membership.table)

bench-billion: .venv/dev  ## a billion keys, built within 8 GiB and looked up; needs 60 GB of disk
	@$(RUN) benchmarks.membership.billion
	@$(RUN) benchmarks.membership.table

bench-table: .venv/dev  ## the tables of benchmarks/README.md from benchmarks/results
	@$(RUN) benchmarks.membership.table

sanitize: .venv/dev  ## the tests of the compiled code, built with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(RUN) tests.sanitized pytest -q -p no:cacheprovider --ignore=tests/membership/test_bench.py \
		tests/membership tests/test_kernels.py

fuzz: .venv/fuzz  ## damaged hash sets to both readers, half of FUZZ_SECONDS guided, half under the sanitizers
	@$(RUN) tests.fuzz.hset_reader --seconds $$(($(FUZZ_SECONDS) / 2))
	@$(RUN) tests.sanitized tests.fuzz.hset_reader --engine edits --seconds $$(($(FUZZ_SECONDS) / 2))

nightly: .venv/dev  ## the same laws with many more examples, and the large merge against the reference
	@HYPOTHESIS_PROFILE=thorough $(RUN) pytest -q -n 2
	@$(RUN) benchmarks.merging reference

lock:  ## renew the locked versions
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(RUN) pip install -q uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml requirements/build.in -o requirements/run.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/run.lock requirements/dev.in -o requirements/dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/run.lock requirements/bench.in -o requirements/bench.lock
	@for each in approximate fuzz; do $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header requirements/$$each.in -o requirements/$$each.lock; done

clean:  ## remove what the targets made
	rm -rf .venv .venv-bench .venv-approximate demo build *.egg-info $(wildcard hashlib_interop/_*.c hashlib_interop/*.so hashlib_interop/membership/_*.c hashlib_interop/membership/*.so)
