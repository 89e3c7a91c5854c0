# Everything here needs Go 1.26 or newer and make; `make test` also needs npm (Node 18 or newer) and a C compiler for
# the race detector. Tools are fetched by Go and npm at the versions below; nothing is installed outside of their caches.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BUF           := github.com/bufbuild/buf/cmd/buf@v1.57.2

# Flags for `make run` and `make bench`, e.g. make run ARGS='--data-dir /var/tmp/reckoner'
ARGS ?=
# How long each fuzz target runs in `make fuzz`.
FUZZTIME ?= 20s
# How many seeds `make sim` runs, and how many rounds `make chaos`. SEED makes chaos draw its faults again. KAFKA is
# embedded, or apache for three real brokers, which needs a JDK (17 or newer) and Maven.
SEEDS ?= 2000
ROUNDS ?= 100
SEED ?= 0
KAFKA ?= embedded

.PHONY: help build run test check lint unit sim chaos bench test-kafka test-rules test-ops interop generate fuzz clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/reckoner, without cgo.
	CGO_ENABLED=0 go build -trimpath -o bin/reckoner ./cmd/reckoner

run: build ## Build and start everything in one process, on disk under ./data. Flags go in ARGS.
	exec bin/reckoner dev $(ARGS)

test: check unit sim interop ## Run every test.

check: ## Check formatting.
	@unformatted=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go' -not -path './interop/node_modules/*')); \
	if [ -n "$$unformatted" ]; then echo "not formatted; run gofmt -w:"; echo "$$unformatted"; exit 1; fi

# Apart from `test`, which would compile everything once more without the race detector for it.
lint: ## Run the linters of .golangci.yml, go vet among them.
	go run $(GOLANGCI_LINT) run ./...

unit: ## Run the Go tests with the race detector.
	go test -race -timeout 20m ./...

# Without the race detector: a seed is the work of one goroutine, which the detector makes ten times as long.
sim: ## Simulate the aggregator with all its faults, SEEDS times over. A failure names its seed.
	RECKONER_SIM_SEEDS=$(SEEDS) GOGC=400 go test -count=1 -run '^TestSimulation$$' -timeout 12h ./aggregator

chaos: ## Kill, freeze and starve real processes ROUNDS times under load, then count everything again.
	go test -count=1 -run '^(TestChaos|TestClickHouseIsStopped)$$' -v -parallel 1 -timeout 12h ./internal/chaos -rounds $(ROUNDS) -seed $(SEED) -kafka $(KAFKA) -outage 1m

bench: build ## Measure the performance goals, each beside its floor. Flags go in ARGS, e.g. ARGS='--json FILE'.
	exec bin/reckoner bench $(ARGS)

# The brokers come through Maven into the user's cache, once. One package at a time: three brokers fill two cores.
test-kafka: ## Run the tests on three brokers of Apache Kafka. Needs a JDK (17 or newer) and Maven, too.
	go vet -tags kafka ./internal/kafkatest/... ./internal/e2e/...
	go test -tags kafka -count=1 -p 1 -timeout 10m -run '^TestApache' ./internal/e2e/...

test-rules: ## Check metrics and alert rules with promtool. Needs Debian's package prometheus.
	go vet -tags ops ./internal/opstest/...
	go test -tags ops -count=1 -timeout 10m -run 'ByPromtool|MetricsOfARunning' ./internal/opstest/...

# In minutes, what takes hours in production: the clock of the rules runs faster. The disk that fills is mounted for it, which
# needs root, or sudo without a password.
test-ops: ## Make every alert fire, and run the dashboard and the runbooks, under a real Prometheus. Needs Debian's package prometheus.
	go vet -tags ops ./internal/opstest/...
	go test -tags ops -count=1 -timeout 20m ./internal/opstest/...

interop: build interop/node_modules/.package-lock.json ## Drive a running server with clients nobody here wrote.
	cd interop && node --test

interop/node_modules/.package-lock.json: interop/package.json interop/package-lock.json
	cd interop && npm ci --no-audit --no-fund
	@touch $@

generate: ## Generate the protobuf code and format.
	cd deploy/schema && go run $(BUF) generate
	gofmt -w $$(git ls-files '*.go')

fuzz: ## Run every fuzz target for FUZZTIME.
	@set -euo pipefail; \
	for pkg in $$(go list ./...); do \
		dir=$$(go list -f '{{.Dir}}' $$pkg); \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | sed 's/^func //' | sort -u); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

clean: ## Remove what was built. Data stays.
	rm -rf bin interop/node_modules
