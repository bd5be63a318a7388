"""Time what data sets and phantoms must do in time; fails where a bar is missed.

The largest set of the mirror is read where REPLICATE_MIRROR has it.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common import integrity, manifests
from common.datasets import registry

LARGEST = "kvasir-seg-352"


def hashing() -> float:
    """Return the speed of a checksum over 1 GB on disk, in MB/s."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large"
        block = np.random.default_rng(0).bytes(1 << 26)
        with path.open("wb") as stream:
            for _ in range(16):
                stream.write(block)
        started = time.perf_counter()
        integrity.sha256(path)
        return path.stat().st_size / 1e6 / (time.perf_counter() - started)


def status() -> float:
    """Return the seconds that the state of all data sets takes, in a fresh process."""
    code = (
        "import time; from common import manifests; s = time.perf_counter()\n"
        "for name in manifests.datasets(): manifests.status(name)\n"
        "print(time.perf_counter() - s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def reading() -> float | None:
    """Return the seconds that every case of the largest set takes; None without its files."""
    folder = manifests.locate(LARGEST)
    if folder is None:
        return None
    started = time.perf_counter()
    for _ in registry.module_of(LARGEST).load(folder):
        pass
    return time.perf_counter() - started


def phantoms() -> dict[str, float]:
    """Return the seconds that the cases of each phantom's quick run take."""
    found = {}
    for name in registry.phantoms():
        module = registry.phantom_module(name)
        started = time.perf_counter()
        for _ in module.phantom(seed=0, **module.QUICK):
            pass
        found[name] = time.perf_counter() - started
    return found


def main() -> int:
    """Print each bar with what was measured; return the number of bars missed."""
    speed, seconds, read = hashing(), status(), reading()
    rows = [
        ("checksum of 1 GB", f"{speed:,.0f} MB/s", "400 MB/s", speed >= 400),
        ("status of all manifests", f"{seconds:.2f} s", "1 s", seconds <= 1),
    ]
    if read is None:
        print(f"{LARGEST} is absent; its reading was not timed")
    else:
        rows.append((f"reading {LARGEST}", f"{read:.1f} s", "60 s", read <= 60))
    for name, took in phantoms().items():
        rows.append((f"quick cases of {name}", f"{took:.1f} s", "5 s", took <= 5))
    for what, measured, bar, kept in rows:
        print(f"{what:45} {measured:>12}   bar {bar:>9}   {'kept' if kept else 'MISSED'}")
    return sum(not kept for *_, kept in rows)


if __name__ == "__main__":
    sys.exit(main())
