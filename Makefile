# Two commands: `make demo` and `make test`. Both make their own environment.

PYTHON ?= python3
INSTALL = bin/pip install --quiet --disable-pip-version-check -c constraints.txt
TEST = .venv-test/bin/python -m pytest
# TensorFlow announces its instruction sets on every start.
QUIET = TF_CPP_MIN_LOG_LEVEL=3

.PHONY: help demo test lint types test-jax test-tensorflow test-torch clean
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

test: lint types test-tensorflow test-torch test-jax  ## Lint, check types, run all tests

lint: .venv-test/ready  ## Check style and format
	.venv-test/bin/ruff check
	.venv-test/bin/ruff format --check

types: .venv-test/ready  ## Check types
	.venv-test/bin/mypy

# A process a backend: Keras chooses its backend once, at import.
test-tensorflow: .venv-test/ready  ## Run the tests of models and losses on TensorFlow
	$(QUIET) KERAS_BACKEND=tensorflow $(TEST) tests/models tests/losses

test-torch: .venv-test/ready  ## Run the tests of models and losses on PyTorch
	KERAS_BACKEND=torch $(TEST) tests/models tests/losses

test-jax: .venv-test/ready  ## Run all tests on JAX
	KERAS_BACKEND=jax $(TEST)

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/$(INSTALL) -e ".[jax,examples]"
	@touch $@

.venv-test/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-test
	.venv-test/$(INSTALL) torch==2.13.0
	.venv-test/$(INSTALL) -e ".[jax,tensorflow,torch,dev]"
	@touch $@

clean:  ## Remove both environments and all caches
	rm -rf .venv .venv-test .mypy_cache .pytest_cache .ruff_cache
