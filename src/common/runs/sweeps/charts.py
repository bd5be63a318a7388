"""Figures of a sweep, in the style of the book, each with a text that says what it shows."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.plotstyle import INK, QUIET, arm_styles, canvas, style
from common.runs.sweeps import surface as surfaces
from common.runs.sweeps.surface import Surface

# drawn at the width at which a page shows them, so that 11 px stay about 9 px on a telephone
WIDTH = 460
_CROWDED = 400  # more points than that are stored as pixels
_CELLS_WITH_TEXT = 42


@dataclass(frozen=True)
class Chart:
    """One figure with its caption.

    Args:
        figure: the figure.
        title: heading in words.
        caption: what is shown and how to read it.
        alt: the same for those who do not see it, with the numbers that matter.
    """

    figure: Figure
    title: str
    caption: str
    alt: str

    @property
    def uri(self) -> str:
        """The figure as SVG in an address that needs no further request."""
        buffer = io.BytesIO()
        # without a date the same sweep gives the same page
        with style():
            self.figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=144)
        return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def charts(found: Surface, label: str, factor: float) -> list[Chart]:
    """Draw the response surface.

    Args:
        found: the surface.
        label: name of the metric and the unit it is shown in.
        factor: what values are multiplied by to be in that unit.

    Returns:
        One figure for each varied parameter, a map for each arm where exactly two vary, and the
        cost against the metric where the times are known.
    """
    drawn = [_effect(found, name, label, factor) for name in found.varied]
    if len(found.varied) == 2:
        drawn += [_map(found, series, label, factor) for series in found.series]
    if found.means["wall_s"].notna().all() and len(found.settings) > 1:
        drawn.append(_cost(found, label, factor))
    return drawn


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _axis(axes: Axes, values: list[Any], numeric: bool) -> dict[Any, float]:
    """Set up the horizontal axis and return the place of each value on it."""
    if not numeric:
        turned = sum(len(surfaces.shown(value)) for value in values) > 40
        axes.set_xticks(range(len(values)), [surfaces.shown(value) for value in values])
        axes.tick_params(axis="x", rotation=30 if turned else 0)
        axes.set_xlim(-0.5, len(values) - 0.5)
        return {value: float(place) for place, value in enumerate(values)}
    positive = min(values) > 0
    if positive and max(values) / min(values) >= 50:
        axes.set_xscale("log")
    if len(values) <= 6:
        axes.set_xticks(values, [surfaces.shown(value) for value in values])
        axes.minorticks_off()
    return {value: float(value) for value in values}


def _shift(axes: Axes, place: float, step: float) -> float:
    """Move a place sideways by a share of the width of the axis, so that arms lie side by side."""
    if axes.get_xscale() == "log":
        low, high = np.log(axes.get_xlim())
        return float(np.exp(np.log(place) + step * (high - low)))
    low, high = axes.get_xlim()
    return place + step * (high - low)


def _effect(found: Surface, name: str, label: str, factor: float) -> Chart:
    points, means = surfaces.marginal(found, name)
    numeric = _is_number(found.settings[name])
    means = means.assign(value=means["value"].astype(object).where(means["value"].notna(), None))
    points = points.assign(
        value=points["value"].astype(object).where(points["value"].notna(), None)
    )
    values = list(dict.fromkeys(means["value"]))
    numeric = numeric and None not in values
    with style():
        figure, grid = canvas(320, width=WIDTH)
        axes = grid[0, 0]
        places = _axis(axes, values, numeric)
        if numeric:
            axes.plot(list(places.values()), [means["mean"].mean() * factor] * len(places), alpha=0)
        axes.set_xlim(axes.get_xlim())
        looks = arm_styles(found.series)
        for number, series in enumerate(found.series):
            step = 0.025 * (number - (len(found.series) - 1) / 2)
            here = {value: _shift(axes, place, step) for value, place in places.items()}
            _draw_series(axes, points, means, series, here, looks[series], factor, numeric)
        axes.grid(axis="y")
        axes.set(xlabel=name, ylabel=label)
        if len(found.series) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    return Chart(figure, f"{label} over {name}", *_words(found, name, means, label, factor))


def _draw_series(
    axes: Axes,
    points: pd.DataFrame,
    means: pd.DataFrame,
    series: str,
    places: dict[Any, float],
    look: dict[str, Any],
    factor: float,
    joined: bool,
) -> None:
    single, mine = points[points["series"] == series], means[means["series"] == series]
    x = [places[value] for value in single["value"]]
    crowded = len(single) > _CROWDED
    color = look["color"]
    axes.scatter(
        x, single["mean"] * factor, s=14, color=color, alpha=0.35, lw=0, rasterized=crowded
    )
    x = [places[value] for value in mine["value"]]
    axes.vlines(x, mine["low"] * factor, mine["high"] * factor, color=color, lw=2)
    line = "-" if joined else ""
    axes.plot(x, mine["mean"] * factor, ls=line, lw=1, ms=7, label=series, **look)


def _words(
    found: Surface, name: str, means: pd.DataFrame, label: str, factor: float
) -> tuple[str, str]:
    """Write the caption and the alternative text of the effect of one parameter."""
    counts = sorted(set(means["n_seeds"]))
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    bars = (
        f"bars: 95 % t intervals over {seeds} seeds (training again, not other patients)"
        if means["low"].notna().any()
        else f"no interval: {seeds} seed{'' if counts == [1] else 's'}"
    )
    others = len(found.varied) - 1
    averaged = (
        f" Each point is averaged over the {others} other varied "
        f"parameter{'' if others == 1 else 's'}, so that interactions do not show; seeds that miss "
        "a run are left out there."
        if others
        else ""
    )
    caption = f"Small points: single seeds. Large: their mean; {bars}.{averaged}"
    told = "; ".join(
        f"{series}: "
        + ", ".join(
            f"{surfaces.shown(value)}: {mean * factor:.4g}"
            for value, mean in zip(part["value"][:12], part["mean"][:12], strict=True)
        )
        for series, part in means.groupby("series", sort=False)
    )
    return caption, f"{label} for each value of {name}. Means: {told}."


def _map(found: Surface, series: str, label: str, factor: float) -> Chart:
    one, two = found.varied
    means = found.means[found.means["series"] == series]
    table = means.assign(
        **{name: means["setting"].map(found.settings[name]) for name in (one, two)}
    )
    title = f"{series}: {label} over {one} and {two}"
    wide = table.pivot_table(index=two, columns=one, values="mean", dropna=False)
    # points of a random search share no values: cells would be nearly all empty
    full = len(table) >= 0.5 * wide.size
    with style():
        figure, grid = canvas(320, width=WIDTH)
        axes = grid[0, 0]
        image = _cells(axes, wide * factor) if full else _scatter(axes, table, one, two, factor)
        axes.set(xlabel=one, ylabel=two)
        figure.colorbar(image, ax=axes, label=label, pad=0.02)
    shape = "Each cell" if full else "Each point"
    caption = f"{shape} is the mean over the seeds of one setting; empty cells have no run."
    low, high = means["mean"].min() * factor, means["mean"].max() * factor
    alt = f"{title}: {len(means)} settings from {low:.4g} to {high:.4g}."
    return Chart(figure, title, caption, alt)


def _cells(axes: Axes, wide: pd.DataFrame) -> Any:
    values = wide.to_numpy(float)
    image = axes.imshow(values, aspect="auto", cmap="cividis", origin="lower")
    axes.set_xticks(range(wide.shape[1]), [surfaces.shown(value) for value in wide.columns])
    axes.set_yticks(range(wide.shape[0]), [surfaces.shown(value) for value in wide.index])
    axes.tick_params(length=0)
    if values.size <= _CELLS_WITH_TEXT:
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = INK if value > middle else "white"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=color)
    return image


def _scatter(axes: Axes, table: pd.DataFrame, one: str, two: str, factor: float) -> Any:
    places = []
    for name, set_scale, set_ticks in (
        (one, axes.set_xscale, axes.set_xticks),
        (two, axes.set_yscale, axes.set_yticks),
    ):
        values = table[name]
        if not _is_number(values):
            codes, names = pd.factorize(values.map(surfaces.shown), sort=True)
            set_ticks(range(len(names)), list(names))
            places.append(codes)
            continue
        if values.min() > 0 and values.max() / values.min() >= 50:
            set_scale("log")
        places.append(values.to_numpy(float))
    x, y = places
    return axes.scatter(x, y, c=table["mean"] * factor, cmap="cividis", s=46, ec=QUIET, lw=0.5)


def _cost(found: Surface, label: str, factor: float) -> Chart:
    minutes = found.means["wall_s"].max() >= 300
    per = 60 if minutes else 1
    with style():
        figure, grid = canvas(320, width=WIDTH)
        axes = grid[0, 0]
        looks = arm_styles(found.series)
        for series in found.series:
            part = found.means[found.means["series"] == series].sort_values("wall_s")
            x, y = part["wall_s"] / per, part["mean"] * factor
            color, marker = looks[series]["color"], looks[series]["marker"]
            front = part["front"]
            axes.scatter(x, y, s=26, color=color, marker=marker, alpha=0.45, lw=0)
            axes.plot(
                x[front], y[front], color=color, marker=marker, ms=8, mec=INK, lw=1, label=series
            )
        times = found.means["wall_s"]
        if times.min() > 0 and times.max() / times.min() >= 30:
            axes.set_xscale("log")
        axes.grid(axis="both")
        axes.set(xlabel=f"wall time of a run ({'min' if minutes else 's'})", ylabel=label)
        if len(found.series) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    caption = (
        "One point a setting, time and metric averaged over its runs. Outlined and joined: the "
        "Pareto front, settings that no other beats in both. A run trains every arm, so that arms "
        "share its time."
    )
    told = "; ".join(
        f"{series}: " + ", ".join(found.settings.loc[part["setting"], "label"].head(8))
        for series, part in found.means[found.means["front"]].groupby("series", sort=False)
    )
    alt = f"{label} against wall time. On the Pareto front: {told}."
    return Chart(figure, f"{label} against cost", caption, alt)
