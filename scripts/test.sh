#!/usr/bin/env bash
# Runs all tests, under the race detector, and sums them up. Arguments go to
# "go test".
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
scripts/setup.sh

# Where LXD can run, its tests must: one that cannot is a failure, not a skip.
if scripts/setup.sh --lxd; then
	export AMS_REQUIRE_LXD=1
fi
# What ran before counts only where nothing else did.
if [ "${CI:-}" = true ]; then
	set -- -count=1 "$@"
fi

go build -o build/testsum ./scripts/testsum
packages=(./...)
race=(-race)
if ! command -v gcc >/dev/null && ! command -v cc >/dev/null; then
	# Without a C compiler there is neither SQLite nor the race detector.
	export CGO_ENABLED=0
	race=()
	mapfile -t packages < <(go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... |
		grep -v github.com/mattn/go-sqlite3 | sed -n 's/^\([^ ]*\)\.test .*/\1/p')
fi
# The packages with tests on a real LXD are counted apart.
real=$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' "${packages[@]}" |
	sed -n 's/ .*internal\/lxdtest.*//p' | paste -sd, -)

go vet "${packages[@]}"
if go test -json "${race[@]}" -timeout 14m "$@" "${packages[@]}" | build/testsum -lxd "$real" -again build/again; then
	exit 0
fi
# On a machine with too much to do, LXD 5.0 can lose what it was told. A few failures
# on it, and no others, get a second try, which is told.
[ -s build/again ] || exit 1
while read -r package tests; do
	echo "once more: $package $tests"
	go test -json "${race[@]}" -timeout 14m -count=1 -run "$tests" "$package" </dev/null | build/testsum -lxd "$real"
done <build/again
echo "passed only when run once more:"
cat build/again
