# Set-up is a part of every target: a fresh clone needs nothing but Python 3.11, gcc and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: setup demo test test-fast test-full-inputs bench docs lint lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	-$(BIN)/daybreak doctor --warm >/dev/null
	touch $(STAMP)

demo: setup
	$(BIN)/daybreak demo -o demo
	$(BIN)/daybreak simulate event --seed 3 --energy 100000 -o demo/track.json
	$(BIN)/daybreak scan demo/track.json -o demo/track

# three at a time on two cores: half of the time of the long tests is waiting for somebody
test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal

test-fast: setup
	$(BIN)/python -m pytest -n 2 -m "not slow and not slurm and not mail and not browser and not peer"

# the tests of parsers and formats with ten times as many made-up inputs
test-full-inputs: setup
	DAYBREAK_HYPOTHESIS=full $(BIN)/python -m pytest -q -n 3 --dist worksteal -m hypothesis

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The lock is made by uv from pyproject.toml and tools.in; it holds versions, no addresses.
lock: setup
	$(BIN)/python -m uv pip compile --quiet --python-version 3.11 --all-extras --no-header \
	  --no-emit-index-url --no-annotate -o requirements.lock pyproject.toml tools.in

clean:
	rm -rf $(VENV) demo docs/_build bench-out
