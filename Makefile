# Two commands: `make demo` and `make test`. Both make their own environment.

PYTHON ?= python3
INSTALL = bin/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test environments lint types test-jax test-tensorflow test-torch zoo clean
.NOTPARALLEL:
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

test: environments lint types test-tensorflow test-torch test-jax  ## Lint, check types, run all tests

# Side by side, as one install does not keep two cores busy. What fails here is made again below, and
# fails there.
environments:
	@for backend in jax tensorflow torch; do \
		$(MAKE) --no-print-directory .venv-test-$$backend/ready & \
	done; wait

lint: .venv-test-jax/ready  ## Check style and format
	.venv-test-jax/bin/ruff check
	.venv-test-jax/bin/ruff format --check

types: .venv-test-jax/ready  ## Check types
	.venv-test-jax/bin/mypy

# What depends on the framework; the rest is the same on each, and runs on JAX.
ON_EACH = tests/frameworks tests/guard tests/incidents tests/networks/models tests/networks/losses tests/networks/metrics
# Whole trainings, on the backend that has no compiling to wait for.
TRAININGS = tests/networks/training tests/networks/lab tests/diagnose/test_pages.py
# What measures time, or sends signals.
ALONE = tests/runner tests/test_import_cost.py
TWO_AT_A_TIME = -n 2 --dist worksteal
# Where the tests of a file ask about one training, two processes would make it twice.
FILE_BY_FILE = -n 2 --dist loadfile

test-tensorflow: .venv-test-tensorflow/ready  ## Run on TensorFlow what depends on the framework
	KERAS_BACKEND=tensorflow .venv-test-tensorflow/bin/python -m pytest $(TWO_AT_A_TIME) $(ON_EACH)

test-torch: .venv-test-torch/ready  ## Run on PyTorch what depends on the framework
	KERAS_BACKEND=torch .venv-test-torch/bin/python -m pytest $(TWO_AT_A_TIME) $(ON_EACH)
	KERAS_BACKEND=torch .venv-test-torch/bin/python -m pytest $(FILE_BY_FILE) $(TRAININGS)

test-jax: .venv-test-jax/ready  ## Run all tests on JAX
	KERAS_BACKEND=jax .venv-test-jax/bin/python -m pytest $(TWO_AT_A_TIME) $(addprefix --ignore=,$(ALONE) $(TRAININGS))
	KERAS_BACKEND=jax .venv-test-jax/bin/python -m pytest $(ALONE)

ENVIRONMENTS = $(foreach backend,jax tensorflow torch,.venv-test-$(backend)/ready)

zoo: $(ENVIRONMENTS)  ## Ask the guard about every training of the zoo (two hours)
	.venv-test-jax/bin/python -m zoo score --warm --backend jax --backend tensorflow --backend torch \
		--markdown docs/zoo-results.md

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/$(INSTALL) -e ".[jax,examples]"
	@touch $@

# An environment a backend: where TensorFlow is installed, Keras loads it for any backend.
.venv-test-%/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-test-$*
	.venv-test-$*/$(INSTALL) -e ".[$*,dev]"
	@touch $@

clean:  ## Remove the environments and all caches
	rm -rf .venv .venv-test-* .mypy_cache .pytest_cache .ruff_cache
