"""Runs and sweeps, side by side: a loop of papermill, a sweep, its cache, its plans, its memory."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
N_RUNS = 20

NOTEBOOK = """\
# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% tags=["parameters"]
n_cases = 4  # cases of the phantom
loss = "dice"  # of the mask

# %%
import monai
import torch

from common.runs import session

run = session.start("toy", {})

# %%
value = float(torch.ones(n_cases).sum())
recorder = run.recorder("phantom")
recorder.add("score", value, arm="one", case="i", cluster="p")
run.save(recorder.frame())
"""


def book(folder: Path) -> Path:
    """Write a miniature book with one chapter."""
    sys.path.insert(0, str(ROOT / "tests"))
    from toy_book import PAPER, TABLE

    for name in ("data_manifests/datasets", "data_manifests/papers/toy", "notebooks", "book"):
        (folder / name).mkdir(parents=True)
    paper = PAPER.format(slug="toy").replace("max: 50", "max: 100000")
    (folder / "data_manifests/papers/toy/paper.yml").write_text(paper)
    (folder / "data_manifests/papers/toy/table1.csv").write_text(TABLE)
    (folder / "notebooks/toy.py").write_text(NOTEBOOK)
    return folder


def values(n: int) -> str:
    """Return so many values of the parameter that is swept."""
    return ",".join(str(number + 1) for number in range(n))


def replicate(folder: Path, *arguments: str) -> float:
    """Run a command in a process of its own and return its wall time in seconds."""
    environment = {**os.environ, "REPLICATE_ROOT": str(folder), "PYTHONPATH": str(ROOT / "src")}
    started = time.perf_counter()
    command = [sys.executable, "-m", "common.cli", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


LOOP = """
import sys, time
import jupytext, papermill
source, folder, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
jupytext.write(jupytext.read(source), f"{folder}/toy.ipynb")
started = time.perf_counter()
for number in range(n):
    papermill.execute_notebook(f"{folder}/toy.ipynb", f"{folder}/out-{number}.ipynb",
                               {"n_cases": number + 1}, kernel_name="python3", language="python",
                               progress_bar=False)
print(time.perf_counter() - started)
"""


def loop(folder: Path) -> float:
    """Return the seconds of a plain loop over papermill."""
    environment = {**os.environ, "REPLICATE_ROOT": str(folder), "PYTHONPATH": str(ROOT / "src")}
    work = folder / "loop"
    work.mkdir()
    command = [sys.executable, "-c", LOOP, str(folder / "notebooks/toy.py"), str(work), str(N_RUNS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


WARM = """
import sys
from common.runs import engine, keys
planner = keys.planner("toy")
plans = [planner.plan({"n_cases": number}) for number in range(101, 113)]
results = engine.execute_plans(plans, jobs=1)
assert not any(result.error for result in results), results
walls = [result.run["wall_s"] for result in results[2:]]
print(sorted(walls)[len(walls) // 2])
"""

MEMORY = """
import resource
from common.runs import coordinator, engine, keys, work
from common.runs.files import read_json
planner = keys.planner("toy")
plans = [planner.plan({"n_cases": number}) for number in range(1, 1001)]
made = engine.execute_plans(plans[:1])[0]
records = (made.folder / "records.parquet").read_bytes()
text = (made.folder / "notebook.ipynb").read_text()
told = {name: made.run[name] for name in ("hardware", "threads", "wall_s", "ended", "started")}

def deliver(task, **options):
    cell = {"event": "cell", "cell": 3, "cells": 3}
    files = {"records.parquet": records}
    return work.Delivery({"done": {}, "cell": cell}, told, task.notebook, files)

work.perform = deliver
results = engine.execute_plans(plans, jobs=2, force=True)
assert not any(result.error for result in results), [r.error for r in results if r.error][:1]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(folder: Path, code: str) -> float:
    """Run code in a process of its own and return the number that it prints last."""
    environment = {**os.environ, "REPLICATE_ROOT": str(folder), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


# the cells of the toy chapter alone, modules loaded: what a run needs without any machinery
CELLS = """
import time, os, tempfile
import monai, torch
os.environ["REPLICATE_RUN_DIR"] = tempfile.mkdtemp()
text = open(os.environ["REPLICATE_ROOT"] + "/notebooks/toy.py").read()
exec(text)
started = time.perf_counter()
exec(text)
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure and compare with the bars."""
    folder = book(Path(tempfile.mkdtemp(prefix="replicate-benchmark-")))
    try:
        plain = loop(folder)
        swept = replicate(folder, "sweep", "toy", "-p", f"n_cases={values(N_RUNS)}")
        again = replicate(folder, "sweep", "toy", "-p", f"n_cases={values(N_RUNS)}")
        planned = replicate(folder, "sweep", "toy", "-p", f"n_cases={values(1000)}", "--dry-run")
        cells = measured(folder, CELLS)
        overhead = measured(folder, WARM) - cells
        memory = measured(folder, MEMORY)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        (f"loop of papermill, {N_RUNS} runs", plain, "s", None, None),
        (f"sweep, {N_RUNS} runs", swept, "s", None, None),
        ("sweep against loop", plain / swept, "times faster", 4.0, "at least"),
        ("the same sweep again, all cached", again, "s", 2.0, "at most"),
        ("overhead of a warm run, median", overhead, "s", 0.5, "at most"),
        ("1,000 points validated, dry run", planned, "s", 3.0, "at most"),
        ("memory of the coordinator, 1,000 runs", memory, "MB", 300.0, "at most"),
    ]
    missed = []
    for name, value, unit, bar, rule in rows:
        verdict = ""
        if bar is not None:
            met = value >= bar if rule == "at least" else value <= bar
            missed += [] if met else [name]
            verdict = f"   {'met' if met else 'MISSED'} ({rule} {bar:g})"
        print(f"{name:42s} {value:9.2f} {unit}{verdict}", flush=True)
    if missed:
        raise SystemExit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
