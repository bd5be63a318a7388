"""The plots that belong to one kind of comparison: ranks, agreement, curves, resamples, power; and
results of tests as a table and as a forest plot.

They keep the style and the rules of :mod:`common.figures`: 720 px wide, units on every axis, no
setting of matplotlib left changed, colours that everybody can tell apart and a second sign (marker
or dashes) beside each colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike

from common import display, figures
from common.display import Shown
from common.errors import ReplicateError
from common.plotstyle import INK, PALETTE, QUIET, RULE, arm_styles, canvas, style
from common.statistics.results import Inference, TestResult

_DASHES = ("-", "--", "-.", ":")
_LEGEND_ROW = 4
_PERCENT = 100.0

Result = TestResult | Inference


def _numbers(name: str, values: ArrayLike, *, at_least: int = 1) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or len(array) < at_least or not np.isfinite(array).all():
        raise ReplicateError(
            f"`{name}` must be {at_least} or more finite numbers in one axis, got shape "
            f"{array.shape}. Leave out what is missing, and say so."
        )
    return array


def _some(name: str, given: Mapping[str, object] | Sequence[object]) -> None:
    if not len(given):
        raise ReplicateError(f"`{name}` must hold at least 1 entry, got none. Give what to draw.")


def _legend(axes: Axes, n: int) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(n, _LEGEND_ROW), borderaxespad=0.2
    )


def results_table(
    results: Mapping[str, Result],
    *,
    caption: str,
    unit: str = "fraction",
    level: str = "95 %",
) -> Shown:
    """Show results of tests, or estimates against 0, as a table, one row each.

    Args:
        results: the results by the name that heads their row.
        caption: what they are about.
        unit: of the effects; a ``fraction`` is shown in percentage points.
        level: confidence of the intervals, in words; estimates that are no tests have 95 %.

    Returns:
        Effect with interval, p, and the number of independent units where it is known.
    """
    _some("results", results)
    rows = [
        {
            "test": name,
            f"effect [{level} interval]": display.effect(*_interval(each), unit=unit),
            "p": display.p_value(each.p if isinstance(each, TestResult) else each.p()),
            "units": getattr(each, "n_clusters", getattr(each, "n_units", None)),
        }
        for name, each in results.items()
    ]
    return display.table(pd.DataFrame(rows), caption=caption, index=False)


def _interval(result: Result) -> tuple[float, float, float]:
    if isinstance(result, TestResult):
        return result.effect, result.low, result.high
    ends = result.interval()
    return result.effect, ends.low, ends.high


def results_forest(
    results: Mapping[str, Result],
    *,
    label: str,
    scale: float = _PERCENT,
    margin: float | None = None,
) -> Figure:
    """Draw effects of tests, or estimates, with their intervals, one row each.

    Args:
        results: the results by the name of their row.
        label: the effect and its unit.
        scale: what effects are multiplied with; 100 makes percentage points of fractions.
        margin: half-width of a shaded band of equivalence, before scaling.
    """
    _some("results", results)
    names = ("effect", "low", "high")
    rows = [
        {"row": name}
        | {key: scale * value for key, value in zip(names, _interval(each), strict=True)}
        for name, each in results.items()
    ]
    band = None if margin is None else scale * margin
    return figures.forest(pd.DataFrame(rows), label=label, margin=band)


def critical_difference(
    ranks: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    *,
    difference: float | None = None,
    label: str = "mean rank (1 = best)",
) -> Figure:
    """Draw mean ranks on an axis and join the methods that a test does not tell apart.

    Args:
        ranks: mean rank of each method, 1 = best.
        groups: names of methods joined by a bar; groups of one method draw nothing.
        difference: the critical difference, drawn as a ruler above the axis.
        label: the axis.

    Raises:
        ReplicateError: fewer than two methods, or a group names one without a rank.

    Source:
        Demsar, JMLR 7:1 (2006), figure 1.
    """
    if len(ranks) < 2:
        raise ReplicateError(f"`ranks` must hold at least 2 methods, got {len(ranks)}. Add one.")
    unknown = sorted({name for group in groups for name in group} - set(ranks))
    if unknown:
        raise ReplicateError(
            f"`groups` must name methods of `ranks`, got {unknown[0]!r}. Known: {', '.join(ranks)}."
        )
    order = sorted(ranks, key=lambda name: ranks[name])
    bars = sorted(
        (min(places), max(places))
        for places in ([ranks[name] for name in group] for group in groups)
        if len(places) > 1
    )
    n_left = -(-len(order) // 2)
    top = 0.6 + 0.45 * len(bars)
    with style():
        figure, grid = canvas(100 + 24 * (n_left + len(bars)))
        axes = grid[0, 0]
        for place, (left, right) in enumerate(bars, start=1):
            axes.plot([left - 0.02, right + 0.02], [0.45 * place] * 2, color=INK, lw=5)
        _draw_ranks(axes, {name: ranks[name] for name in order}, arm_styles(list(ranks)), top)
        if difference is not None:
            axes.plot([1, 1 + difference], [-0.8, -0.8], "|-", color=QUIET, ms=9, lw=1.6)
            note = f" critical difference {difference:.2f}"
            axes.annotate(note, (1 + difference, -0.8), va="center")
        axes.set_ylim(top + 0.6 * n_left, -0.3 if difference is None else -1.3)
        _rank_axis(axes, len(order))
        axes.set_xlabel(label)
    return figure


def _draw_ranks(
    axes: Axes, ranks: Mapping[str, float], looks: Mapping[str, dict[str, Any]], top: float
) -> None:
    """Draw methods in order of their rank: the better half labelled on the left, the rest right."""
    n, n_left = len(ranks), -(-len(ranks) // 2)
    for place, (name, rank) in enumerate(ranks.items()):
        on_left = place < n_left
        depth = top + 0.6 * (place if on_left else n - 1 - place)
        end = 1 - 0.06 * (n - 1) if on_left else n + 0.06 * (n - 1)
        axes.plot([rank, rank, end], [0, depth, depth], color=looks[name]["color"], lw=1.4)
        axes.plot(rank, 0, ms=8, clip_on=False, zorder=3, ls="", **looks[name])
        axes.annotate(
            f"{name}  {rank:.2f}" if on_left else f"{rank:.2f}  {name}",
            (end, depth),
            xytext=(-6 if on_left else 6, 0),
            textcoords="offset points",
            ha="right" if on_left else "left",
            va="center",
        )


def _rank_axis(axes: Axes, n: int) -> None:
    """Make the top line the axis of ranks 1 to n, with room for names on both sides."""
    side = 0.42 * (n - 1)
    axes.set_xlim(1 - side, n + side)
    axes.xaxis.set_major_locator(FixedLocator(range(1, n + 1)))
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_position(("data", 0))
    axes.spines["top"].set_bounds(1, n)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("bottom")
    axes.yaxis.set_major_locator(NullLocator())


def bland_altman(
    means: ArrayLike,
    differences: ArrayLike,
    lines: Mapping[str, tuple[float, float, float]],
    *,
    label_x: str,
    label_y: str,
) -> Figure:
    """Draw the differences of two readers or methods over their means, with limits of agreement.

    Args:
        means (n,): mean of the two values of each case.
        differences (n,): first minus second.
        lines: for each line, such as the bias and both limits, its place and the two ends of its
            interval, drawn as a band.
        label_x: the mean and its unit.
        label_y: the difference and its unit.

    Source:
        Bland and Altman, Lancet 327:307 (1986).
    """
    x, y = _numbers("means", means), _numbers("differences", differences)
    if x.shape != y.shape:
        raise ReplicateError(f"`differences` must be {len(x)} values, got {len(y)}. Pair them.")
    with style():
        figure, grid = canvas(330)
        axes = grid[0, 0]
        axes.axhline(0, color=QUIET, lw=1)
        for name, (value, low, high) in lines.items():
            axes.axhspan(low, high, color=RULE, alpha=0.7, lw=0)
            axes.axhline(value, color=INK, lw=1.4, ls="--")
            axes.annotate(
                f" {name} {value:.3g}".replace("-", "−"),
                (1, value),
                xycoords=("axes fraction", "data"),
                va="center",
            )
        axes.plot(x, y, "o", color=PALETTE[0], alpha=0.6, ms=5, mew=0)
        axes.set(xlabel=label_x, ylabel=label_y)
    return figure


def roc(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    areas: Mapping[str, tuple[float, float, float]],
) -> Figure:
    """Draw receiver operating characteristics, each with its area and the interval of that.

    Args:
        curves: for each method, false-positive rates and sensitivities (k,), as fractions.
        areas: for each method, the area and the ends of its interval.
    """
    _some("curves", curves)
    looks = arm_styles(list(curves))
    with style():
        figure, grid = canvas(400)
        axes = grid[0, 0]
        axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=":")
        for i, (name, (false, true)) in enumerate(curves.items()):
            area, low, high = areas[name]
            axes.step(
                _numbers("false-positive rates", false),
                _numbers("sensitivities", true),
                where="post",
                color=looks[name]["color"],
                ls=_DASHES[i % len(_DASHES)],
                label=f"{name}: area {area:.3f} [{low:.3f}, {high:.3f}]",
            )
        axes.set_aspect("equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid()
        axes.set(xlabel="1 − specificity", ylabel="sensitivity")
        axes.legend(loc="lower left", bbox_to_anchor=(1.02, 0))
    return figure


def froc(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]],
    *,
    points: Sequence[float] = (0.125, 0.25, 0.5, 1, 2, 4, 8),
) -> Figure:
    """Draw free-response curves: sensitivity over false positives a scan, with bands.

    Args:
        curves: for each method, false positives a scan (k,) > 0, sensitivity, and the lower and
            upper end of its band, as fractions.
        points: rates at which sensitivities are averaged, marked on the axis.
    """
    _some("curves", curves)
    looks = arm_styles(list(curves))
    with style():
        figure, grid = canvas(340)
        axes = grid[0, 0]
        for i, (name, (rate, *rest)) in enumerate(curves.items()):
            sensitivity, low, high = (_numbers("sensitivity", values) for values in rest)
            x, look = _numbers("false positives", rate), looks[name]
            axes.fill_between(x, low, high, color=look["color"], alpha=0.18, lw=0)
            axes.plot(x, sensitivity, color=look["color"], ls=_DASHES[i % 4])
            at = np.interp(points, x, sensitivity)
            axes.plot(points, at, ls="", ms=6, color=look["color"], marker=look["marker"])
            axes.plot([], [], label=name, ls=_DASHES[i % 4], ms=6, **look)
        axes.set_xscale("log")
        axes.set_xticks(points, [f"{point:g}" for point in points])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0, 1.02)
        axes.grid()
        axes.set(xlabel="false positives a scan (log scale)", ylabel="sensitivity")
        _legend(axes, len(curves))
    return figure


def calibration(
    rates: pd.DataFrame,
    *,
    x: str,
    label_x: str,
    panel: str | None = None,
    nominal: float = 0.05,
    band: tuple[float, float] = (0.035, 0.065),
    highest: float | None = None,
    label_y: str = "rejected without an effect (%)",
) -> Figure:
    """Draw rates of rejection (or of coverage) of several tests with their Monte-Carlo error.

    Args:
        rates: columns ``test``, ``rate``, ``mc_se`` (fractions), ``x`` and, where asked for,
            ``panel``; tests and panels keep their order of appearance.
        x: column of the horizontal axis; its values are spaced evenly.
        label_x: its name and unit.
        panel: column whose values get a panel each.
        nominal: the promised rate, drawn as a line.
        band: rates that pass, shaded.
        highest: rates above are drawn there, as an arrow; None shows everything.
        label_y: the vertical axis.
    """
    columns = [name for name in ("test", "rate", "mc_se", x, panel) if name is not None]
    missing = [name for name in columns if name not in rates]
    if missing or rates.empty:
        raise ReplicateError(
            f"`rates` must have rows and the columns {', '.join(columns)}, got {len(rates)} rows "
            f"without {', '.join(missing) or 'a gap'}. Add what is missing."
        )
    tests = list(dict.fromkeys(rates["test"]))
    panels = list(dict.fromkeys(rates[panel])) if panel else [None]
    with style():
        figure, grid = canvas(330, columns=len(panels), sharey=True)
        for axes, value in zip(grid[0], panels, strict=True):
            part = rates if panel is None else rates[rates[panel] == value]
            axes.axhspan(*(_PERCENT * end for end in band), color=RULE, alpha=0.8, lw=0)
            axes.axhline(_PERCENT * nominal, color=QUIET, lw=1, ls="--")
            _draw_rates(axes, part, tests, x, highest)
            axes.set_xlabel(label_x)
            if value is not None:
                axes.set_title(
                    f"{panel} {value:g}" if isinstance(value, float) else f"{panel} {value}"
                )
        grid[0, 0].set_ylabel(label_y)
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=min(len(tests), 3))
    return figure


def _draw_rates(
    axes: Axes, part: pd.DataFrame, tests: Sequence[str], x: str, highest: float | None
) -> None:
    places = sorted(part[x].unique())
    looks = arm_styles(tests)
    for i, test in enumerate(tests):
        mine = part[part["test"] == test].sort_values(x)
        at = np.array([places.index(value) for value in mine[x]])
        at = at + 0.5 * (i - (len(tests) - 1) / 2) / len(tests)
        rate = _PERCENT * mine["rate"].to_numpy(float)
        error = 1.96 * _PERCENT * mine["mc_se"].to_numpy(float)
        top = np.inf if highest is None else _PERCENT * highest
        above = rate > top
        color, marker = looks[test]["color"], looks[test]["marker"]
        axes.errorbar(
            at[~above],
            rate[~above],
            yerr=error[~above],
            fmt=marker,
            ms=5,
            lw=1.4,
            color=color,
            label=test,
        )
        for place, value in zip(at[above], rate[above], strict=True):
            axes.plot(place, 0.96 * top, "^", color=color, ms=6)
            axes.annotate(
                f"{value:.0f}",
                (place, 0.96 * top),
                xytext=(0, -6),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=9,
                color=color,
            )
    axes.set_xticks(range(len(places)), [f"{value:g}" for value in places])
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylim(0, None if highest is None else _PERCENT * highest)
    axes.grid(axis="y")


def resamples(
    values: ArrayLike,
    *,
    observed: float,
    label: str,
    interval: tuple[float, float] | None = None,
    extreme: bool = False,
    what: str = "resamples",
    n_bins: int = 41,
) -> Figure:
    """Draw replicates of a bootstrap, or effects under a null hypothesis, with the observed effect.

    Args:
        values (n,): the replicates.
        observed: the effect found, drawn as a line.
        label: the effect and its unit.
        interval: its ends, drawn as a bar under the histogram.
        extreme: colour the replicates at least as far from 0 as the observed effect.
        what: what is counted, for the vertical axis.
        n_bins: bars; odd, so that a bar is centred on the middle of the range.
    """
    replicates = _numbers("values", values, at_least=2)
    edges = np.linspace(replicates.min(), replicates.max(), n_bins + 1)
    if edges[0] == edges[-1]:
        edges = np.array([edges[0] - 0.5, edges[0] + 0.5])
    with style():
        figure, grid = canvas(270)
        axes = grid[0, 0]
        weights = np.full(len(replicates), _PERCENT / len(replicates))
        axes.hist(replicates, bins=edges, weights=weights, color=PALETTE[4])
        if extreme:
            far = np.abs(replicates) >= abs(observed) * (1 - 1e-9)
            name = f"as far from 0 as observed: {_PERCENT * far.mean():.2g} %"
            axes.hist(
                replicates[far],
                bins=edges,
                weights=weights[far],
                color=PALETTE[1],
                hatch="//",
                ec="white",
                label=name,
            )
        axes.axvline(observed, color=INK, lw=1.6, label=f"observed: {_signed(observed)}")
        if interval is not None:
            low, high = interval
            depth = -0.05 * axes.get_ylim()[1]
            name = f"interval: {_signed(low)} to {_signed(high)}"
            axes.plot([low, high], [depth, depth], color=INK, lw=5, label=name)
        axes.set(xlabel=label, ylabel=f"{what} (%)")
        _legend(axes, 3)
    return figure


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def power_curves(
    effects: ArrayLike,
    power: Mapping[str, ArrayLike],
    *,
    label: str,
    target: float = 0.8,
) -> Figure:
    """Draw the chance that a design finds an effect, over the size of that effect.

    Args:
        effects (n,): true effects.
        power: for each design, its power (n,) as a fraction.
        label: the effect and its unit.
        target: the power that is usually asked for, drawn as a line.
    """
    _some("power", power)
    x = _numbers("effects", effects, at_least=2)
    looks = arm_styles(list(power))
    with style():
        figure, grid = canvas(310)
        axes = grid[0, 0]
        axes.axhline(_PERCENT * target, color=QUIET, lw=1, ls="--")
        for i, (name, values) in enumerate(power.items()):
            y = _PERCENT * _numbers("power", values)
            axes.plot(
                x,
                y,
                ls=_DASHES[i % 4],
                label=name,
                ms=5,
                markevery=max(1, len(x) // 8),
                **looks[name],
            )
        axes.set(xlabel=label, ylabel="power (%)", ylim=(0, 102))
        axes.grid(axis="y")
        _legend(axes, len(power))
    return figure


def reach(
    units: ArrayLike,
    smallest: Mapping[str, ArrayLike],
    *,
    label: str,
    alpha: float = 0.05,
    lowest: float = 1e-4,
) -> Figure:
    """Draw the smallest p that a test can give at all, over the number of independent units.

    Args:
        units (n,): clusters, folds or blocks.
        smallest: for each test, the smallest p (n,); NaN where it cannot be done.
        label: what the units are.
        alpha: the level, drawn as a line; above it a test can never reject.
        lowest: curves end where they fall below it.
    """
    _some("smallest", smallest)
    x = _numbers("units", units)
    looks = arm_styles(list(smallest))
    with style():
        figure, grid = canvas(310)
        axes = grid[0, 0]
        for i, (name, values) in enumerate(smallest.items()):
            y = np.asarray(values, dtype=float)
            shown = y >= lowest
            axes.plot(x[shown], y[shown], ls=_DASHES[i % 4], ms=5, label=name, **looks[name])
        axes.set_yscale("log")
        axes.set_ylim(lowest, 1.4)
        axes.axhspan(alpha, 1.4, color=RULE, alpha=0.5, lw=0)
        axes.axhline(alpha, color=QUIET, lw=1, ls="--")
        axes.annotate(f" {alpha:g}", (1, alpha), xycoords=("axes fraction", "data"), va="center")
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.set(xlabel=label, ylabel="smallest p-value (log scale)")
        axes.grid(axis="y")
        _legend(axes, len(smallest))
    return figure


def ordered_p_values(p_values: ArrayLike, *, alpha: float = 0.05) -> Figure:
    """Draw the p-values of one family in order of size, with the bounds that corrections set.

    Args:
        p_values (m,): of one family, in [0, 1].
        alpha: the level of the family.
    """
    p = np.sort(_numbers("p_values", p_values, at_least=2))
    if p[0] < 0 or p[-1] > 1:
        raise ReplicateError(
            f"`p_values` must lie in [0, 1], got {p[0]:g} to {p[-1]:g}. Mend them."
        )
    m, rank = len(p), np.arange(1, len(p) + 1)
    bounds = {
        "no correction": np.full(m, alpha),
        "Benjamini-Hochberg": alpha * rank / m,
        "Holm": alpha / (m - rank + 1),
    }
    with style():
        figure, grid = canvas(310)
        axes = grid[0, 0]
        for i, (name, bound) in enumerate(bounds.items()):
            axes.plot(rank, bound, color=PALETTE[(1, 2, 3)[i]], ls=_DASHES[1 + i], label=name)
        axes.plot(rank, p, "o", color=PALETTE[0], ms=6, label="p-values")
        axes.set_yscale("log")
        axes.set_xticks(rank)
        axes.set(xlabel="place of the p-value, from the smallest", ylabel="p-value (log scale)")
        axes.grid(axis="y")
        _legend(axes, 4)
    return figure
