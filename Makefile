# Everything here sets up what it needs: `make demo` and `make test` work on a machine that has Python 3.10 or newer.
#
#   make demo    train two small networks on the built-in corpus, turn one into int8, and draw what they do
#   make test    the tests
#   make lint    ruff and mypy
#
# WORKERS is the number of test processes, PYTHON the interpreter (3.10 to 3.13) that the environment is made with,
# TORCH the build of torch: this version has a CPU build of its own on PyPI, while a range may bring gigabytes of CUDA.

WORKERS ?= 2
TORCH ?= torch==2.13.0
CANDIDATES := python3.11 python3.12 python3.13 python3.10 python3
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))

READY := .venv/installed

.PHONY: demo test lint setup clean

demo: $(READY)
	.venv/bin/tinyse train recipes/demo.yaml --set output=runs/demo

test: $(READY)
	.venv/bin/python -m pytest -q -n $(WORKERS)

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/mypy tinyse firmware_export

setup: $(READY)

$(READY): pyproject.toml Makefile
	@test -x .venv/bin/python || { \
	  for python in $(PYTHON) $(CANDIDATES); do \
	    if $$python -c '$(USABLE)' 2>/dev/null; then break; else python=; fi; done; \
	  test -n "$$python" || { echo "make: no Python 3.10 to 3.13 with venv found:" \
	    "apt-get install python3 python3-venv, or make PYTHON=/path/to/python" >&2; exit 1; }; \
	  echo "making .venv with $$($$python --version)"; $$python -m venv .venv; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv build .pytest_cache .ruff_cache .mypy_cache .hypothesis
