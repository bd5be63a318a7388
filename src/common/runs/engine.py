"""Execution of runs: cached ones are taken, the others made on a Dask cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

from common.errors import ReplicateError, UsageError
from common.runs import keys, provenance, store
from common.runs.keys import Plan
from common.runs.results import Listener, Progress, RunResult


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a build as Ctrl-C does."""


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
    wanted = keys.plan(slug, profile=profile, given=given, texts=texts)
    return execute_plans([wanted], force=force, jobs=1, listener=listener)[0]


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
            plans.append(keys.plan(slug, profile=profile))
        except ReplicateError as error:
            text = str(error)
            told = text if text.startswith(slug) else f"{slug}: {text}"
            results[slug] = RunResult(slug, profile, error=told)
            if listener:
                listener(Progress(slug, profile, state="failed", seconds=0.0))
    done = execute_plans(plans, force=force, jobs=jobs, listener=listener)
    results |= {result.slug: result for result in done}
    return [results[slug] for slug in slugs]


def execute_plans(
    plans: Sequence[Plan],
    *,
    force: bool = False,
    jobs: int | None = None,
    scheduler: str | None = None,
    gpus: bool | None = None,
    timeout: float | None = None,
    retries: int = 1,
    listener: Listener | None = None,
    note: Callable[[str], None] | None = None,
) -> list[RunResult]:
    """Make runs, each once, whoever else makes some of them at the same time.

    Args:
        plans: the runs.
        force: make them even if they are there.
        jobs: runs at a time on this machine; as many as cores, memory and GPUs allow by default.
        scheduler: address of a Dask scheduler whose workers make them instead.
        gpus: True lends each run a GPU of its own, False hides all; by default each run gets one
            where this machine, or a worker of the scheduler, has any.
        timeout: seconds that a run may take.
        retries: further tries of a run whose process or worker died; a failing cell fails again
            and is not tried twice.
        listener: called whenever a run goes on.
        note: called with what a person should know at the start, such as the dashboard's address.

    Returns:
        One result for each plan, in order.

    Raises:
        UsageError: GPUs are asked for where there are none.
        ReplicateError: the scheduler cannot be reached, or the folder of runs not be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; finished runs are kept.
    """
    tell = listener or (lambda progress: None)
    say = note or (lambda text: None)
    by_id = {plan.id: plan for plan in plans}
    results: dict[str, RunResult] = {}
    waiting: list[Plan] = []
    estimates = _estimates(list(by_id.values()))
    for slug in {plan.slug for plan in plans}:
        store.sweep(slug)
    for plan in by_id.values():
        progress = Progress(
            plan.slug, plan.profile, estimate=estimates[plan.slug, plan.profile], id=plan.id
        )
        found = None if force else _cached(plan, say)
        if found is not None:
            results[plan.id] = found
            tell(Progress(plan.slug, plan.profile, state="cached", seconds=0.0, id=plan.id))
        else:
            waiting.append(plan)
            tell(progress)
    if waiting:
        store.check_writable(waiting[0].slug)
        with _cluster(waiting, jobs=jobs, scheduler=scheduler, gpus=gpus, say=say) as (
            client,
            gpu,
            ahead,
        ):
            from common.runs.coordinator import Coordinator, Options

            options = Options(
                force=force,
                timeout_s=timeout,
                retries=retries,
                gpu=gpu,
                elsewhere=scheduler is not None,
                ahead=ahead,
                estimates=estimates,
            )
            results |= Coordinator(client, options, tell).make(waiting)
    return [results[plan.id] for plan in plans]


def _cached(plan: Plan, say: Callable[[str], None]) -> RunResult | None:
    if not (store.runs_dir(plan.slug) / plan.id).is_dir():
        return None
    from common.runs import coordinator

    found = coordinator.cached(plan)
    if found is None:
        say(f"{plan.slug}: run {plan.id} is damaged and is made again")
    return found


def _estimates(plans: Sequence[Plan]) -> dict[tuple[str, str], float]:
    kinds = {(plan.slug, plan.profile) for plan in plans}
    return {
        (slug, profile): store.seconds(slug, profile, keys.cost(slug, profile).minutes)
        for slug, profile in kinds
    }


def default_jobs(plans: Sequence[Plan]) -> int:
    """Return how many runs fit at once by cores and by the memory that their profiles declare."""
    costs = [keys.cost(*kind) for kind in {(plan.slug, plan.profile) for plan in plans}]
    largest = max(cost.memory_gb for cost in costs)
    available = psutil.virtual_memory().available / 2**30
    return max(1, min(provenance.cores(), int(available // max(largest, 0.5))))


@contextmanager
def _cluster(
    plans: Sequence[Plan],
    *,
    jobs: int | None,
    scheduler: str | None,
    gpus: bool | None,
    say: Callable[[str], None],
) -> Iterator[tuple[Any, bool | None, int | None]]:
    """Yield a client, what becomes of GPUs, and how many runs are handed out at a time."""
    # they take half a second to import, which a run from the cache does not need
    from common.runs import cluster, work

    with ExitStack() as stack:
        stack.enter_context(_stoppable())
        if scheduler is not None:
            client = stack.enter_context(cluster.joined(scheduler))
            gpu = _gpus_of_workers(client, gpus)
            say(f"{len(client.nthreads())} workers at {scheduler}, {client.dashboard_link}")
            if not client.nthreads():
                say("no worker has joined yet; runs start when one does")
            yield client, gpu, None
            return
        from common.runs.gpus import devices

        found = [] if gpus is False else devices()
        if gpus and not found:
            raise UsageError(
                "--gpus needs a GPU, and nvidia-smi lists none here. Leave it out to use the CPU."
            )
        jobs = max(1, min(jobs or default_jobs(plans), len(plans)))
        jobs = min(jobs, len(found)) if found else jobs
        client = stack.enter_context(
            cluster.local(jobs=jobs, gpus=len(found), dashboard=len(plans) > 1)
        )
        # the runs end before the cluster does, and it before this process listens to signals again
        stack.enter_context(work.stoppable())
        if len(plans) > 1:
            say(f"{jobs} runs at a time, dashboard: {cluster.dashboard(client)}")
        hidden = False if gpus is False else None
        yield client, True if found else hidden, 2 * jobs


def _gpus_of_workers(client: Any, gpus: bool | None) -> bool | None:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    have = any(worker.get("resources", {}).get("GPU") for worker in workers)
    if gpus and workers and not have:
        raise UsageError(
            "--gpus needs workers with a GPU, and none of the scheduler's has one. Start them "
            "with `dask worker <address> --resources GPU=1`."
        )
    if gpus is None:
        return True if have else None
    return gpus


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
