# The index of everything; `make` prints it.
.PHONY: help up down clean cluster cluster-down test check fmt lint dashboard e2e conformance torture bench deb

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

up: ## a running cloud with one server in it, from nothing
	@deploy/up

down: ## stop the cloud; its data and guests stay
	@test ! -e .nephos || test -x target/debug/nephos || cargo build --workspace --locked
	@test ! -e .nephos || target/debug/nephos down

clean: ## stop the cloud and remove its guests, its network and its data from this machine
	@deploy/clean

cluster: ## several processes and three hosts on this machine, from nothing: PostgreSQL, RabbitMQ, TLS in front
	@deploy/cluster up

cluster-down: ## end the cluster; nothing of it stays
	@deploy/cluster down

test: ## every test, those in a browser, black-box ones and the cluster's included
	@tests/run services postgres dashboard blackbox

check: ## does it compile
	@cargo check --workspace --all-targets

fmt: ## format the source
	@cargo fmt --all

lint: ## formatting and lints, as CI has them
	@tests/run fmt lint

dashboard: ## the web interface in Chromium: every screen, light and dark, and walks through it
	@tests/run dashboard

e2e: ## black-box tests with the ordinary clients and real guests
	@tests/run e2e

conformance: ## the Tempest tests that pass, which may not become fewer, and a few of each service against three hosts
	@tests/run conformance

torture: ## parts of a cluster die under load, each at least 20 times; ARGS="--seed N --rounds N --kinds api,host"
	@ARGS="$(ARGS)" tests/run torture

bench: ## figures with units, each beside its aim
	@tests/bench/run

deb: ## packages for Debian of a release build, in target/debian
	@deploy/setup build
	@deploy/build-dashboard
	@cargo build --release --workspace --locked
	@deploy/package
