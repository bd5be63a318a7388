import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from common import paths, records
from common.errors import ReplicateError
from common.runs import coordinator, engine, execute, execute_all, plan, provenance, store
from toy_book import add_paper, add_run, book_at, edit, hear_interrupts, small_disk, wait_for

FAILING = """\
# %% tags=["parameters"]
n_cases = 4  # cases
loss = "dice"  # of the mask

# %%
print("so far so good")

# %%
1 / (n_cases - 4)

# %%
print("never")
"""

# the file `wait` makes the chapter wait, and is not part of its parameters
WAITING = """\
# %% tags=["parameters"]
n_cases = 4  # cases
loss = "dice"  # of the mask

# %%
import os
import time
from pathlib import Path

from common.runs import session

run = session.start("{slug}", {{}})
Path("kernel.pid").write_text(str(os.getpid()))

# %%
while Path("wait").exists():
    time.sleep(0.05)
recorder = run.recorder("phantom")
recorder.add("score", 1.0, arm="one", case="i", cluster="p")
run.save(recorder.frame())
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A miniature book whose chapter was run once, and the result."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("data_manifests/datasets", "data_manifests/papers", "notebooks", "book"):
        (root / folder).mkdir(parents=True)
    with book_at(root):
        add_paper(root)
        heard = []
        result = execute("toy", texts=["widths=4,5"], listener=heard.append)
    return root, result, heard


@pytest.fixture
def toy(ran, book):
    """A copy of that book, made the root of the book for one test."""
    shutil.copytree(ran[0], book, dirs_exist_ok=True)
    return book


def temporary_folders(root):
    found = (root / "_build/runs").glob("*/.*")
    return [path for path in found if path.is_dir() and path.name != ".locks"]


def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_a_run_leaves_notebook_records_and_provenance(ran):
    root, result, _ = ran
    assert (result.error, result.cached, result.slug, result.profile) == (
        None,
        False,
        "toy",
        "quick",
    )
    assert result.folder == root / "_build/runs/toy" / result.id
    names = ["arrays.npz", "audit.json", "notebook.ipynb", "records.parquet", "run.json"]
    assert sorted(path.name for path in result.folder.iterdir()) == [*names, "verdicts.json"]
    run = json.loads((result.folder / "run.json").read_text())
    assert run == json.loads(json.dumps(result.run))
    assert run["parameters"]["widths"] == [4, 5]
    assert run["overrides"] == {"widths": [4, 5]}
    assert run["cells"] == 5
    assert 0 < run["cpu_s"] < 60
    assert 20 < run["peak_memory_mb"] < 2000
    assert run["started"] < run["ended"]
    assert run["key"]["modules"]["common.records"]
    table = records.read(result.folder / "records.parquet")
    assert set(table["run"]) == {result.id}
    assert len(table) == 8
    assert temporary_folders(root) == []


def test_parameters_reach_the_notebook_with_their_types(ran):
    assert "not checked (4, 5) None" in outputs(ran[1].notebook)


def test_an_executed_notebook_names_no_path_of_this_machine(ran):
    text = ran[1].notebook.read_text()
    assert str(ran[0]) not in text
    assert "papermill" not in text


def test_progress_tells_the_current_cell_of_how_many(ran):
    told = [(progress.state, progress.cell, progress.cells) for progress in ran[2]]
    assert told[0] == ("waiting", 0, 0)
    assert told[1:] == [("running", cell, 5) for cell in range(1, 6)] + [("done", 5, 5)]
    assert ran[2][0].estimate == 6.0


def test_two_identical_runs_give_identical_records(ran, toy):
    again = execute("toy", texts=["widths=4,5"], force=True)
    assert not again.cached
    assert again.id == ran[1].id
    for name in ("records.parquet", "verdicts.json", "audit.json"):
        assert (again.folder / name).read_bytes() == (ran[1].folder / name).read_bytes()
    assert again.run["started"] > ran[1].run["started"]


def test_after_an_edit_of_prose_the_run_is_kept_and_its_page_shows_the_new_prose(ran, toy):
    edit(toy / "notebooks/toy.py", "# # A toy chapter", "# # Another title\n#\n# And more.")
    result = execute("toy", texts=["widths=4,5"])
    assert result.cached
    assert result.run["started"] == ran[1].run["started"]
    assert "Another title" in result.notebook.read_text()
    assert outputs(result.notebook) == outputs(ran[1].notebook)


def test_nothing_is_started_when_all_is_cached(toy, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a cluster was started")

    monkeypatch.setattr(engine, "_cluster", refuse)
    assert execute("toy", texts=["widths=4,5"]).cached
    with pytest.raises(AssertionError, match="a cluster was started"):
        execute("toy", texts=["widths=4,6"])
    assert temporary_folders(toy) == []


def test_a_damaged_run_is_not_taken_from_the_cache(ran, toy):
    folder = toy / "_build/runs/toy" / ran[1].id
    assert store.lookup("toy", ran[1].id)["id"] == ran[1].id
    (folder / "records.parquet").write_bytes(b"PAR1")
    assert store.lookup("toy", ran[1].id) is None
    shutil.copy(ran[1].folder / "records.parquet", folder)
    (folder / "notebook.ipynb").write_text("{")
    assert coordinator.cached(plan("toy", texts=["widths=4,5"])) is None


def test_a_failing_chapter_stops_only_itself(toy):
    add_paper(toy, "bad", notebook=FAILING)
    add_paper(toy, "broken")
    edit(toy / "data_manifests/papers/broken/paper.yml", "title: A toy paper", "titel: A toy paper")
    add_run("toy")
    bad, broken, good = execute_all(["bad", "broken", "toy"], jobs=2)
    assert bad.error == "bad: code cell 3 of 4 failed with ZeroDivisionError: division by zero"
    assert bad.cell == 3
    assert bad.notebook == toy / "_build/runs/bad/failed" / bad.id / "notebook.ipynb"
    failure = json.loads((bad.notebook.parent / "failure.json").read_text())
    assert (failure["error"], failure["cell"]) == (bad.error, 3)
    assert failure["traceback"][-1] == "ZeroDivisionError: division by zero"
    text = outputs(bad.notebook)
    assert "so far so good" in text
    assert "never" not in text
    assert broken.error.startswith("broken: ")
    assert "titel" in broken.error
    assert (good.error, good.cached) == (None, True)
    assert temporary_folders(toy) == []


@pytest.fixture
def waiting(book):
    """A miniature book whose chapter ``slow`` waits while the file ``wait`` exists."""
    add_paper(book)
    add_run("toy")
    add_paper(book, "slow", notebook=WAITING)
    (book / "wait").write_text("")
    return book


def start_slow(book):
    process = subprocess.Popen(
        [sys.executable, "-m", "common.cli", "run", "slow"],
        cwd=book,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    pid = book / "kernel.pid"
    wait_for(lambda: (pid.is_file() and pid.read_text()) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process, int(pid.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_the_cache_consistent_and_the_next_resumes(waiting, number):
    process, kernel = start_slow(waiting)
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    wait_for(lambda: not psutil.pid_exists(kernel), seconds=5)
    assert temporary_folders(waiting) == []
    assert store.complete("slow") == []
    if number is signal.SIGINT:
        (waiting / "wait").unlink()
        slow, toy = execute_all(["slow", "toy"])
        assert (slow.error, slow.cached, toy.cached) == (None, False, True)
        assert len(store.complete("slow")) == 1


def test_when_the_builder_is_killed_its_children_end_and_the_next_build_sweeps(waiting):
    process, kernel = start_slow(waiting)
    process.kill()
    process.communicate()
    wait_for(lambda: not psutil.pid_exists(kernel), seconds=10)
    assert len(temporary_folders(waiting)) == 1
    store.sweep("slow")
    assert temporary_folders(waiting) == []
    assert store.complete("slow") == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(book):
    add_paper(book)
    (book / "_build").write_text("a file where a folder should be")
    with pytest.raises(ReplicateError, match=r"cannot be written: .*\. Make room or choose"):
        execute("toy")


@pytest.mark.parametrize("failing", ["mkstemp", "replace"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(book, monkeypatch, failing):
    add_paper(book)

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    module = store.write_text.__globals__["tempfile" if failing == "mkstemp" else "os"]
    monkeypatch.setattr(module, failing, full)
    with pytest.raises(ReplicateError, match="No space left on device"):
        execute("toy")
    assert list((book / "_build/runs/toy").iterdir()) == []


def test_a_disk_that_fills_during_a_run_fails_the_run_and_leaves_no_half_of_it(book):
    add_paper(book)
    with small_disk(book / "_build", "96k"):
        edit(
            book / "notebooks/toy.py",
            "rng = np.random.default_rng(3)",
            'rng = np.random.default_rng(3)\n(run.folder / "big").write_bytes(bytes(80_000))',
        )
        result = execute("toy")
        assert "No space left on device" in result.error
        assert result.folder is None
        assert store.complete("toy") == []
        assert temporary_folders(book) == []


def test_threads_of_a_run_are_limited_and_told(ran):
    assert ran[1].run["threads"] == len(os.sched_getaffinity(0))
    environment = provenance.child_environment(
        folder=Path("f"), work=Path("w"), run_id="1", profile="quick", threads=3
    )
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"


def test_stale_folders_are_told_from_living_ones(book):
    folder = store.runs_dir("toy")
    name = store.temporary("toy", "abc").name.rpartition("-")[0]
    shutil.rmtree(folder)
    living = folder / f"{name}-{os.getppid()}"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for path in (
        living,
        folder / f"{name}-{gone.pid}",
        folder / f"{name}-{gone.pid}.old",
        folder / "abc",
    ):
        path.mkdir(parents=True)
    store.sweep("toy")
    assert sorted(path.name for path in folder.iterdir()) == sorted([living.name, "abc"])


def test_the_estimate_is_the_last_wall_time_else_the_declared_minutes(book):
    add_paper(book)
    assert store.seconds("toy", "quick", 0.1) == pytest.approx(6.0)
    add_run("toy")
    assert store.seconds("toy", "quick", 0.1) == 75.0
    assert store.seconds("toy", "standard", 2.0) == 120.0
    assert paths.build_dir() == book / "_build"
