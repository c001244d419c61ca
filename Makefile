# slipway: make demo | make test. Both set up what they need (as root, on Debian).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Tools of the virtual environment (sops) and the lab's own come first, for every command below.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Of commands that run side by side each line begins with the target whose it is.
NAMED = $(if $(BESIDE),2>&1 | sed --unbuffered 's/^/$@: /')

.PHONY: help
help: ## This list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-16s %s\n", $$1, $$2}'

.PHONY: demo
demo: setup ## One inventory to a verified, handed-over cluster, in the lab on this machine
	@slipway lab demo demo

.PHONY: demo-full
demo-full: setup ## The same with all stages, then the loss of every machine and the way back (its programs build on first use)
	@slipway lab demo demo-full --until cluster-apps --rebuild

.PHONY: rebuild
rebuild: setup test-packages ## Tests of the later stages: faults, a teardown, and a cluster that comes back out of what it saved in S3
	pytest tests/lab/test_base_apps.py --lab=required --durations=10

.PHONY: test
test: setup test-packages ## Everything that CI runs: lint, types, unit and golden tests, lab tests
	slipway lab build
	@$(MAKE) --no-print-directory --jobs=5 BESIDE=yes lab-cluster lab-machines lint unit-1 unit-2

.PHONY: lint
lint: $(VENV)/ready ## ruff and mypy
	{ ruff check python tests; ruff format --check python tests; mypy; } $(NAMED)

.PHONY: unit
unit: $(VENV)/ready ## Unit, golden and property tests: no root, no lab
	pytest tests/unit tests/golden

.PHONY: unit-1 unit-2
unit-1 unit-2: $(VENV)/ready
	nice pytest tests/unit tests/golden --share=$(@:unit-%=%)/2 $(NAMED)

.PHONY: fuzz
fuzz: $(VENV)/ready ## Property tests with new examples each time: what it finds becomes a test of its own
	pytest tests/unit --hypothesis-profile=fuzz -m hypothesis

.PHONY: lab
lab: setup test-packages ## Tests on the lab's machines, with real faults
	slipway lab build
	@$(MAKE) --no-print-directory --jobs=2 BESIDE=yes lab-cluster lab-machines

# Both wait for machines most of the time, and each for machines of its own; unit tests take what these leave.
.PHONY: lab-cluster lab-machines
lab-cluster lab-machines:
	pytest tests/lab --lab=required --lab-part=$(@:lab-%=%) -m "not nightly" --durations=10 $(NAMED)

.PHONY: nightly
nightly: setup test-packages ## All tests of the lab: what make test runs, the slow ones, and the later stages with the loss of all machines
	slipway lab build
	pytest tests/lab --lab=required --durations=20

.PHONY: drill
drill: setup test-packages ## The cold start with the real restic, SeaweedFS and OpenBao (built on first use: SeaweedFS takes long)
	pytest tests/lab/test_drill.py --lab=required --durations=10

.PHONY: golden
golden: $(VENV)/ready ## Write the golden trees anew after a change that was meant
	pytest tests/golden --update-golden

.PHONY: schemas
schemas: $(VENV)/ready ## Write the schemas of Kubernetes's kinds, CRDs and charts anew, from their Go modules (needs go)
	python -m tests.schemas.make

.PHONY: docs
docs: $(VENV)/ready ## Write the generated reference pages anew
	python docs/generate.py && python docs/way.py

# mkdocs has an environment of its own: neither tests nor slipway need it.
SITE_VENV := build/site-venv

.PHONY: site
site: $(SITE_VENV)/ready man ## docs/ as a site in build/site, its links checked, to be read without a network
	NO_MKDOCS_2_WARNING=1 $(SITE_VENV)/bin/mkdocs build --strict
	@echo "build/site/index.html"

$(SITE_VENV)/ready: docs/site/requirements.txt
	python3 -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.PHONY: man
man: $(VENV)/ready ## The manual page slipway(1), from the same source as the help: build/man/slipway.1
	@mkdir -p build/man
	@python -c 'from slipway.cli import man; print(man.render(), end="")' >build/man/slipway.1
	@echo "build/man/slipway.1"

.PHONY: tutorial
tutorial: setup ## Type the tutorial's commands in the lab, and write page, record and picture anew from what they said
	slipway lab down
	python docs/tutorial.py

.PHONY: check-nixos
check-nixos: $(VENV)/ready ## The example's machines in NixOS itself: NIXPKGS=PATH of a checkout, DISKO=PATH of disko, PACKAGES=FILE if it has none
	@[ -n "$(NIXPKGS)" ] || { echo "make check-nixos NIXPKGS=PATH [DISKO=PATH] [PACKAGES=FILE]: a checkout of nixpkgs is needed" >&2; exit 2; }
	pytest tests/nixpkgs --nixpkgs $(abspath $(NIXPKGS)) $(if $(DISKO),--disko $(abspath $(DISKO))) \
	  $(if $(PACKAGES),--nixpkgs-packages $(abspath $(PACKAGES)))

.PHONY: bench-generate
bench-generate: $(VENV)/ready ## Seconds and memory of check and generate, for 1,000, 5,000 and 10,000 hosts
	python -m tests.bench.generate

.PHONY: bench-verify
bench-verify: $(VENV)/ready ## Seconds and memory of verify, and pytest-testinfra beside it on the same checks
	python -m tests.bench.verify

.PHONY: bench-fanout
bench-fanout: $(VENV)/ready ## Seconds of one command on 50 machines, pyinfra and ansible beside it; memory on 500
	python -m tests.bench.fanout

.PHONY: bench-deploy
bench-deploy: $(VENV)/ready ## Seconds of a deploy with nothing to do on 20 and 300 nodes; memory on 500
	python -m tests.bench.deploy

.PHONY: bench-cli
bench-cli: $(VENV)/ready ## Seconds of help, completion, and the status of 300 hosts
	python -m tests.bench.cli

.PHONY: bench-stages
bench-stages: $(VENV)/ready ## Seconds of the stage law on 2,000 manifests, and of writing all stages
	python -m tests.bench.stages

.PHONY: bench-handoff
bench-handoff: setup ## Seconds from an open gate to all stages healthy in the lab, and from a push to its object there
	python -m tests.bench.handoff

.PHONY: setup
setup: $(VENV)/ready packages

# $(call install,NAMES): Debian packages, if there are any to install.
define install
if [ -n "$(1)" ]; then \
  echo "installing Debian packages: $(1)"; \
  apt-get update -qq; \
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
fi
endef

.PHONY: packages
packages: $(VENV)/ready
	@missing="$$(slipway lab packages)"; $(call install,$$missing)

# The tests alone need an SSH server of their own, ps to look for what must be gone, and a browser for the HTML report.
.PHONY: test-packages
test-packages:
	@missing=""; \
	[ -x /usr/sbin/sshd ] || missing="openssh-server"; \
	command -v ps >/dev/null || missing="$$missing procps"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	$(call install,$$missing)

# Where python3 or its venv module is missing we are on a fresh Debian and may install it, if we are root.
$(VENV)/ready: requirements-dev.txt pyproject.toml
	@if ! python3 -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then \
	  [ "$$(id -u)" = 0 ] || { echo "python 3.11 with venv is needed: run as root, or apt-get install python3-venv" >&2; exit 12; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
	fi
	@echo "setting up the virtual environment $(VENV)"
	@python3 -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q python/slipway  # pip compiles what it installs, and not what it only points at
	@touch $@

.PHONY: clean
clean: ## Take the lab down and remove what make made here (caches stay)
	-slipway lab down
	rm -rf demo demo-full build dist $(VENV)
