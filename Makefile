# What this project does, by name. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# cmake may live in .venv and promtool in .tools when they are not installed on the machine: see scripts/setup.
export PATH := $(PATH):$(CURDIR)/.venv/bin:$(CURDIR)/.tools/usr/bin

# One folder for everything that is built; honours a folder of the caller's.
TARGET := $(or $(CARGO_TARGET_DIR),target)
step = @printf '\n== %s (%s)\n' "$(1)" "$$(date -u +%H:%M:%S)"

.PHONY: help setup demo test bench lint fmt docs ci build unit clients

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what building and testing need
	@scripts/setup test

# The dev profile: it is what `make test` builds as well, and the demo is not a measurement. Dependencies are optimised in it.
demo: ## Build and run the shop example, with curl lines to paste
	@scripts/setup build
	cargo build --quiet --locked --package trellis-gateway
	exec $(TARGET)/debug/trellis demo

test: lint build unit docs clients ## Install what the tests need and run every check and test
	$(call step,all checks and tests passed)

build: setup
	$(call step,build)
	# Tests and binaries in one go, so that both see the same features of every dependency and nothing is built twice.
	cargo build --locked --workspace --bins --tests

unit: build ## Run the Rust tests, end to end included
	$(call step,Rust tests)
	cargo test --locked --workspace

clients: build ## Run the tests with third-party clients
	$(call step,third-party clients)
	TRELLIS=$(abspath $(TARGET))/debug/trellis .venv/bin/python -m pytest tests/clients

lint: setup ## Check format, lints and the direction of dependencies
	$(call step,format)
	cargo fmt --all --check
	$(call step,dependency direction)
	scripts/check-dependencies
	$(call step,lints)
	cargo clippy --locked --workspace --all-targets -- --deny warnings

docs: setup ## Build the API documentation; a broken link is an error
	$(call step,documentation)
	RUSTDOCFLAGS="--deny rustdoc::broken_intra_doc_links --allow rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --document-private-items

fmt: ## Format the code
	cargo fmt --all

bench: ## Measure against HAProxy, nginx and Envoy; prints CPU per request
	@scripts/setup bench
	benches/run

ci: ## Run exactly what CI runs
	@.ci/run
