"""Time DeLong's test of two methods on 100,000 cases; fail if it takes longer than the bar."""

import sys
import time

import numpy as np

from common.statistics.auc import auc_delong

N_CASES = 100_000
BAR_S = 0.5
REPEATS = 5  # the fastest counts: the others measure what else the machine does


def main() -> int:
    rng = np.random.default_rng(0)
    labels = (rng.random(N_CASES) < 0.1).astype(float)
    first, second = rng.normal(size=(2, N_CASES)) + labels
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        auc_delong(first, second, labels)
        times.append(time.perf_counter() - start)
    fastest = min(times)
    print(f"DeLong, 2 x {N_CASES:,} cases: {fastest:.3f} s (bar {BAR_S} s)")
    return 0 if fastest <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
