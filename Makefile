# Two commands do all the set-up on a fresh machine: `make report` and `make test`. Both are quick the second time.
# Needs python3 (3.11 or newer, with venv), make and a network for the first installation.

PYTHON ?= python3
OUT    ?= report
# Test workers: one a core, eight at most (a worker that imports everything takes about 400 MB).
JOBS   ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')

VENV := .venv
BIN  := $(VENV)/bin
OLDEST := .venv-oldest
AUDIT  := .venv-audit
K_DIFFUSION := .venv-k-diffusion
LIGHT := .venv-light
OLDEST_DIFFUSERS := .venv-oldest-diffusers
# What make oldest runs: all but what needs the extras cifar10 and diffusers, or a browser.
OLDEST_TESTS ?= tests/wbound tests/numerics --ignore=tests/numerics/cifar10 --ignore=tests/numerics/recorders \
  --ignore=tests/numerics/report/test_report_browser.py
# Stamps say which layer is installed. They live inside the environment: removing .venv is a fresh start.
DECLARED := setup.cfg pyproject.toml constraints.txt
DEV      := dev,certify,cluster,cifar10,diffusers
INSTALL  := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -c constraints.txt
# pip compiles on one core, which is most of an installation; here all cores do, and what nobody imports is left out.
COMPILE  := $(BIN)/python -W ignore -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true

.DEFAULT_GOAL := help
.PHONY: help everything report test deep oldest oldest-diffusers light audit k-diffusion lint types docs notebooks \
  benchmarks clean
.DELETE_ON_ERROR:

help:
	@echo "make report      install, run the main job on the built-in data, write $(OUT)/index.html"
	@echo "make test        install what tests need, run every test"
	@echo "make deep        the long searches: hours, not minutes"
	@echo "make oldest      the tests on the oldest versions that setup.cfg allows"
	@echo "make light       pip install wbound without extras, in an environment of its own: what it does, and what it names"
	@echo "make oldest-diffusers  the recorders' tests on the oldest diffusers, beside this torch"
	@echo "make audit       known vulnerabilities of what is installed, and build/sbom.json"
	@echo "make lint types notebooks docs benchmarks clean"

report: $(VENV)/.runtime
	$(BIN)/wbound report --out $(OUT)
	@echo "wrote $(OUT)/index.html: open it in a browser (it needs no network)"

test: $(VENV)/.dev k-diffusion
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal --durations=20

deep: $(VENV)/.dev
	WBOUND_DEEP=1 $(BIN)/python -m pytest -q -n $(JOBS) --durations=20
	$(BIN)/wbound search --seconds 600 --cells 1e6 --folder build/search --out build/search/search.json

# Old versions warn of things that later ones mended: here warnings are none of our errors.
oldest: $(OLDEST)/.made
	$(OLDEST)/bin/python -m pytest -q -n $(JOBS) -o filterwarnings=default $(OLDEST_TESTS)

# -P: tests/ has folders called as the packages
light: $(LIGHT)/.made
	$(LIGHT)/bin/python -P tests/light_base.py

# The oldest diffusers and the hub it was made for lie in a folder of their own, before those of .venv: torch stays.
oldest-diffusers: $(VENV)/.dev
	@[ -d $(OLDEST_DIFFUSERS)/diffusers ] || $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
	  --target $(OLDEST_DIFFUSERS) diffusers==0.30.0 huggingface-hub==0.25.2
	PYTHONPATH=$(OLDEST_DIFFUSERS) $(BIN)/python -m pytest -q -n $(JOBS) -o filterwarnings=default tests/numerics/recorders

audit: $(AUDIT)/.made
	@$(AUDIT)/tools/bin/python tools/audit.py $(AUDIT)/runtime/bin/python build/sbom.json

# k-diffusion pulls a web of packages: it lies alone in a folder, and without it its tests are skipped and counted.
k-diffusion: $(VENV)/.dev
	@[ -d $(K_DIFFUSION)/k_diffusion ] || $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
	  --no-deps --target $(K_DIFFUSION) k-diffusion torchdiffeq || echo "k-diffusion could not be installed: its tests skip"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# The notebooks on the site are those that `make notebooks` executed; one that it has not is shown without its answers.
docs: $(VENV)/.docs
	@rm -rf docs/notebooks && mkdir -p docs/notebooks
	@set -e; for text in notebooks/[0-9]*.py; do \
	  name=$${text##*/}; name=$${name%.py}; executed=build/notebooks/$$name.ipynb; \
	  if [ "$$executed" -nt "$$text" ]; then cp "$$executed" docs/notebooks/; else \
	    $(BIN)/jupytext --quiet --to ipynb --output "docs/notebooks/$$name.ipynb" "$$text"; fi; \
	  sed -i.former 's#\.\./docs/#../#g' "docs/notebooks/$$name.ipynb"; \
	done; rm -f docs/notebooks/*.former
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "wrote docs/_build/html/index.html"

# Notebooks are text (jupytext); they are turned into .ipynb under build/ and executed there.
notebooks: $(VENV)/.dev
	@rm -rf build/notebooks && mkdir -p build/notebooks
	@set -e; found=0; \
	for text in notebooks/[0-9]*.md notebooks/[0-9]*.py; do \
	  [ -e "$$text" ] || continue; found=$$((found + 1)); name=$${text##*/}; \
	  $(BIN)/jupytext --quiet --to ipynb --output "build/notebooks/$${name%.*}.ipynb" "$$text"; \
	done; \
	if [ $$found -eq 0 ]; then echo "notebooks: none yet, nothing to execute"; else \
	  echo "notebooks: executing $$found"; \
	  MPLBACKEND=agg $(BIN)/python -m pytest -q -n $(JOBS) --nbmake --nbmake-timeout=300 --overwrite \
	    -o filterwarnings=default build/notebooks; \
	fi

benchmarks: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py --quick --check

clean:
	rm -rf report build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* *.egg-info
	find wbound numerics tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment, in layers ---------------------------------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.made $(DECLARED)
	@echo "installing the runtime into $(VENV): 250 MB to download, 1.2 GB on disk, under a minute"
	@$(INSTALL) -e '.[all]'
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: $(VENV)/.made $(DECLARED)
	@echo "installing what tests need into $(VENV): at most 600 MB to download and 2.6 GB on disk, two minutes,"
	@echo "with a CPU build of PyTorch; its default build for Linux brings CUDA and takes several GB more"
	@$(INSTALL) -e '.[all,$(DEV)]'
	@$(COMPILE)
	@touch $(VENV)/.runtime $@

# The extra cifar10 is left out: the oldest PyTorch is several GB more.
$(OLDEST)/.made: $(DECLARED) tools/oldest.py
	@echo "making $(OLDEST): the oldest versions, 250 MB to download, 1.3 GB on disk"
	@$(PYTHON) -m venv $(OLDEST)
	@mkdir -p build && $(PYTHON) tools/oldest.py all certify cluster > build/oldest.txt
	@$(OLDEST)/bin/python -m pip install -qq --disable-pip-version-check -c build/oldest.txt \
	  -e '.[all,certify,cluster]' pytest pytest-xdist hypothesis
	@touch $@

$(LIGHT)/.made: $(DECLARED)
	@echo "making $(LIGHT): the base alone, 80 MB to download, 330 MB on disk"
	@$(PYTHON) -m venv --clear $(LIGHT)
	@$(LIGHT)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(AUDIT)/.made: $(DECLARED)
	@echo "making $(AUDIT): the runtime alone, 1.2 GB on disk, and the tools of the audit beside it"
	@$(PYTHON) -m venv $(AUDIT)/runtime && $(PYTHON) -m venv $(AUDIT)/tools
	@$(AUDIT)/runtime/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt '.[all]'
	@$(AUDIT)/tools/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
	  pip-audit cyclonedx-bom
	@touch $@

$(VENV)/.docs: $(VENV)/.runtime
	@echo "installing the documentation tools into $(VENV): 40 MB to download"
	@$(INSTALL) -e '.[docs]'
	@$(COMPILE)
	@touch $@

# All three layers at once, for who needs them all: pip looks for versions that fit together once instead of thrice.
everything: $(VENV)/.everything k-diffusion

$(VENV)/.everything: $(VENV)/.made $(DECLARED)
	@echo "installing all layers into $(VENV): at most 650 MB to download and 2.7 GB on disk, two minutes"
	@$(INSTALL) -e '.[all,$(DEV),docs]'
	@$(COMPILE)
	@touch $(VENV)/.runtime $(VENV)/.dev $(VENV)/.docs $@
