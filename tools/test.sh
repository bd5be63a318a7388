#!/usr/bin/env bash
# Everything that must hold before a change lands; prints a line before each step.
# usage: tools/test.sh [lint]
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
step() { echo "[test] $(date +%H:%M:%S) $*"; }

step "format and lint (ruff)"
ruff format --check .
ruff check .
step "types (mypy)"
mypy
step "notebook pairs in sync"
replicate sync --check
[ "${1:-}" = lint ] && exit 0

step "unit tests, notebooks' checked cells, site in a browser"
pytest -n "${PYTEST_JOBS:-2}" --dist worksteal -q --durations 8
