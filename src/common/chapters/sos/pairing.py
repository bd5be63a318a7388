"""What 205 slides can show: McNemar's test over every pairing that two printed counts allow."""

from dataclasses import dataclass

import pandas as pd
from scipy import stats

from common.chapters.sos.audit import METHODS, cells, class_sizes, right_counts
from common.papers import Paper
from common.statistics.proportions import PairedCounts, proportion_interval


@dataclass(frozen=True)
class Reach:
    """The exact McNemar test of two right counts whose pairing is not printed.

    Args:
        gain: right slides of the first less those of the second.
        fewest: discordant slides if the second is right only where the first is.
        most: discordant slides if their errors fall on different slides.
        smallest_p: p with the fewest.
        largest_p: p with the most.
        significant_up_to: the most discordant slides with p below 0.05; None if there is no such
            number.
        unpaired_z: z of two independent proportions.
    """

    gain: int
    fewest: int
    most: int
    smallest_p: float
    largest_p: float
    significant_up_to: int | None
    unpaired_z: float


def reach(first: int, second: int, n: int, *, alpha: float = 0.05) -> Reach:
    """Try every pairing of two right counts on the same cases.

    Args:
        first: right cases of the first method.
        second: right cases of the second.
        n: cases.
        alpha: two-sided level.

    Raises:
        ValueError: a count outside 0 to ``n``.

    Example:
        A net gain of 4 gives p of 0.125 at best:

        >>> reach(186, 182, 205).smallest_p, reach(186, 182, 205).significant_up_to
        (0.125, None)
    """
    if not (0 <= first <= n and 0 <= second <= n):
        raise ValueError(f"`first` and `second` must lie in 0 to {n}, got {first!r}, {second!r}.")
    gain = first - second
    wrong = (n - first) + (n - second)
    fewest, most = abs(gain), min(wrong, 2 * n - wrong)
    p = {d: _p(gain, d, n) for d in range(fewest, most + 1, 2)}
    below = [d for d, value in p.items() if value < alpha]
    rate = (first + second) / (2 * n)
    se = (2 * rate * (1 - rate) / n) ** 0.5
    return Reach(
        gain,
        fewest,
        most,
        p[fewest],
        max(p.values()),
        max(below) if below else None,
        gain / n / se if se else 0.0,
    )


def _p(gain: int, discordant: int, n: int) -> float:
    first_only = (discordant + gain) // 2
    return PairedCounts(first_only, discordant - first_only, n).p()


def accuracies(paper: Paper) -> pd.DataFrame:
    """Compare SOS with each other method over all pairings of their right slides."""
    right, n = right_counts(paper), sum(class_sizes(paper).values())
    rows = {}
    for other in METHODS[:-1]:
        found = reach(int(right[METHODS[-1]]), int(right[other]), n)
        rows[other] = _row(found)
    return pd.DataFrame.from_dict(rows, orient="index")


def classes(paper: Paper) -> pd.DataFrame:
    """Compare SOS with Image-Level in each class over all pairings."""
    table = cells(paper).set_index(["method", "class_name"])["tp"]
    rows = {}
    for name, size in class_sizes(paper).items():
        first, second = (int(table[method, name]) for method in (METHODS[-1], METHODS[0]))
        rows[f"{name}: {first}, {second} of {size}"] = _row(reach(first, second, size))
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(found: Reach) -> dict[str, object]:
    p_unpaired = 2 * stats.norm.sf(abs(found.unpaired_z))
    up_to = found.significant_up_to
    return {
        "gain": found.gain,
        "discordant": f"{found.fewest} to {found.most}",
        "exact p": f"{found.smallest_p:.2g} to {found.largest_p:.2g}",
        "unpaired p": f"{p_unpaired:.2g}",
        "up to": "never" if up_to is None else f"{up_to}",
    }


def recalls(paper: Paper) -> pd.DataFrame:
    """Give every printed recall its exact interval (Clopper and Pearson).

    Returns:
        ``method, class_name, value, low, high, n`` in percent.
    """
    sizes = class_sizes(paper)
    rows = []
    for row in cells(paper).to_dict("records"):
        n = sizes[row["class_name"]]
        interval = proportion_interval(row["tp"], n, method="exact")
        rows.append(
            {
                "method": row["method"],
                "class_name": row["class_name"],
                "value": 100 * row["tp"] / n,
                "low": 100 * interval.low,
                "high": 100 * interval.high,
                "n": n,
            }
        )
    return pd.DataFrame(rows)


def total_intervals(paper: Paper, *, cost: pd.Series) -> pd.DataFrame:
    """Give every printed accuracy its Wilson interval, beside what it costs.

    Args:
        paper: supplies the printed numbers.
        cost: by method, passed through.

    Returns:
        ``row, cost, value, low, high``; accuracies in percent.
    """
    right, n = right_counts(paper), sum(class_sizes(paper).values())
    rows = []
    for method in METHODS:
        interval = proportion_interval(int(right[method]), n)
        ends = (100 * interval.low, 100 * interval.high)
        rows.append((method, float(cost[method]), 100 * right[method] / n, *ends))
    return pd.DataFrame(rows, columns=["row", "cost", "value", "low", "high"])
