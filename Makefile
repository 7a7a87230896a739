# From a bare checkout `make demo` and `make test` need only python3 (3.11+), pip and make.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: demo test test-all test-slow test-engines test-versions test-wheel fuzz kills lint format bench report docs clean

demo: $(READY)
	@mkdir -p out
	$(PY) -m maetab demo --output out/maetab_demo_filled.csv --force

test: lint
	$(PY) -m pytest -q -n auto --dist worksteal -m "not slow"

# Tests of more than some four seconds each.
test-slow: $(READY)
	$(PY) -m pytest -q -n auto --dist worksteal -m slow

# The recipes for Dask, Ray and Spark, in an environment of their own; Spark needs Java.
test-engines: ENGINES := .venv-engines
test-engines:
	$(PYTHON) -m venv --clear $(ENGINES)
	$(ENGINES)/bin/python -m pip install -q --upgrade "pip>=25.1"
	$(ENGINES)/bin/python -m pip install -q -c constraints.txt -e . --group test --group engines
	$(ENGINES)/bin/python -m pytest -q tests/test_engines.py tests/test_parts.py

# What `make test` leaves out because it takes minutes. `test-versions` and `test-engines` are apart:
# they install environments of their own.
test-all: test test-slow fuzz kills docs test-wheel

fuzz: $(READY)
	$(PY) -m benchmarks.fuzz

kills: $(READY)
	$(PY) -m benchmarks.kills

# The lowest versions of every dependency that are allowed, then the newest, each in an environment
# of its own. Both take the torch of constraints.txt, as any other brings gigabytes of CUDA on Linux;
# `make test-versions TORCH=torch==2.6.0` tries the lowest one. Needs Python 3.11, 3.12 or 3.13.
QUICK := tests/data tests/files tests/cli tests/test_laws.py tests/test_estimators.py tests/test_parts.py
TRIED := build/versions

TORCH := -c constraints.txt

test-versions: $(TRIED)/lowest/.ready $(TRIED)/newest/.ready
	$(TRIED)/lowest/bin/python -m pytest -q -n auto -m "not slow" $(QUICK)
	$(TRIED)/newest/bin/python -m pytest -q -n auto -m "not slow" $(QUICK)

$(TRIED)/lowest/.ready: VERSIONS := -c tests/lowest.txt $(TORCH)
$(TRIED)/newest/.ready: VERSIONS := -c constraints.txt
$(TRIED)/%/.ready: pyproject.toml constraints.txt tests/lowest.txt
	$(PYTHON) -m venv --clear $(TRIED)/$*
	$(TRIED)/$*/bin/python -m pip install -q --upgrade "pip>=25.1"
	$(TRIED)/$*/bin/python -m pip install -q --only-binary :all: $(VERSIONS) -e . --group tried
	touch $@

# Wheel and source distribution, each installed in a clean environment and tried outside this folder.
test-wheel: $(READY)
	rm -rf dist build/wheel
	$(PY) -m pip install -q --group build
	$(PY) -m build -q
	$(PY) tests/built.py dist build/wheel

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(READY)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(READY)
	@test -n "$$MAETAB_DATA" || { echo "bench: set MAETAB_DATA to the folder of the data sets" >&2; exit 2; }
	$(PY) -m benchmarks.impute

# The results pages of the documentation, from the records in benchmarks/results.
report: $(READY)
	$(PY) -m benchmarks.pages

# Runs every example of docs/gallery that has changed; an example that fails is an error.
docs: $(READY)
	$(PY) -m pip install -q -c constraints.txt --group docs
	$(PY) -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean:
	rm -rf $(VENV) .venv-engines dist build out docs/_build docs/api docs/examples .pytest_cache .mypy_cache .ruff_cache .hypothesis

# pip before 25.1 does not know --group.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --upgrade "pip>=25.1"
	$(PY) -m pip install -q -c constraints.txt -e . --group test
	touch $@
