"""Time the scoring of 888 scans with 100 candidates each; fail if it takes longer than the bar."""

import sys
import time

import numpy as np

from common.metrics.average_precision import coco_summary, pool_boxes
from common.metrics.detection import match_centres
from common.metrics.detection_records import pool
from common.statistics import froc

N_SCANS, N_CANDIDATES, N_LESIONS = 888, 100, 1186
BAR_S = 2.0
REPEATS = 3  # the fastest counts: the others measure what else the machine does


def scans(rng: np.random.Generator) -> list[tuple[np.ndarray, ...]]:
    """Draw candidates, half of them around lesions, with lesions and their diameters (mm)."""
    made = []
    for n in np.bincount(rng.integers(0, N_SCANS, N_LESIONS), minlength=N_SCANS):
        lesions, sizes = rng.uniform(0, 300, (n, 3)), rng.uniform(3, 30, n)
        points = rng.uniform(0, 300, (N_CANDIDATES, 3))
        near = rng.integers(0, n, N_CANDIDATES // 2) if n else np.zeros(0, int)
        points[: len(near)] = lesions[near] + rng.normal(0, 4, (len(near), 3))
        made.append((points, rng.random(N_CANDIDATES), lesions, sizes))
    return made


def centres(made: list[tuple[np.ndarray, ...]]) -> float:
    """CPM by the rules of LUNA16."""
    return froc.cpm(froc.Detections(*pool(match_centres(*scan) for scan in made)))


def boxes(made: list[tuple[np.ndarray, ...]]) -> dict[str, float]:
    """AP at ten thresholds by the rules of COCO."""
    found = [np.hstack([points - 8, points + 8]) for points, *_ in made]
    lesions = [np.hstack([at - s[:, None] / 2, at + s[:, None] / 2]) for *_, at, s in made]
    return coco_summary(pool_boxes(found, [scores for _, scores, *_ in made], lesions))


def main() -> int:
    made = scans(np.random.default_rng(0))
    slow = False
    for name, score in (("LUNA16, CPM", centres), ("COCO, AP at 10 IoUs", boxes)):
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            score(made)
            times.append(time.perf_counter() - start)
        fastest = min(times)
        slow |= fastest > BAR_S
        print(f"{name}, {N_SCANS} scans x {N_CANDIDATES}: {fastest:.2f} s (bar {BAR_S} s)")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
