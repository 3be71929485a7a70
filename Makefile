# The commands of the README: `make book`, `make test`, `make pdf`, `make proofs` set up what they need, but for TeX and Coq.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
export PYTHONHASHSEED := 0

.DEFAULT_GOAL := help
.PHONY: help book pdf test chapter full serve record verify archive proofs proofs-audit bench format lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo; echo "chapter:  make chapter C=neyman-pearson-radii PROFILE=full DEVICE=cuda"
	@echo "          make chapter C=neyman-pearson-radii P='sigma=0.5 epochs=3'"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "make: the book needs Python 3.11 to 3.13; name one with PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

book: $(READY)  ## execute the chapters (quick profile) and render the book into _build/html
	@$(RUN) -m rs_lib.book build

pdf: $(READY)  ## set the whole book as one PDF with XeLaTeX, beside the pages (makes those first)
	@$(RUN) -m rs_lib.book build
	@$(RUN) -m rs_lib.book pdf

test: $(READY)  ## check style, types and floors, then run the tests (sets up the book first)
	@$(RUN) -m pre_commit run --all-files
	@$(RUN) -m rs_lib.book build
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile

chapter: $(READY)  ## run one chapter: C=<name> [P="n=5000 epochs=3"] [PROFILE=full] [DEVICE=cuda]
	@test -n "$(C)" || { echo "make: name the chapter, such as C=neyman-pearson-radii" >&2; exit 2; }
	@$(RUN) -m rs_lib.book chapter $(C) $(if $(PROFILE),-p profile=$(PROFILE)) $(if $(DEVICE),-p device=$(DEVICE)) \
	  $(foreach change,$(P),-p '$(change)')

full: $(READY)  ## run the experiments that are due at the papers' scale [BUDGET=2h] [DEVICE=cuda]
	@$(RUN) -m rs_lib run --all --profile full $(if $(DEVICE),--device $(DEVICE)) $(if $(BUDGET),--budget $(BUDGET))

serve: $(READY)  ## look at the book on localhost (PORT=8000)
	@$(RUN) -m rs_lib.book serve $(if $(PORT),--port $(PORT))

record: $(READY)  ## take what the last build drew into the record of figures, on purpose
	@$(RUN) -m rs_lib.book accept

verify: $(READY)  ## run the chapters again and compare every figure with its record
	@$(RUN) -m rs_lib.book verify

archive: $(READY)  ## put sources, record, results, lock and the built book into one RO-Crate, for a DOI
	@$(RUN) -m rs_lib.book archive

proofs:  ## check the Coq proofs, their statements, and numbers of the library (needs Coq)
	@$(MAKE) --no-print-directory -C proofs statements
	@$(MAKE) --no-print-directory $(READY)
	@$(MAKE) --no-print-directory -C proofs instances PYTHON=$(abspath $(RUN))

proofs-audit:  ## let Coq's kernel alone check the compiled proofs again (coqchk)
	@$(MAKE) --no-print-directory -C proofs audit

bench: $(READY)  ## measure the engine against the textbook loop and the bare forward pass
	@OMP_NUM_THREADS=1 $(RUN) -m benchmarks

format: $(READY)  ## put code and notebooks into the house's format
	@$(RUN) -m ruff check --fix --quiet . ; $(RUN) -m ruff format --quiet .
	@$(RUN) -m nbqa "ruff format" notebooks --quiet

lock: $(READY)  ## pin the newest versions that pyproject.toml allows
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@$(RUN) -m uv pip compile pyproject.toml --extra experiments --extra book --extra test --universal --python-version 3.11 \
	  --generate-hashes --upgrade --quiet --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove what is generated, but not the environment nor the stages of long runs
	rm -rf book/chapters proofs/*.vo* proofs/*.glob proofs/.*.aux proofs/.*.cache
	@if [ -d _build ]; then find _build -mindepth 1 -maxdepth 1 ! -name stages -exec rm -rf {} +; fi
