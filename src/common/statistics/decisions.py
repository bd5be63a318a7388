"""The verdict on one claim and the rule that gives it."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pandas as pd

from common.papers import Direction
from common.statistics.results import DesignError, Interval

Word = Literal["supported", "contradicted", "equivalent", "inconclusive", "untested"]
WORDS: tuple[Word, ...] = ("supported", "contradicted", "equivalent", "inconclusive", "untested")


@dataclass(frozen=True)
class Verdict:
    """What one layer says of one claim; a number that does not exist is None.

    Args:
        claim: id of the claim.
        layer: published, reanalysis or replication.
        source: where the cases come from.
        profile: profile of the run; empty on the published layer.
        verdict: one of :data:`WORDS`.
        unit: the scored case and the independent unit, in words.
        test: name of the test in :mod:`common.statistics.procedures`.
        effect: first minus second (or minus the claim's value), in the metric's unit.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        p: of the claim's own hypothesis: of no effect, or of an effect outside the margin where
            the claim is equality, non-inferiority or a value; on the published layer the largest
            probability that the claim is false.
        p_adjusted: after correction inside the claim's family.
        n_cases: different cases.
        n_clusters: different independent units.
        n_seeds: training seeds.
        detectable: the smallest effect that this design finds with 80 % power; for claims about a
            margin the smallest margin that it would show, were the true effect 0.
        note: what the test did, or why it could not.
        warnings: reasons to trust the verdict less.
    """

    claim: str
    layer: str
    source: str
    profile: str
    verdict: Word
    unit: tuple[str, str]
    test: str | None = None
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n_cases: int | None = None
    n_clusters: int | None = None
    n_seeds: int | None = None
    detectable: float | None = None
    note: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a test found on one claim, before multiplicity and the verdict.

    Args:
        effect: the estimate.
        interval: its 95 % interval (1 - alpha); None where the test gives none.
        p: two-sided p of no effect.
        p_inside: of the null that the effect lies outside the claim's margin: small if it is
            shown to lie inside; NaN without a margin.
        p_outside: of the null that the effect lies inside the margin: small if it is shown to lie
            outside; NaN where the claim is not about its margin.
        detectable: smallest effect found with 80 % power, or smallest margin shown; NaN if
            unknown.
        in_order: whether all arms stand in the claimed order (direction ``order``).
        note: what the test did.
        warnings: reasons to trust it less.
    """

    effect: float
    interval: Interval | None
    p: float
    p_inside: float = math.nan
    p_outside: float = math.nan
    detectable: float = math.nan
    in_order: bool = True
    note: str = ""
    warnings: tuple[str, ...] = ()


def acceptance(direction: Direction, margin: float, better: str = "higher") -> tuple[float, float]:
    """Return the effects that count as negligible or, for non-inferiority, as good enough.

    Args:
        direction: of the claim.
        margin: the smallest effect that matters, >= 0.
        better: ``higher`` or ``lower`` values of the metric.

    Example:
        >>> acceptance("equivalent", 0.02), acceptance("non_inferior", 0.02, "lower")
        ((-0.02, 0.02), (-inf, 0.02))
    """
    if direction != "non_inferior":
        return -margin, margin
    return (-margin, math.inf) if better == "higher" else (-math.inf, margin)


def about_margin(direction: Direction) -> bool:
    """Tell whether a claim is about its margin and not about a side of 0.

    Example:
        >>> about_margin("equivalent"), about_margin("greater")
        (True, False)
    """
    return direction in ("equivalent", "non_inferior", "value")


def decide(
    direction: Direction,
    *,
    effect: float,
    p: float,
    p_inside: float = math.nan,
    p_outside: float = math.nan,
    margin: float = 0.0,
    in_order: bool = True,
    alpha: float = 0.05,
) -> Word:
    """Decide a claim: the one rule behind every verdict.

    - ``equivalent``, ``non_inferior``, ``value``: supported if the effect is shown to lie inside
      the margin (``p_inside < alpha``), contradicted if it is shown to lie outside
      (``p_outside < alpha``).  For ``value`` the effect is counted from the value.
    - ``greater``, ``less``, ``differ``, ``order`` with a margin: *equivalent* if the effect is
      shown to lie inside it.  This comes first: an effect that is shown to be too small to matter
      stays so when it is also shown not to be 0.
    - then, if ``p < alpha``: ``differ`` is supported; ``greater``, ``less`` and ``order`` are
      supported on the claimed side and contradicted on the other; an order in which two arms
      nevertheless stand the wrong way round is not settled.
    - everything else is inconclusive.  A high p alone never supports anything.

    Args:
        direction: of the claim.
        effect: first minus second, or positive along a claimed order.
        p: two-sided, adjusted.
        p_inside: of lying outside the margin, adjusted; NaN if there is none.
        p_outside: of lying inside the margin, adjusted; NaN if there is none.
        margin: the smallest effect that matters.
        in_order: whether all arms stand in the claimed order.
        alpha: level.

    Returns:
        ``untested`` is never returned: without a finding there is nothing to decide.

    Raises:
        DesignError: direction ``absent``.

    Example:
        >>> decide("greater", effect=0.03, p=0.01), decide("greater", effect=-0.03, p=0.01)
        ('supported', 'contradicted')
        >>> decide("greater", effect=0.003, p=0.01, p_inside=0.01, margin=0.02)
        'equivalent'
    """
    if direction == "absent":
        raise DesignError("`direction` must be testable, got 'absent'. Say why under `untested`.")
    if about_margin(direction):
        if p_inside < alpha:
            return "supported"
        return "contradicted" if p_outside < alpha else "inconclusive"
    if margin > 0 and p_inside < alpha:
        return "equivalent"
    if not p < alpha:
        return "inconclusive"
    if direction == "differ":
        return "supported"
    if (effect < 0) != (direction == "less"):
        return "contradicted"
    return "supported" if in_order else "inconclusive"


def number(value: float) -> float | None:
    """Return a float for a verdict: None for NaN and for an open end of an interval.

    Example:
        >>> number(float("nan")), number(0.5)
        (None, 0.5)
    """
    return float(value) if math.isfinite(value) else None


def to_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Put verdicts into a table, one row each; ``unit`` becomes "case in cluster"."""
    rows = []
    for verdict in verdicts:
        row = asdict(verdict)
        row["unit"] = " in ".join(dict.fromkeys(verdict.unit))
        row["warnings"] = "; ".join(verdict.warnings)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=[field.name for field in fields(Verdict)])
    numbers = ["effect", "low", "high", "p", "p_adjusted", "detectable"]
    counts = ["n_cases", "n_clusters", "n_seeds"]
    return frame.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(counts, "Int64"))


def to_json(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Turn verdicts into plain dictionaries that JSON can hold."""
    plain = []
    for verdict in verdicts:
        row = asdict(verdict)
        plain.append({**row, "unit": list(verdict.unit), "warnings": list(verdict.warnings)})
    return plain


def from_json(rows: Iterable[dict[str, Any]]) -> list[Verdict]:
    """Read verdicts back from plain dictionaries; keys that a verdict does not have are dropped.

    Raises:
        DesignError: a row lacks a field without default, or holds an unknown verdict.
    """
    known = {field.name for field in fields(Verdict)}
    verdicts = []
    for row in rows:
        own = {key: value for key, value in row.items() if key in known}
        missing = {"claim", "layer", "source", "profile", "verdict", "unit"} - set(own)
        if missing or own["verdict"] not in WORDS:
            raise DesignError(
                f"`rows` must hold verdicts, got {row!r} (missing: {sorted(missing)}). "
                "Make the archive again."
            )
        lists = {"unit": tuple(own["unit"]), "warnings": tuple(own.get("warnings", ()))}
        verdicts.append(Verdict(**{**own, **lists}))
    return verdicts
