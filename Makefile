.PHONY: demo test test-full lint format setup lock

PY := .venv/bin/python

demo: setup  ## A trained policy adapts to a changed CALVIN scene: sweep and report
	$(PY) pipelines/ttt_sweep.py --config configs/quickstart.yaml

test: setup  ## All tests
	$(PY) -m pytest

test-full: setup  ## Also the tests at the published model size
	WORLDAGEN_FULL=1 $(PY) -m pytest

lint: setup  ## Style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

setup:
	@./setup.sh

lock:  ## Rewrite requirements.lock from what is installed in .venv
	$(PY) -m pip freeze --all --exclude-editable \
	  | grep -viE '^(worldagen|pip|robosuite|hf-libero|bddl)\b' | sed 's/+cpu//;s/+cu[0-9]*//' | grep -viE '^(nvidia|triton|cuda)' > requirements.lock
