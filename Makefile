# Two commands are enough: `make benchmark` and `make test`. Each sets up what it needs.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
CORES ?= all
CONFIG ?= config/default.yaml
ANCHORS ?= $(wildcard config/anchors/*.yaml)
BIN := .venv/bin
# a broken link is an error; the notice is of the theme, on its own future
SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
EXPERIMENT = $$($(BIN)/python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["experiment"])' $(CONFIG))

.PHONY: help setup benchmark anchors test test-slow test-slurm check package docs audit lock clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

setup: .venv/installed ## the environment in .venv, from the hashed lock file

# uv builds the environment: it needs neither venv nor ensurepip, which Debian's python3 lacks;
# each job of a grid is a process, and where Python may not write bytecode it would compile pandas,
# torch and timm every time
.venv/installed: requirements.lock requirements-uv.lock
	$(PYTHON) -m pip --version >/dev/null || { echo "error: $(PYTHON) has no pip; install it (on Debian: apt-get install python3-pip)" >&2; exit 2; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --upgrade --target .uv -r requirements-uv.lock
	.uv/bin/uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	VIRTUAL_ENV="$$PWD/.venv" .uv/bin/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	touch $@

benchmark: setup ## the whole grid of CONFIG (default: config/default.yaml) on CORES cores
	SUMMARY=later $(BIN)/python -m prunebench workflow $(CONFIG) --cores $(CORES)
	@$(BIN)/python -m prunebench summary "results/$(EXPERIMENT)"

anchors: setup ## published figures run again and judged: days on one GPU; ANCHORS=one.yaml runs one
	for config in $(ANCHORS); do $(BIN)/python -m prunebench workflow "$$config" --cores $(CORES); done
	$(BIN)/python -m prunebench anchors config/anchors

test: setup ## the tests, less those marked slow; COVERAGE=yes says which lines they ran, in twice the time
	$(BIN)/python -m pytest $(if $(COVERAGE),--cov --cov-report=term)

test-slow: setup ## the tests marked slow
	$(BIN)/python -m pytest -m slow

test-slurm: setup ## the smoke grid through a real Slurm, which it starts (Debian: slurmctld slurmd slurm-client munge)
	$(BIN)/python -m pytest -m slurm -n 0 -s tests/slurm

check: setup package ## lint, format, types, workflow, wheel, links of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflows
	$(BIN)/mypy
	$(BIN)/snakemake --lint --configfile config/smoke.yaml
	$(SITE)

package: setup ## the wheel of the package, in dist/
	VIRTUAL_ENV="$$PWD/.venv" .uv/bin/uv build --quiet --offline --no-build-isolation --wheel --clear --out-dir dist

docs: setup ## the documentation as a site, in site/; its generated tables again
	$(BIN)/python docs/generate.py
	$(SITE)
	@echo "open site/index.html"

# pip-audit ends alike where it finds something and where nobody answers; only the first writes
audit: setup ## known vulnerabilities of the locked packages, as far as the network tells them
	@rm -f .uv/audit.json
	@.uv/bin/uvx --from pip-audit pip-audit --strict --require-hashes --disable-pip --format json --output .uv/audit.json -r requirements.lock || \
	if test -s .uv/audit.json; then cat .uv/audit.json; exit 1; else echo "not audited: the network gives no answer" >&2; fi

lock: setup ## compile requirements.lock again from pyproject.toml
	.uv/bin/uv pip compile pyproject.toml --extra dev --extra slurm --extra text --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	echo uv | .uv/bin/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements-uv.lock

# of a downloaded set: the files that its note lists, and folders that are empty then; what somebody
# has put beside them stays
define REMOVE_LISTED
import json, pathlib, sys
note = pathlib.Path(sys.argv[1])
root, said = note.parent.resolve(), json.loads(note.read_text())
listed = said.get("files") if isinstance(said, dict) and "sha256" in said else None
if isinstance(listed, dict):
    for path in [root / name for name in listed] + [note]:
        if path.parent.resolve().is_relative_to(root) and ".." not in path.parts:
            path.unlink(missing_ok=True)
    for folder in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True) + [root]:
        if not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
endef
export REMOVE_LISTED

# what people made stays: results (`prunebench remove`), MLflow's runs, and data of one's own, also in
# data/raw and data/prepared: only what a sealed note or a description says to be ours goes from there
clean: ## remove the environment, caches, the site, and data that were downloaded or prepared
	rm -rf .venv .uv site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	for made in data/prepared/*.safetensors.json; do \
		if grep -qs '"sha256"' "$$made"; then rm -f "$${made%.json}" "$${made%.json}".*json "$${made%.json}".lock; fi; done
	for note in data/raw/*/*/note.json; do \
		if test -f "$$note"; then $(PYTHON) -c "$$REMOVE_LISTED" "$$note"; fi; done
	for part in data/raw/*/.*.????????/root; do if test -d "$$part"; then rm -rf "$${part%/root}"; fi; done
	@rmdir data/raw/* data/raw data/prepared 2>/dev/null || true  # where something is left in them
