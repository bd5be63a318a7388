"""The audit: the printed numbers against each other, and against the public annotations."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from common.chapters.cell_detection import annotations, offsets, pairs
from common.chapters.cell_detection.annotations import PATCH_PX, Regions
from common.models.cell_detection_regularisation import PositionGate
from common.papers import Paper
from common.statistics.audit import Check, Status

_HALF = 0.05  # a number printed with one decimal may be this far off
_UM_PX = (0.23, 0.25)  # pixels of the scanners (um), lowest and highest
_SLIDE_MM2 = 100.0  # a section on a whole slide covers at least that
_FRAMEWORK_LR, _FRAMEWORK_BATCH = 0.02, 16  # what the framework's rate is set for
_INPUT_PX, _CHANNELS = 800, 256  # side of a patch as the framework resizes it; of the pyramid


def printed_alone(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other and against the paper's own equations."""
    return [
        *_gains(paper),
        *_units(paper),
        *_bounds(paper),
        *_centres(paper),
        *_attention(paper),
        *_settings(paper),
    ]


def _gains(paper: Paper) -> Iterator[Check]:
    """A1: what the text says of Table 1."""
    for number, (first, second) in enumerate(pairs.COMPARISONS, start=1):
        gains = pairs.printed_gains(paper, first, second)
        up = (gains > 0).sum()
        claimed = list(pairs.METRICS[: 2 if second == "Baseline" else 3])
        sharp = gains["AP75"].to_dict()
        below = [
            f"{pair} {gain:+.1f}".replace("-", "−") for pair, gain in sharp.items() if gain <= 0
        ]
        yield _check(
            f"A1.{number}",
            f"{first} improves {' and '.join(claimed)} over {second} on all pairs",
            bool((gains[claimed] > 0).all().all()),
            "all combinations",
            ", ".join(f"{name} {up[name]} of {len(gains)}" for name in pairs.METRICS),
            f"AP75 falls: {', '.join(below)}" if below else "",
        )


def _units(paper: Paper) -> Iterator[Check]:
    """A2: six pairs rest on three networks and three sets of slides."""
    number = 0
    for first in ("SCR", "ACR"):
        gains = pairs.printed_gains(paper, first, "Baseline")
        for metric in gains:
            number += 1
            found = pairs.significance(gains[metric])
            ends = (found["t_sources"], found["t_targets"])
            yield _check(
                f"A2.{number}",
                f"the gain of {first} in {metric} is significant, as the conclusion says",
                max(ends) < 0.05 and found["wilcoxon"] < 0.05,
                "significantly improves",
                f"mean {gains[metric].mean():+.2f} points; p {found['wilcoxon']:.3f} by pairs "
                f"(least possible {found['least']:.3f}), {ends[0]:.3f} by source networks, "
                f"{ends[1]:.3f} by target slides",
                "before any correction for the number of tests",
            )


def _bounds(paper: Paper) -> Iterator[Check]:
    """A3: AP falls with the threshold, so that its mean over ten lies between bounds."""
    wide = pairs.printed(paper).pivot_table("value", ["method", "pair"], "metric")
    low, high = (wide["AP50"] + 5 * wide["AP75"]) / 10, (5 * wide["AP50"] + 5 * wide["AP75"]) / 10
    inside = (wide["AP50:95"] >= low - 2 * _HALF) & (wide["AP50:95"] <= high + 2 * _HALF)
    yield _check(
        "A3",
        "AP50:95 lies between what AP50 and AP75 allow",
        bool(inside.all()),
        f"{len(wide)} rows",
        f"{int(inside.sum())} inside",
    )


def centre_errors(paper: Paper) -> pd.DataFrame:
    """Work out from every row of Table 1 how far centres are off.

    Returns:
        One row a method and pair: ``ratio`` (AP75 over AP50), ``both`` and ``missed`` (the centre
        error in pixels under the two readings of :func:`offsets.expected_ap`), and
        ``mean_both, mean_missed``: the AP50:95 over AP50 that would follow, beside ``mean``.
    """
    wide = pairs.printed(paper).pivot_table("value", ["method", "pair"], "metric", sort=False)
    rows = wide.assign(ratio=wide["AP75"] / wide["AP50"], mean=wide["AP50:95"] / wide["AP50"])
    for name, both in (("both", True), ("missed", False)):
        rows[name] = [offsets.implied_sigma(ratio, both=both) for ratio in rows["ratio"]]
        rows[f"mean_{name}"] = [
            offsets.expected_mean(sigma, both=both) / offsets.expected_ap(sigma, 0.5, both=both)
            for sigma in rows[name]
        ]
    return rows[["ratio", "both", "missed", "mean", "mean_both", "mean_missed"]]


def _centres(paper: Paper) -> Iterator[Check]:
    """A4: boxes of one size turn AP75 and AP50:95 into measures of centre error."""
    rows = centre_errors(paper)
    for number, (name, words) in enumerate(
        (("missed", "a box that is off is a missed cell"), ("both", "it is a false positive too")),
        start=1,
    ):
        off = (rows[f"mean_{name}"] - rows["mean"]).abs()
        yield _check(
            f"A4.{number}",
            f"one centre error explains AP75 and AP50:95 of a row to 3 %, if {words}",
            bool(off.max() < 0.03),
            f"AP75 / AP50 {rows['ratio'].min():.2f} to {rows['ratio'].max():.2f}",
            f"error {rows[name].min():.1f} to {rows[name].max():.1f} px an axis; AP50:95 / AP50 "
            f"misses by {off.max():.3f} at most",
        )
    target = rows.reset_index().assign(target=lambda t: t["pair"].str[-1])
    ratio = target.groupby("target")["ratio"].mean()
    yield _check(
        "A4.3",
        "the scanner with the coarsest pixel, C, has the smallest centre error in pixels",
        bool(ratio["C"] == ratio.max()),
        "",
        "; ".join(f"target {name}: AP75 / AP50 {value:.2f}" for name, value in ratio.items()),
    )


def attention_gib(stride: int, *, side: int, heads: int) -> float:
    """Compute the memory of one attention map over positions, in single precision (GiB).

    Args:
        stride: of the pyramid's level (pixels).
        side: of the image (pixels).
        heads: number of heads.

    Example:
        >>> round(attention_gib(4, side=800, heads=8), 1)
        47.7
    """
    positions = (-(-side // stride)) ** 2
    return heads * positions**2 * 4 / 2**30


def _attention(paper: Paper) -> Iterator[Check]:
    """A8 and A9: what the equations cost on the levels of a pyramid."""
    stated = paper.table("prose").set_index("metric")["value"]
    heads, reduction = int(stated["attention heads m"]), int(stated["reduction ratio r"])
    each = {stride: attention_gib(stride, side=_INPUT_PX, heads=heads) for stride in (4, 8, 16)}
    told = ", ".join(f"stride {stride}: {gib:.2g} GiB" for stride, gib in each.items())
    yield _check(
        "A8",
        f"attention over positions fits a GPU at stride 4 of a patch resized to {_INPUT_PX} px",
        each[4] < 24,
        "levels not named",
        f"one map of one image: {told}",
        "with equation 7 as printed, Q K^T is C x C and attends over channels",
    )
    weights = {
        (side, stride): sum(
            p.numel()
            for p in PositionGate(
                _CHANNELS, (side // stride) ** 2, reduction=reduction
            ).parameters()
        )
        for side in (PATCH_PX, _INPUT_PX)
        for stride in (4, 16)
    }
    yield _check(
        "A9",
        "one gate serves images of any size",
        len(set(weights.values())) == 1,
        "W2 has P rows",
        "; ".join(f"{side} px, stride {s}: {n:,} weights" for (side, s), n in weights.items()),
        "equation 4 ties the gate to one size of one level",
    )


def _settings(paper: Paper) -> Iterator[Check]:
    """A11: the learning rate and the batch that it fits."""
    stated = paper.table("prose").set_index("metric")["value"]
    batch = stated["learning rate (SGD)"] / _FRAMEWORK_LR * _FRAMEWORK_BATCH
    yield _check(
        "A11",
        "the learning rate follows from the framework's by the number of images a step",
        None,
        f"{stated['learning rate (SGD)']:g}, images a step not given",
        f"would fit {batch:.1f} images a step",
        f"the framework: {_FRAMEWORK_LR:g} at {_FRAMEWORK_BATCH} images",
    )


def against_annotations(paper: Paper, found: Regions, *, rng: np.random.Generator) -> list[Check]:
    """Check the printed sizes and levels against the boxes of the same 150 regions.

    Args:
        paper: the chapter's declaration.
        found: see :func:`common.chapters.cell_detection.annotations.regions`.
        rng: draws the scores of planted detectors.
    """
    return [*_sizes(paper, found), *_level(paper, found, rng)]


def _sizes(paper: Paper, found: Regions) -> Iterator[Check]:
    """A5 and A6: one size for all images of a scanner, called whole slides."""
    stated = paper.table("prose").set_index(["row", "metric"])["value"]
    for scanner, part in found.table.groupby("scanner"):
        printed = (stated[scanner, "width (px)"], stated[scanner, "height (px)"])
        same = (part["width_px"] == printed[0]) & (part["height_px"] == printed[1])
        sizes = part[["width_px", "height_px"]].drop_duplicates()
        yield _check(
            f"A5 {scanner}",
            f"all images of domain {scanner} have the printed size",
            bool(same.all()),
            f"{printed[0]:.0f} x {printed[1]:.0f} px",
            f"{int(same.sum())} of {len(part)} have it; {len(sizes)} "
            f"size{'s' * (len(sizes) > 1)}, width {part['width_px'].min()} to "
            f"{part['width_px'].max()}",
        )
    area = found.table["width_px"] * found.table["height_px"] * 1e-6
    low, high = (area.mean() * um**2 for um in _UM_PX)
    yield _check(
        "A6",
        "the images are whole slides",
        bool(low > _SLIDE_MM2),
        "whole-slide images",
        f"regions of {low:.1f} to {high:.1f} mm² at {_UM_PX[0]:g} to {_UM_PX[1]:g} µm a pixel",
    )


def _level(paper: Paper, found: Regions, rng: np.random.Generator) -> Iterator[Check]:
    """A7: how high AP50 is for a detector that cannot tell figures from look-alikes."""
    counts = annotations.summary(found)
    empty = 100 * (1 - counts.loc["patches with a figure"] / counts.loc["patches of 512 px"])
    blind = 100 * annotations.inflation(found, separations=(0.0,), rng=rng).droplevel(1)
    table = pairs.printed(paper).query("metric == 'AP50'")
    best = {str(name): float(part.max()) for name, part in table.groupby("target")["value"]}
    positive, everywhere = blind["positive"].to_dict(), blind["everywhere"].to_dict()
    told = "; ".join(
        f"{name}: printed up to {value:.1f}, blind {positive[name]:.1f} on patches with a figure, "
        f"{everywhere[name]:.1f} on all"
        for name, value in best.items()
    )
    yield _check(
        "A7",
        "the printed AP50 needs a detector that tells figures from look-alikes",
        all(value > positive[name] + 2 for name, value in best.items()),
        "which patches were scored is not said",
        told,
        f"blind: finds every annotated cell, scores at random; {empty.min():.0f} to "
        f"{empty.max():.0f} % of the patches hold no figure, and the framework drops such patches "
        "in training",
    )


def _check(
    id: str, statement: str, status: bool | None, printed: str, recomputed: str, note: str = ""
) -> Check:
    """Make a check; a status of None is one that the numbers cannot decide."""
    word: Status = "undecidable" if status is None else "pass" if status else "fail"
    return Check(id, statement, word, printed, recomputed, note)
