# One line over cargo each; `make setup` runs by itself where something would be missing without it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARACAL_TOOLS ?= $(HOME)/.cache/caracal-tools
export CARACAL_TOOLS
export PATH := $(CARACAL_TOOLS)/bin:$(PATH)
include ebpf/builder/toolchain.env
NIGHTLY := +$(EBPF_TOOLCHAIN)
# Rings 2 and 3 load programs and make namespaces.
FUZZ_SECONDS ?= 60
SECONDS ?= 3600

.PHONY: help setup setup-build setup-test setup-bench setup-fuzz build ebpf demo test check fmt fmt-check clippy deny typos doc bench soak fuzz install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## install toolchains and tools; the other targets call it
	@install/setup.sh

setup-build:
	@install/setup.sh build

setup-test:
	@install/setup.sh test

setup-bench:
	@install/setup.sh bench

setup-fuzz:
	@install/setup.sh fuzz

build: setup-build ## all binaries, for trying out
	cargo build --workspace --exclude caracal-ebpf --exclude caracal-test-ebpf

ebpf: setup-build ## the eBPF object alone; prints its path
	cargo run --quiet --package caracal-ebpf-builder -- target/ebpf

demo: setup-build ## two nodes, pods on them, and who can talk to whom (root; KEEP=1 leaves it up)
	@install/demo.sh

test: setup-test ## every test: host, TEST_RUN and lab (root for the last two)
	@tests/run.sh

check: setup fmt-check clippy deny typos doc ## what a reviewer runs; no privileges

fmt: setup-build ## format everything
	cargo $(NIGHTLY) fmt --all

fmt-check:
	cargo $(NIGHTLY) fmt --all -- --check

clippy:
	cargo clippy --workspace --exclude caracal-ebpf --exclude caracal-test-ebpf --all-targets -- -D warnings
	RUSTFLAGS='--cfg=bpf_target_arch="x86_64"' cargo $(NIGHTLY) clippy --package caracal-ebpf --package caracal-test-ebpf \
		--target bpfel-unknown-none -Z build-std=core --target-dir target/ebpf -- -D warnings

deny:
	install/deny.sh

typos:
	typos

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude caracal-ebpf --exclude caracal-test-ebpf --no-deps --document-private-items --quiet

bench: setup-bench ## figures beside the peers', target/bench/report.json (root; ROWS=cni: only those with that in their name)
	cargo build --release --package caracal-cni-plugin --package caracal-agent --package caracal-ctl --package caracal-lab \
		--package caracal-bench
	"$${CARGO_TARGET_DIR:-target}"/release/caracal-bench --rows "$(ROWS)"

soak: setup-test ## mixed traffic between two nodes for SECONDS, and what grows meanwhile (root); a line every minute
	cargo build --release --package caracal-cni-plugin --package caracal-agent --package caracal-ctl --package caracal-lab \
		--package caracal-integration
	"$${CARGO_TARGET_DIR:-target}"/release/caracal-soak $(SECONDS)

fuzz: setup-fuzz ## each fuzz target for FUZZ_SECONDS
	@tests/fuzz/run.sh $(FUZZ_SECONDS)

install: setup-build ## release binaries into DESTDIR/opt/cni/bin and DESTDIR/usr/local/bin
	cargo build --release --package caracal-cni-plugin --package caracal-ipam --package caracal-agent --package caracal-ctl
	install -D -t $(DESTDIR)/opt/cni/bin target/release/caracal target/release/caracal-ipam
	install -D -t $(DESTDIR)/usr/local/bin target/release/caracal-agent target/release/caracalctl

clean: ## remove everything built
	cargo clean
