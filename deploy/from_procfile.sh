#!/bin/sh
# Become one process of the Procfile: `deploy/from_procfile.sh web`. By systemd, too, which knows neither .venv nor PORT.
set -eu
cd "$(dirname "$0")/.."
command=$(sed -n "s/^$1: *//p" Procfile)
[ -n "$command" ] || { echo "The Procfile has no process called $1." >&2; exit 1; }
[ ! -d .venv/bin ] || export PATH="$PWD/.venv/bin:$PATH"
export PORT="${PORT:-8000}"
eval "$command"
