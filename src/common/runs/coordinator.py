"""The side that asks for runs: hands them to a Dask cluster and publishes what comes back.

Only this process writes to the folders of runs, one whole run at a time; whatever is killed, a
run is there completely or not at all.
"""

from __future__ import annotations

import queue
import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import ReplicateError
from common.runs import keys, notebooks, provenance, store, work
from common.runs.files import storage, write_json
from common.runs.keys import Plan
from common.runs.locks import RunLock
from common.runs.results import Listener, Progress, RunResult

if TYPE_CHECKING:
    from distributed import Client, Future

# how long this process waits for news before it looks after the rest
_PATIENCE_S = 0.5
# what is handed out in advance; a cluster that grows with its queue needs to see one
_LEAST_AHEAD = 32


@dataclass(frozen=True)
class Options:
    """How runs are to be made.

    Args:
        force: make them even if they are there.
        timeout_s: limit for each; None for none.
        retries: further tries of a run whose process or worker died.
        gpu: see :class:`common.runs.work.Task`.
        elsewhere: whether workers may differ from this process.
        ahead: runs that are handed out at a time; by the size of the cluster if None.
        estimates: expected seconds, by chapter and profile.
    """

    force: bool = False
    timeout_s: float | None = None
    retries: int = 1
    gpu: bool | None = None
    elsewhere: bool = False
    ahead: int | None = None
    estimates: Mapping[tuple[str, str], float] | None = None


@dataclass
class _Flight:
    plan: Plan
    lock: RunLock
    progress: Progress
    future: Future
    tries: int


class Coordinator:
    """Makes runs on a cluster.

    Args:
        client: of the cluster.
        options: how.
        tell: called whenever a run goes on.
    """

    def __init__(self, client: Client, options: Options, tell: Listener) -> None:
        self._client = client
        self._options = options
        self._tell = tell
        self._news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._flying: dict[str, _Flight] = {}
        self._waiting: deque[Plan] = deque()
        self._elsewhere: deque[Plan] = deque()
        self._looked = 0.0
        self._slots = (0.0, 1)
        self._packages: dict[str, tuple[str, ...]] = {}
        self._git = provenance.git()
        self.results: dict[str, RunResult] = {}

    def make(self, plans: Sequence[Plan]) -> dict[str, RunResult]:
        """Make runs until each has a result.

        Args:
            plans: the runs, no id twice.

        Returns:
            One result for each id. Where the scheduler was lost, unfinished runs have an error.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; finished runs are kept.
        """
        topic = f"replicate-{id(self):x}-{time.time_ns():x}"
        self._client.subscribe_topic(topic, lambda event: self._news.put(("event", event[1])))
        self._waiting.extend(plans)
        try:
            while self._waiting or self._elsewhere or self._flying:
                if self._client.status != "running":
                    self._lose("the scheduler was lost")
                    break
                self._hand_out(topic)
                try:
                    kind, content = self._news.get(timeout=_PATIENCE_S)
                except queue.Empty:
                    continue
                if kind == "event":
                    self._hear(content)
                else:
                    self._land(content)
        finally:
            self._let_go()
        return self.results

    def _ahead(self) -> int:
        if self._options.ahead is not None:
            return self._options.ahead
        now = time.monotonic()
        if now - self._slots[0] > 5 or not self._slots[0]:
            self._slots = (now, sum(self._client.nthreads().values()))
        return max(_LEAST_AHEAD, 2 * self._slots[1])

    def _hand_out(self, topic: str) -> None:
        now = time.monotonic()
        if self._elsewhere and now - self._looked > 1:
            self._looked = now
            self._waiting.extendleft(self._elsewhere)
            self._elsewhere.clear()
        while self._waiting and len(self._flying) < self._ahead():
            plan = self._waiting.popleft()
            try:
                self._hand_out_one(plan, topic)
            except ReplicateError as error:
                self._finish(plan, _failure(plan, str(error)), self._progress(plan))

    def _hand_out_one(self, plan: Plan, topic: str) -> None:
        lock = RunLock(plan.slug, plan.id)
        if not lock.take():
            self._tell(self._progress(plan, state="elsewhere"))
            self._elsewhere.append(plan)
            return
        # whoever had the lock may have made it
        found = None if self._options.force else cached(plan)
        if found is not None:
            lock.release()
            self._finish(plan, found, self._progress(plan), state="cached")
            return
        self._submit(plan, lock, topic, tries=1)

    def _submit(self, plan: Plan, lock: RunLock, topic: str, *, tries: int) -> None:
        task = work.Task(
            slug=plan.slug,
            profile=plan.profile,
            id=plan.id,
            notebook=notebooks.text(plan.notebook),
            parts=plan.parts,
            packages=self._packages_of(plan),
            timeout_s=self._options.timeout_s,
            gpu=self._options.gpu,
            elsewhere=self._options.elsewhere,
        )
        future = self._client.submit(
            work.on_worker,
            task,
            topic,
            key=f"{plan.slug}-{plan.id}-{tries}-{time.time_ns():x}",
            resources={"GPU": 1} if self._options.gpu else None,
            pure=False,
        )
        flight = _Flight(plan, lock, self._progress(plan), future, tries)
        self._flying[plan.id] = flight
        future.add_done_callback(partial(self._note, plan.id, topic))

    def _packages_of(self, plan: Plan) -> tuple[str, ...]:
        if plan.slug not in self._packages:
            names = keys.imports_of(notebooks.code_cells(plan.chapter))
            self._packages[plan.slug] = tuple(sorted(n for n in names if not keys.is_ours(n)))
        return self._packages[plan.slug]

    def _note(self, run_id: str, topic: str, _future: Future) -> None:
        self._news.put(("done", (run_id, topic)))

    def _hear(self, event: Mapping[str, Any]) -> None:
        flight = self._flying.get(event["id"])
        if flight is None or "cell" not in event:
            return
        started = flight.progress.started or time.monotonic()
        flight.progress = replace(
            flight.progress,
            state="running",
            started=started,
            cell=event["cell"],
            cells=event["cells"],
        )
        self._tell(flight.progress)

    def _land(self, landed: tuple[str, str]) -> None:
        run_id, topic = landed
        flight = self._flying.pop(run_id, None)
        if flight is None:
            return
        plan, tries = flight.plan, flight.tries
        if flight.future.status in ("cancelled", "lost"):
            self._flying[run_id] = flight
            self._lose("the scheduler was lost")
            return
        delivery = _delivered(flight.future)
        flight.future.release()
        if delivery.lost and tries <= self._options.retries:
            self._submit(plan, flight.lock, topic, tries=tries + 1)
            return
        try:
            result = publish(
                plan, delivery, cells=flight.progress.cells, tries=tries, git=self._git
            )
        except ReplicateError as error:
            result = _failure(plan, str(error))
        flight.lock.release()
        self._finish(plan, result, flight.progress)

    def _progress(self, plan: Plan, *, state: str = "waiting") -> Progress:
        estimate = (self._options.estimates or {}).get((plan.slug, plan.profile))
        return Progress(plan.slug, plan.profile, state=state, estimate=estimate, id=plan.id)

    def _finish(
        self, plan: Plan, result: RunResult, progress: Progress, *, state: str | None = None
    ) -> None:
        self.results[plan.id] = result
        state = state or ("failed" if result.error else "done")
        seconds = float(result.run.get("wall_s") or 0.0) if state != "cached" else 0.0
        self._tell(replace(progress, state=state, seconds=seconds))

    def _lose(self, reason: str) -> None:
        """Give up what has no result yet."""
        flights = list(self._flying.values())
        left = [*(flight.plan for flight in flights), *self._waiting, *self._elsewhere]
        for held in (self._flying, self._waiting, self._elsewhere):
            held.clear()
        for flight in flights:
            flight.lock.release()
        for plan in left:
            told = f"{plan.slug}: {reason}. Run the same command again to go on from here."
            failed = RunResult(plan.slug, plan.profile, plan.id, error=told)
            self._finish(plan, failed, self._progress(plan))

    def _let_go(self) -> None:
        flights, self._flying = list(self._flying.values()), {}
        for flight in flights:
            flight.lock.release()
        if flights and self._client.status == "running":
            self._client.cancel([flight.future for flight in flights], force=True)


def cached(plan: Plan) -> RunResult | None:
    """Return the result of an earlier run of the same code, parameters and data, if it is whole."""
    run = store.lookup(plan.slug, plan.id)
    folder = store.runs_dir(plan.slug) / plan.id
    notebook = folder / store.NOTEBOOK
    if run is None or not store.refresh(notebook, plan.notebook):
        return None
    return RunResult(plan.slug, plan.profile, plan.id, notebook, folder, run, cached=True)


def _delivered(future: Future) -> work.Delivery:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    name = type(error).__name__
    if name == "KilledWorker":
        return work.Delivery(problem="every worker that tried it died", lost=False)
    return work.Delivery(problem=f"its worker failed with {name}: {error}")


def publish(
    plan: Plan,
    delivery: work.Delivery,
    *,
    cells: int,
    tries: int,
    git: Mapping[str, Any] | None,
) -> RunResult:
    """Write what came of a run into its folder, whole or not at all.

    Args:
        plan: the run.
        delivery: what came of it.
        cells: code cells of the notebook, as far as they are known.
        tries: how often it was tried.
        git: state of the checkout.

    Returns:
        The result. Of a run that failed the notebook, as far as it came, and ``failure.json``
        are kept in ``failed/<id>`` beside the complete runs.

    Raises:
        ReplicateError: the folder cannot be written; nothing of the run is left.
    """
    described = _description(plan, delivery, cells=cells, tries=tries, git=git)
    folder = store.temporary(plan.slug, plan.id)
    try:
        if not delivery.done:
            return _keep_failed(plan, delivery, described, folder)
        executed = _executed(delivery)
        if executed is None:
            return _failure(plan, "its executed notebook was not written whole", described)
        merged = notebooks.with_outputs(plan.notebook, executed)
        store.write_notebook(folder / store.NOTEBOOK, merged)
        with storage(folder):
            for name, content in delivery.files.items():
                (folder / name).write_bytes(content)
        described["files"] = work.file_hashes(delivery.files)
        write_json(folder / "run.json", described)
        target = store.runs_dir(plan.slug) / plan.id
        store.publish(folder, target)
        shutil.rmtree(_failed_dir(plan), ignore_errors=True)
        notebook = target / store.NOTEBOOK
        return RunResult(plan.slug, plan.profile, plan.id, notebook, target, described)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _failed_dir(plan: Plan) -> Any:
    return store.runs_dir(plan.slug) / store.FAILED / plan.id


def _description(
    plan: Plan,
    delivery: work.Delivery,
    *,
    cells: int,
    tries: int,
    git: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the content of ``run.json``, without the hashes of files."""
    return {
        "slug": plan.slug,
        "profile": plan.profile,
        "id": plan.id,
        "parameters": plan.parameters,
        "overrides": plan.overrides,
        "key": plan.parts,
        "git": git,
        "versions": plan.parts["versions"],
        **delivery.facts,
        "data": plan.parts["data"],
        "cells": delivery.events.get("cell", {}).get("cells", cells),
        "tries": tries,
        "files": {},
    }


def _executed(delivery: work.Delivery) -> Any:
    """Return what papermill wrote; None if it wrote nothing or, on a full disk, half of it."""
    if delivery.notebook is None:
        return None
    import nbformat

    try:
        return notebooks.clean(nbformat.reads(delivery.notebook, as_version=4))
    except (AttributeError, ValueError, nbformat.reader.NotJSONError):
        return None


def _keep_failed(
    plan: Plan, delivery: work.Delivery, described: dict[str, Any], folder: Any
) -> RunResult:
    cell = delivery.events.get("cell", {}).get("cell")
    cells = delivery.events.get("cell", {}).get("cells")
    by_itself = delivery.problem is None and {"failed", "died"} & set(delivery.events)
    place = f"code cell {cell} of {cells}{' failed with' if by_itself else ':'} " if cell else ""
    failure = _failure(plan, f"{place}{_reason(delivery)}", described, cell=cell)
    executed = _executed(delivery)
    if executed is not None:
        store.write_notebook(folder / store.NOTEBOOK, executed)
    told = {**delivery.events.get("failed", {}), "error": failure.error, "cell": cell}
    told = {name: value for name, value in told.items() if name != "event"}
    write_json(folder / "failure.json", {**described, "traceback": [], **told})
    target = _failed_dir(plan)
    with storage(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    store.publish(folder, target)
    notebook = target / store.NOTEBOOK if executed is not None else None
    return replace(failure, notebook=notebook)


def _reason(delivery: work.Delivery) -> str:
    events = delivery.events
    if delivery.problem is not None:
        return delivery.problem
    if "storage" in events:
        text = events["storage"]["text"]
        return f"its folder cannot be written: {text}. Make room or choose another folder."
    if "refused" in events:
        return events["refused"]["text"]
    for kind in ("failed", "died"):
        if kind in events:
            return f"{events[kind]['name']}: {events[kind]['text']}".rstrip(": ")
    code = events.get("ended", {}).get("code", "unknown")
    last = f": {delivery.log}" if delivery.log else ""
    return f"its process ended with code {code}{last}"


def _failure(
    plan: Plan, reason: str, run: dict[str, Any] | None = None, *, cell: int | None = None
) -> RunResult:
    told = reason if reason.startswith(plan.slug) else f"{plan.slug}: {reason}"
    return RunResult(plan.slug, plan.profile, plan.id, run=run or {}, error=told, cell=cell)
