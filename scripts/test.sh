#!/bin/sh
# Runs all tests, under the race detector, and sums them up. Arguments go to
# "go test".
set -eu
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
scripts/setup.sh

# Where LXD can run, its tests must: one that cannot is a failure, not a skip.
if scripts/setup.sh --lxd; then
	export AMS_REQUIRE_LXD=1
fi

go build -o build/testsum ./scripts/testsum
packages=./...
race=-race
if ! command -v gcc >/dev/null 2>&1 && ! command -v cc >/dev/null 2>&1; then
	# Without a C compiler there is neither SQLite nor the race detector.
	export CGO_ENABLED=0
	race=
	packages=$(go list -test -f '{{if not .ForTest}}{{.ImportPath}}{{end}} {{join .Deps " "}}' ./... |
		build/testsum -without github.com/mattn/go-sqlite3)
fi
go vet $packages
# shellcheck disable=SC2086 # lists of words
go test -json $race -timeout 14m "$@" $packages | build/testsum
