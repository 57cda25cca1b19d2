# Two commands for a fresh machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
DEMO := .venv/demo
TEST := .venv/test

# Nothing reaches out at run time; libraries that would like to are told so.
export HF_HUB_OFFLINE := 1
export NO_ALBUMENTATIONS_UPDATE := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test lint types contracts pytest pacs-long bench clean

demo: $(DEMO)/ready
	$(DEMO)/bin/vertebrometer measure examples/films --out demo-out --again

test: $(TEST)/ready lint types contracts pytest

lint: $(TEST)/ready
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .

types: $(TEST)/ready
	$(TEST)/bin/mypy

contracts: $(TEST)/ready
	$(TEST)/bin/lint-imports

pytest: $(TEST)/ready
	OMP_NUM_THREADS=1 $(TEST)/bin/pytest -n 2 --dist loadfile -m "not slow"

# The node's long forms: 20 kills under 200 films, 100 senders, 10 films a second for a minute, 2,000 damaged inputs.
pacs-long: $(TEST)/ready
	OMP_NUM_THREADS=1 $(TEST)/bin/pytest -m slow tests/listener

# Figures of docs/validation.md: 200 phantoms that nothing was trained on.
bench: $(TEST)/ready
	$(TEST)/bin/vertebrometer phantom --count 200 --seed 2026 --out runs/bench/films
	$(TEST)/bin/vertebrometer measure runs/bench/films --out runs/bench/reports --quiet || true
	$(TEST)/bin/vertebrometer evaluate --truth runs/bench/films/truth.json --reports runs/bench/reports

$(DEMO)/ready: pyproject.toml $(shell find src -name '*.py' -o -name '*.onnx')
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check .
	touch $@

$(TEST)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	touch $@

clean:
	rm -rf .venv demo-out build dist
