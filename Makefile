# `make book` and `make test` each do all their set-up; nothing needs to be installed before
# but Python 3.11 or 3.12 with venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PROFILE ?= quick
JOBS ?= 2

.PHONY: help book test check lint validate benchmarks lab serve clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

book:  ## run every chapter (profile quick), render the site, print where it is
	@tools/setup.sh
	@.venv/bin/replicate build --profile $(PROFILE)

test:  ## lint, types, unit tests, notebooks and the site in a browser
	@tools/setup.sh test,lint
	@tools/test.sh

check:  ## look at every page of the built book in a browser
	@tools/setup.sh test
	@.venv/bin/pytest -n 2 -q -p no:cacheprovider tests/built_book.py

lint:  ## format check, lint and types only
	@tools/setup.sh test,lint
	@tools/test.sh lint

validate:  ## simulate the statistics' error rates, coverage and power, and archive the tables (minutes)
	@tools/setup.sh
	@OMP_NUM_THREADS=1 .venv/bin/python -m common.validation

benchmarks:  ## time what has a bar, and fail where it is missed
	@tools/setup.sh
	@tools/benchmarks.sh

lab:  ## open the chapters in JupyterLab
	@tools/setup.sh lab
	.venv/bin/jupyter lab notebooks

serve: book  ## build the site and serve it on this machine
	.venv/bin/replicate serve

clean:  ## remove everything generated, the virtual environment excepted
	rm -rf _build
