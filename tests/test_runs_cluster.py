"""Runs on a Dask cluster of separate processes: workers and schedulers that are killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from distributed import Client

from common import records
from common.errors import ReplicateError, UsageError
from common.runs import cluster as clusters, engine, keys, store
from toy_book import add_paper, wait_for

# runs wait while the file `wait` exists; every start leaves a mark
SLOW = """\
# %% tags=["parameters"]
n_cases = 4  # cases
loss = "dice"  # of the mask

# %%
import os
import time
import urllib.request
from pathlib import Path

from common.runs import session

run = session.start("toy", {{}})
with open(f"started-{{n_cases}}", "a") as marks:
    print(os.getpid(), file=marks)
while Path("wait").exists():
    time.sleep(0.05)
recorder = run.recorder("phantom")
recorder.add("score", float(n_cases), arm="one", case="i", cluster="p")
run.save(recorder.frame())
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Cluster:
    """A scheduler and its workers, each a process of its own on loopback."""

    def __init__(self, book: Path) -> None:
        self.book = book
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.environment = {
            **os.environ,
            "REPLICATE_ROOT": str(book),
            "DASK_LOGGING__DISTRIBUTED": "error",
        }
        self.processes: list[subprocess.Popen] = []
        port = self.address.rpartition(":")[2]
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"
        )
        wait_for(self.answers, "the scheduler")

    def answers(self) -> bool:
        host, _, port = self.address.removeprefix("tcp://").partition(":")
        with socket.socket() as one:
            return one.connect_ex((host, int(port))) == 0

    def start(self, *arguments: str) -> subprocess.Popen:
        log = (self.book / f"log-{len(self.processes)}").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.book,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, *more: str) -> subprocess.Popen:
        return self.start(
            "worker",
            self.address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--local-directory",
            str(self.book / "dask"),
            *more,
        )

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
            process.wait()


@pytest.fixture
def cluster(book):
    add_paper(book, notebook=SLOW)
    one = Cluster(book)
    yield one
    (book / "wait").unlink(missing_ok=True)
    one.end()


def plans(n: int) -> list[keys.Plan]:
    planner = keys.planner("toy")
    return [planner.plan({"n_cases": number + 1}) for number in range(n)]


def sweep_in_the_background(cluster, n: int, *more: str) -> subprocess.Popen:
    values = ",".join(str(number + 1) for number in range(n))
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "common.cli",
            "sweep",
            "toy",
            "-p",
            f"n_cases={values}",
            "--scheduler",
            cluster.address,
            *more,
        ],
        cwd=cluster.book,
        env=cluster.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def each_point_has_exactly_one_valid_record(n: int) -> bool:
    found = [store.lookup("toy", plan.id) for plan in plans(n)]
    assert all(found)
    tables = [
        records.read(store.runs_dir("toy") / plan.id / "records.parquet") for plan in plans(n)
    ]
    assert [table["value"].tolist() for table in tables] == [[n + 1.0] for n in range(n)]
    return len(store.complete("toy")) == n


def starts(book: Path) -> dict[str, list[int]]:
    return {
        path.name: [int(pid) for pid in path.read_text().split()] for path in book.glob("started-*")
    }


def test_a_killed_worker_costs_only_what_it_was_doing(cluster, book):
    (book / "wait").write_text("")
    first, _second = cluster.worker(), cluster.worker()
    sweep = sweep_in_the_background(cluster, 4)
    wait_for(lambda: len(starts(book)) == 2, "two runs")
    running = [pid for pids in starts(book).values() for pid in pids]
    first.kill()
    # what the dead worker ran ends with it
    wait_for(lambda: sum(map(psutil.pid_exists, running)) == 1, "the end of an orphan", 20)
    (book / "wait").unlink()
    out, told = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, told
    assert "4 done" in out + told
    assert each_point_has_exactly_one_valid_record(4)
    counts = sorted(len(pids) for pids in starts(book).values())
    assert counts == [1, 1, 1, 2]


def test_a_killed_scheduler_keeps_what_was_finished_and_the_next_call_resumes(cluster, book):
    cluster.worker()
    assert engine.execute_plans(plans(1), scheduler=cluster.address)[0].error is None
    (book / "wait").write_text("")
    sweep = sweep_in_the_background(cluster, 3)
    wait_for(lambda: "started-2" in starts(book), "the second run")
    cluster.scheduler.kill()
    out, told = sweep.communicate(timeout=90)
    assert sweep.returncode == 1
    assert "the scheduler was lost. Run the same command again" in out + told
    assert "Traceback" not in told, told
    assert len(store.complete("toy")) == 1
    (book / "wait").unlink()
    results = engine.execute_plans(plans(3))
    assert [(one.error, one.cached) for one in results] == [
        (None, True),
        (None, False),
        (None, False),
    ]
    assert each_point_has_exactly_one_valid_record(3)


def test_an_interrupted_sweep_ends_its_runs_on_the_workers(cluster, book):
    (book / "wait").write_text("")
    cluster.worker()
    sweep = sweep_in_the_background(cluster, 2)
    (pids,) = wait_for(lambda: list(starts(book).values()), "a run")
    sweep.send_signal(signal.SIGINT)
    _, told = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, told
    wait_for(lambda: not psutil.pid_exists(pids[0]), "the end of the run", 20)
    assert store.complete("toy") == []


def test_a_worker_with_other_code_is_told_with_the_remedy(cluster, book, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "common"
    shutil.copytree(Path(records.__file__).parent, other)
    with (other / "records.py").open("a") as file:
        file.write("\n\nANOTHER = 1\n")
    cluster.environment["PYTHONPATH"] = str(other.parent)
    cluster.worker()
    (result,) = engine.execute_plans(plans(1), scheduler=cluster.address)
    assert "a worker has other modules (common.records): check out the same commit" in result.error


def test_a_scheduler_that_does_not_answer_is_told_within_ten_seconds():
    begun = time.monotonic()
    with pytest.raises(ReplicateError, match=r"does not answer within 8 s.*Start one with `dask"):
        engine.execute_plans(plans_of_nothing(), scheduler=f"tcp://127.0.0.1:{free_port()}")
    assert time.monotonic() - begun < 10


def plans_of_nothing() -> list[keys.Plan]:
    return [keys.plan("hep2", given={"n_boot": 123})]


@pytest.mark.parametrize("address", ["localhost", "tcp://host", "8786"])
def test_an_address_that_cannot_be_meant_is_refused(address):
    with pytest.raises(UsageError, match="must be an address such as tcp://host:8786"):
        engine.execute_plans(plans_of_nothing(), scheduler=address)


def test_gpus_are_refused_where_no_worker_has_one(cluster, book):
    cluster.worker()
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    with pytest.raises(UsageError, match="--resources GPU=1"):
        engine.execute_plans(plans(1), scheduler=cluster.address, gpus=True)


def test_a_gpu_of_a_worker_is_lent_to_one_run_at_a_time(cluster, book, tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    answer = tools / "nvidia-smi"
    answer.write_text(
        "#!/bin/sh\ncase \"$1\" in *index*) echo '0, GPU-1, Toy GPU';; *) echo '50, 1000';; esac\n"
    )
    answer.chmod(0o755)
    cluster.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    cluster.environment["TMPDIR"] = str(tmp_path)
    cluster.environment.pop("CUDA_VISIBLE_DEVICES", None)
    (book / "wait").write_text("")
    cluster.start(
        "worker",
        cluster.address,
        "--nthreads",
        "2",
        "--no-nanny",
        "--no-dashboard",
        "--resources",
        "GPU=1",
        "--host",
        "127.0.0.1",
    )
    sweep = sweep_in_the_background(cluster, 2, "--gpus")
    wait_for(lambda: starts(book), "a run")
    time.sleep(2)
    assert len(starts(book)) == 1
    (book / "wait").unlink()
    _, told = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, told
    for plan in plans(2):
        run = store.lookup("toy", plan.id)
        assert (run["gpu"], run["gpu_peak_memory_mb"]) == ("Toy GPU", 0.0)
        assert run["gpu_s"] >= 0


@pytest.mark.parametrize("dashboard", [False, True])
def test_a_local_cluster_listens_to_this_machine_alone(dashboard):
    with clusters.local(jobs=1, dashboard=dashboard) as client:
        connections = psutil.Process().net_connections(kind="inet")
        open_to = {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
        assert open_to == {"127.0.0.1"}
        if dashboard:
            with urllib.request.urlopen(clusters.dashboard(client), timeout=20) as answer:
                assert answer.status == 200
