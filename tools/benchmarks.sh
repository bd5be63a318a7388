#!/usr/bin/env bash
# Runs every script of benchmarks/, each of which prints its bars and fails where one is missed.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" PYTHONUNBUFFERED=1
missed=0
for script in benchmarks/*.py; do
    echo "[benchmark] $(date +%H:%M:%S) $script"
    python "$script" || missed=$((missed + 1))
done
[ "$missed" -eq 0 ] || { echo "[benchmark] $missed scripts missed a bar" >&2; exit 1; }
