"""What goes wrong in the middle of runs: each point ends with one valid record or a reason."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from common import records
from common.errors import UsageError
from common.runs import engine, gpus, keys, store
from common.runs.locks import RunLock
from toy_book import add_paper, hear_interrupts, small_disk, wait_for

HEAD = """\
# %% tags=["parameters"]
n_cases = 4  # cases
loss = "dice"  # of the mask

# %%
import os
import time
from pathlib import Path

from common.runs import session

run = session.start("toy", {{}})
with open(f"started-{{n_cases}}", "a") as marks:
    print(os.getpid(), file=marks)

"""
TAIL = """
# %%
recorder = run.recorder("phantom")
recorder.add("score", float(n_cases), arm="one", case="i", cluster="p")
run.save(recorder.frame())
"""
ENDLESS = "# %%\nwhile n_cases == 2:\n    time.sleep(0.1)\n"
WAITS = "# %%\nwhile Path('wait').exists():\n    time.sleep(0.05)\n"
DIES_ONCE = (
    "# %%\nif len(Path(f'started-{{n_cases}}').read_text().split()) == 1:\n    os._exit(3)\n"
)
DIES = "# %%\nos._exit(3)\n"


def book_with(book, body):
    add_paper(book, notebook=HEAD + body + TAIL)
    planner = keys.planner("toy")
    return [planner.plan({"n_cases": number}) for number in (1, 2, 3)]


def starts(book, number):
    path = book / f"started-{number}"
    return path.read_text().split() if path.is_file() else []


def valid(plan):
    run = store.lookup(plan.slug, plan.id)
    if run is None:
        return False
    table = records.read(store.runs_dir(plan.slug) / plan.id / "records.parquet")
    return table["value"].tolist() == [float(plan.parameters["n_cases"])]


def test_a_cell_that_never_ends_is_ended_and_the_others_are_kept(book):
    plans = book_with(book, ENDLESS)
    first, second, third = engine.execute_plans(plans, jobs=2, timeout=4)
    assert (first.error, third.error) == (None, None)
    assert second.error == "toy: code cell 3 of 4: it took longer than 4 s and was ended"
    assert [valid(plan) for plan in plans] == [True, False, True]
    (pid,) = starts(book, 2)
    wait_for(lambda: not psutil.pid_exists(int(pid)), "the end of the kernel", 10)
    kept = store.runs_dir("toy") / "failed" / second.id
    assert sorted(path.name for path in kept.iterdir()) == ["failure.json", "notebook.ipynb"]


def test_a_run_whose_process_died_is_tried_again(book):
    plans = book_with(book, DIES_ONCE)
    results = engine.execute_plans(plans[:2], jobs=1)
    assert [result.error for result in results] == [None, None]
    assert [result.run["tries"] for result in results] == [2, 2]
    assert [valid(plan) for plan in plans[:2]] == [True, True]


def test_a_run_that_dies_every_time_is_reported_after_its_tries(book):
    plans = book_with(book, DIES)
    (result,) = engine.execute_plans(plans[:1], retries=2)
    assert len(starts(book, 1)) == 3
    assert result.error.startswith("toy: code cell 3 of 4 failed with DeadKernelError")
    assert store.complete("toy") == []
    assert engine.execute_plans(plans[:1], retries=0)[0].error
    assert len(starts(book, 1)) == 4


def test_a_success_removes_the_failure_before_it(book):
    plans = book_with(book, DIES_ONCE)
    assert engine.execute_plans(plans[:1], retries=0)[0].error
    failed = store.runs_dir("toy") / "failed" / plans[0].id
    assert failed.is_dir()
    assert engine.execute_plans(plans[:1])[0].error is None
    assert not failed.exists()


def test_a_damaged_record_is_found_told_and_made_again(book):
    plans = book_with(book, "")
    engine.execute_plans(plans, jobs=2)
    path = store.runs_dir("toy") / plans[1].id / "records.parquet"
    path.write_bytes(path.read_bytes()[:-8] + b"tampered")
    told = []
    results = engine.execute_plans(plans, note=told.append)
    assert [result.cached for result in results] == [True, False, True]
    assert f"toy: run {plans[1].id} is damaged and is made again" in told
    assert all(valid(plan) for plan in plans)


def test_two_sweeps_over_the_same_points_make_each_once(book):
    plans = book_with(book, WAITS)
    (book / "wait").write_text("")
    command = [sys.executable, "-m", "common.cli", "sweep", "toy", "-p", "n_cases=1,2,3"]
    both = [
        subprocess.Popen(
            command, cwd=book, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    wait_for(lambda: starts(book, 1) and starts(book, 2), "two runs")
    time.sleep(3)
    (book / "wait").unlink()
    for process in both:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert [len(starts(book, number)) for number in (1, 2, 3)] == [1, 1, 1]
    assert all(valid(plan) for plan in plans)


def test_equal_plans_are_made_once_and_have_one_result_each(book):
    plan = book_with(book, "")[0]
    first, second = engine.execute_plans([plan, plan])
    assert first == second
    assert len(starts(book, 1)) == 1


def test_a_disk_that_is_full_fails_runs_and_leaves_no_half_of_one(book):
    plans = book_with(book, "# %%\n(run.folder / 'big').write_bytes(bytes(150_000))\n")
    with small_disk(book / "_build", "128k"):
        results = engine.execute_plans(plans, jobs=1)
        assert all("No space left on device" in result.error for result in results)
        assert store.complete("toy") == []
        left = [path.name for path in store.runs_dir("toy").iterdir()]
        assert [name for name in left if re.match(r"\.[0-9a-f]{16}", name)] == []
    results = engine.execute_plans(plans, jobs=1)
    assert [result.error for result in results] == [None] * 3


def test_an_interrupted_sweep_keeps_what_is_finished_and_the_next_resumes(book):
    plans = book_with(
        book, "# %%\nwhile n_cases == 3 and Path('wait').exists():\n    time.sleep(0.05)\n"
    )
    (book / "wait").write_text("")
    command = [
        sys.executable,
        "-m",
        "common.cli",
        "sweep",
        "toy",
        "-p",
        "n_cases=1,2,3",
        "--jobs",
        "1",
    ]
    process = subprocess.Popen(
        command,
        cwd=book,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,
    )
    wait_for(lambda: starts(book, 3), "the third run")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on from there" in told
    assert [valid(plan) for plan in plans] == [True, True, False]
    (book / "wait").unlink()
    results = engine.execute_plans(plans)
    assert [result.cached for result in results] == [True, True, False]
    assert all(valid(plan) for plan in plans)


def test_a_lock_is_held_by_one_and_ends_with_its_holder(book):
    add_paper(book)
    mine, yours = RunLock("toy", "abc"), RunLock("toy", "abc")
    assert mine.take()
    assert not yours.take()
    mine.release()
    assert yours.take()
    yours.release()
    code = (
        "import os; from common.runs.locks import RunLock; "
        "assert RunLock('toy', 'abc').take(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert mine.take()
    mine.release()


def test_gpus_are_refused_where_there_is_none(book, monkeypatch):
    plans = book_with(book, "")
    monkeypatch.setattr(gpus, "devices", list)
    with pytest.raises(UsageError, match="--gpus needs a GPU, and nvidia-smi lists none here"):
        engine.execute_plans(plans, gpus=True)


def test_devices_are_those_that_the_environment_shows(tmp_path, monkeypatch):
    answer = tmp_path / "nvidia-smi"
    answer.write_text("#!/bin/sh\nprintf '0, GPU-a, One\\n1, GPU-b, Two\\n'\n")
    answer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [one.uuid for one in gpus.devices()] == ["GPU-a", "GPU-b"]
    for visible, expected in (("1", ["GPU-b"]), ("GPU-a", ["GPU-a"]), ("", []), ("7", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [one.uuid for one in gpus.devices()] == expected


def test_a_gpu_is_lent_once_and_missing_ones_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(gpus, "devices", lambda: [gpus.Device("GPU-a", "One")])
    with gpus.lent() as device:
        assert device.uuid == "GPU-a"
        with (
            pytest.raises(TimeoutError, match="all are used by other runs"),
            gpus.lent(patience_s=0),
        ):
            pass
    with gpus.lent(patience_s=0):
        pass
    monkeypatch.setattr(gpus, "devices", list)
    with pytest.raises(TimeoutError, match="nvidia-smi lists none"), gpus.lent(patience_s=0):
        pass
