"""Where runs are made: a Dask cluster inside this process, or any that a scheduler leads."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from common.errors import ReplicateError, UsageError

CONNECT_S = 8
# every cell of every run is an event; the scheduler would keep 100,000 of them
_EVENTS_KEPT = 1000
_SETTINGS = {
    "distributed.admin.low-level-log-length": _EVENTS_KEPT,
    "distributed.admin.system-monitor.disk": False,
    "distributed.worker.profile.enabled": False,
    # runs are processes of their own; what this one holds says nothing of them
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


@contextmanager
def local(*, jobs: int, gpus: int = 0, dashboard: bool = False) -> Iterator[Client]:
    """Start a cluster in this process: one worker that makes so many runs at a time.

    A worker process of its own would gain nothing, for every run is a process anyway.

    Args:
        jobs: runs at a time.
        gpus: how many GPUs the worker lends, one to a run.
        dashboard: serve Dask's dashboard on a free port of this machine.

    Yields:
        A client; :func:`dashboard` names its dashboard.
    """
    with (
        dask.config.set(_SETTINGS),
        LocalCluster(
            n_workers=1,
            threads_per_worker=jobs,
            processes=False,
            memory_limit=0,
            resources={"GPU": gpus} if gpus else None,
            # without an address both would listen to the whole network
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": dashboard},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def dashboard(client: Client) -> str:
    """Return the address of the dashboard of a :func:`local` cluster, which no other host sees."""
    port = client.scheduler_info()["services"]["dashboard"]
    return f"http://127.0.0.1:{port}/status"


@contextmanager
def joined(address: str) -> Iterator[Client]:
    """Join the cluster of a scheduler.

    Args:
        address: such as ``tcp://host:8786``.

    Yields:
        A client.

    Raises:
        UsageError: this is no address of a scheduler.
        ReplicateError: nothing answers there within :data:`CONNECT_S` seconds, or what answers
            speaks another version.
    """
    if "://" not in address or not address.rpartition(":")[2].isdigit():
        raise UsageError(
            f"--scheduler must be an address such as tcp://host:8786, got {address!r}. "
            "`dask scheduler` prints its own."
        )
    # a lost scheduler is told in one sentence, and not in a traceback of every open connection
    for name in ("asyncio", "distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(
        {
            "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
            "distributed.comm.retry.count": 0,
        }
    ):
        try:
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError, ImportError) as error:
            raise ReplicateError(
                f"the scheduler at {address} does not answer within {CONNECT_S} s: {error}. "
                "Start one with `dask scheduler`, or leave --scheduler out to use this machine."
            ) from None
        try:
            yield client
        finally:
            client.close(timeout=CONNECT_S)
