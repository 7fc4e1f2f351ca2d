# make book   read the book: renders _build/html (does not need torch)
# make test   run it all: unit tests, laws of the cells, every notebook
# More: make execute [NB=path], lint, scoreboard, bench, lab, clean.

PYTHON ?= python3
PIP     = .venv/bin/python -m pip install -q -c constraints.txt
PINS    = Makefile pyproject.toml constraints.txt
PYTEST  = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q -n 2 --dist loadfile
NBVAL   = --nbval-lax --nbval-current-env --nbval-cell-timeout=600

export PIP_DISABLE_PIP_VERSION_CHECK = 1

book: .venv/.book
	.venv/bin/jupyter-book build . -n -W --keep-going
	@echo "Now open _build/html/index.html in a browser."

test: .venv/.test
	$(PYTEST)
	$(PYTEST) $(NBVAL) book

execute: .venv/.test
	.venv/bin/python book/_tools/execute.py $(NB)

lint: .venv/.test
	.venv/bin/ruff check .
	.venv/bin/python book/_tools/checks.py

scoreboard: .venv/.test
	.venv/bin/python book/_tools/scoreboard.py
	.venv/bin/python book/_tools/readme.py

bench: .venv/.test
	for f in benchmarks/bench_*.py; do .venv/bin/python $$f || exit 1; done

lab: .venv/.lab
	.venv/bin/jupyter lab book

clean:
	rm -rf _build build .pytest_cache .ruff_cache *.egg-info

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python 3.11 or newer is needed, as in: make book PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.book: .venv/.python $(PINS)
	@echo "Installing what rendering needs into .venv ..."
	.venv/bin/python book/_tools/extra.py book > .venv/book.txt
	$(PIP) -r .venv/book.txt
	touch $@

.venv/.test: .venv/.book
	@echo "Installing PyTorch and the rest into .venv; minutes, the first time ..."
	$(PIP) -e ".[accents,book,digits,forecasting,music,speech,train,video,test]"
	touch $@

.venv/.lab: .venv/.test
	$(PIP) -e ".[all]"
	touch $@

.PHONY: book test execute lint scoreboard bench lab clean
