"""The side of a run that starts it: from a preloaded process where the platform can fork one.

A process that runs chapters keeps one template (:mod:`common.runs.template`) for each state of
the code and each number of threads.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

from common.runs.child import Request

# forking a process that has loaded the system's frameworks is not safe on macOS, Windows has none
FORKS = sys.platform.startswith("linux")


class Template:
    """A preloaded process that forks one process for every run.

    Args:
        modules: what it imports first.
        environment: its variables; thread limits are read when a library is loaded.
    """

    def __init__(self, modules: Sequence[str], environment: dict[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        # it lives as long as the process that writes it
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "common.runs.template", str(theirs.fileno()), *modules]
        with theirs:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C reaches the process that asked for the runs, which ends them in order
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def launch(self, request: Request) -> socket.socket:
        """Fork a process for a run.

        Returns:
            The connection on which the run reports; see :mod:`common.runs.child`.

        Raises:
            ConnectionError: the template is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                with self._lock:
                    socket.send_fds(self._control, [b"r"], [theirs.fileno()])
                request.send(ours)
            except OSError as error:
                ours.close()
                raise ConnectionError(f"the preloaded process is gone: {error}") from None
        return ours

    def last_words(self) -> str:
        """Return the last line that it wrote."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """End it with every run it started."""
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Cold:
    """Starts a new interpreter for every run, where processes cannot be forked."""

    alive = True

    def launch(self, request: Request) -> socket.socket:
        """Start a process for a run; see :meth:`Template.launch`."""
        ours, theirs = socket.socketpair()
        with theirs, open(request.log, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "common.runs.child", str(theirs.fileno())],
                cwd=request.folder,
                env=request.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        threading.Thread(target=process.wait, daemon=True).start()
        request.send(ours)
        return ours

    def last_words(self) -> str:
        """Return nothing: each run has a log of its own."""
        return ""

    def close(self) -> None:
        """Do nothing: a run that starts cold ends with the process that started it."""


_lock = threading.Lock()
_kept: dict[tuple[str, ...], Template | Cold] = {}


def launcher(
    modules: Sequence[str], environment: dict[str, str], *, code: str
) -> "Template | Cold":
    """Return what starts runs in this process; it is made at the first call.

    Args:
        modules: imported before the first run.
        environment: variables of the process that is preloaded.
        code: hash of the modules; with other code another process is made.
    """
    key = (code, environment.get("OMP_NUM_THREADS", ""), *modules)
    with _lock:
        found = _kept.get(key)
        if found is None or not found.alive:
            if found is not None:
                found.close()
            found = Template(modules, environment) if FORKS else Cold()
            _kept[key] = found
        return found


def close_all() -> None:
    """End every preloaded process of this one."""
    with _lock:
        for one in _kept.values():
            one.close()
        _kept.clear()


# a forked worker must not close its parent's templates
os.register_at_fork(after_in_child=_kept.clear)
