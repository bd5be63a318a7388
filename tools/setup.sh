#!/usr/bin/env bash
# Makes the virtual environment .venv with the pinned packages; called by make, safe to call again.
# usage: tools/setup.sh [extra,extra...]      extras of pyproject.toml, default none
set -euo pipefail
cd "$(dirname "$0")/.."

extras=${1:-}
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    echo "Python 3.11 or 3.12 is needed and was not found. Install it, or set PYTHON to its path." >&2
    exit 1
fi

want="$("$python" --version) $(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -c1-16)"
stamp=.venv/.ready
if [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$want" ]; then
    have=$(tail -n +2 "$stamp")
else
    have=none
fi
missing=
for extra in ${extras//,/ } base; do
    grep -qx "$extra" <<<"$have" || missing=1
done
[ -z "$missing" ] && exit 0

say() { echo "[setup] $*"; }
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "The virtual environment could not be made; on Debian: apt-get install python3-venv." >&2
        exit 1
    fi
fi
rm -f "$stamp"
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input)

torch=$(grep -E '^torch==' constraints.txt | cut -d' ' -f1)
if ! .venv/bin/python - "${torch#torch==}" <<'PY' 2>/dev/null
import sys
from importlib.metadata import version
sys.exit(version("torch").split("+")[0] != sys.argv[1])
PY
then
    if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        say "installing $torch with CUDA (an NVIDIA GPU is present)"
        "${pip[@]}" install -q -c constraints.txt "$torch"
    else
        say "installing $torch for the CPU (no NVIDIA GPU)"
        # A CPU build is found by pip where a local index offers one, else by uv, which knows
        # where the PyTorch project publishes its builds; the default build is the last resort.
        "${pip[@]}" install -q -c constraints.txt "$torch+cpu" 2>/dev/null ||
            { "${pip[@]}" install -q -c constraints.txt uv &&
              .venv/bin/uv pip install -q --python .venv/bin/python --torch-backend cpu -c constraints.txt "$torch"; } ||
            { say "no CPU build was reached; installing the default build (several GB)";
              "${pip[@]}" install -q -c constraints.txt "$torch"; }
    fi
fi
say "installing the pinned packages${extras:+ with $extras} (2-4 minutes the first time)"
"${pip[@]}" install -q -c constraints.txt -e ".${extras:+[$extras]}"
{ echo "$want"; { [ "$have" = none ] || echo "$have"; echo base; tr , '\n' <<<"$extras"; } | sed '/^$/d' | sort -u; } >"$stamp"
say "ready"
