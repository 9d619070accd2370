# GNU make. `make test` needs Rust and a C compiler. Other targets install their
# tools under target/tools, or report what is missing.

BUF_VERSION        := v1.75.0
GRPCURL_VERSION    := v1.9.4
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
# Only for Miri.
NIGHTLY            := nightly
# The Go release that builds buf and grpcurl.
GO_MINOR           := 26

TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
# One directory per version, so that a new pin leads to a new installation.
BUF     := $(TARGET)/tools/buf-$(BUF_VERSION)/buf
GRPCURL := $(TARGET)/tools/grpcurl-$(GRPCURL_VERSION)/grpcurl
DENY    := $(TARGET)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
FUZZ    := $(TARGET)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
# The packages of tests/interop/protocol.py, as its requirements.txt pins them.
PYTHON  := $(TARGET)/tools/python

# How long each fuzz target runs.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS := fast_path batch config times

.DEFAULT_GOAL := help
.PHONY: help run build test test-bench examples schedules model seeded-bugs check miri fuzz lint fmt doc deny interop generate-check \
        proto-lint generate bench clean cargo rustfmt clippy nightly-miri go python3 h2load peers

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: cargo ## Build the release binary and serve on 127.0.0.1:50051 (more arguments: ARGS=...)
	cargo run --release --locked -- serve $(ARGS)

build: cargo ## Build the release binary: target/release/credcache
	cargo build --release --locked -p credcache

test: cargo ## Run the tests of the program, its crates and the client; needs only Rust and a C compiler
	cargo test --locked

test-bench: cargo ## Run the tests of the bench
	cargo test --locked -p credcache-bench

examples: cargo ## Run the examples, each with a server of its own
	cargo run --locked --example five_seconds
	cargo run --locked --example aws_session

schedules: cargo ## Try more than 100,000 schedules of the core's threads (more arguments: ARGS=...)
	cargo test --locked -p credcache-core --features shuttle --test schedules -- $(ARGS)

model: cargo ## Run the model test for 100 million steps
	CREDCACHE_MODEL_STEPS=100000000 cargo test --release --locked -p credcache-core --test model -- --nocapture

seeded-bugs: cargo ## Put deliberate faults into the code in turn: the tests must catch each (some: ARGS=...)
	tests/seeded_bugs.sh $(ARGS)

check: lint doc test test-bench schedules examples ## Run lint, doc, test, test-bench, schedules and examples

miri: nightly-miri ## Run the tests of packed/, the only unsafe code, under both of Miri's borrowing models
	MIRIFLAGS='-Zmiri-permissive-provenance' \
	  cargo +$(NIGHTLY) miri test --locked --target-dir $(TARGET)/miri -p credcache-packed
	MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-tree-borrows' \
	  cargo +$(NIGHTLY) miri test --locked --target-dir $(TARGET)/miri -p credcache-packed

fuzz: $(FUZZ) ## Look for inputs that break a property, with each fuzz target for FUZZ_SECONDS (fuzz/README.md)
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p $(TARGET)/fuzz/corpus/$$target && \
	  $(FUZZ) run --sanitizer none --target-dir $(TARGET)/fuzz $$target \
	    $(TARGET)/fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 || exit 1; \
	done

lint: rustfmt clippy ## Check formatting, the documents' links and circles of use between files; run clippy with warnings denied
	tests/links.sh
	cargo fmt --all --check
	cargo test --locked -p credcache-layout
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p credcache-core --features shuttle --lib --test schedules --locked -- -D warnings

fmt: rustfmt ## Format the Rust sources
	cargo fmt --all

doc: cargo ## Build the documentation with private items and with warnings denied
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

deny: $(DENY) ## Check the dependencies' advisories, bans, licences and sources (some: DENY_CHECKS=...)
	$(DENY) check $(DENY_CHECKS)

interop: proto-lint $(GRPCURL) $(PYTHON)/installed build ## Lint the contract; drive the release binary with grpcurl and gRPC for Python
	GRPCURL=$(GRPCURL) tests/interop/grpcurl.sh $(TARGET)/release/credcache
	$(PYTHON)/bin/python tests/interop/protocol.py $(TARGET)/release/credcache

generate-check: $(BUF) build ## Generate clients for Go, Java, Python and TypeScript, and run each against the release binary
	tests/languages/clients.sh $(BUF) $(TARGET)/release/credcache $(TARGET)/languages

proto-lint: $(BUF) ## Lint the contract and check its formatting with buf
	$(BUF) lint
	$(BUF) format --diff --exit-code

generate: cargo ## Regenerate the Rust client's code after a change to the contract
	CREDCACHE_GENERATE=1 cargo test --locked -p credcache-generated

bench: cargo h2load peers ## Measure credcache beside Redis, memcached, etcd and bare HTTP/2 (bench/README.md; ARGS=...)
	cargo build --release --locked -p credcache -p credcache-bench
	$(TARGET)/release/compare $(ARGS)

clean: cargo ## Delete everything built and installed, including target/tools
	cargo clean

# The tools that have to be on the machine. Each target reports a missing tool and
# how to get it.

cargo:
	@command -v cargo >/dev/null || { \
	  echo 'make needs cargo, of the Rust release that Cargo.toml names as rust-version or later' >&2; exit 1; }

rustfmt clippy: cargo
	@cargo $(@:rustfmt=fmt) --version >/dev/null 2>&1 || { \
	  echo 'make needs $@: rustup component add $@' >&2; exit 1; }

nightly-miri: cargo
	@cargo +$(NIGHTLY) miri --version >/dev/null 2>&1 || \
	  rustup toolchain install $(NIGHTLY) --profile minimal --component miri --component rust-src || { \
	  echo 'make miri needs Miri: rustup toolchain install $(NIGHTLY) --component miri --component rust-src' >&2; \
	  exit 1; }

# An older Go may download a newer one if the user's settings allow that, so this
# isn't relied on.
go:
	@command -v go >/dev/null || { \
	  echo 'make interop needs Go >= 1.$(GO_MINOR) to build buf and grpcurl: go is not on the PATH' >&2; exit 1; }
	@found=$$(go env GOVERSION); minor=$${found#go1.}; minor=$${minor%%[!0-9]*}; \
	[ "$${minor:-0}" -ge $(GO_MINOR) ] || { \
	  echo "make interop needs Go >= 1.$(GO_MINOR) to build buf and grpcurl: this is $$found" >&2; exit 1; }

python3:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo 'make interop needs Python 3 with venv: apt-get install python3-venv' >&2; exit 1; }

h2load:
	@command -v h2load >/dev/null || { $(call install,nghttp2-client); } || { \
	  echo 'make bench needs h2load: apt-get install nghttp2-client' >&2; exit 1; }

# A missing peer is reported as not measured. RUNLEVEL=1 keeps Debian from starting
# the services that it installs.
peers:
	@command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null || { $(call install,redis-server redis-tools); } || true
	@command -v memcached >/dev/null || { $(call install,memcached); } || true
	@command -v etcd >/dev/null || { $(call install,etcd-server); } || true
	@command -v valgrind >/dev/null || { $(call install,valgrind); } || true

install = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo 'installing $(1)'; apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends $(1); \
  else echo 'missing; root has to install: $(1)' >&2; false; fi

# GOFLAGS is emptied because -mod=vendor from the environment would break these
# commands.
$(BUF): | go
	GOFLAGS= GOBIN=$(@D) go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)

$(GRPCURL): | go
	GOFLAGS= GOBIN=$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION)

$(PYTHON)/installed: tests/interop/requirements.txt | python3
	python3 -m venv --clear $(PYTHON)
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(FUZZ): | cargo
	cargo install cargo-fuzz --locked --version $(CARGO_FUZZ_VERSION) --root $(TARGET)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)

$(DENY): | cargo
	cargo install cargo-deny --locked --version $(CARGO_DENY_VERSION) --root $(TARGET)/tools/cargo-deny-$(CARGO_DENY_VERSION)
