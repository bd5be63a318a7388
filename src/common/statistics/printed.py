"""Judging claims from the printed table alone, over everything that it leaves unsaid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy import stats

from common.errors import ReplicateError
from common.papers import Claim, Direction, Evidence, Paper, Published
from common.statistics import published as posterior
from common.statistics.decisions import Verdict, Word, acceptance
from common.statistics.results import Array, DesignError

Assumed = float | tuple[float, float]

HIGHEST_CORRELATION = 0.95  # of two methods' case scores; higher ones are hardly ever measured
_STEPS = 21


@dataclass(frozen=True)
class _Comparison:
    """A printed difference; ``below(v)`` is P(difference < v) over the grid of assumptions."""

    effect: float
    widest_se: float
    below: Callable[[float], Array]


def _grid(assumed: Assumed | None, low: float, high: float) -> Array:
    """Return the values to try: what was assumed, kept within what is possible, or all."""
    if assumed is not None:
        first, last = assumed if isinstance(assumed, tuple) else (assumed, assumed)
        low, high = float(np.clip(first, low, high)), float(np.clip(last, low, high))
    return np.linspace(low, high, 1 if low == high else _STEPS)


def _of_proportions(
    first: float, second: float, n: int, assumed: Assumed | None, inflations: Array
) -> tuple[_Comparison, Array]:
    bounds = posterior.congruence_range(first, second)
    lowest = bounds.independent if assumed is None else bounds.low
    grid = _grid(assumed, lowest, bounds.high)
    sd = posterior.widest_sd(first) * posterior.widest_sd(second)
    correlation = (grid.min() - first * second) / sd if sd > 0 else 0.0
    se = posterior.difference_se(
        posterior.widest_sd(first),
        posterior.widest_sd(second),
        n,
        correlation=max(-1.0, min(1.0, correlation)),
        inflation=float(inflations.max()),
    )

    def below(threshold: float) -> Array:
        if threshold == 0:
            each = [
                posterior.probability_false_ordering(first, second, n, congruence=grid, inflation=i)
                for i in inflations
            ]
        else:
            each = [
                posterior.probability_below(
                    first, second, n, threshold, congruence=grid, inflation=i
                )
                for i in inflations
            ]
        return np.concatenate(each)

    return _Comparison(first - second, float(se), below), grid


def _of_means(
    effect: float, sds: tuple[float, float], n: int, assumed: Assumed | None, inflations: Array
) -> tuple[_Comparison, Array]:
    grid = _grid(assumed, 0.0 if assumed is None else -1.0, HIGHEST_CORRELATION)
    se = np.concatenate(
        [posterior.difference_se(*sds, n, correlation=grid, inflation=i) for i in inflations]
    )
    df = np.repeat(n / inflations - 1, len(grid))
    if (df <= 0).any():
        raise DesignError(f"the design effect must leave more than 1 case of {n}; got all eaten.")

    def below(threshold: float) -> Array:
        each = [
            posterior.posterior_below(effect, one, float(own), threshold)
            for one, own in zip(se, df, strict=True)
        ]
        return np.array(each)

    return _Comparison(effect, float(se.max()), below), grid


def _false(
    comparison: _Comparison, direction: Direction, margin: float, better: str
) -> tuple[float, float]:
    """Return the smallest and largest probability that one comparison's claim is false."""
    if direction == "greater":
        bad = comparison.below(0.0)
    elif direction == "less":
        bad = 1 - comparison.below(0.0)
    elif direction == "differ":
        bad = 2 * np.minimum(comparison.below(0.0), 1 - comparison.below(0.0))
    else:
        low, high = acceptance(
            "non_inferior" if direction == "non_inferior" else "equivalent", margin, better
        )
        upper = comparison.below(high) if np.isfinite(high) else 1.0
        lower = comparison.below(low) if np.isfinite(low) else 0.0
        bad = np.clip(1 - (upper - lower), 0.0, 1.0)
    return float(bad.min()), float(bad.max())


def _spreads(paper: Paper, source: Published) -> dict[str, float]:
    """Return the printed standard deviation over cases of each arm that has one."""
    table = paper.table(source.table)
    found = {}
    for arm, cell in source.cells.items():
        mine = table[
            (table["metric"] == source.metric)
            & (table["row"] == cell.row)
            & (table["column"] == cell.column)
            & table["spread_kind"].isin(("sd", "std"))
        ]
        if len(mine) and np.isfinite(float(mine["spread"].iloc[0])):
            found[arm] = float(mine["spread"].iloc[0]) / source.scale
    return found


def _sd(arm: str, number: float, source: Published, spreads: dict[str, float]) -> float:
    if arm in spreads:
        return spreads[arm]
    if source.statistic == "mean":
        raise DesignError(
            f"no standard deviation over cases is printed for arm {arm!r}, and a mean without "
            "bounds allows any."
        )
    return posterior.widest_sd(number)


def _wanted(
    claim: Claim, evidence: Evidence, better: str
) -> tuple[list[tuple[str, ...]], Direction]:
    """Return the comparisons (pairs, or single arms) that make up a claim, and their direction."""
    arms, direction = evidence.arms or (), evidence.direction or claim.direction
    if direction == "absent":
        raise DesignError("an absent claim cannot be judged.")
    if direction == "order":
        return list(pairwise(arms)), "greater" if better == "higher" else "less"
    if len(arms) == 1:
        return [tuple(arms)], direction
    if direction in ("equivalent", "differ"):
        return list(combinations(arms, 2)), direction
    return [(arms[0], other) for other in arms[1:]], direction


def _comparisons(
    paper: Paper,
    claim: Claim,
    evidence: Evidence,
    source: Published,
    assumed: Assumed | None,
    inflations: Array,
) -> tuple[list[_Comparison], Direction, Array]:
    n = source.n
    if n is None:
        raise DesignError("the number of cases behind the printed numbers is not known.")
    numbers, spreads = paper.published(source), _spreads(paper, source)
    better = paper.metric(evidence.metric).better if evidence.metric else "higher"
    if evidence.contrast is not None:
        weights = evidence.contrast
        effect = sum(weight * numbers[arm] for arm, weight in weights.items())
        sd = np.array([w * _sd(arm, numbers[arm], source, spreads) for arm, w in weights.items()])
        # The side with positive and that with negative weights, each as if fully correlated.
        sides = (float(sd[sd > 0].sum()), float(-sd[sd < 0].sum()))
        one, grid = _of_means(effect, sides, n, assumed, inflations)
        direction = evidence.direction or claim.direction
        if direction in ("order", "absent"):
            raise DesignError(f"a contrast cannot be judged for direction {direction!r}.")
        return [one], direction, grid
    pairs, direction = _wanted(claim, evidence, better)
    found, grids = [], []
    for arms in pairs:
        missing = [arm for arm in arms if arm not in numbers]
        if missing:
            raise DesignError(f"no published number is declared for arm {', '.join(missing)}.")
        first = numbers[arms[0]]
        if len(arms) == 1:
            sds = (_sd(arms[0], first, source, spreads), 0.0)
            one, grid = _of_means(first - (claim.value or 0.0), sds, n, 0.0, inflations)
        elif source.statistic == "proportion" and direction != "value":
            one, grid = _of_proportions(first, numbers[arms[1]], n, assumed, inflations)
        else:
            second = numbers[arms[1]]
            shift = (claim.value or 0.0) if direction == "value" else 0.0
            sds = (_sd(arms[0], first, source, spreads), _sd(arms[1], second, source, spreads))
            own = assumed if source.statistic != "proportion" else None
            one, grid = _of_means(first - second - shift, sds, n, own, inflations)
        found.append(one)
        grids.append(grid)
    return found, direction, np.concatenate(grids)


def _inflations(source: Published, given: Assumed | None) -> Array:
    """Return the design effects to try; unknown ones lie between 1 and the cluster size."""
    if given is not None:
        return np.unique(np.atleast_1d(np.array(given, dtype=np.float64)))
    if source.clusters and source.n:
        return np.unique([1.0, source.n / source.clusters])
    return np.array([1.0])


def _word(
    comparisons: list[_Comparison], direction: Direction, margin: float, better: str, alpha: float
) -> tuple[Word, float, float]:
    """Decide from bounds on the probability that the whole claim is false.

    It is at least that of its most doubtful part and at most the sum over the parts.
    """

    def bounds(kind: Direction) -> tuple[float, float]:
        parts = [_false(each, kind, margin, better) for each in comparisons]
        return max(low for low, _ in parts), min(1.0, sum(high for _, high in parts))

    low, high = bounds(direction)
    directed = direction in ("greater", "less", "differ")
    if directed and margin > 0 and bounds("equivalent")[1] < alpha:
        return "equivalent", low, high
    if high < alpha:
        return "supported", low, high
    # That two numbers differ cannot be contradicted by a table: only equality within a margin can.
    if low > 1 - alpha and direction != "differ":
        return "contradicted", low, high
    return "inconclusive", low, high


def _judge(
    paper: Paper,
    claim: Claim,
    evidence: Evidence,
    source: Published,
    *,
    assumed: Assumed | None,
    inflation: Assumed | None,
    alpha: float,
    blank: Verdict,
) -> Verdict:
    inflations = _inflations(source, inflation)
    comparisons, direction, grid = _comparisons(paper, claim, evidence, source, assumed, inflations)
    better = paper.metric(evidence.metric).better if evidence.metric else "higher"
    margin = evidence.margin or 0.0
    word, low, high = _word(comparisons, direction, margin, better, alpha)
    doubtful = max(comparisons, key=lambda each: _false(each, direction, margin, better)[1])
    half = float(stats.norm.ppf(1 - alpha / 2)) * doubtful.widest_se
    unsaid = "congruence" if source.statistic == "proportion" else "correlation"
    note = (
        f"P(claim false) {low:.2g} to {high:.2g} for {unsaid} {grid.min():.2f} to "
        f"{grid.max():.2f} and design effect {inflations.min():.3g} to {inflations.max():.3g}"
    )
    return Verdict(
        **{
            **{name: getattr(blank, name) for name in ("claim", "layer", "source", "profile")},
            "verdict": word,
            "unit": blank.unit,
            "test": "probability_false_ordering",
            "effect": doubtful.effect,
            "low": doubtful.effect - half,
            "high": doubtful.effect + half,
            "p": high,
            "n_cases": source.n,
            "n_clusters": source.clusters,
            "note": note,
        }
    )


def judge_published(
    paper: Paper,
    *,
    congruence: Assumed | Mapping[str, Assumed] | None = None,
    design_effect: Assumed | Mapping[str, Assumed] | None = None,
    alpha: float = 0.05,
) -> list[Verdict]:
    """Judge the claims of the published layer from the printed numbers alone.

    For every claim the probability that it is false is bounded over all that the table does not
    say: how often both methods are right on the same case (for proportions), how their case scores
    correlate (for overlap scores and means), and how alike the cases of one patient are.
    Supported only if the probability stays below ``alpha`` over the whole range, contradicted only
    if it stays above ``1 - alpha``; else inconclusive.  A claim of several comparisons is false
    with at most the sum of their probabilities.  The last printed digit is taken as exact.

    Args:
        paper: the chapter's declaration; reads its published tables.
        congruence: the share of cases both get right (or the correlation), one number or a range,
            for all claims or by claim id.  Unknown: from independent errors up to the largest
            possible share (correlations 0 to 0.95).
        design_effect: likewise; unknown: 1 up to cases per cluster where clusters are declared.
        alpha: see above.

    Returns:
        One verdict per claim that names the layer; ``effect`` and its interval are those of the
        claim's most doubtful comparison under the most cautious assumption, ``p`` the largest
        probability that the claim is false.

    Source:
        Christodoulou et al., arXiv 2505.04720 (2025).
    """

    def of(given: Assumed | Mapping[str, Assumed] | None, claim: str) -> Assumed | None:
        return given.get(claim) if isinstance(given, Mapping) else given

    verdicts = []
    for claim in paper.claims:
        if "published" not in claim.evidence:
            continue
        evidence = claim.on("published")
        unit = (claim.unit.case, claim.unit.cluster) if claim.unit else ("case", "cluster")
        blank = Verdict(claim.id, "published", "published", "", "untested", unit)
        try:
            if evidence.untested is not None or evidence.published is None:
                raise DesignError(evidence.untested or "no published number is declared.")
            verdict = _judge(
                paper,
                claim,
                evidence,
                evidence.published,
                assumed=of(congruence, claim.id),
                inflation=of(design_effect, claim.id),
                alpha=alpha,
                blank=blank,
            )
        except ReplicateError as reason:
            verdict = Verdict(
                claim.id, "published", "published", "", "untested", unit, note=str(reason)
            )
        verdicts.append(verdict)
    return verdicts
