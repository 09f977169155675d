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

chaos: ## Kill the program many more times than the tests do: make chaos KILLS=1000
	@scripts/setup.sh
	AMS_KILLS=$(or $(KILLS),1000) go test -count=1 -timeout 6h -v -run 'Kill' ./internal/killtest
