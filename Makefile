# The front door. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test node simulate bench micro scale commands check deny charts fmt tools cluster image
CARGO ?= cargo
# How many schedules are a part of the tests.
TESTED = 600
# Schedules that ended badly once.
MENDED = 911 1088 1713 1729 1800 2102 2124 2849 2877 3128 3138 7199
# Another minor version of Kubernetes than the newest, as in: make test KUBERNETES=1.32
KUBERNETES ?=
export REROLL_KUBERNETES ?= $(KUBERNETES)
# tokio's own chance has a seed only so.
seeded = RUSTFLAGS="$${RUSTFLAGS-} --cfg tokio_unstable" $(CARGO) $(1) --locked --profile $(or $(REROLL_PROFILE),simulate)
# The tests on the cluster wait more than they compute.
export RUST_TEST_THREADS ?= 10

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: tools ## watch reroll at work in a cluster started for the purpose
	@$(CARGO) build --locked --quiet --bin reroll
	@$(CARGO) run --locked --quiet --example demo

# Before a merge, tests draw the same each time: what fails is the change's. Nightly they draw anew.
test: export REROLL_SEED ?= 11
test: export PROPTEST_RNG_SEED ?= 1
# The programs that tests run are optimized, with the checks of a debug build, which takes three times the processor time.
test: export REROLL_PROFILE ?= checked
# Go collects its garbage less often: the control plane takes a tenth less of the processors, and twice the memory.
test: export GOGC ?= 400
test: tools check charts ## everything that is checked before a merge
	@tests/cluster/up path gitops >/dev/null
	$(call seeded,build) --bins --package reroll --package reroll-schedules
	$(CARGO) test --locked --workspace
	@if lacks=$$(tests/cluster/node lacks) || [ -n "$(REROLL_NODE)" ]; then $(MAKE) --no-print-directory node; \
	  else printf '%s\n' "$$lacks" | sed 's/^/make node is left out, for this machine lacks /'; fi
	@$(MAKE) --no-print-directory simulate SEEDS=$(TESTED)
	@for seed in $(MENDED); do $(MAKE) --no-print-directory simulate SEED=$$seed || exit 1; done

# As root, with the programs that tests/cluster/README.md lists. `make test` leaves it out where something is missing, or
# fails there if REROLL_NODE is not empty. The tests wait for pods, most of the time.
node: export RUST_TEST_THREADS = 16
node: tools ## run the tests whose pods really run, on real nodes
	@lacks=$$(tests/cluster/node lacks) || { printf '%s\n' "$$lacks" | sed 's/^/make node: this machine lacks /' >&2; exit 1; }
	@tests/cluster/up path kubelet >/dev/null
	$(CARGO) test --locked --test node

# By SEED, SEEDS and OPERATIONS, as in: make simulate SEED=7, and by ARGS, as in: make simulate SEED=7 ARGS=--trace
simulate: ## run reroll through random schedules in a cluster in one process
	@$(call seeded,run) --quiet --package reroll-schedules -- $(ARGS)

check: deny ## formatting, lints, documentation and dependencies, without a cluster
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --test node -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@if [ -x scripts/style ]; then scripts/style; fi

# An offline look at what clippy downloads too, but for another platform than deny.toml's.
deny: ## check what is depended on: bans, licences, sources
	@$(CARGO) fetch --locked --quiet --target x86_64-unknown-linux-gnu
	@cargo_deny=$$(tests/cluster/up path cargo-deny) && \
	  "$$cargo_deny" --offline --locked --workspace check -D warnings bans licenses sources

# Scenarios and options by ARGS, as in: make bench ARGS="reaction burst --repeats 10 --json results.json"
# Beside another binary of reroll, such as that of before: make bench ARGS="reaction start20k --beside PATH"
# Plots, and tables, of results that are there: make bench ARGS="--from results.json --plots target/plots"
bench: tools ## measure it on a real control plane, beside the same writes by a plain client
	$(CARGO) bench --locked --bench cluster -- $(ARGS)

# A name, or a part of one, by ARGS, as in: make micro ARGS=digest
micro: ## measure what is computed in memory, against the last time
	$(CARGO) bench --locked --bench micro -- $(ARGS)

scale: ## measure the index of a huge cluster, in memory
	$(CARGO) bench --locked --bench scale

commands: ## measure how long commands take that ask about 2,000 workloads
	$(CARGO) bench --locked --bench commands

charts: ## lint and test the chart, its alerts and the manifests that are rendered from it
	charts/check

image: ## build the image without a container engine, into reroll-image.tar
	scripts/image reroll-image.tar

fmt: ## format the code
	$(CARGO) fmt --all

tools: ## build the binaries of the test cluster, unless they are there
	@tests/cluster/up build

cluster: tools ## run a cluster to try things by hand, until Ctrl-C
	@tests/cluster/up try
