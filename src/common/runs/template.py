"""The preloaded process: ``python -m common.runs.template <socket> [module ...]``.

It imports what the chapters of a sweep import, has no thread and never touches CUDA, and forks a
process for every run: the seconds that torch and MONAI take to import are spent once.  It ends,
with every run it started, when the process that started it is gone.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

# what papermill, every kernel and every chapter need
ALWAYS = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "common.runs.session",
    "encodings.ascii",
    "matplotlib.pyplot",
    "numpy",
    "pandas",
    "sqlite3",
)


def preload(names: list[str]) -> str | None:
    """Import modules; one that cannot be imported is left to fail in the notebook.

    Returns:
        None, or why processes forked from this one could not use a GPU.
    """
    # asking whether there is a GPU must not initialise the driver, which no fork survives
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    # as a kernel sets it; the backend itself is loaded by the first figure
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    # the debugger of a kernel, which nobody attaches to here, takes as long to start as the rest
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    with suppress(ImportError):
        importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)
    # what is loaded stays: collecting garbage in a fork would walk, and copy, all of it each time
    gc.collect()
    gc.freeze()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "importing its modules initialises CUDA; do that in a function, not at import"
    return None


class Template:
    """Forks a process for every connection that comes.

    Args:
        control: socket that brings the connections.
        refusal: why runs cannot be made, told to each.
    """

    def __init__(self, control: socket.socket, refusal: str | None) -> None:
        self._control = control
        self._refusal = refusal
        self._running: dict[int, socket.socket] = {}
        self._ended, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._ended, False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Callable[[], None] | None:
        """Serve until the parent is gone.

        Returns:
            None at the end; in a forked process what it has to do. It is returned and not called
            here, so that a run ends as any program does, with nothing of this one on its stack.
        """
        while True:
            control = self._control.fileno()
            ready, _, _ = select.select([control, self._ended], [], [])
            if self._ended in ready:
                with suppress(BlockingIOError):
                    os.read(self._ended, 1 << 12)
                self._reap()
            if control in ready:
                message, handles, _, _ = socket.recv_fds(self._control, 1, 1)
                if not message:
                    self._end()
                    return None
                task = self._start(socket.socket(fileno=handles[0]))
                if task is not None:
                    return task

    def _start(self, connection: socket.socket) -> Callable[[], None] | None:
        from common.runs import child, kernel

        try:
            request = child.Request.receive(connection)
        except EOFError:
            connection.close()
            return None
        if self._refusal:
            child.Reporter(connection)("refused", text=self._refusal)
            connection.close()
            return None
        pid = os.fork()
        if pid:
            self._running[pid] = connection
            return None
        self._forget()
        _enter(request.environment, request.folder, request.log)
        process = kernel.fork()
        if process is None:
            connection.close()
            return kernel.become
        kernel.offer(process)
        return lambda: child.run(request, connection)

    def _forget(self) -> None:
        """Close, in a forked process, what belongs to the template and to other runs."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for handle in (self._ended, self._wakeup):
            os.close(handle)
        for other in (self._control, *self._running.values()):
            other.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            connection = self._running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            with suppress(OSError):
                connection.sendall(json.dumps({"event": "ended", "code": code}).encode() + b"\n")
            connection.close()

    def _end(self) -> None:
        """End the runs; each notices that this process is gone and ends its kernel."""
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _enter(environment: dict[str, str], folder: str, log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _leave() -> None:
    """End without taking the loaded libraries apart, which costs a run a quarter of a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """Preload, then serve."""
    # registered first, so called last: every library and the notebook clean up before
    atexit.register(_leave)
    control = socket.socket(fileno=int(sys.argv[1]))
    from common.runs import child, kernel  # noqa: F401 - papermill and the kernel

    refusal = preload([*ALWAYS, *sys.argv[2:]])
    task = Template(control, refusal).serve()
    if task is not None:
        task()


if __name__ == "__main__":
    main()
