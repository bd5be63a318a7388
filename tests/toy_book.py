"""A miniature book in a temporary folder: one paper without data, a quick notebook."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from common import paths, records
from common.runs import keys, store
from common.runs.files import write_json

PAPER = """\
slug: {slug}
title: A toy paper
authors: [A. Author]
year: 2020
venue: A journal
kind: journal
citation: A. Author, 2020.
summary: Adds two numbers.
task: [toy]
modality: none
datasets: []
arms:
  - {{id: one, label: One, sources: [phantom]}}
  - {{id: two, label: Two, sources: [phantom]}}
metrics:
  - {{id: score, label: Score, unit: fraction}}
tables:
  - {{id: table1, caption: Scores, where: Table 1}}
claims:
  - id: C1
    text: Two is larger than one.
    where: p. 1
    metric: score
    arms: [two, one]
    direction: greater
    test: sign_flip_clustered
    unit: {{case: image, cluster: patient}}
    evidence:
      published: {{untested: the paper prints no n}}
      replication: {{source: phantom}}
parameters:
  n_cases: {{min: 1, max: 50}}
  loss: {{choices: [dice, bce]}}
profiles:
  quick: {{parameters: {{}}, minutes: 0.1, memory_gb: 0.2}}
  standard: {{parameters: {{n_cases: 9}}, minutes: 0.1, memory_gb: 0.2}}
"""

TABLE = "row,column,metric,value,spread,spread_kind,n,note\none,All,score,0.5,,,,\n"

NOTEBOOK = """\
# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # A toy chapter

# %% tags=["parameters"]
n_cases = 4  # cases of the phantom
rate = 0.5  # per epoch
loss = "dice"  # of the mask
widths = (8, 16)  # channels
limit = None  # no limit

# %%
import numpy as np

from common.runs import session

run = session.start("{slug}", {{"n_cases": n_cases}})

# %%
print("checked", 1 + 1)

# %% tags=["nbval-skip"]
rng = np.random.default_rng(3)
records = run.recorder("phantom")
for arm in ("one", "two"):
    cases = [f"i{{i}}" for i in range(n_cases)]
    records.add("score", rng.random(n_cases), arm=arm, case=cases, cluster=cases)
print("not checked", widths, limit)

# %% tags=["nbval-skip"]
verdict = {{"claim": "C1", "layer": "replication", "verdict": "inconclusive"}}
check = {{"id": "A1", "statement": "sums", "status": "pass", "printed": 1, "recomputed": 1}}
run.save(records.frame(), verdicts=[verdict], audit=[check], arrays={{"curve": np.arange(3.0)}})
"""


@contextmanager
def book_at(root: Path) -> Iterator[None]:
    """Make a folder the root of the book inside the block only.

    What lives longer than one test must not hold the root: the tests between would read it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATE_ROOT", str(root))
        yield


def add_paper(root: Path, slug: str = "toy", *, notebook: str = NOTEBOOK) -> Path:
    """Write a chapter and return the path of its notebook."""
    folder = root / "data_manifests" / "papers" / slug
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "paper.yml").write_text(PAPER.format(slug=slug))
    (folder / "table1.csv").write_text(TABLE)
    path = paths.notebook(slug)
    path.write_text(notebook.format(slug=slug))
    return path


def edit(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file that must be there."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is in {path.name} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def toy_records(slug: str, run: str, profile: str, n_cases: int = 4) -> pd.DataFrame:
    """Return one score a case, arm and seed 0."""
    recorder = records.Recorder(paper=slug, run=run, profile=profile, source="phantom")
    cases = [f"i{number}" for number in range(n_cases)]
    for value, arm in enumerate(("one", "two")):
        recorder.add("score", [float(value)] * n_cases, arm=arm, case=cases, cluster=cases)
    return recorder.frame()


def add_run(
    slug: str = "toy",
    profile: str = "quick",
    *,
    ended: str = "2026-01-01T00:00:00.000000+00:00",
    verdict: str = "inconclusive",
    given: dict[str, Any] | None = None,
    n_cases: int = 4,
    dirty: bool = False,
) -> keys.Plan:
    """Write a complete run of the present code without executing anything."""
    wanted = keys.plan(slug, profile=profile, given=given)
    folder = store.runs_dir(slug) / wanted.id
    records.write(toy_records(slug, wanted.id, profile, n_cases), folder / store.RECORDS)
    judged = {"claim": "C1", "layer": "replication", "source": "phantom", "verdict": verdict}
    check = {"id": "A1", "statement": "the sum is right", "status": "pass"}
    write_json(folder / "verdicts.json", [judged])
    write_json(folder / "audit.json", [check])
    store.write_notebook(folder / store.NOTEBOOK, wanted.notebook)
    described = {
        "slug": slug,
        "profile": profile,
        "id": wanted.id,
        "parameters": wanted.parameters,
        "overrides": wanted.overrides,
        "key": wanted.parts,
        "git": {"commit": "0" * 40, "dirty": dirty},
        "versions": keys.versions(),
        "hardware": {"cores": 2},
        "threads": 2,
        "started": ended,
        "ended": ended,
        "wall_s": 75.0,
        "cpu_s": 1.0,
        "peak_memory_mb": 100.0,
        "data": {},
        "cells": 5,
        "files": store.file_hashes(folder),
    }
    write_json(folder / "run.json", described)
    return wanted


def hear_interrupts() -> None:
    """Let a child process hear Ctrl-C (for ``preexec_fn``).

    A shell that starts the tests in the background has them ignore SIGINT, and children inherit
    that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition: Callable[[], Any], what: str = "it", seconds: float = 60) -> Any:
    """Wait until a condition holds, and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Put a disk of a given size in a folder's place, or skip the test where that is forbidden."""
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], check=False).returncode:
        pytest.skip("a small disk can be made by the superuser only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
