"""The plots that all chapters share, in one style.

Every function returns a new figure, 720 px wide unless it says otherwise, and changes no global
setting of matplotlib. An arm keeps its colour and marker through a whole chapter: pass the same
list of arms, in the order of ``paper.yml``, to :func:`arm_styles`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from common.errors import ReplicateError
from common.plotstyle import INK, PALETTE, QUIET, RULE, WIDTH_PX, arm_styles, canvas, style

__all__ = [
    "arm_styles",
    "canvas",
    "congruence_curve",
    "curves",
    "dot_published_replicated",
    "forest",
    "gallery",
    "heatmap_patients",
    "ladder",
    "slope",
    "style",
]


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing or frame.empty:
        raise ReplicateError(
            f"`{name}` must have rows and the columns {', '.join(columns)}, got {len(frame)} rows "
            f"and {', '.join(map(str, frame.columns))}. Add {', '.join(missing) or 'rows'}."
        )


def _in_order(values: pd.Series) -> list[Any]:
    return list(dict.fromkeys(values))


def _place_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _legend_above(axes: Axes, n: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(n, 4), borderaxespad=0.2)


def forest(
    effects: pd.DataFrame, *, label: str, margin: float | None = None, reference: float = 0.0
) -> Figure:
    """Draw effects with intervals, one row each, several kinds of interval per row.

    Args:
        effects: columns ``row`` (text), ``effect``, ``low``, ``high`` and, where a row has several
            intervals, ``kind``; rows and kinds keep their order of appearance.
        label: the effect's name and unit.
        margin: half-width of a shaded band of equivalence, in the same unit.
        reference: where there is no effect.
    """
    _require(effects, ["row", "effect", "low", "high"], "effects")
    table = effects.assign(kind=effects.get("kind", ""), value=effects["effect"])
    kinds = _in_order(table["kind"])
    with style():
        figure, axes = _row_canvas(table)
        if margin is not None:
            axes.axvspan(reference - margin, reference + margin, color=RULE, alpha=0.6, lw=0)
        axes.axvline(reference, color=QUIET, lw=1)
        _draw_rows(axes, table, arm_styles(kinds))
        axes.grid(axis="x")
        axes.set_xlabel(label)
        if len(kinds) > 1:
            _legend_above(axes, len(kinds))
    return figure


def _row_canvas(table: pd.DataFrame) -> tuple[Figure, Axes]:
    n_rows, n_kinds = table["row"].nunique(), table["kind"].nunique()
    figure, grid = canvas(90 + n_rows * max(26, 14 * n_kinds))
    return figure, grid[0, 0]


def _draw_rows(axes: Axes, table: pd.DataFrame, looks: Mapping[str, dict[str, Any]]) -> None:
    """Draw ``value`` with ``low`` to ``high`` for each kind, slightly apart inside its row."""
    rows, kinds = _in_order(table["row"]), _in_order(table["kind"])
    for k, kind in enumerate(kinds):
        part = table[table["kind"] == kind]
        shift = 0.7 * (k - (len(kinds) - 1) / 2) / len(kinds)
        y = [rows.index(row) + shift for row in part["row"]]
        if {"low", "high"} <= set(part):
            axes.hlines(y, part["low"], part["high"], color=looks[kind]["color"], lw=2)
        axes.plot(part["value"], y, ls="", ms=6, label=kind or None, **looks[kind])
    _place_rows(axes, rows)


def dot_published_replicated(numbers: pd.DataFrame, *, label: str) -> Figure:
    """Set published numbers beside replicated ones, row by row.

    Args:
        numbers: columns ``row``, ``kind`` (such as ``published``, ``quick``, ``standard``),
            ``value`` and, where known, ``low`` and ``high``. Published numbers are open circles.
        label: the quantity and its unit.
    """
    _require(numbers, ["row", "kind", "value"], "numbers")
    kinds = _in_order(numbers["kind"])
    looks = arm_styles([kind for kind in kinds if kind != "published"])
    looks["published"] = {"color": INK, "marker": "o", "mfc": "white", "mew": 1.6}
    with style():
        figure, axes = _row_canvas(numbers)
        _draw_rows(axes, numbers, looks)
        axes.grid(axis="both")
        axes.set_xlabel(label)
        _legend_above(axes, len(kinds))
    return figure


def slope(numbers: pd.DataFrame, *, label: str, left: str, right: str) -> Figure:
    """Join each published number to the recomputed one; a level line means that they agree.

    Args:
        numbers: columns ``row``, ``left`` and ``right``.
        label: the quantity and its unit.
        left: heading of the left end.
        right: heading of the right end.
    """
    _require(numbers, ["row", "left", "right"], "numbers")
    looks = arm_styles(_in_order(numbers["row"]))
    with style():
        figure, grid = canvas(380)
        axes = grid[0, 0]
        heights = _spread(numbers["right"].to_numpy(float), share=0.05)
        for place, height in zip(numbers.to_dict("records"), heights, strict=True):
            look = looks[place["row"]]
            axes.plot([0, 1], [place["left"], place["right"]], ms=7, **look)
            axes.annotate(
                place["row"],
                xy=(1, place["right"]),
                xytext=(1.06, height),
                va="center",
                arrowprops={"arrowstyle": "-", "color": RULE},
            )
        axes.set_xticks([0, 1], [left, right])
        axes.set_xlim(-0.1, 1.75)
        axes.spines["bottom"].set_bounds(0, 1)
        axes.grid(axis="y")
        axes.set_ylabel(label)
    return figure


def _spread(values: np.ndarray, *, share: float) -> np.ndarray:
    """Move labels apart until neighbours are at least ``share`` of the range from each other."""
    gap = share * (np.ptp(values) or 1.0)
    order = np.argsort(values, kind="stable")
    placed = values[order].astype(float)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed -= (placed - values[order]).mean()
    result = np.empty_like(placed)
    result[order] = placed
    return result


def heatmap_patients(
    values: ArrayLike, *, arms: Sequence[str], label: str, groups: Sequence[str] | None = None
) -> Figure:
    """Show every patient under every arm; patients are sorted by their mean inside their group.

    Args:
        values (arms, patients): one number each, such as the share of patches that are right.
        arms: names of the rows.
        label: the quantity and its unit, for the colour bar.
        groups (patients,): a class or fold of each patient; groups are set apart by lines.
    """
    matrix = np.asarray(values, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != len(arms):
        raise ReplicateError(
            f"`values` must have shape ({len(arms)}, patients), got {matrix.shape}. "
            "Give one row for each arm."
        )
    names = np.asarray(groups if groups is not None else [""] * matrix.shape[1], dtype=object)
    kinds = list(dict.fromkeys(names))
    rank = np.array([kinds.index(name) for name in names])
    order = np.lexsort((np.nanmean(matrix, axis=0), rank))
    edges = np.searchsorted(rank[order], np.arange(len(kinds) + 1))
    with style():
        figure, grid = canvas(120 + 26 * len(arms))
        axes = grid[0, 0]
        image = axes.imshow(matrix[:, order], aspect="auto", cmap="cividis")
        axes.set_yticks(range(len(arms)), arms)
        for edge in edges[1:-1]:
            axes.axvline(edge - 0.5, color="white", lw=2)
        if groups is None:
            axes.set_xlabel("patients, sorted by their mean over the arms")
        else:
            axes.set_xticks((edges[:-1] + edges[1:] - 1) / 2, kinds, rotation=30, ha="right")
            axes.set_xlabel("patients by group, sorted by their mean over the arms")
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label=label, pad=0.02)
    return figure


def curves(
    history: pd.DataFrame, *, x: str, y: str, arm: str = "arm", label_x: str, label_y: str
) -> Figure:
    """Draw one curve for each arm: the mean over repeats, and their range as a band.

    Args:
        history: long table; several rows with the same arm and ``x`` are repeats (seeds, folds).
        x: column of the horizontal axis.
        y: column of the vertical axis.
        arm: column that tells curves apart.
        label_x: the horizontal quantity and its unit.
        label_y: the vertical quantity and its unit.
    """
    _require(history, [x, y, arm], "history")
    arms = _in_order(history[arm])
    looks = arm_styles(arms)
    with style():
        figure, grid = canvas(320)
        axes = grid[0, 0]
        for name in arms:
            part = history[history[arm] == name].groupby(x)[y].agg(["mean", "min", "max"])
            color = looks[name]["color"]
            every = max(1, len(part) // 8)
            axes.fill_between(part.index, part["min"], part["max"], color=color, alpha=0.18, lw=0)
            axes.plot(part.index, part["mean"], label=name, ms=5, markevery=every, **looks[name])
        if pd.api.types.is_integer_dtype(history[x]):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.set(xlabel=label_x, ylabel=label_y)
        _legend_above(axes, len(arms))
    return figure


def ladder(p_values: Mapping[str, float], *, alpha: float = 0.05, smallest: float = 1e-6) -> Figure:
    """Show one comparison under several tests, from naive to proper, on a log scale of p.

    Args:
        p_values: p-value by the test's name, in the order to show.
        alpha: the level, drawn as a line.
        smallest: smaller p-values are drawn there, as an arrow.
    """
    names = list(p_values)
    p = np.array([p_values[name] for name in names], dtype=float)
    if not len(p) or not np.all((p >= 0) & (p <= 1)):
        raise ReplicateError(f"`p_values` must be in [0, 1], got {dict(p_values)!r}. Mend them.")
    shown = np.maximum(p, smallest)
    with style():
        figure, grid = canvas(100 + 30 * len(names))
        axes = grid[0, 0]
        axes.axvspan(alpha, 2.0, color=RULE, alpha=0.5, lw=0)
        axes.axvline(alpha, color=QUIET, lw=1, ls="--")
        axes.plot(shown, range(len(names)), color=RULE, lw=1.5, zorder=1)
        for place, (value, at) in enumerate(zip(p, shown, strict=True)):
            color = PALETTE[1] if value < alpha else PALETTE[0]
            marker = "<" if value < smallest else ("s" if value < alpha else "o")
            axes.plot(at, place, marker, color=color, ms=8)
            text = f"p < {smallest:.0e}" if value < smallest else f"p = {value:.2g}"
            side = -1 if at > 0.02 else 1
            axes.annotate(
                text,
                (at, place),
                xytext=(9 * side, 0),
                textcoords="offset points",
                va="center",
                ha="right" if side < 0 else "left",
            )
        _place_rows(axes, names)
        axes.set_xscale("log")
        axes.set_xlim(smallest / 2, 1.4)
        axes.set_xlabel(f"p-value (log scale); dashed: {alpha:g}; shaded: not significant")
    return figure


def p_value_histogram(p_values: Mapping[str, ArrayLike], *, alpha: float = 0.05) -> Figure:
    """Draw p-values from studies without an effect; those of a valid test lie flat.

    Args:
        p_values: for each test, the p-values (n,) in [0, 1].
        alpha: the level, drawn as a line; bins are ``alpha`` wide.
    """
    looks = arm_styles(list(p_values))
    with style():
        figure, grid = canvas(230, columns=len(p_values))
        for axes, (name, values) in zip(grid[0], p_values.items(), strict=True):
            p = np.asarray(values, dtype=float)
            bins = np.arange(0, 1 + alpha, alpha)
            weights = np.full(len(p), 100 / len(p))
            axes.hist(p, bins=bins, weights=weights, color=looks[name]["color"])
            axes.axhline(100 * alpha, color=QUIET, lw=1, ls="--")
            axes.set(title=name, xlabel="p-value", xlim=(0, 1))
        grid[0, 0].set_ylabel("studies (%)")
    return figure


def gallery(
    images: Sequence[ArrayLike],
    titles: Sequence[str],
    *,
    columns: int = 6,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Show small images in a grid.

    Args:
        images: arrays (H, W) in grey or (H, W, 3).
        titles: one for each image; may be empty.
        columns: images in a row.
        limits: values of black and white, the same for all images; the smallest and largest value
            of all grey images if not given.
    """
    if not images or len(images) != len(titles):
        raise ReplicateError(
            f"`titles` must be as many as images and at least 1, got {len(titles)} titles for "
            f"{len(images)} images. Give each image a title, '' for none."
        )
    arrays = [np.asarray(image) for image in images]
    low, high = limits or (
        min(float(array.min()) for array in arrays),
        max(float(array.max()) for array in arrays),
    )
    columns = min(columns, len(arrays))
    rows = -(-len(arrays) // columns)
    with style():
        figure, grid = canvas(int(rows * (WIDTH_PX / columns + 22)), rows=rows, columns=columns)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, array, title in zip(grid.flat, arrays, titles, strict=False):
            axes.imshow(array, cmap="gray", vmin=low, vmax=high)
            axes.set_title(title, fontsize=10, loc="center")
    return figure


def congruence_curve(
    congruence: ArrayLike,
    probability: Mapping[str, ArrayLike],
    *,
    measured: float | None = None,
    threshold: float = 0.05,
    label: str = "share of cases that both methods get right",
) -> Figure:
    """Draw the probability that a published ordering is false, over the congruence of two methods.

    Args:
        congruence (n,): shares, or correlations, within their possible range.
        probability: for each curve, such as one design effect, the probabilities (n,).
        measured: the congruence found in our own replication, drawn as a vertical line.
        threshold: what counts as a well-supported ordering, drawn as a horizontal line.
        label: name and unit of the congruence.
    """
    x = np.asarray(congruence, dtype=float)
    looks = arm_styles(list(probability))
    lines = ("-", "--", "-.", ":")
    with style():
        figure, grid = canvas(320)
        axes = grid[0, 0]
        for i, (name, values) in enumerate(probability.items()):
            color = looks[name]["color"]
            axes.plot(x, np.asarray(values, float), color=color, ls=lines[i % 4], label=name)
        axes.axhline(threshold, color=QUIET, lw=1, ls="--")
        axes.annotate(
            f" {threshold:g}",
            (1, threshold),
            xycoords=("axes fraction", "data"),
            va="center",
            color=QUIET,
        )
        if measured is not None:
            axes.axvline(measured, color=INK, lw=1.2, label=f"measured here: {measured:.3f}")
        axes.set_ylim(0, None)
        axes.grid(axis="y")
        axes.set(xlabel=label, ylabel="probability that the ordering is false")
        _legend_above(axes, len(probability) + (measured is not None))
    return figure
