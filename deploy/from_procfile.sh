#!/bin/sh
# Become one process of the Procfile: `deploy/from_procfile.sh web`.
set -eu
cd "$(dirname "$0")/.."
command=$(sed -n "s/^$1: *//p" Procfile)
[ -n "$command" ] || { echo "The Procfile has no process called $1." >&2; exit 1; }
eval "$command"
