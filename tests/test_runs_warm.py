"""Runs that are forked from a preloaded process: fresh, apart from each other, and the same."""

import os
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from common.runs import engine, keys, provenance, template, warm, work
from toy_book import add_paper

HEAD = '# %% tags=["parameters"]\nn_cases = 4  # cases\nloss = "dice"  # of the mask\n\n'

# what one run changes, and the other looks at
CHANGE = """# %%
import os, random, sys, warnings
from pathlib import Path

import numpy as np
import torch
from common import records

state = [
    torch.get_default_dtype(),
    os.environ.get("LEFT_BEHIND"),
    Path.cwd().name,
    hasattr(records, "left_behind"),
    np.geterr()["divide"],
    sorted(name for name in globals() if name == "left_behind"),
    torch.initial_seed() == 1,
    torch.are_deterministic_algorithms_enabled(),
    "/left/behind" in sys.path,
]
print(state)

# %%
torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
torch.use_deterministic_algorithms(True)
np.random.seed(1)
random.seed(1)
os.environ["LEFT_BEHIND"] = "yes"
os.chdir("/")
records.left_behind = left_behind = True
np.seterr(divide="raise")
sys.path.append("/left/behind")
"""

DRAW = """# %%
import random

import numpy as np

print(random.random(), np.random.rand())
"""

PLOT = """# %%
import matplotlib.pyplot as plt

plt.plot([1, 2])
plt.show()
"""

INSIDE = """# %%
import os, sys
import torch

print(torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork(), os.getppid() != 1)
print(sys.modules["__main__"].__dict__ is globals(), __name__)
"""


def printed(result) -> str:
    cells = nbformat.read(result.notebook, as_version=4).cells
    return "".join(one.get("text", "") for cell in cells for one in cell.get("outputs", []))


def runs(book, body, *, n=2, jobs=1, **options):
    add_paper(book, notebook=HEAD.replace("{", "{{").replace("}", "}}") + body)
    planner = keys.planner("toy")
    results = engine.execute_plans(
        [planner.plan({"n_cases": 1 + number}) for number in range(n)], jobs=jobs, **options
    )
    assert [result.error for result in results] == [None] * n
    return results


def escaped(text):
    return text.replace("{", "{{").replace("}", "}}")


def test_what_a_run_changes_does_not_reach_the_next(book):
    first, second = runs(book, escaped(CHANGE))
    assert printed(first) == printed(second)
    assert printed(first).startswith("[torch.float32, None, ")


def test_every_run_has_random_numbers_of_its_own(book):
    texts = [printed(result).split() for result in runs(book, DRAW, n=3)]
    assert len({text[0] for text in texts}) == 3
    assert len({text[1] for text in texts}) == 3


def test_figures_are_shown_as_in_a_kernel_that_started_cold(book):
    for result in runs(book, PLOT, n=2):
        cells = nbformat.read(result.notebook, as_version=4).cells
        shown = [one for cell in cells for one in cell.get("outputs", []) if "data" in one]
        assert any("image/png" in one["data"] for one in shown)


def test_cuda_is_untouched_and_the_namespace_is_the_main_module(book):
    (result,) = runs(book, INSIDE, n=1)
    assert printed(result) == "False False True\nTrue __main__\n"


@pytest.mark.skipif(not warm.FORKS, reason="processes are forked on Linux only")
def test_a_forked_run_and_a_cold_one_give_the_same_records(book, monkeypatch):
    add_paper(book)
    plan = keys.planner("toy").plan()
    forked = engine.execute_plans([plan])[0]
    content = (forked.folder / "records.parquet").read_bytes()
    monkeypatch.setattr(warm, "FORKS", False)
    cold = engine.execute_plans([plan], force=True)[0]
    assert (cold.error, cold.cached) == (None, False)
    assert (cold.folder / "records.parquet").read_bytes() == content
    assert cold.run["cells"] == forked.run["cells"] == 5
    assert cold.run["cpu_s"] > 0


def threads(pid: int) -> set[str]:
    return {
        Path(f"/proc/{pid}/task/{one}/comm").read_text().strip()
        for one in os.listdir(f"/proc/{pid}/task")
    }


@pytest.mark.skipif(not warm.FORKS, reason="processes are forked on Linux only")
def test_the_preloaded_process_has_one_thread_and_ends_with_its_parent():
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    one = warm.Template(["torch", "monai.networks.nets", "common.statistics"], environment)
    end = time.monotonic() + 60
    maps = Path(f"/proc/{one.pid}/maps")
    while "torch" not in maps.read_text() and time.monotonic() < end:
        time.sleep(0.1)
    # the allocator of pyarrow restarts its own thread after a fork
    assert {name for name in threads(one.pid) if not name.startswith("jemalloc")} == {"python"}
    assert one.alive
    one.close()
    assert not psutil.pid_exists(one.pid)


def test_nothing_is_left_running(book):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    runs(book, DRAW, n=2, jobs=2)
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before
    assert work._active == set()


def test_a_module_that_initialises_cuda_is_refused_with_the_remedy(monkeypatch):
    class Torch:
        class cuda:
            @staticmethod
            def is_initialized() -> bool:
                return True

    monkeypatch.setitem(sys.modules, "torch", Torch)
    assert "initialises CUDA; do that in a function" in template.preload([])


def test_a_module_that_cannot_be_imported_is_left_to_fail_in_the_notebook():
    assert template.preload(["no_such_module_of_this_book"]) is None


def test_threads_of_runs_side_by_side_share_the_cores(book):
    results = runs(book, DRAW, n=2, jobs=2)
    assert {result.run["threads"] for result in results} == {max(1, provenance.cores() // 2)}
