"""What six pairs of scanners can show, when three trained networks are behind them."""

from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

from common.papers import Paper
from common.statistics import paired
from common.statistics.smallest_p import smallest_p_wilcoxon

METRICS = ("AP50:95", "AP50", "AP75")
METHODS = ("Baseline", "SCR", "ACR")
PAIRS = tuple("→".join(pair) for pair in permutations("ABC", 2))
COMPARISONS = (("SCR", "Baseline"), ("ACR", "Baseline"), ("ACR", "SCR"))


def printed(paper: Paper) -> pd.DataFrame:
    """Return Table 1 as ``pair, source, target, metric, method, value`` (percent)."""
    table = paper.table("table1").rename(columns={"row": "method"})
    head = table["column"].str.split(" ", expand=True)
    table = table.assign(pair=head[0], metric=head[1])
    ends = table["pair"].str.split("→", expand=True)
    table = table.assign(source=ends[0], target=ends[1])
    return table[["pair", "source", "target", "metric", "method", "value"]]


def printed_gains(paper: Paper, first: str, second: str) -> pd.DataFrame:
    """Return the printed differences of two methods: rows are pairs, columns metrics (points)."""
    table = printed(paper).set_index(["pair", "metric", "method"])["value"]
    gains = table.xs(first, level="method") - table.xs(second, level="method")
    return gains.unstack("metric").loc[list(PAIRS), list(METRICS)].round(10)


def significance(gains: "pd.Series[float]") -> dict[str, float]:
    """Test one column of six gains, with the pairs and with what they share as units.

    Args:
        gains: by pair, such as ``A→B``.

    Returns:
        Two-sided p: ``wilcoxon`` (exact, six units) and the least that it can give, ``t_pairs``
        (six units), ``t_sources`` and ``t_targets`` (three units: pairs averaged by the network
        behind them, or by the slides that it was tested on).

    Example:
        Six equal signs reach the least p of six units.

        >>> found = significance(pd.Series(range(1, 7), index=PAIRS))
        >>> round(found["wilcoxon"], 5), round(found["least"], 5)
        (0.03125, 0.03125)
    """
    values = gains.to_numpy(dtype=np.float64)
    by = {end: gains.groupby(gains.index.str[place]).mean() for end, place in (("s", 0), ("t", -1))}
    return {
        "wilcoxon": paired.wilcoxon(values).p,
        "least": smallest_p_wilcoxon(len(values)),
        "t_pairs": float(stats.ttest_1samp(values, 0.0).pvalue),
        "t_sources": float(stats.ttest_1samp(by["s"], 0.0).pvalue),
        "t_targets": float(stats.ttest_1samp(by["t"], 0.0).pvalue),
    }


def chance_of_six(correlation: float) -> float:
    """Compute how often six gains have one sign although nothing is there to gain.

    Two gains of one network correlate by ``correlation``, those of different networks do not:
    both are positive with probability ``1/4 + arcsin(rho) / (2 pi)``, and all six have one sign
    with twice the cube of it.

    Args:
        correlation: -1 to 1.

    Source:
        Sheppard's formula for the orthant of two normal variables.

    Example:
        >>> chance_of_six(0.0), round(chance_of_six(1.0), 12)
        (0.03125, 0.25)
    """
    both = 0.25 + np.arcsin(correlation) / (2 * np.pi)
    return float(2 * both**3)


def units(correlation: float, *, n_pairs: int = 6, n_sources: int = 3) -> float:
    """Compute how many independent gains six pairs are worth for a mean.

    ``n / (1 + (m - 1) rho)`` with m pairs for each source.

    Example:
        >>> units(0.0), units(1.0)
        (6.0, 3.0)
    """
    return n_pairs / (1 + (n_pairs / n_sources - 1) * correlation)


def network_gains(records: pd.DataFrame, first: str, second: str, metric: str) -> pd.DataFrame:
    """Return the gain of each trained network on each unseen scanner.

    Args:
        records: of slides under pairs, see :mod:`common.chapters.cell_detection.experiment`.
        first: the arm whose gain it is.
        second: the arm that it is compared with.
        metric: id of the metric.

    Returns:
        ``seed, pair, source, target, gain`` (fraction), the mean over slides.
    """
    mine = records[(records["metric"] == metric) & records["arm"].isin([first, second])]
    text = mine.assign(arm=mine["arm"].astype(str), pair=mine["group"].astype(str))
    means = text.groupby(["seed", "pair", "arm"])["value"].mean().unstack("arm").dropna()
    gains = (means[first] - means[second]).rename("gain").reset_index()
    return gains.assign(source=gains["pair"].str[0], target=gains["pair"].str[-1])


def correlation_of_targets(gains: pd.DataFrame) -> float:
    """Measure how alike the two gains of one network are: the intraclass correlation of its pair.

    Args:
        gains: of :func:`network_gains`.

    Returns:
        ``(B - W) / (B + W)`` of the mean squares between and within networks; NaN with fewer than
        three networks.
    """
    wide = gains.assign(place=gains.groupby(["seed", "source"]).cumcount())
    both = wide.pivot_table("gain", ["seed", "source"], "place").dropna()
    if len(both) < 3 or both.shape[1] < 2:
        return float("nan")
    # what separates scanners for every network alike is no likeness of a network's two gains
    centred = both - both.mean()
    between = 2 * centred.mean(axis=1).var(ddof=1)
    within = centred.diff(axis=1).iloc[:, 1].var(ddof=1) / 2
    return float((between - within) / (between + within))
