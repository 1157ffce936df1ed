# make report · make test · make lab: each creates .venv first where it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: report test lab lock clean

report: .venv/ready
	$(BIN)/fusebook report

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lab: .venv/ready
	KERAS_BACKEND=jax $(BIN)/jupyter lab notebooks

bench-%: .venv/ready
	$(BIN)/python tests/benchmarks/$*.py

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Fusebook needs Python 3.11 or newer with venv; '$(PYTHON)' is not. Try: make PYTHON=python3.12 report"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# For maintainers: rewrites the lock from the ranges in pyproject.toml.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" .venv-lock/bin/uv pip compile pyproject.toml --extra test --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --output-file requirements.lock

clean:
	rm -rf .venv .venv-lock .pytest_cache .ruff_cache .import_linter_cache
