PYTHON ?= python3
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder
DEMO_FLAGS ?=
LOCK_FLAGS ?=
BENCH_FLAGS ?=
AUDIT_FLAGS ?=

BIN := .venv/bin
VENV := .venv/.created
DEMO := .venv/.installed-demo
DEV := .venv/.installed-dev

# make test starts hundreds of processes: without bytecode each would compile all of the code again.
unexport PYTHONDONTWRITEBYTECODE

# With make -j, two pips would write into one .venv at once.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test check bench format lock sbom clean

help:
	@echo "make demo     fetch MovieLens 100K, train on it, serve it at http://127.0.0.1:8000; Ctrl-C ends it"
	@echo "make test     run the tests"
	@echo "make check    lint and type-check the code, audit what is locked, check the Dockerfile and docker-compose.yml"
	@echo "make bench    measure serving beside the ceiling of this machine, and fail where it fell behind (needs wrk)"
	@echo "make format   format the code, and fix what ruff can fix"
	@echo "make lock     make the locks of the images anew, after each change of dependencies"
	@echo "make sbom     write to build/ what each image holds (CycloneDX)"
	@echo "make clean    delete .venv, caches and build products; var/ and bundles/ stay"
	@echo
	@echo "Packages go into .venv, once for each change of pyproject.toml. Variables:"
	@echo "  PYTHON=python3.12                3.11 or newer, to make .venv with; python3 by default"
	@echo "  PIP_FLAGS='--extra-index-url …'  for pip install, for example an index with CPU builds of torch"
	@echo "  PYTEST_FLAGS='-n 4 -k store'     for pytest, instead of those at the top of the Makefile"
	@echo "  DEMO_FLAGS='--port 8001'         for liverec demo"
	@echo "  BENCH_FLAGS='--no-peer'          for benchmarks/serving.py, for example without LibRecommender's server"
	@echo "  LOCK_FLAGS=--upgrade             to lock the newest versions; without it what is locked stays where it can"
	@echo "  AUDIT_FLAGS=--required           to fail where the database of vulnerabilities cannot be reached"

demo: $(DEMO)
	$(BIN)/liverec demo $(DEMO_FLAGS)

test: $(DEV)
	$(BIN)/pytest $(PYTEST_FLAGS)

check: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app archive configs engine liverec models supply training
	$(strip $(BIN)/python -m supply.audit $(AUDIT_FLAGS))
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

bench: $(DEV)
	$(BIN)/python benchmarks/serving.py --gate $(BENCH_FLAGS)

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(DEV)
	$(strip $(BIN)/python -m supply.resolution $(LOCK_FLAGS))

SBOM := $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --spec-version 1.6

sbom: $(DEV)
	mkdir -p build
	$(SBOM) --output-file build/service.cdx.json requirements/service.txt
	cat requirements/trainer.txt requirements/torch.txt | $(SBOM) --output-file build/trainer.cdx.json -
	cat requirements/trainer.txt requirements/torch-cpu.txt | $(SBOM) --output-file build/trainer-cpu.cdx.json -

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV):
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not found; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liverec needs Python 3.11 or newer, and $(PYTHON) is %d.%d; choose one with: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	@touch $@

$(DEMO): pyproject.toml $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[train,embedded]'
	@touch $@

# All of the other and more.
$(DEV): pyproject.toml $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[train,embedded,audio,parquet,dev]'
	@touch $(DEMO) $@
