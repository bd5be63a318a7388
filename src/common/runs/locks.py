"""One maker for each run: two sweeps over the same points share the work instead of doing it twice.

The locks are files of the operating system: they end with the process that holds them, however it
ends.
"""

from filelock import FileLock, Timeout

from common.runs import store
from common.runs.files import storage


class RunLock:
    """The right to make one run.

    Args:
        slug: the chapter.
        run_id: the run.
    """

    def __init__(self, slug: str, run_id: str) -> None:
        self._path = store.runs_dir(slug) / ".locks" / f"{run_id}.lock"
        self._lock = FileLock(self._path, timeout=0)

    def take(self) -> bool:
        """Take the lock; return False if another process has it.

        Raises:
            ReplicateError: the folder cannot be written.
        """
        with storage(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Let others make the run."""
        self._lock.release()
