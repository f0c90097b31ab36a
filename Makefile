# Everything here sets up what it needs: `make demo` and `make test` work on a machine that has Python 3.10 or newer.
#
#   make demo    train two small networks on the built-in corpus, turn one into int8, and draw what they do
#   make test    the tests
#   make lint    ruff and mypy
#   make docs    the site, strictly, into build/site; it installs MkDocs
#   make setup   only the environment, .venv
#
# WORKERS is the number of test processes, PYTHON the interpreter (3.10 to 3.13) that the environment is made with.
# TORCH is the build of torch: cpu (without CUDA, wherever one is within reach), gpu (with CUDA on Linux), or anything
# that pip takes, such as TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cu126'; given to `make setup`
# again, it changes the build that is there.

WORKERS ?= 2
TORCH ?= cpu
CANDIDATES := python3.11 python3.12 python3.13 python3.10 python3
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))
PIP := .venv/bin/python -m pip install --disable-pip-version-check

READY := .venv/installed

.PHONY: demo test lint docs setup clean

demo: $(READY)
	.venv/bin/tinyse train recipes/demo.yaml --set output=runs/demo

test: $(READY)
	.venv/bin/python -m pytest -q -n $(WORKERS) --dist worksteal

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy tinyse firmware_export

docs: $(READY)
	@$(PIP) --quiet --editable '.[docs]'
	.venv/bin/mkdocs build --strict

setup: $(READY)

ifeq ($(origin TORCH), command line)
.PHONY: $(READY)
endif
$(READY): pyproject.toml Makefile
	@test -x .venv/bin/python || { \
	  for python in $(PYTHON) $(CANDIDATES); do \
	    if $$python -c '$(USABLE)' 2>/dev/null; then break; else python=; fi; done; \
	  test -n "$$python" || { echo "make: no Python 3.10 to 3.13 with venv found:" \
	    "apt-get install python3 python3-venv, or make PYTHON=/path/to/python" >&2; exit 1; }; \
	  echo "1/3 making .venv with $$($$python --version)"; $$python -m venv .venv; }
	@$(PIP) --quiet 'pip>=25.1' || true  # from 25.1 on it shows how far it is while it unpacks, too
	@echo "2/3 installing torch ($(TORCH)): a download of 200 MB, or of 3 GB with CUDA"
	@.venv/bin/python -m tinyse.torch_build $(TORCH)
	@echo "3/3 installing tinyse and what else it needs: a few minutes"
	@$(PIP) --editable '.[all,dev]'
	@.venv/bin/python -m tinyse.torch_build
	@echo ".venv is ready: $$(du -sh .venv | cut -f1); 'source .venv/bin/activate' puts tinyse on the PATH"
	@touch $@

clean:
	rm -rf .venv build .pytest_cache .ruff_cache .mypy_cache .hypothesis
