"""Time the separation of a study of the paper's size; fail above the bars.

One study has 85 images in 5 settings with the SCA start and 10 random starts each. Beside it our
factorisation and scikit-learn's run from the same starts until they reach the same cost: for each
image the larger of the two costs after many rounds.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import psutil
import torch
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from common import papers
from common.chapters.skin_bss import audit, cohorts, experiment
from common.models import skin_bss_nmf

N_IMAGES, N_RESTARTS, SIZE = 85, 10, 64
ROUNDS = (1, 2, 3, 5, 8, 12, 20, 30, 60, 120)
SHARE = 0.95  # of the images that have to reach their cost
SETTINGS = tuple(setting for setting in cohorts.SETTINGS if setting.restarts)
BAR_S, BAR_GB = 45.0, 2.0
Run = Callable[[np.ndarray, np.ndarray, int], tuple[float, np.ndarray]]


def study(options: cohorts.Options) -> float:
    start = time.perf_counter()
    experiment.run(
        SETTINGS,
        seed=0,
        n_cohorts=1,
        n_images=N_IMAGES,
        n_restarts=N_RESTARTS,
        size=SIZE,
        zone_length=16,
        options=options,
        jobs=2,
    )
    return time.perf_counter() - start


def memory_gb() -> float:
    """Return what this process and its workers hold."""
    own = psutil.Process()
    held = [own, *own.children(recursive=True)]
    return sum(each.memory_info().rss for each in held) / 2**30


def scikit_learn(X: np.ndarray, start: np.ndarray, iterations: int) -> tuple[float, np.ndarray]:
    """Run coordinate descent image by image; return seconds and costs as a share of power."""
    began, costs = time.perf_counter(), []
    for image, A in zip(X, start, strict=True):
        S = np.maximum(np.linalg.solve(A, image), 0)
        model = NMF(3, init="custom", solver="cd", tol=0.0, max_iter=iterations)
        W = model.fit_transform(image.T, W=np.ascontiguousarray(S.T), H=np.ascontiguousarray(A.T))
        rest = image.T - W @ model.components_
        costs.append((rest**2).sum() / (image**2).sum())
    return time.perf_counter() - began, np.array(costs)


def ours(X: np.ndarray, start: np.ndarray, rounds: int) -> tuple[float, np.ndarray]:
    """Run our factorisation; return seconds and costs as a share of power."""
    began = time.perf_counter()
    found = skin_bss_nmf.als(X, start, tolerance=0.0, max_iter=rounds)
    return time.perf_counter() - began, 2 * found.cost / (X**2).sum(axis=(1, 2))


def until(run: Run, X: np.ndarray, start: np.ndarray, target: np.ndarray) -> tuple[float, int]:
    """Return the seconds and rounds after which nearly all images have reached their cost."""
    for rounds in ROUNDS:
        seconds, cost = run(X, start, rounds)
        if (cost <= target).mean() >= SHARE:
            break
    return seconds, rounds


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    matrix = audit.empirical_matrix(papers.load("skin-bss"))
    options = cohorts.Options(16, 0.4, 60, matrix)
    took = study(options)
    held = memory_gb()
    print(
        f"{N_IMAGES} images, {N_RESTARTS} random starts, {len(SETTINGS)} settings: {took:.1f} s "
        f"(bar {BAR_S:g} s), {held:.1f} GB (bar {BAR_GB:g} GB)"
    )
    X = cohorts.draw(N_IMAGES, 0, size=SIZE).X
    starts = {
        "random start": np.random.default_rng(0).random((N_IMAGES, 3, 3)),
        "SCA start": cohorts.sparse_start(X, options),
    }
    faster = []
    for name, start in starts.items():
        last = [run(X, start, ROUNDS[-1])[1] for run in (ours, scikit_learn)]
        target = 1.01 * np.maximum(*last)
        times = [until(run, X, start, target) for run in (ours, scikit_learn)]
        faster.append(times[0][0] <= times[1][0])
        print(
            f"{name}, median cost {np.median(target):.1e}: ours {times[0][0]:.2f} s "
            f"({times[0][1]} rounds), scikit-learn {times[1][0]:.2f} s ({times[1][1]} rounds)"
        )
    return 0 if took <= BAR_S and held <= BAR_GB and all(faster) else 1


if __name__ == "__main__":
    sys.exit(main())
