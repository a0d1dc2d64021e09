# Two commands: `make demo` and `make test`. Both make their own environment.

PYTHON ?= python3
# Modules are compiled where they are imported; most of those installed never are.
INSTALL = bin/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
# Where the machine says that no compiled module is kept, each process compiles Keras and its backend
# again: 16 s of processor time instead of 6 s on PyTorch, in each of the processes that tests start.
unexport PYTHONDONTWRITEBYTECODE
# $(call environment,PYTHON,FOLDER). The pip that comes with a Python is older, and takes twice as long.
environment = $(1) -m venv $(2) && $(2)/$(INSTALL) --upgrade pip

.PHONY: help demo test test-all lint types docs package release-check changelog test-jax \
	test-repair test-tensorflow test-torch \
	test-networks test-rest test-oldest test-newest coverage zoo clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

demo: .venv/ready  ## Train a siamese network that goes NaN, and see it stopped and explained
	@# The training goes non-finite, so exit code 3 is the success of this demo.
	@code=0; KERAS_BACKEND=jax .venv/bin/stayfinite run examples/siamese_triplet.py || code=$$?; \
	if [ $$code -ne 3 ]; then \
		echo "make demo: expected exit code 3, a stop at a non-finite step; received $$code" >&2; \
		exit 1; \
	fi
	@echo
	@echo "Next, the same training with the fix: KERAS_BACKEND=jax .venv/bin/python examples/siamese_triplet_fixed.py"

# A part is one process that uses one core. Three at a time keep two cores busy: a part begins when
# its own environment is installed, an install mostly waits, and near the end no core is without work.
# What fails at once comes first, then the long parts.
PARTS = lint types test-jax test-rest test-tensorflow test-networks test-torch test-repair package docs
IN_PARALLEL = $(MAKE) --no-print-directory --output-sync=target --jobs 3

test:  ## Check style, types, site and wheel, run the fast tests on all backends (about 15 minutes)
	@$(IN_PARALLEL) $(PARTS)

# Lines are counted here only, as counting takes a third more time.
ALL_OPTIONS = --hypothesis-profile=full --cov --cov-report=

test-all:  ## The same with every test, and line coverage (an hour)
	@$(IN_PARALLEL) $(PARTS) WHICH=all PYTEST_OPTIONS="$(ALL_OPTIONS)"
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) --no-print-directory release-check

# Both ends of what is supported; docs/versions.md says what was run.
OLDEST_PYTHON ?= $(PYTHON)
# The command of pyenv fails for a version that is installed and not chosen.
PYENV_PYTHONS = $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13.*/bin/python3.13)
NEWEST_PYTHON ?= $(or $(lastword $(PYENV_PYTHONS)),python3.13)
# The packages of PyTorch on PyPI bring CUDA, several GB; docs/versions.md says how pip gets a CPU build,
# and for which Python there was one at hand.
NEWEST_PYTHON_torch ?= $(PYTHON)
ON_VERSIONS = tests/frameworks tests/guard tests/incidents
BACKENDS = tensorflow jax torch

test-oldest:  ## Run what depends on the framework on the oldest versions (20 minutes)
	@$(IN_PARALLEL) --keep-going $(foreach backend,$(BACKENDS),test-oldest-$(backend))

test-newest:  ## Run it on the newest versions (20 minutes)
	@$(IN_PARALLEL) --keep-going $(foreach backend,$(BACKENDS),test-newest-$(backend))

$(foreach backend,$(BACKENDS),test-oldest-$(backend) test-newest-$(backend)): test-%: .venv-%/ready
	KERAS_BACKEND=$(lastword $(subst -, ,$*)) OMP_NUM_THREADS=1 \
		JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.pytest_cache/jax-$* \
		.venv-$*/bin/python -m pytest $(PYTEST_OPTIONS) $(ON_VERSIONS)

lint: .venv-test-torch/ready  ## Check style and format
	.venv-test-torch/bin/ruff check
	.venv-test-torch/bin/ruff format --check

types: .venv-test-torch/ready  ## Check types
	.venv-test-torch/bin/mypy

# The notice is of the theme, about its own future. With --quiet, mkdocs counts no warnings.
docs: .venv-test-torch/ready  ## Build the site into build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 .venv-test-torch/bin/python -m mkdocs build --strict

WHEEL = build/package/stayfinite-*.whl
# The wheel alone, with no framework; types of a user's file are checked against what it installs.
package: .venv-test-torch/ready  ## Build wheel and sdist, check both, and use the wheel alone
	rm -rf build/package
	.venv-test-torch/bin/python -m build --no-isolation --outdir build/package >/dev/null
	.venv-test-torch/bin/twine check --strict build/package/*
	.venv-test-torch/bin/towncrier build --draft --version next >/dev/null
	PYTHON=$(PYTHON) MYPY=$(CURDIR)/.venv-test-torch/bin/mypy .ci/check-wheel $(WHEEL)

release-check: package  ## Use the wheel with each of its extras, in an environment of its own (minutes)
	for extra in jax tensorflow torch train; do \
		PYTHON=$(PYTHON) .ci/check-wheel $(WHEEL) $$extra || exit; \
	done

changelog: .venv-test-torch/ready  ## Put the fragments of changes.d into CHANGELOG.md
	.venv-test-torch/bin/towncrier build --yes --version next

# What depends on the framework runs on each; the rest runs on PyTorch, which compiles nothing, and
# the formulas of source fixes on JAX. Whole networks on each are left to `make test-all`.
ON_EACH = tests/docs/test_examples.py tests/formulas tests/frameworks tests/guard tests/incidents
NETWORKS = tests/networks/models tests/networks/losses tests/networks/metrics/test_recall.py
# The gradients of the fixes are computed with JAX, and an internal error is put into its step.
ONLY_ON_JAX = tests/repair tests/experiments/test_explanation.py
MATCHING = tests/diagnose/test_matching.py

TESTS_fast_jax = $(ON_EACH) tests/networks/losses/test_values.py \
	tests/networks/losses/test_mining.py::test_it_trains_compiled_with_batches_of_several_sizes \
	$(MATCHING)::test_cause_and_sample $(MATCHING)::test_recurrence_that_grows_beyond_what_is_unrolled
TESTS_fast_repair = $(ONLY_ON_JAX)
TESTS_fast_tensorflow = $(ON_EACH)
TESTS_fast_torch = $(ON_EACH)
TESTS_fast_rest = tests $(addprefix --ignore=,$(ON_EACH) $(ONLY_ON_JAX) tests/networks)
TESTS_fast_networks = tests/networks
FIXES = tests/experiments/test_logits.py tests/experiments/test_objects.py
TESTS_all_jax = $(ON_EACH) $(NETWORKS) $(FIXES) tests/diagnose tests/runner
TESTS_all_repair = $(TESTS_fast_repair)
TESTS_all_tensorflow = $(ON_EACH) $(NETWORKS) tests/diagnose tests/runner
TESTS_all_torch = $(TESTS_fast_torch)
TESTS_all_rest = $(TESTS_fast_rest)
TESTS_all_networks = $(TESTS_fast_networks)

WHICH = fast
PYTEST_OPTIONS = -m "not slow"
# The page about other tools is slow.
RECIPES_all = .venv-test-torch/recipes

test-jax: .venv-test-jax/ready  ## Run the tests that depend on the framework on JAX
test-repair: .venv-test-jax/ready  ## Run the tests of source fixes, on JAX
test-tensorflow: .venv-test-tensorflow/ready  ## Run them on TensorFlow
test-torch: .venv-test-torch/ready $(RECIPES_$(WHICH))  ## Run them on PyTorch
test-rest: .venv-test-torch/ready  ## Run all others, on PyTorch, but for those of the reference networks
test-networks: .venv-test-torch/ready  ## Run the tests of the reference networks on PyTorch

BACKEND_networks = torch
BACKEND_rest = torch
BACKEND_repair = jax
# JAX writes a file of its cache in several steps, so two parts cannot share one.
test-jax test-repair test-tensorflow test-torch test-networks test-rest: test-%:
	KERAS_BACKEND=$(or $(BACKEND_$*),$*) OMP_NUM_THREADS=1 COVERAGE_FILE=.coverage.$* \
		JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.pytest_cache/jax-$* \
		.venv-test-$(or $(BACKEND_$*),$*)/bin/python -m pytest $(PYTEST_OPTIONS) $(TESTS_$(WHICH)_$*)

# What was run on the three backends together: files with less than 80 %, and the total.
coverage: .venv-test-torch/ready  ## Report the line coverage that `make test-all` measured
	@echo "Line coverage over all backends, files below 80 % and the total:"
	@.venv-test-torch/bin/coverage combine --quiet --keep $(wildcard .coverage.*)
	@.venv-test-torch/bin/coverage report --sort=cover | awk '$$1 == "TOTAL" || $$4 + 0 < 80'

zoo: $(foreach backend,jax tensorflow torch,.venv-test-$(backend)/ready)  ## Ask the guard about every training of the zoo (two hours)
	.venv-test-jax/bin/python -m zoo score --warm --backend jax --backend tensorflow --backend torch \
		--markdown docs/zoo-results.md

.venv/ready: pyproject.toml constraints.txt
	$(call environment,$(PYTHON),.venv)
	.venv/$(INSTALL) -e ".[jax,examples]"
	@touch $@

# An environment a backend: where TensorFlow is installed, Keras loads it for any backend. Tools, and
# what the reference networks need, are in the one where all tests run.
EXTRA_jax = test-jax
EXTRA_tensorflow = test-tensorflow
EXTRA_torch = dev,docs,release
# For the tests that depend on the framework.
FEWER_jax = $(EXTRA_jax)
FEWER_tensorflow = $(EXTRA_tensorflow)
FEWER_torch = test

.venv-test-%/ready: pyproject.toml constraints.txt
	$(call environment,$(PYTHON),.venv-test-$*)
	.venv-test-$*/$(INSTALL) -e ".[$*,$(EXTRA_$*)]"
	@touch $@

.venv-test-torch/recipes: .venv-test-torch/ready
	.venv-test-torch/$(INSTALL) -e ".[recipes,trainers]"
	@touch $@

.venv-oldest-%/ready: pyproject.toml constraints-oldest.txt
	$(call environment,$(OLDEST_PYTHON),.venv-oldest-$*)
	.venv-oldest-$*/$(subst constraints.txt,constraints-oldest.txt,$(INSTALL)) -e ".[$*,$(FEWER_$*)]"
	@touch $@

.venv-newest-%/ready: pyproject.toml constraints-newest.txt
	$(call environment,$(or $(NEWEST_PYTHON_$*),$(NEWEST_PYTHON)),.venv-newest-$*)
	.venv-newest-$*/$(subst constraints.txt,constraints-newest.txt,$(INSTALL)) -e ".[$*,$(FEWER_$*)]"
	@touch $@

clean:  ## Remove the environments and all caches
	rm -rf .venv .venv-test-* .venv-oldest-* .venv-newest-* .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .coverage*
