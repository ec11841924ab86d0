# Every task of the project has its door here; CI and pre-commit call these and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
EXTRAS = cli,plot,dataframe,test,lint

.DEFAULT_GOAL := help
.PHONY: help dev test test-rust test-python fast lint fmt all clean

help: ## show what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

dev: $(BIN)/python ## build the package into a private virtual environment
	$(BIN)/python -m pip install --quiet '.[$(EXTRAS)]'

test: test-rust test-python ## run every test

test-rust:
	cargo test --quiet --no-default-features

test-python: dev
	$(BIN)/python -m pytest -q

lint: dev ## formatting, clippy, ruff, mypy, stubs
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	cargo clippy --all-targets --no-default-features --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest kinatlas._core

fmt: ## format Rust and Python
	cargo fmt
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

all: lint test ## everything CI runs
