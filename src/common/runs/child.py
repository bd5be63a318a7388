"""One run in a process of its own: a notebook through papermill, told cell by cell.

The process is forked from a preloaded one (:mod:`common.runs.template`), or started cold by
``python -m common.runs.child`` where processes cannot be forked. It ends itself when the process
that started it is gone.
"""

import json
import os
import re
import resource
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import papermill
import psutil
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from common.runs import kernel, notebooks

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Request:
    """What a process is asked to run.

    Args:
        source, target: the notebook, and where papermill writes what it became.
        folder: working directory of the notebook.
        log: file for what is written outside of cells.
        environment: all environment variables of the run.
    """

    source: str
    target: str
    folder: str
    log: str
    environment: dict[str, str]

    def send(self, connection: socket.socket) -> None:
        """Write the request as one line of JSON."""
        connection.sendall(json.dumps(asdict(self)).encode() + b"\n")

    @classmethod
    def receive(cls, connection: socket.socket) -> "Request":
        """Read what :meth:`send` wrote.

        Raises:
            EOFError: the other side is gone.
        """
        text = b""
        while not text.endswith(b"\n"):
            received = connection.recv(1 << 16)
            if not received:
                raise EOFError("no request came")
            text += received
        return cls(**json.loads(text))


class Reporter:
    """Writes events, one line of JSON each, for the process that asked for the run."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __call__(self, event: str, **content: Any) -> None:
        """Write one event."""
        self._connection.sendall(json.dumps({"event": event, **content}).encode() + b"\n")


def engine(report: Reporter) -> type[NBClientEngine]:
    """Return papermill's own engine, reporting the start of each cell that does something."""

    class Reporting(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            cells = notebooks.code_cells(nb_man.nb)
            numbers = {cell.id: number for number, cell in enumerate(cells, start=1)}
            start = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> Any:
                if cell.id in numbers:
                    report("cell", cell=numbers[cell.id], cells=len(cells))
                return start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    return Reporting


def watch_parent(parent: int) -> None:
    """End this process and its kernel when the parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(1)


def execute(request: Request, report: Reporter) -> None:
    """Execute a notebook and report how it ended; no error leaves this function."""
    papermill_engines.register("reporting", engine(report))
    try:
        papermill.execute_notebook(
            request.source,
            request.target,
            engine_name="reporting",
            kernel_name="python3",
            cwd=request.folder,
            progress_bar=False,
            config=kernel.CLIENT,
        )
    except PapermillExecutionError as error:
        trace = [_COLOUR.sub("", line) for line in error.traceback or []]
        report("failed", name=error.ename, text=_COLOUR.sub("", error.evalue), traceback=trace)
    except OSError as error:
        report("storage", text=error.strerror or str(error))
    except Exception as error:
        # a dead kernel, a missing kernel: the parent knows the cell
        text = _COLOUR.sub("", str(error)).strip().splitlines()
        report("died", name=type(error).__name__, text=text[-1] if text else "")
    else:
        report("done")


def run(request: Request, connection: socket.socket) -> None:
    """Execute a request in this process, to the end, and report what it cost."""
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    report = Reporter(connection)
    report("started", pid=os.getpid())
    execute(request, report)
    # the kernel is this process's only child and has been waited for
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 if sys.platform == "darwin" else 1024
    report(
        "usage",
        cpu_s=round(usage.ru_utime + usage.ru_stime, 3),
        peak_memory_mb=round(usage.ru_maxrss * scale / 2**20, 1),
    )


def main() -> None:
    """Run what is asked for on the connection whose number the command line gives."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    run(Request.receive(connection), connection)


if __name__ == "__main__":
    main()
