# `make demo` and `make test` need nothing but Python 3.11 or newer; everything else is installed into .venv.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --no-input --disable-pip-version-check -c constraints.txt
CREATED := $(VENV)/.created
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
TESTS ?=
WORKERS ?= 2
export PYTHONUNBUFFERED = 1

# Installs one of Debian's packages, which root alone can do. libatomic1: Qualcomm's libraries load it.
debian = { test "$$(id -u)" = 0 || { echo "$(1) is missing: ask root for 'apt-get install $(1)'"; exit 1; }; \
  apt-get update && apt-get install -y --no-install-recommends $(1); }

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-all test-e2e test-faults test-chart test-images images lock audit lint format generate bench clean

help: ## Show the targets
	@grep -hE '^[a-z0-9%-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(RUNTIME) ## Run the main job on the embedded dev cluster (KEEP=1 leaves it running)
	@$(BIN)/dms demo $(if $(KEEP),--keep)

demo-down: $(RUNTIME) ## Stop what `make demo KEEP=1` left running
	@$(BIN)/dms demo --stop

test: $(DEV) ## Run the tests (under 15 minutes)
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal $(TESTS)

test-all: $(DEV) ## Run all tests, the long ones too
	$(BIN)/python -m pytest -m "not images" -n $(WORKERS) --dist worksteal $(TESTS)

test-e2e: $(DEV) ## Run the end-to-end tests; KUBECONFIG=... points them at a real cluster
	$(if $(KUBECONFIG),DMS_E2E_KUBECONFIG="$(KUBECONFIG)") $(BIN)/python -m pytest -m e2e $(TESTS)

test-faults: $(DEV) ## Kill the operator KILLS times (300) amid other faults, and check its promises; SEED= repeats a run
	PYTHONPATH=operator:tests $(BIN)/python -m fault_suite --kills $(or $(KILLS),300) $(if $(SEED),--seed $(SEED))

test-chart: $(DEV) ## Render the chart by helm 3 and 4, install it, upgrade it; kustomize and GitOps too
	$(BIN)/python -m pytest tests/helm tests/gitops tests/e2e/test_chart.py tests/e2e/test_permissions.py tests/e2e/test_gitops.py $(TESTS)

images: $(CREATED) ## Build the container images (IMAGES=, TAG=, REGISTRY=, PLATFORM=, BASE=, PUSH=1; see docs/images.md)
	$(BIN)/python -m images.build $(IMAGES)

test-images: $(DEV) ## Build the images on a local base and run each one's main job; as root, installs podman
	images/prepare-tests.sh
	CONTAINERS_CONF=$(CURDIR)/.images/containers.conf ENGINE=podman REGISTRY= TAG=test PLATFORM= PUSH= BASE=localhost/dms-base:bookworm \
	  $(BIN)/python -m images.build
	CONTAINERS_CONF=$(CURDIR)/.images/containers.conf $(BIN)/python -m pytest -m images --durations=0 -v -s tests/images

lock: $(DEV) ## Write the images' locks from pyproject.toml and the constraints
	$(BIN)/python -m images.lock

lint: $(DEV) ## Check style, types, layers and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -r operator -ll
	$(BIN)/hadolint images/*/Containerfile
	$(BIN)/shellcheck images/*.sh tests/images/*.sh
	@$(BIN)/dms crd | diff -u crds/dmsmodeldeployments.yaml - || { echo "the CRD is stale: run make generate"; exit 1; }
	@PYTHONPATH=helm $(BIN)/python -m chart --check

audit: $(DEV) ## bandit, hadolint, then known vulnerabilities of every pinned version (ADVISORIES=pypi, osv or esms has to answer)
	$(BIN)/bandit -q -r operator -ll
	$(BIN)/hadolint images/*/Containerfile
	$(PIP) -q pip-audit
	$(BIN)/python tests/tools/audit_pins.py $(or $(ADVISORIES),pypi)

format: $(DEV) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(DEV) ## Write what is made from code: the CRD, the dashboards, parts of the chart
	$(BIN)/dms crd > crds/dmsmodeldeployments.yaml
	PYTHONPATH=helm $(BIN)/python -m dashboards helm/dms-operator/files/dashboards
	PYTHONPATH=helm $(BIN)/python -m chart --helm "$$($(BIN)/python tests/tools/get_helm.py)"

bench: $(DEV) ## Measure, as ratios side by side in one run; bench-NAME for benchmarks/bench_NAME.py alone
	@for bench in benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

bench-%: $(DEV)
	$(BIN)/python benchmarks/bench_$*.py

table-%: $(DEV) ## Write a table of the docs anew: table-qualcomm, table-quantize, table-tda4vm (up to half an hour each)
	$(BIN)/python benchmarks/table_$*.py

clean: ## Remove what make installed and made
	rm -rf $(VENV) .cache .demo .dms .images .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(CREATED):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call debian,python3-venv)
	@/sbin/ldconfig -p | grep -q 'libatomic\.so\.1' || $(call debian,libatomic1)
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first and pinned: any other version would pull gigabytes of CUDA libraries.
$(RUNTIME): pyproject.toml constraints.txt | $(CREATED)
	$(PIP) torch
	$(PIP) -e '.[operator,quantize,qnn,bench,devcluster,report,attest]'
	@touch $@

$(DEV): $(RUNTIME)
	$(PIP) -e '.[dev]'
	@touch $@
