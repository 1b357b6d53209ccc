# Everything a fresh machine needs is installed into .venv from the hash-locked lists in deploy/requirements.
.DEFAULT_GOAL := help
.PHONY: help run test alerts-e2e faults histories soak bench bench-report fuzz check lock clean
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/requirements
INSTALL := deploy/requirements/install

help:  ## What can be made
	@grep -E '^[a-z][a-z0-9-]*:.*##' Makefile | sed -E 's/:.*## */\t/' | expand -t 12

run: $(VENV)/.run  ## Run the agent with the lab, or with CONFIG=relaycanary.yaml on a real tenant
ifdef CONFIG
	@exec $(BIN)/relaycanary run --config $(CONFIG)
else
	@exec $(BIN)/relaycanary run --lab
endif

test: $(VENV)/.test check  ## Install what the tests need, then lint, types, import contracts and every test
	@deploy/testbed/install
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

alerts-e2e: $(VENV)/.test  ## Every fire drill on a real Prometheus and Alertmanager, and the table of what came
	@deploy/testbed/install
	@$(BIN)/pytest tests/alerting -m long -s

faults: RUNS ?= 20
faults: histories  ## Long histories and planted bugs, every fault, 200 kills; then the fast part RUNS=20 times without a flake
	@deploy/testbed/install
	@$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder tests/faults -m "long or not long"
	@for run in $$(seq $(RUNS)); do \
	    echo "the fast part, run $$run of $(RUNS)"; \
	    $(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder tests/faults || exit 1; \
	done
	@echo "$(RUNS) runs of the fast part without a flake"

histories: $(VENV)/.test  ## A thousand random histories of the agent in simulated time, and the bugs planted for them to catch
	@$(BIN)/pytest -n 2 --dist loadfile tests/properties -m "long or not long" --hypothesis-profile=long

soak: $(VENV)/.test  ## 24 simulated hours and one real hour: memory, descriptors, threads, ledger, latency
	@deploy/testbed/install
	@PYTHONPATH=tests:deploy/testbed $(BIN)/python -m soak --hours 24 --real-minutes 60

bench-report: $(VENV)/.test  ## The report and the status page on a ledger of two million canaries: seconds, memory
	@PYTHONPATH=tests:deploy/testbed $(BIN)/python -m soak.reading

bench: bench-report  ## 200 checks at 10 s for 5 minutes beside a bare loop: CPU per canary, memory, detection delay
	@deploy/testbed/install
	@PYTHONPATH=tests:deploy/testbed $(BIN)/python -m soak.load --checks 200 --seconds 300

fuzz:  ## Coverage-guided fuzzing of what reads mail, 10 minutes a parser; installs atheris (Python 3.11 to 3.13) in .fuzz
	@[ -x .fuzz/venv/bin/python ] || python3 -m venv .fuzz/venv
	@.fuzz/venv/bin/python -c 'import atheris' 2>/dev/null || .fuzz/venv/bin/python -m pip install --quiet atheris
	@for parser in bounce headers; do \
		mkdir -p .fuzz/$$parser; \
		.fuzz/venv/bin/python tests/fuzz/fuzz_mail.py $$parser -max_total_time=600 -print_final_stats=1 \
			-artifact_prefix=.fuzz/$$parser- .fuzz/$$parser $(wildcard ../shared/corpora/bounces/*/emails) || exit 1; \
	done

check: $(VENV)/.test  ## Lint, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: procedures audit sbom dist test-wheel image debian fresh-root
procedures: $(VENV)/.test  ## Upgrade, backup, restore, and the change of keys and secrets, on a live agent with the lab
	@$(BIN)/pytest tests/deploy/test_procedures.py -m "long or not long"

audit: $(VENV)/.test  ## Known vulnerabilities of what is locked, risky code, secrets in the tree and in its history
	@$(BIN)/python deploy/release/audit.py

sbom: $(VENV)/.test  ## A CycloneDX bill of materials of what a release runs with, from the locked list
	@$(BIN)/python deploy/release/sbom.py dist/relaycanary.cdx.json

dist: $(VENV)/.test  ## Wheel, sdist, bill of materials and checksums; wheel and sdist are tried in empty environments
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	@$(BIN)/python deploy/release/sbom.py dist/relaycanary.cdx.json
	@cd dist && sha256sum -- * >SHA256SUMS
	@$(BIN)/python deploy/release/try_wheel.py dist/*.whl dist/*.tar.gz --lock $(LOCKS)/run.lock
	@cat dist/SHA256SUMS

test-wheel: $(VENV)/.test  ## The core of the tests, against the wheel instead of the checkout
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	@deploy/testbed/install
	@deploy/release/test_wheel dist/*.whl $(VENV)

image:  ## Build the container image with buildah (as root), and run the agent with the lab in it
	@deploy/docker/try_image

debian:  ## The steps of deploy/systemd/README.md in a fresh Debian root (as root), the service on its systemd, and each procedure
	@deploy/systemd/try_install

fresh-root:  ## From a root with Python, git and make to three green paths and through make test (as root)
	@deploy/release/fresh_root test

lock: $(VENV)/.test  ## Write the locked lists anew from pyproject.toml
	@deploy/requirements/lock

clean:  ## Remove what was installed and what the lab keeps
	rm -rf $(VENV) .lab .testbed .fuzz dist

$(VENV)/.run: $(LOCKS)/run.lock pyproject.toml
	@$(INSTALL) $(VENV) $(LOCKS)/run.lock $@

$(VENV)/.test: $(LOCKS)/test.lock $(LOCKS)/test-alone.lock pyproject.toml
	@$(INSTALL) $(VENV) $(LOCKS)/test.lock $@ $(LOCKS)/test-alone.lock
	@cp $@ $(VENV)/.run
