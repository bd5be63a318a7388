"""Equivalence and non-inferiority tests of any estimate that can be tested against a null value."""

from typing import Literal

import numpy as np

from common.statistics.results import DesignError, Inference, TestResult, equivalence_p

Better = Literal["higher", "lower"]
Margin = float | tuple[float, float]


def _bounds(margin: Margin) -> tuple[float, float]:
    low, high = margin if isinstance(margin, tuple) else (-margin, margin)
    if not low < high:
        raise DesignError(
            f"`margin` must be > 0 or a lower and a higher bound, got {margin!r}; "
            "state what difference matters."
        )
    return float(low), float(high)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise DesignError(f"`alpha` must lie in (0, 0.5), got {alpha!r}; 0.05 is usual.")


def equivalence(
    inference: Inference,
    margin: Margin,
    *,
    alpha: float = 0.05,
    name: str = "TOST",
    quantity: str = "effect",
    n_cases: int = 0,
    n_clusters: int = 0,
) -> TestResult:
    """Test by two one-sided tests whether an effect lies strictly inside a margin.

    The hypothesis is that the effect lies at or beyond a bound; unit, assumptions and range are
    those of the inference, so that a clustered inference gives a clustered test.

    Args:
        inference: the estimate, first minus second.
        margin: the smallest difference that matters, > 0; or a lower and a higher bound.
        alpha: level of each one-sided test; the interval returned is the 1 - 2 alpha one.
        name: of the test.
        quantity: what the effect is, for the wording of the hypothesis.
        n_cases: scored cases, for the result; 0 where not stated.
        n_clusters: independent units, for the result; 0 where not stated.

    Returns:
        ``p`` is the larger one-sided p, at most ``alpha`` where the 1 - 2 alpha interval lies
        inside the margin.

    Raises:
        DesignError: margin <= 0, bounds in the wrong order, or alpha outside (0, 0.5).

    Source:
        Schuirmann, J Pharmacokinet Biopharm 15:657 (1987).

    Example:
        The same six patients of two cases each by sign flips, by a t over patient means, and by a
        cluster bootstrap; the differences lie within 0.02:

        >>> from common.statistics.bootstrap import cluster_bootstrap
        >>> from common.statistics.paired import paired_t_inference
        >>> from common.statistics.permutation import sign_flip_inference
        >>> d = [0.01, 0.02, -0.01, 0.0, 0.02, 0.01, 0.0, -0.02, -0.01, 0.01, 0.0, -0.01]
        >>> patient = list("aabbccddeeff")
        >>> rng = np.random.default_rng(0)
        >>> equivalence(sign_flip_inference(d, cluster=patient, rng=rng), 0.05).p    # 1 of 64
        0.015625
        >>> means = np.reshape(d, (6, 2)).mean(axis=1)
        >>> equivalence(paired_t_inference(means), 0.05).p < 0.01
        True
        >>> equivalence(cluster_bootstrap(d, cluster=patient, rng=rng), 0.05).p < 0.01
        True
    """
    low, high = _bounds(margin)
    _check_alpha(alpha)
    interval = inference.interval(1 - 2 * alpha)
    around_zero = low == -high
    return TestResult(
        name=name,
        hypothesis=(
            f"|{quantity}| >= {high:g}"
            if around_zero
            else f"{quantity} <= {low:g} or {quantity} >= {high:g}"
        ),
        effect=inference.effect,
        low=interval.low,
        high=interval.high,
        p=equivalence_p(inference, low, high),
        statistic=inference.statistic,
        n_cases=n_cases,
        n_clusters=n_clusters,
        note=f"{100 * (1 - 2 * alpha):.4g} % interval",
    )


def non_inferiority(
    inference: Inference,
    margin: float,
    *,
    better: Better = "higher",
    alpha: float = 0.05,
    name: str = "non-inferiority",
    quantity: str = "effect",
    n_cases: int = 0,
    n_clusters: int = 0,
) -> TestResult:
    """Test whether the first method is worse than the second by less than a margin.

    The hypothesis is that it is worse by the margin or more; unit, assumptions and range are those
    of the inference, so that a clustered inference gives a clustered test.

    Args:
        inference: the estimate, first minus second.
        margin: the smallest loss that matters, > 0.
        better: ``higher`` for scores, ``lower`` for errors and distances.
        alpha: level of the one-sided test; 0.025 is usual in trials.
        name: of the test.
        quantity: what the effect is, for the wording of the hypothesis.
        n_cases: scored cases, for the result; 0 where not stated.
        n_clusters: independent units, for the result; 0 where not stated.

    Returns:
        The one-sided p, at most ``alpha`` where the 1 - 2 alpha interval lies on the good side of
        the margin; that interval.

    Raises:
        DesignError: margin <= 0 or alpha outside (0, 0.5).

    Example:
        t = (0 + 2) / 1 with 4 degrees of freedom, in either direction:

        >>> from common.statistics.results import Student
        >>> round(non_inferiority(Student(0.0, 1.0, 4), 2.0).p, 4)
        0.0581
        >>> round(non_inferiority(Student(0.0, 1.0, 4), 2.0, better="lower").p, 4)
        0.0581
    """
    if not margin > 0:
        raise DesignError(f"`margin` must be > 0, got {margin!r}; state what difference matters.")
    if better not in ("higher", "lower"):
        raise DesignError(f"`better` must be 'higher' or 'lower', got {better!r}.")
    _check_alpha(alpha)
    higher = better == "higher"
    interval = inference.interval(1 - 2 * alpha)
    return TestResult(
        name=name,
        hypothesis=f"{quantity} <= {-margin:g}" if higher else f"{quantity} >= {margin:g}",
        effect=inference.effect,
        low=interval.low,
        high=interval.high,
        p=equivalence_p(inference, -margin, np.inf)
        if higher
        else equivalence_p(inference, -np.inf, margin),
        statistic=inference.statistic,
        n_cases=n_cases,
        n_clusters=n_clusters,
        note=f"{better} is better; one-sided; {100 * (1 - 2 * alpha):.4g} % interval",
    )
