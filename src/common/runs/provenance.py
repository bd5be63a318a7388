"""Where a run was made: machine, versions, state of the checkout. Names no person and no host."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from common import paths


def now() -> str:
    """Return the time in UTC, to the microsecond, in ISO form."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ask(*command: str) -> str | None:
    """Return what a command prints, None if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command, cwd=paths.root(), capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def git() -> dict[str, Any] | None:
    """Return the commit and whether tracked files differ from it; None outside a repository."""
    commit = _ask("git", "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": _ask("git", "status", "--porcelain", "-uno") != ""}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@cache
def hardware() -> dict[str, Any]:
    """Return the class of this machine: processor, cores, memory, GPU."""
    gpu = _ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": gpu.splitlines() if gpu else [],
    }


def child_environment(
    *, folder: Path, work: Path, run_id: str, profile: str, threads: int
) -> dict[str, str]:
    """Return the environment of a run.

    Args:
        folder: where the notebook puts its results.
        work: scratch folder of Jupyter, removed with the run.
        run_id: told to the notebook.
        profile: told to the notebook.
        threads: upper limit for every numerical library.
    """
    limits = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS")
    own = {
        "REPLICATE_ROOT": str(paths.root()),
        "REPLICATE_RUN_DIR": str(folder),
        "REPLICATE_RUN_ID": run_id,
        "REPLICATE_PROFILE": profile,
        # the kernel of this environment, untouched by a reader's own Jupyter settings
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(work / "jupyter"),
        "IPYTHONDIR": str(work / "ipython"),
        # sets are iterated in the same order every time, and so is every sum over them
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    return {**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in limits}, **own}
