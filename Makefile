# Everything runs inside .venv, which `make install` fills from requirements.lock, each package checked by its hash.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench lock

help: ## Show what make can do
	@echo "smb-crm: engagement scores, tiers and 90-day campaigns out of events"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## Create .venv with everything in it (needs Python 3.11 only)

# What is imported gets compiled then; compiling everything takes longer than installing it.
# An installation that was interrupted has no stamp and goes on where it stopped.
$(INSTALLED): pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; name another with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Real servers, four workers, live traffic in the terminal (ONCE=1: end with a summary)
	@$(BIN)/smb-crm demo $(if $(ONCE),--once)

test: install ## Run all tests, on a real PostgreSQL and a real Apache Kafka
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: install ## Lint, format, types, layers, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m shared.migrations.numbering

bench: install ## Measure, beside a floor and a plain worker (FULL=1: full sizes)
	@$(BIN)/python -m benchmarks $(if $(FULL),--full)

lock: install ## Resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
