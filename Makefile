.PHONY: help demo test check bench chaos

help: ## Say what there is.
	@sed -n 's/^\([a-z]*\): ## /make \1\t/p' Makefile

demo: ## From an Android package to running instances and back, step by step.
	@scripts/demo.sh

test: ## All tests, with the race detector, on a real LXD where it can run.
	@scripts/test.sh

check: ## All that CI asks for: format, lint, tests, a short fuzz.
	@scripts/check.sh

bench: ## Measure; the table is also written to build/bench.json.
	@scripts/setup.sh
	@go run ./bench

chaos: ## Long campaigns: make chaos KILLS=1000 CHAOS=10m SEED=1
	@scripts/setup.sh
	GOGC=400 go test -count=1 -timeout 1h -v -run TestCampaign . -campaign.nodes 200 -campaign.instances 20000 -campaign.time 1h -campaign.seed $(or $(SEED),1)
	AMS_CHAOS=$(or $(CHAOS),10m) AMS_SEED=$(SEED) go test -count=1 -timeout 1h -v -run TestChaosOnCluster ./internal/killtest
	AMS_KILLS=$(or $(KILLS),1000) go test -count=1 -timeout 6h -v -run 'TestKills' ./internal/killtest
