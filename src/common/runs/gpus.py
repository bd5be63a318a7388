"""The GPUs of this machine: each is lent to one run at a time, whoever asks."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_EVERY_S = 0.5


@dataclass(frozen=True)
class Device:
    """One GPU.

    Args:
        uuid: names it whatever the order of devices.
        name: the model.
    """

    uuid: str
    name: str


def devices() -> list[Device]:
    """List the GPUs that this process may use, by ``nvidia-smi`` and ``CUDA_VISIBLE_DEVICES``."""
    rows = _ask("index,uuid,name")
    found = {row[0]: Device(row[1], row[2]) for row in rows if len(row) == 3}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(found.values())
    names = [name.strip() for name in visible.split(",") if name.strip()]
    by_name = found | {one.uuid: one for one in found.values()}
    return [by_name[name] for name in names if name in by_name]


def _ask(fields: str, *more: str) -> list[list[str]]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]


def _lock_of(device: Device) -> FileLock:
    folder = Path(tempfile.gettempdir()) / f"replicate-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return FileLock(folder / f"{device.uuid}.lock", timeout=0)


@contextmanager
def lent(*, patience_s: float = 60.0) -> Iterator[Device]:
    """Take a GPU that no other run of this user on this machine has.

    Args:
        patience_s: how long to wait for one.

    Yields:
        The GPU; it is free again at the end of the block, or of this process.

    Raises:
        TimeoutError: there is none, or all are in use.
    """
    end = time.monotonic() + patience_s
    while True:
        found = devices()
        for device in found:
            lock = _lock_of(device)
            try:
                lock.acquire()
            except Timeout:
                continue
            try:
                yield device
            finally:
                lock.release()
            return
        if not found or time.monotonic() > end:
            state = "all are used by other runs" if found else "nvidia-smi lists none"
            raise TimeoutError(f"no GPU is free here: {state}")
        time.sleep(_EVERY_S)


class Meter:
    """Watches the one GPU of a run while a block runs.

    The GPU belongs to the run, so what the whole device does is what the run does.

    Args:
        device: the GPU.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._busy_s = 0.0
        self._peak_mb = 0.0
        self._before_mb: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _watch(self) -> None:
        last = time.monotonic()
        while True:
            rows = _ask("utilization.gpu,memory.used", "-i", self._device.uuid)
            now = time.monotonic()
            if rows and len(rows[0]) == 2:
                busy, used = (_number(text) for text in rows[0])
                self._before_mb = used if self._before_mb is None else self._before_mb
                self._busy_s += busy / 100 * (now - last)
                self._peak_mb = max(self._peak_mb, used - self._before_mb)
            last = now
            if self._stop.wait(_EVERY_S):
                return

    @property
    def usage(self) -> dict[str, float | str]:
        """GPU name, seconds it computed, and peak memory above what was in use before (MB)."""
        return {
            "gpu": self._device.name,
            "gpu_s": round(self._busy_s, 1),
            "gpu_peak_memory_mb": round(self._peak_mb, 1),
        }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
