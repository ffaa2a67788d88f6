# Benchmarks: BENCH chooses (go test -bench), BENCHTIME is the time for each, LEVELS is all or best.
.PHONY: bench bench-baseline bench-diff roofline

BENCH ?= .
BENCHTIME ?= 50ms
LEVELS ?= all
bench: ## benchmark ops, networks, samplers and EM, ten minutes; BENCH=Conv2D, LEVELS=best and so on for less
	@mkdir -p bench/out
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -timeout 1h ./bench -levels $(LEVELS) | tee bench/out/bench.txt

# What is compared: one network, and vectors in the caches, a few times each.
DIFF ?= /impl=host/level=.*/threads=.*/(net=small|size=l2|use=)
DIFF_COUNT ?= 6
FALL ?= 15
BENCHSTAT ?= $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

define bench-shares
	@mkdir -p bench/out
	$(GO) test -run '^$$' -bench '$(DIFF)' -benchtime 20ms -count $(DIFF_COUNT) -timeout 1h ./bench -levels best >bench/out/diff.txt || { grep -A9 -e '^--- FAIL' -e '^#' bench/out/diff.txt; exit 1; }
	$(GO) run ./bench/diff shares bench/out/diff.txt $(1)
endef

bench-baseline: ## measure the shares of ceilings that make bench-diff compares with, bench/baseline.txt; three minutes
	$(call bench-shares,bench/baseline.txt)

bench-diff: ## compare shares of ceilings with bench/baseline.txt; fails where an op fell by more than FALL (15) percent
	$(call bench-shares,bench/out/shares.txt)
	$(BENCHSTAT) bench/baseline.txt bench/out/shares.txt
	$(GO) run ./bench/diff gate --fall $(FALL) bench/baseline.txt bench/out/shares.txt

ROOFLINE ?= /impl=host/level=.*/threads=.*/(net=|size=memory|use=)
roofline: ## draw docs/img/roofline.svg and fill the table of docs/performance.md, five minutes
	@mkdir -p bench/out
	$(GO) test -run '^$$' -bench '$(ROOFLINE)' -benchtime 50ms -timeout 1h ./bench -levels best >bench/out/roofline.txt || { grep -A9 -e '^--- FAIL' -e '^#' bench/out/roofline.txt; exit 1; }
	$(GO) run ./bench/roofline bench/out/roofline.txt --svg docs/img/roofline.svg --page docs/performance.md --command 'make roofline'
