#!/usr/bin/env bash
# A private LXD cluster on this machine, of three members or as many as are asked
# for, until ^C: scripts/cluster.sh [MEMBERS]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
exec go run ./internal/lxdrun/cluster "$@"
