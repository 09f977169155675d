#!/bin/sh
# Shows the library at work: examples/quickstart, on LXD where there is one.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
scripts/setup.sh
# A program of its own gets the terminal's Ctrl-C and cleans up; "go run" would
# report an interrupt as a failure.
go build -o build/quickstart ./examples/quickstart
exec build/quickstart "$@"
