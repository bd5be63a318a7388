"""What a worker does for one run: execute it in a folder of its own and bring back its files.

The files travel as bytes, so that workers need no disk in common with the process that asked, and
that process alone writes to the folders of runs.
"""

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from common import paths
from common.errors import ReplicateError
from common.runs import gpus, provenance, store, warm
from common.runs.child import Request
from common.runs.files import digest, sha256, storage, write_text

_POLL_S = 0.2
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """One run as it travels to a worker.

    Args:
        slug, profile, id: what is run.
        notebook: its text, parameters handed in.
        parts: what the id is made of.
        packages: what else the notebook imports, so that it is there before the run starts.
        timeout_s: how long it may take; None for no limit.
        gpu: True lends it one GPU, False hides all, None leaves them as they are.
        elsewhere: whether the worker may have other code, data or versions than the id says.
    """

    slug: str
    profile: str
    id: str
    notebook: str = field(repr=False)
    parts: Mapping[str, Any] = field(repr=False)
    packages: tuple[str, ...] = ()
    timeout_s: float | None = None
    gpu: bool | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class Delivery:
    """What came of a run.

    Args:
        events: the last of each kind that the run told, by kind; see :mod:`common.runs.child`.
        facts: for ``run.json``: hardware, threads, times, GPU.
        notebook: what papermill wrote; None if nothing.
        files: results, by name.
        log: last line of what was written outside of cells.
        problem: why it was not run, or was ended; None otherwise.
        lost: whether the process of the run or its worker died, so that another try may succeed.
    """

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notebook: str | None = field(default=None, repr=False)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    log: str = ""
    problem: str | None = None
    lost: bool = False

    @property
    def done(self) -> bool:
        """Whether the notebook ran to its end."""
        return self.problem is None and "done" in self.events


_stopping = threading.Event()
_active: set[str] = set()


@contextmanager
def stoppable() -> Iterator[None]:
    """End, when the block ends, every run that this process still performs."""
    _stopping.clear()
    try:
        yield
    finally:
        _stopping.set()
        end = time.monotonic() + 20
        while _active and time.monotonic() < end:
            time.sleep(0.02)
        warm.close_all()


def on_worker(task: Task, topic: str) -> Delivery:
    """Perform a task as a Dask worker.

    Args:
        task: the run.
        topic: where its progress is published.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def tell(event: dict[str, Any]) -> None:
        worker.log_event(topic, {"id": task.id, **event})

    def cancelled() -> bool:
        known = worker.state.tasks.get(key)
        return known is None or known.state in ("cancelled", "released")

    threads = max(1, provenance.cores() // max(1, worker.state.nthreads))
    return perform(task, threads=threads, tell=tell, cancelled=cancelled)


def perform(
    task: Task,
    *,
    threads: int,
    tell: Tell = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Delivery:
    """Execute one run.

    Args:
        task: the run.
        threads: limit for every numerical library.
        tell: called with each event.
        cancelled: asked now and then whether nobody waits for the run any more.

    Returns:
        What came of it. A failing cell, a timeout, a full disk and a worker with other code are
        told in it and not raised.
    """
    _active.add(task.id)
    try:
        if task.elsewhere and (problem := _unlike(task)):
            return Delivery(problem=problem)
        with _devices(task) as device:
            return _in_folder(task, threads, device, tell, cancelled)
    except (ReplicateError, TimeoutError) as error:
        return Delivery(problem=str(error))
    finally:
        _active.discard(task.id)


def _unlike(task: Task) -> str | None:
    """Say in what this worker differs from what the id of the run stands for."""
    from common import manifests
    from common.runs import keys

    own = keys.module_hashes(set(task.parts["modules"]))
    data = {name: manifests.checksum(name) for name in task.parts["data"]}
    for what, theirs, remedy in (
        ("modules", own, "check out the same commit there"),
        ("data", data, "fetch the same data there"),
        ("versions", keys.versions(), "install the same versions there"),
    ):
        wanted = task.parts[what]
        names = sorted(k for k in {*wanted, *theirs} if wanted.get(k) != theirs.get(k))
        if names:
            return f"a worker has other {what} ({', '.join(names[:5])}): {remedy}, and restart it"
    return None


@contextmanager
def _devices(task: Task) -> Iterator[gpus.Device | None]:
    if task.gpu:
        with gpus.lent() as device:
            yield device
    else:
        yield None


def _in_folder(
    task: Task,
    threads: int,
    device: gpus.Device | None,
    tell: Tell,
    cancelled: Callable[[], bool],
) -> Delivery:
    store.sweep(task.slug)
    folder = store.temporary(task.slug, task.id)
    try:
        return _execute(task, folder, threads, device, tell, cancelled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _execute(
    task: Task,
    folder: Path,
    threads: int,
    device: gpus.Device | None,
    tell: Tell,
    cancelled: Callable[[], bool],
) -> Delivery:
    work = folder / store.WORK
    write_text(work / "input.ipynb", task.notebook)
    environment = provenance.child_environment(
        folder=folder, work=work, run_id=task.id, profile=task.profile, threads=threads
    )
    if task.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device.uuid if device else ""
    request = Request(
        source=str(work / "input.ipynb"),
        target=str(work / "output.ipynb"),
        folder=str(paths.root()),
        log=str(work / "log.txt"),
        environment=environment,
    )
    modules = (*task.packages, *sorted(task.parts["modules"]))
    starter = warm.launcher(modules, environment, code=digest(task.parts["modules"]))
    started, clock = provenance.now(), time.monotonic()
    try:
        with storage(folder):
            connection = starter.launch(request)
    except ConnectionError:
        return Delivery(problem=f"no process could be started: {starter.last_words()}", lost=True)
    watch = _Watch(connection, task.timeout_s, tell, cancelled)
    if device is None:
        watch.follow()
        gpu: dict[str, Any] = {}
    else:
        with gpus.Meter(device) as meter:
            watch.follow()
        gpu = meter.usage
    facts = {
        "hardware": provenance.hardware(),
        "threads": threads,
        "deterministic": {
            name: environment.get(name) for name in ("PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG")
        },
        "started": started,
        "ended": provenance.now(),
        "wall_s": round(time.monotonic() - clock, 3),
        **{"cpu_s": None, "peak_memory_mb": None, **watch.events.get("usage", {})},
        **gpu,
    }
    return _collect(folder, watch, facts)


def _collect(folder: Path, watch: "_Watch", facts: dict[str, Any]) -> Delivery:
    work = folder / store.WORK
    target, log = work / "output.ipynb", work / "log.txt"
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    found = [folder / name for name in store.RESULTS if (folder / name).is_file()]
    ended_by_itself = {"done", "failed", "storage", "refused"} & set(watch.events)
    return Delivery(
        events=watch.events,
        facts=facts,
        notebook=target.read_text(encoding="utf-8") if target.is_file() else None,
        files={path.name: path.read_bytes() for path in found} if "done" in watch.events else {},
        log=lines[-1] if lines else "",
        problem=watch.problem,
        lost=watch.problem is None and not ended_by_itself,
    )


class _Watch:
    """Follows a run to its end, and ends it where it has to be.

    Args:
        connection: where the run reports.
        timeout_s: how long it may take.
        tell: called with each event.
        cancelled: whether nobody waits for it any more.
    """

    def __init__(
        self,
        connection: socket.socket,
        timeout_s: float | None,
        tell: Tell,
        cancelled: Callable[[], bool],
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._tell = tell
        self._cancelled = cancelled
        self._asked = time.monotonic()
        self.events: dict[str, dict[str, Any]] = {}
        self.problem: str | None = None

    def follow(self) -> None:
        """Read events until the run's process has ended."""
        text = b""
        self._connection.settimeout(_POLL_S)
        with self._connection:
            while "ended" not in self.events:
                try:
                    received = self._connection.recv(1 << 16)
                except TimeoutError:
                    received = None
                except OSError:
                    break
                if received == b"":
                    break
                *lines, text = (text + (received or b"")).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    self.events[event["event"]] = event
                    if event["event"] == "cell":
                        self._tell(event)
                if self.problem is None and (problem := self._reason_to_end()):
                    self.problem = problem
                    kill(self.events.get("started", {}).get("pid"))

    def _reason_to_end(self) -> str | None:
        now = time.monotonic()
        if "started" not in self.events:
            return None
        if self._end is not None and now > self._end:
            return f"it took longer than {self._timeout_s:g} s and was ended"
        if _stopping.is_set():
            return "it was stopped"
        if now - self._asked > 1:
            self._asked = now
            if self._cancelled():
                return "it was cancelled"
        return None


def kill(pid: int | None) -> None:
    """End a process and everything it started."""
    if pid is None:
        return
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue


def file_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Hash delivered files, in the order of :data:`common.runs.store.RESULTS`."""
    return {name: sha256(files[name]) for name in store.RESULTS if name in files}
