"""Runs many independent pieces of work in processes: same numbers whatever the number of jobs."""

import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from joblib import Parallel, delayed

from common.statistics import procedures

N_RESAMPLES = 1000  # 25 of 1001 lie beyond each 2.5 % tail, as with many more
Work = TypeVar("Work")
Result = TypeVar("Result")
Say = Callable[[str], None]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one named piece of work.

    Args:
        seed: of the whole validation.
        names: what the numbers are for; the order of the work does not matter.

    Example:
        >>> bool(stream(0, "a", 1).normal() == stream(0, "a", 1).normal())
        True
    """
    parts = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng([seed, *parts])


@contextmanager
def resamples(n: int) -> Iterator[None]:
    """Let the procedures draw ``n`` resamples for a while; their level does not depend on it."""
    before = procedures.N_RESAMPLES
    procedures.N_RESAMPLES = n
    try:
        yield
    finally:
        procedures.N_RESAMPLES = before


def _quietly(do: Callable[[Work], Result], work: Work, n_resamples: int) -> Result:
    with warnings.catch_warnings(), resamples(n_resamples):
        # Degenerate draws are part of the exercise, and are counted.
        warnings.simplefilter("ignore")
        return do(work)


def run(
    do: Callable[[Work], Result],
    works: Sequence[Work],
    *,
    jobs: int = 1,
    name: str = "",
    say: Say | None = None,
    n_resamples: int = N_RESAMPLES,
) -> list[Result]:
    """Do every piece of work and tell how far it is.

    Args:
        do: a function of the module level (processes must find it); takes its random numbers from
            :func:`stream` only.
        works: the pieces, in order.
        jobs: processes.
        name: what is done, for the progress lines.
        say: takes a line at about every twentieth of the work; None keeps silent.
        n_resamples: resamples of the bootstrap and sign-flip procedures.

    Returns:
        The results in the order of ``works``.
    """
    started, results = time.monotonic(), []
    parallel = Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
    step = max(1, len(works) // 20)
    for result in parallel(delayed(_quietly)(do, work, n_resamples) for work in works):
        results.append(result)
        done = len(results)
        if say is not None and (done % step == 0 or done == len(works)):
            spent = time.monotonic() - started
            left = spent / done * (len(works) - done)
            say(f"{name}: {done} of {len(works)}, {spent:.0f} s, about {left:.0f} s left")
    return results
