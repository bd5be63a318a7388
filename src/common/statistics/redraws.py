"""A bootstrap of whole clusters for statistics that have no law of their own with clusters."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.bootstrap import bootstrap_statistic
from common.statistics.replicates import Bootstrap
from common.statistics.results import Array, DesignError

N_RESAMPLES = 2_000


def redraw(
    statistic: Callable[..., float],
    arrays: tuple[Array, ...],
    *,
    cluster: ArrayLike | None,
    rng: np.random.Generator | None,
    n_resamples: int = N_RESAMPLES,
) -> Bootstrap:
    """Bootstrap a statistic where the generator is an option of the caller.

    Args:
        statistic: takes the arrays, restricted to the drawn rows, and returns a number.
        arrays: arrays that share their first axis.
        cluster (n,): the independent unit of each row; None takes each row for its own.
        rng: source of the draws.
        n_resamples: replicates.

    Raises:
        DesignError: no generator, or as
            :func:`common.statistics.bootstrap.bootstrap_statistic`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> redraw(np.mean, (np.array([1.0, 3.0]),), cluster=None, rng=rng, n_resamples=9).effect
        2.0
    """
    if rng is None:
        raise DesignError("`rng` must be given for a bootstrap, got None. Pass a seeded generator.")
    return bootstrap_statistic(statistic, arrays, cluster=cluster, n_resamples=n_resamples, rng=rng)
