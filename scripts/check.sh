#!/usr/bin/env bash
# Everything that must hold before a change goes in.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
step() { printf '== %s\n' "$1"; }

step "format"
unformatted=$(git ls-files --cached --others --exclude-standard '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'gofmt changes these files:\n%s\n' "$unformatted" >&2
	exit 1
fi

step "lint"
# A module of its own, so that the linter is none of the library's dependencies.
(cd tools && go build -o ../build/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
build/golangci-lint run ./...

step "go mod tidy"
go mod tidy -diff
(cd tools && go mod tidy -diff)

step "generated files"
before=$(git diff | sha256sum)
go generate ./...
if [ "$before" != "$(git diff | sha256sum)" ]; then
	git diff --stat >&2
	echo "generated files were out of date" >&2
	exit 1
fi

step "tests"
AMS_LONG=1 scripts/test.sh

step "fuzz"
scripts/fuzz.sh 20s
