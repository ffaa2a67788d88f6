# The default build is pure Go: Go alone is needed. `make help` lists the targets.
GO ?= go
export CGO_ENABLED ?= 0

.PHONY: help build test vet arm64 test-arm64 coverage fuzz crash-test

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

build: ## build every command into bin/
	$(GO) build -o bin/ ./cmd/...

test: ## run all tests
	$(GO) test ./...

vet: ## formatting and vet
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...

arm64: ## cross-build everything, tests included, for arm64
	GOARCH=arm64 $(GO) build ./...
	GOARCH=arm64 $(GO) vet ./...

QEMU_ARM64 ?= qemu-aarch64
test-arm64: ## run the tests of the kernels and of what is built on them for arm64, in Debian's qemu-user
	GOARCH=arm64 $(GO) test -exec $(QEMU_ARM64) ./kernels ./kernels/host ./emdiff/metric ./emdiff/physics ./emdiff/diffusion

CRASHES ?= 200
CRASH_SEED ?= 0
crash-test: ## kill runs CRASHES (200) times and hold what they end with to a run left alone; CRASH_SEED replays the kills
	$(GO) test -run '^TestAKilledRunEndsAsIfItHadNeverBeen$$' -count=1 -v -timeout 1h ./cmd -crashes $(CRASHES) -crash-seed $(CRASH_SEED)

FUZZTIME ?= 10m
fuzz: ## fuzz the readers of files, one after the other, for FUZZTIME (10m) each
	for f in IDX CIFAR NPY Image Zip Tar; do $(GO) test -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime $(FUZZTIME) ./emdiff/data || exit 1; done
	$(GO) test -run '^$$' -fuzz '^FuzzReadSafetensors$$' -fuzztime $(FUZZTIME) ./nn

include kernels/cuda/ptx.mk kernels/cuda/simt/simt.mk gpu/cudrv/cuda.mk bench/peers/torch/peers.mk

coverage: ## statement coverage of the method and the network code
	@mkdir -p bench/out
	$(GO) test -coverpkg=./emdiff/...,./nn/... -coverprofile=bench/out/cover.out ./emdiff/... ./nn/...
	$(GO) tool cover -func=bench/out/cover.out | tail -1

include bench/bench.mk
