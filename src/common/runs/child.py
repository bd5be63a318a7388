"""The process of one run: ``python -m common.runs.child <input> <output> <pipe>``.

It executes a notebook through papermill and reports each cell, and how it ended, as lines of JSON
on a pipe. It ends itself when the process that started it is gone.
"""

import json
import os
import re
import resource
import sys
import threading
import time
from typing import Any

import papermill
import psutil
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from common.runs import notebooks

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Reporter:
    """Writes events, one line of JSON each, for the parent process."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def __call__(self, event: str, **content: Any) -> None:
        """Write one event."""
        line = json.dumps({"event": event, **content}) + "\n"
        os.write(self._pipe, line.encode())


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


def run(source: str, target: str, report: Reporter) -> None:
    """Execute a notebook and report how it ended; no error leaves this function."""
    papermill_engines.register("reporting", engine(report))
    try:
        papermill.execute_notebook(
            source, target, engine_name="reporting", kernel_name="python3", progress_bar=False
        )
    except PapermillExecutionError as error:
        trace = [_COLOUR.sub("", line) for line in error.traceback or []]
        report("failed", name=error.ename, text=_COLOUR.sub("", error.evalue), traceback=trace)
    except OSError as error:
        report("storage", text=error.strerror or str(error))
    except Exception as error:
        # a dead kernel, a missing kernel: the parent knows the cell
        text = _COLOUR.sub("", str(error)).strip().splitlines()
        report("failed", name=type(error).__name__, text=text[-1] if text else "", traceback=[])
    else:
        report("done")


def main() -> None:
    """Run the notebook that the command line names."""
    source, target, pipe, parent = sys.argv[1:]
    threading.Thread(target=watch_parent, args=(int(parent),), daemon=True).start()
    report = Reporter(int(pipe))
    run(source, target, report)
    # the kernel is this process's only child and has been waited for
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 if sys.platform == "darwin" else 1024
    report(
        "usage",
        cpu_s=round(usage.ru_utime + usage.ru_stime, 3),
        peak_memory_mb=round(usage.ru_maxrss * scale / 2**20, 1),
    )


if __name__ == "__main__":
    main()
