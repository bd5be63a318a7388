"""Execution of runs: one child process a chapter, several at once, whole results or none."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from common import papers, paths
from common.errors import ReplicateError
from common.runs import notebooks, provenance, store
from common.runs.files import storage, write_json
from common.runs.keys import Plan, declared_profile, plan
from common.runs.results import Listener, Progress, RunResult

if TYPE_CHECKING:
    from nbformat import NotebookNode


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a build as Ctrl-C does."""


@dataclass
class _Job:
    plan: Plan
    folder: Path
    process: subprocess.Popen[bytes]
    pipe: int
    progress: Progress
    threads: int
    started: str
    text: bytes = b""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)


def execute(
    slug: str,
    *,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    texts: list[str] | None = None,
    force: bool = False,
    listener: Listener | None = None,
) -> RunResult:
    """Run one chapter, or take an earlier run of the same code, parameters and data.

    Args:
        slug: the chapter.
        profile: ``quick``, ``standard`` or ``full``.
        given: parameters that override the profile's.
        texts: the same as ``name=value`` from a command line.
        force: run even if there is such a run.
        listener: called whenever the chapter goes on.

    Returns:
        The result; a failing cell is told in it and not raised.

    Raises:
        UsageError: the request cannot be meant.
        ReplicateError: declaration, disk or folder do not allow a run.
        KeyboardInterrupt: Ctrl-C or SIGTERM; nothing half-made is left.
    """
    wanted = plan(slug, profile=profile, given=given, texts=texts)
    return _execute([wanted], force=force, jobs=1, listener=listener)[0]


def execute_all(
    slugs: Sequence[str],
    *,
    profile: str = "quick",
    force: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> list[RunResult]:
    """Run several chapters; one that fails, or cannot be planned, stops only itself.

    Args:
        slugs: the chapters, in the order of the results.
        profile: the same for all.
        force: run even what did not change.
        listener: called whenever a chapter goes on.
        jobs: runs at the same time; as many as cores and memory allow by default.

    Returns:
        One result a chapter, in order.

    Raises:
        ReplicateError: disk or folder do not allow any run.
        KeyboardInterrupt: Ctrl-C or SIGTERM; finished runs are kept.
    """
    plans: list[Plan] = []
    results: dict[str, RunResult] = {}
    for slug in slugs:
        try:
            plans.append(plan(slug, profile=profile))
        except ReplicateError as error:
            text = str(error)
            told = text if text.startswith(slug) else f"{slug}: {text}"
            results[slug] = RunResult(slug, profile, error=told)
            if listener:
                listener(Progress(slug, profile, state="failed", seconds=0.0))
    done = _execute(plans, force=force, jobs=jobs, listener=listener)
    results |= {result.slug: result for result in done}
    return [results[slug] for slug in slugs]


def _execute(
    plans: Sequence[Plan], *, force: bool, jobs: int | None, listener: Listener | None
) -> list[RunResult]:
    tell = listener or (lambda progress: None)
    results: dict[str, RunResult] = {}
    waiting: list[Plan] = []
    for wanted in plans:
        store.sweep(wanted.slug)
        cached = None if force else _cached(wanted)
        if cached is not None:
            results[wanted.slug] = cached
            tell(Progress(wanted.slug, wanted.profile, state="cached", seconds=0.0))
        else:
            waiting.append(wanted)
            tell(Progress(wanted.slug, wanted.profile, estimate=_estimate(wanted)))
    if waiting:
        jobs = max(1, min(jobs or _default_jobs(waiting), len(waiting)))
        results |= _run_children(waiting, jobs, tell)
    return [results[wanted.slug] for wanted in plans]


def _cost(wanted: Plan) -> papers.Profile:
    return declared_profile(papers.load(wanted.slug), wanted.profile)


def _estimate(wanted: Plan) -> float:
    return store.seconds(wanted.slug, wanted.profile, _cost(wanted).minutes)


def _default_jobs(plans: Sequence[Plan]) -> int:
    """Return how many runs fit at once by cores and by the memory that their profiles declare."""
    largest = max(_cost(one).memory_gb for one in plans)
    available = psutil.virtual_memory().available / 2**30
    return max(1, min(provenance.cores(), int(available // max(largest, 0.5))))


def _cached(wanted: Plan) -> RunResult | None:
    run = store.lookup(wanted.slug, wanted.id)
    folder = store.runs_dir(wanted.slug) / wanted.id
    notebook = folder / store.NOTEBOOK
    if run is None or not store.refresh(notebook, wanted.notebook):
        return None
    return RunResult(wanted.slug, wanted.profile, wanted.id, notebook, folder, run, cached=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM stop a build as Ctrl-C does (only the main thread can listen to signals)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_children(plans: Sequence[Plan], jobs: int, tell: Listener) -> dict[str, RunResult]:
    waiting, running = list(plans), dict[int, _Job]()
    results: dict[str, RunResult] = {}
    threads = max(1, provenance.cores() // jobs)
    with _stoppable(), selectors.DefaultSelector() as pipes:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    _start(waiting.pop(0), threads, running, pipes)
                for key, _ in pipes.select(timeout=1):
                    job = running[key.fd]
                    if _read(job, tell):
                        continue
                    pipes.unregister(key.fd)
                    job.process.wait()
                    results[job.plan.slug] = _finish(job, tell)
                    os.close(key.fd)
                    del running[key.fd]
        finally:
            _end(list(running.values()))
    return results


def _start(
    wanted: Plan, threads: int, running: dict[int, _Job], pipes: selectors.BaseSelector
) -> None:
    folder = store.temporary(wanted.slug, wanted.id)
    work = folder / store.WORK
    try:
        store.write_notebook(work / "input.ipynb", wanted.notebook)
        pipe, child_end = os.pipe()
        with storage(folder), (work / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                _command(work, child_end),
                cwd=paths.root(),
                env=provenance.child_environment(
                    folder=folder,
                    work=work,
                    run_id=wanted.id,
                    profile=wanted.profile,
                    threads=threads,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(child_end,),
                # Ctrl-C reaches this process alone, which then ends its children in order
                start_new_session=True,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    os.close(child_end)
    progress = Progress(
        wanted.slug,
        wanted.profile,
        state="running",
        started=time.monotonic(),
        estimate=_estimate(wanted),
    )
    running[pipe] = _Job(wanted, folder, process, pipe, progress, threads, provenance.now())
    pipes.register(pipe, selectors.EVENT_READ)


def _command(work: Path, pipe: int) -> list[str]:
    source, target = str(work / "input.ipynb"), str(work / "output.ipynb")
    module = [sys.executable, "-m", "common.runs.child"]
    return [*module, source, target, str(pipe), str(os.getpid())]


def _read(job: _Job, tell: Listener) -> bool:
    """Take what a child has reported; return False when it has closed its end."""
    received = os.read(job.pipe, 1 << 16)
    *lines, job.text = (job.text + received).split(b"\n")
    for line in lines:
        event = json.loads(line)
        job.events[event.pop("event")] = event
        if "cell" in event:
            job.progress = replace(job.progress, cell=event["cell"], cells=event["cells"])
            tell(job.progress)
    return bool(received)


def _finish(job: _Job, tell: Listener) -> RunResult:
    try:
        result = _keep(job) if "done" in job.events else _keep_failed(job)
    except ReplicateError as error:
        result = _failure(job, str(error), None)
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
    state = "failed" if result.error else "done"
    tell(replace(job.progress, state=state, seconds=_elapsed(job)))
    return result


def _elapsed(job: _Job) -> float:
    return round(time.monotonic() - (job.progress.started or 0.0), 3)


def _description(job: _Job) -> dict[str, Any]:
    """Return the content of ``run.json``."""
    return {
        "slug": job.plan.slug,
        "profile": job.plan.profile,
        "id": job.plan.id,
        "parameters": job.plan.parameters,
        "overrides": job.plan.overrides,
        "key": job.plan.parts,
        "git": provenance.git(),
        "versions": job.plan.parts["versions"],
        "hardware": provenance.hardware(),
        "threads": job.threads,
        "started": job.started,
        "ended": provenance.now(),
        "wall_s": _elapsed(job),
        **{"cpu_s": None, "peak_memory_mb": None, **job.events.get("usage", {})},
        "data": job.plan.parts["data"],
        "cells": job.progress.cells,
        "files": store.file_hashes(job.folder),
    }


def _executed(job: _Job) -> NotebookNode | None:
    """Return what papermill wrote; None if it wrote nothing or, on a full disk, half of it."""
    try:
        return notebooks.clean(store.read_notebook(job.folder / store.WORK / "output.ipynb"))
    except ValueError:
        return None


def _keep(job: _Job) -> RunResult:
    executed = _executed(job)
    if executed is None:
        return _failure(job, "its executed notebook was not written whole", None)
    merged = notebooks.with_outputs(job.plan.notebook, executed)
    store.write_notebook(job.folder / store.NOTEBOOK, merged)
    run = _description(job)
    write_json(job.folder / "run.json", run)
    target = store.runs_dir(job.plan.slug) / job.plan.id
    store.publish(job.folder, target)
    notebook = target / store.NOTEBOOK
    return RunResult(job.plan.slug, job.plan.profile, job.plan.id, notebook, target, run)


def _keep_failed(job: _Job) -> RunResult:
    """Keep the notebook of a failed run, as far as it came, for the page that shows the error."""
    executed = _executed(job)
    if executed is None:
        return _failure(job, _reason(job), None)
    store.write_notebook(job.folder / store.NOTEBOOK, executed)
    result = _failure(job, _reason(job), store.runs_dir(job.plan.slug) / "failed" / store.NOTEBOOK)
    told = {**result.run, **job.events.get("failed", {}), "error": result.error}
    write_json(job.folder / "failure.json", {**told, "cell": result.cell})
    store.publish(job.folder, store.runs_dir(job.plan.slug) / "failed")
    return result


def _reason(job: _Job) -> str:
    if "storage" in job.events:
        text = job.events["storage"]["text"]
        return f"its folder cannot be written: {text}. Make room or choose another folder."
    if "failed" in job.events:
        event = job.events["failed"]
        return f"{event['name']}: {event['text']}".rstrip(": ")
    log = job.folder / store.WORK / "log.txt"
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    last = f": {lines[-1]}" if lines else ""
    return f"its process ended with code {job.process.returncode}{last}"


def _failure(job: _Job, reason: str, notebook: Path | None) -> RunResult:
    cell = job.progress.cell or None
    place = f"code cell {cell} of {job.progress.cells} failed with " if cell else ""
    slug = job.plan.slug
    return RunResult(
        slug,
        job.plan.profile,
        job.plan.id,
        notebook=notebook,
        run={**_description(job), "files": {}},
        error=f"{slug}: {place}{reason}",
        cell=cell,
    )


def _end(jobs: Sequence[_Job]) -> None:
    """End children with everything they started, and remove what they were making."""
    if not jobs:
        return
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        for job in jobs:
            _kill(job.process)
            os.close(job.pipe)
            shutil.rmtree(job.folder, ignore_errors=True)
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.kill()
    process.wait()
    psutil.wait_procs(family, timeout=3)
