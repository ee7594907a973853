PYTHON ?= python3
BIN := .venv/bin

.PHONY: pictures site-check container fuzz soak kills demo test test-lowest lint coverage test-slow test-peers mutants audit bench docs setup

setup:
	@$(PYTHON) bootstrap.py

demo: setup  ## segment a small folder of real scans; results in demo
	@$(BIN)/medseg demo --out demo

test: setup  ## the fast tests; what is compiled is kept, else each of their processes compiles it again
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile

test-lowest:  ## the fast tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	@$(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/python -m pip install --quiet "uv>=0.9"
	@.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e ".[dev]"
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n 2 --dist loadfile --ignore tests/test_third_party.py

fuzz: setup  ## 10,000 damaged files of every kind through every reader and verb; what fails is kept in fuzz-failures
	$(BIN)/python tests/fuzz/run.py --count 10000

soak: setup  ## 400 cases in one run: memory, open files and temporary files stay flat, the report stays small
	$(BIN)/python tests/soak.py --cases 400

kills: setup  ## 100 kill -9 and 100 signals at random moments of every verb that writes, then the same again: the same bytes
	$(BIN)/python tests/kills.py --count 100

audit: setup  ## the known vulnerabilities of what is installed, without those accepted in tests/accepted_vulnerabilities.txt
	@$(BIN)/python -m pip install --quiet "pip-audit>=2.10"
	$(BIN)/python tests/audit_dependencies.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

coverage: setup  ## the fast tests, with the fraction of lines they run; fails below the floor in pyproject.toml
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-report=xml

test-slow: setup
	$(BIN)/python -m pytest -m slow --timeout 1800 --hypothesis-profile anew

test-peers:  ## with dciodvfy, dcmtk, dcmqi, plastimatch, Orthanc, OHIF and SLURM, where they can be installed
	@$(PYTHON) bootstrap.py dev,peers
	@$(BIN)/python tests/peers/install.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m peers

mutants: setup  ## put small faults into a copy of the code, and say which of them no fast test catches
	$(BIN)/python tests/mutants/run.py

BUILDER ?= docker
BASE := $(shell sed -n 's/^ARG BASE=//p' Containerfile)
container:  ## build the image from a base pinned by its digest, and look into it without network, capabilities and a writable root
	$(BUILDER) pull $(BASE)
	digest=$$($(BUILDER) image inspect --format '{{index .RepoDigests 0}}' $(BASE) | grep -o 'sha256:[0-9a-f]\{64\}$$') || \
	    { echo "$(BASE) has no digest" >&2; exit 1; }; \
	$(BUILDER) build -f Containerfile -t medseg:test --build-arg BASE=$(BASE)@$$digest \
	    --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .
	$(BUILDER) run --rm --read-only --network none --cap-drop ALL --tmpfs /tmp --user 12345:12345 medseg:test doctor

bench: setup  ## everyday work beside the CPU time and memory recorded for this instruction set; each bench_*.py is run by itself
	$(BIN)/python benchmarks/regressions.py

pictures: setup  ## makes every image of the documentation again; needs Chromium and the extra peers
	$(BIN)/python docs/images/make_all.py

docs:
	@$(PYTHON) bootstrap.py dev,docs
	$(BIN)/mkdocs build --strict

site-check: docs  ## the built site in Chromium: links, accessibility (axe), a phone and a desktop, light and dark
	$(BIN)/python -m pytest -m peers tests/docs/test_site.py
