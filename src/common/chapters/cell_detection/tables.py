"""Tables and rows of figures of the page, made of records and printed numbers."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from common import comparison
from common.chapters.cell_detection import pairs, scores
from common.chapters.cell_detection.pairs import METHODS, METRICS, PAIRS
from common.chapters.cell_detection.scores import Detections
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import power
from common.statistics.audit import Check
from common.statistics.multiplicity import adjust
from common.statistics.paired import crossed_t_inference, paired_t_inference

BANNER = (
    "The networks of this page train and are tested on generated slides. Its verdicts speak of a "
    "mechanism, never of patients. "
)

ARMS = {"baseline": "Baseline", "scr": "SCR", "acr": "ACR"}
IDS = {"AP50:95": "ap50_95", "AP50": "ap50", "AP75": "ap75"}
_POINTS = 100.0


def banner(*, annotated: bool) -> tuple[str, str]:
    """Return the source of the page's cases, and what that means.

    Args:
        annotated: whether the real boxes are at hand.
    """
    if annotated:
        more = "The boxes and votes of the paper's 150 regions are real; the images are not here."
    else:
        more = (
            "The boxes and votes of the paper's 150 regions are left out; `replicate data fetch "
            "midogpp-annotations` brings them (3 MB)."
        )
    return "phantom", BANNER + more


def as_printed(paper: Paper) -> pd.DataFrame:
    """Arrange Table 1 as it is printed: rows are methods on pairs, columns metrics (percent)."""
    table = pairs.printed(paper).pivot_table("value", ["pair", "method"], "metric", sort=False)
    index = pd.MultiIndex.from_product([PAIRS, METHODS], names=["pair", "method"])
    return table.loc[index, list(METRICS)].rename_axis(columns=None)


def published_and_replicated(
    paper: Paper, records: pd.DataFrame, archive: Archive | None, *, profile: str, seed: int
) -> pd.DataFrame:
    """Set printed means over the pairs beside those on the phantom.

    Args:
        paper: supplies the printed numbers.
        records: of this run.
        archive: of the standard or full run, or None.
        profile: of this run.
        seed: of the resampling.

    Returns:
        As :func:`common.comparison.replicated`, with the metrics on unseen scanners (all patches,
        and patches with a figure) and on the own scanner.
    """
    printed = pairs.printed(paper).groupby(["metric", "method"])["value"].mean()
    numbers = [
        {"metric": f"{metric}, unseen", "row": method, "kind": "published", "value": value}
        for metric in METRICS
        for method in METHODS
        for value in [printed[metric, method]]
    ]
    parts = [pd.DataFrame(numbers, columns=comparison.COLUMNS)]
    columns = {IDS[metric]: f"{metric}, unseen" for metric in METRICS}
    columns["ap50_positive"] = "AP50, unseen, patches with a figure"
    columns |= {f"seen_{IDS[metric]}": f"{metric}, own scanner" for metric in METRICS}
    for kind, table in runs(records, archive, profile=profile):
        parts.append(
            comparison.replicated(
                table,
                kind=kind,
                arms=ARMS,
                metrics=columns,
                rng=np.random.default_rng([seed, 1]),
                scale=_POINTS,
            )
        )
    return pd.concat(parts, ignore_index=True)


def runs(
    records: pd.DataFrame, archive: Archive | None, *, profile: str
) -> list[tuple[str, pd.DataFrame]]:
    """List the runs to show: this one and, where it is another, the archived one."""
    found = [(profile, records)]
    if archive is not None and archive.profile != profile:
        found.append((archive.profile, archive.records))
    return found


def own_and_unseen(records: pd.DataFrame) -> pd.DataFrame:
    """Set AP50 on the own scanner beside AP50 on each unseen one (percent).

    Returns:
        Rows (source, method); a column for each scanner that is tested on, and ``seeds``, the
        spread of AP50 on unseen scanners between trainings (points).
    """
    kept = records[records["metric"].isin(["ap50", "seen_ap50"]) & records["arm"].isin(ARMS)]
    text = kept.assign(arm=kept["arm"].astype(str), pair=kept["group"].astype(str))
    text = text.assign(source=text["pair"].str[0], target="on " + text["pair"].str[-1])
    wide = _POINTS * text.pivot_table("value", ["source", "arm"], "target")
    unseen = text[text["metric"] == "ap50"]
    each = unseen.groupby(["source", "arm", "seed"])["value"].mean()
    wide["sd, trainings"] = _POINTS * each.groupby(["source", "arm"]).std(ddof=1)
    order = [(s, a) for s in sorted(set(text["source"])) for a in ARMS]
    wide = wide.loc[order].reset_index()
    return wide.assign(arm=wide["arm"].map(ARMS)).set_index(["source", "arm"])


def pair_gains(
    paper: Paper,
    records: pd.DataFrame,
    archive: Archive | None,
    *,
    profile: str,
    metric: str = "AP50",
) -> pd.DataFrame:
    """List the gain of every comparison on every pair, printed and replicated (points).

    Replicated ones have the interval of a test in which slides and trainings both vary (slides
    alone with one training), and Holm's correction over all pairs and comparisons.

    Returns:
        ``pair, comparison, kind, value, low, high, p``.
    """
    name = {label: arm for arm, label in ARMS.items()}
    rows: list[dict[str, Any]] = []
    for first, second in pairs.COMPARISONS:
        printed = pairs.printed_gains(paper, first, second)[metric]
        rows += [
            {"pair": pair, "comparison": f"{first} − {second}", "kind": "published", "value": value}
            for pair, value in printed.items()
        ]
    for kind, table in runs(records, archive, profile=profile):
        own: list[dict[str, Any]] = []
        for first, second in pairs.COMPARISONS:
            for pair in PAIRS:
                found = _gain(table, (name[first], name[second]), pair, IDS[metric])
                if found is not None:
                    label = {"pair": pair, "comparison": f"{first} − {second}", "kind": kind}
                    own.append({**label, **found})
        if own:
            corrected = adjust([row["p"] for row in own], method="holm")
            rows += [{**row, "p": float(p)} for row, p in zip(own, corrected, strict=True)]
    return pd.DataFrame(rows, columns=["pair", "comparison", "kind", "value", "low", "high", "p"])


def _gain(
    records: pd.DataFrame, arms: tuple[str, str], pair: str, metric: str
) -> dict[str, float] | None:
    """Test one difference on one pair."""
    mine = records[(records["metric"] == metric) & (records["group"] == pair)]
    mine = mine[mine["arm"].isin(arms)]
    text = mine.assign(arm=mine["arm"].astype(str), cluster=mine["cluster"].astype(str))
    wide = text.pivot_table("value", ["cluster", "seed"], "arm")
    if wide.shape[1] < 2:
        return None
    matrix = (wide[arms[0]] - wide[arms[1]]).unstack("seed").dropna().to_numpy()
    many = matrix.shape[1] > 1
    found = crossed_t_inference(matrix) if many else paired_t_inference(matrix[:, 0])
    interval = found.interval(0.95)
    return {
        "value": _POINTS * found.effect,
        "low": _POINTS * interval.low,
        "high": _POINTS * interval.high,
        "p": found.p(),
    }


def dial(records: pd.DataFrame, arms: Mapping[str, str]) -> pd.DataFrame:
    """List AP50 by distance of the scanners: one row a training (``shift, arm, value`` in %)."""
    kept = records[(records["metric"] == "ap50_shifted") & records["arm"].isin(list(arms))]
    text = kept.assign(arm=kept["arm"].astype(str), group=kept["group"].astype(str))
    means = text.groupby(["arm", "group", "seed"], as_index=False)["value"].mean()
    shift = means["group"].str.removeprefix("shift ").astype(float)
    order = {arm: i for i, arm in enumerate(arms)}
    table = means.assign(shift=shift, value=_POINTS * means["value"], place=means["arm"].map(order))
    table = table.sort_values(["place", "shift"]).reset_index(drop=True)
    return table.assign(arm=table["arm"].map(dict(arms)))[["shift", "arm", "seed", "value"]]


def noise(records: pd.DataFrame, paper: Paper) -> dict[str, float]:
    """Say how large the noise of one comparison is, beside the effect (points of AP50).

    Returns:
        ``acr``, the gain of ACR; ``repeat``, the gain of the baseline over itself, trained again;
        both on the pairs of the first source; ``half_width``, of the 95 % interval of the first on
        a pair; ``printed``, the paper's mean gain of ACR.
    """
    found = {"printed": float(pairs.printed_gains(paper, "ACR", "Baseline")["AP50"].mean())}
    first = sorted({str(group)[0] for group in records["group"] if "→" in str(group)})[0]
    for arm in ("acr", "repeat"):
        gains = pairs.network_gains(records, arm, "baseline", "ap50")
        found[arm] = _POINTS * float(gains[gains["source"] == first]["gain"].mean())
    others = [pair for pair in PAIRS if pair[0] == first]
    each = [_gain(records, ("acr", "baseline"), pair, "ap50") for pair in others]
    widths = [(e["high"] - e["low"]) / 2 for e in each if e is not None]
    return found | {"half_width": float(np.mean(widths))}


def too_small(size: Mapping[str, float]) -> str:
    """Say in a sentence whether a gain of the paper's size could be told from noise.

    Args:
        size: of :func:`noise`.
    """
    least = max(size["half_width"], abs(size["repeat"]))
    word = "below" if size["printed"] < least else "above"
    end = "it cannot settle the claims" if word == "below" else "it can speak on the claims"
    return (
        f"The paper's mean gain, {size['printed']:.1f} points, lies {word} the noise of this run, "
        f"{least:.1f}:\n{end}."
    )


def error_table(
    found: Mapping[tuple[str, str], Detections], *, n_boot: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Compare two estimates of the standard error of AP50 over slides (points).

    Args:
        found: detections by arm and scanner, see
            :class:`common.chapters.cell_detection.experiment.Outcome`.
        n_boot: resamples.
        rng: source of randomness.
    """
    rows = {}
    for scanner in "BC":
        base, acr = found["baseline", scanner], found["acr", scanner]
        for name, each, contrast in (
            (f"baseline on {scanner}", [base], [1.0]),
            (f"ACR minus baseline on {scanner}", [acr, base], [1.0, -1.0]),
        ):
            error = scores.errors(each, "ap50", contrast, n_boot=n_boot, rng=rng)
            rows[name] = {way: _POINTS * value for way, value in error.items()}
    return pd.DataFrame(rows).T.rename_axis("AP50")


def dependence(records: pd.DataFrame) -> pd.DataFrame:
    """Say what six pairs are worth if the two gains of one network correlate.

    Args:
        records: of a run; with fewer than three networks nothing is measured.
    """
    gains = pairs.network_gains(records, "acr", "baseline", "ap50")
    measured = pairs.correlation_of_targets(gains)
    rows = {"independent": 0.0, "measured on the phantom": measured, "one gain a network": 1.0}
    table = {
        name: {
            "correlation": rho,
            "worth": pairs.units(rho),
            "six alike (%)": 100 * pairs.chance_of_six(rho),
        }
        for name, rho in rows.items()
        if np.isfinite(rho)
    }
    return pd.DataFrame(table).T.rename_axis("gains of a network")


def spreads(
    records: pd.DataFrame, *, arms: tuple[str, str], metric: str = "ap50"
) -> dict[str, float]:
    """Split the scatter of a difference between slides, trainings and what is left (points).

    Args:
        records: of a run with at least two seeds.
        arms: the difference is first minus second, averaged over pairs.
        metric: id of the metric.

    Returns:
        ``sd_cluster, sd_seed, sd_residual`` of a two-way layout, negative variances as 0; empty
        with fewer than two seeds.
    """
    mine = records[(records["metric"] == metric) & records["arm"].isin(arms)]
    text = mine.assign(arm=mine["arm"].astype(str), cluster=mine["cluster"].astype(str))
    wide = text.pivot_table("value", ["cluster", "seed"], "arm")
    d = _POINTS * (wide[arms[0]] - wide[arms[1]]).unstack("seed").dropna().to_numpy()
    if min(d.shape) < 2:
        return {}
    n_slides, n_seeds = d.shape
    by_slide, by_seed = d.mean(axis=1), d.mean(axis=0)
    left = d - by_slide[:, None] - by_seed[None, :] + d.mean()
    residual = (left**2).sum() / ((n_slides - 1) * (n_seeds - 1))
    slide = by_slide.var(ddof=1) - residual / n_seeds
    seed = by_seed.var(ddof=1) - residual / n_slides
    parts = {"sd_cluster": slide, "sd_seed": seed, "sd_residual": residual}
    return {name: float(np.sqrt(max(part, 0.0))) for name, part in parts.items()}


def detectable(
    records: pd.DataFrame, *, designs: Iterable[tuple[int, int]] = ((5, 80), (20, 80), (40, 150))
) -> pd.DataFrame:
    """Compute the least gain that designs find with 80 % power (points of AP50).

    The scatter is that between the baseline and the baseline trained again on the pairs of the
    first source, which no claim of the paper touches.  Sources are trained apart, so that what is
    due to trainings shrinks with the root of their number; slides are the same for all.

    Args:
        records: of a run.
        designs: trainings and test slides.

    Returns:
        One row a design, with one source and with three; empty where the run has a single seed.
    """
    scatter = spreads(records, arms=("repeat", "baseline"))
    if not scatter:
        return pd.DataFrame()
    rows = []
    for n_seeds, n_slides in designs:
        each = []
        for n_sources in (1, 3):
            shrunk = {
                name: sd if name == "sd_cluster" else sd / np.sqrt(n_sources)
                for name, sd in scatter.items()
            }
            each.append(power.crossed_t(**shrunk, n_clusters=n_slides, n_seeds=n_seeds))
        rows.append((n_seeds, n_slides, *each))
    names = ["trainings of an arm", "test slides", "one source", "three sources"]
    return pd.DataFrame(rows, columns=names)


def checks(found: Iterable[Check | Mapping[str, Any]]) -> pd.DataFrame:
    """Arrange checks of this run or of an archive for reading."""
    rows = []
    for each in found:
        get = each.get if isinstance(each, Mapping) else lambda name, one=each: getattr(one, name)
        parts = [
            f"printed: {get('printed')}" if get("printed") not in (None, "") else "",
            f"recomputed: {get('recomputed')}" if get("recomputed") not in (None, "") else "",
            str(get("note") or ""),
        ]
        rows.append(
            {
                "check": get("id"),
                "statement": get("statement"),
                "status": get("status"),
                "finding": "; ".join(part for part in parts if part),
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])
