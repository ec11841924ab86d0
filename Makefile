# Every task of the project has its door here; CI and pre-commit call these and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
EXTRAS = cli,plot,dataframe,test,lint
STAMP = $(VENV)/.dependencies

.DEFAULT_GOAL := help
.PHONY: help dev demo test test-rust test-python test-torch fast lint fmt notebooks bench fixtures fuzz sanitize wheels all

help: ## show what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# maturin builds our own package; pip only brings what it depends on.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip 'maturin>=1.14,<2'
	$(BIN)/maturin develop --release --quiet --extras $(EXTRAS)
	touch $@

dev: $(STAMP) ## build the package into a private virtual environment
	$(BIN)/maturin develop --release --quiet --skip-install
	$(BIN)/python -c 'import kinatlas'

demo: dev ## rank and evaluate on the bundled real prompts; pictures in demo-out/
	$(BIN)/kinatlas demo --out demo-out

test: test-rust test-python ## run every test that needs no torch

test-rust:
	cargo test --quiet --no-default-features

test-python: dev
	$(BIN)/python -m pytest -q

test-torch: dev ## install torch and peft, run their tests, compare the fixtures with today's peft
	$(BIN)/maturin develop --release --quiet --extras $(EXTRAS),peft
	$(BIN)/python -m pytest -q tests python/kinatlas/torch -k "torch or peft or pickle"

fast: test-rust dev ## the tests worth running after each change
	$(BIN)/python -m pytest -q -x -m "not slow"

lint: dev ## formatting, clippy, ruff, mypy, stubs
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	cargo clippy --all-targets --no-default-features --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --allowlist tests/stubtest_allowlist.txt kinatlas._core

fmt: ## format Rust and Python
	cargo fmt
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

notebooks: dev ## execute every notebook from top to bottom
	$(BIN)/maturin develop --release --quiet --extras $(EXTRAS),docs,torch
	$(BIN)/python -m pytest -q --nbmake --nbmake-timeout=600 notebooks/*.ipynb tests/test_jupyter_restart.py

bench: dev ## measure our kernels beside their peers, in one run
	$(BIN)/maturin develop --release --quiet --extras $(EXTRAS),torch
	cargo bench --no-default-features --bench product
	$(BIN)/python benches/similarity.py
	$(BIN)/python benches/similarity_screened.py
	$(BIN)/python benches/icl.py
	$(BIN)/python benches/embeddings.py
	$(BIN)/python benches/consistency.py
	$(BIN)/python benches/superposition.py
	$(BIN)/python benches/behavior.py
	$(BIN)/python benches/scale_out.py
	$(BIN)/python benches/out_of_core.py
	$(BIN)/python benches/low_rank.py
	$(BIN)/python benches/retrieval.py
	$(BIN)/python benches/recommender.py
	OPENBLAS_NUM_THREADS=1 $(BIN)/python benches/transferability.py

fixtures: dev ## rewrite tests/fixtures with today's peft
	$(BIN)/maturin develop --release --quiet --extras $(EXTRAS),peft
	$(BIN)/python tests/fixtures/make_fixtures.py

fuzz: ## attack the file readers for ten minutes; needs nightly Rust and cargo-fuzz
	cargo +nightly fuzz run weights -- -max_total_time=300 -max_len=8192
	cargo +nightly fuzz run adapters -- -max_total_time=300 -max_len=2048

# Inline assembly is beyond the sanitizer's sight and within valgrind's, which knows no AVX-512 and
# says so to programs: of the paths it leaves AVX2 and the portable one.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
sanitize: ## vector instructions under AddressSanitizer and valgrind; needs nightly Rust
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test --lib --no-default-features \
		--target $(HOST) --target-dir target/sanitize linalg::simd
	PROPTEST_CASES=4 CARGO_TARGET_$(shell echo $(HOST) | tr 'a-z-' 'A-Z_')_RUNNER="valgrind --quiet --error-exitcode=9" \
		cargo test --lib --no-default-features --target $(HOST) --target-dir target/sanitize \
		linalg::simd -- --skip the_measured_peak

wheels: $(STAMP) ## build the wheel and the source archive into dist/
	$(BIN)/maturin build --release --sdist --out dist
	$(BIN)/python -m zipfile --list dist/kinatlas-*.whl

all: lint test test-torch notebooks demo ## everything CI runs
