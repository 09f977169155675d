#!/usr/bin/env bash
# Fuzzes each target of the module for a while: scripts/fuzz.sh [time], 20s by
# default.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file _ target; do
	target=${target#func }
	echo "fuzz: $target in $(dirname "$file"), $time"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null >build/fuzz.log 2>&1 ||
		{ cat build/fuzz.log; exit 1; }
done
