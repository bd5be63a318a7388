"""A sweep in words: counts, best settings, warnings, and a Markdown summary for a CI job."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from common.runs.progress import duration
from common.runs.sweeps import selection
from common.runs.sweeps.collect import Collected
from common.runs.sweeps.selection import Best
from common.runs.sweeps.surface import Surface, surface
from common.statistics.results import Interval

MAX_ROWS = 30
MAX_FAILURES = 20
# bootstrap intervals of fewer clusters are known to be too narrow or very wide
_FEW_CLUSTERS = 10
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


@dataclass(frozen=True)
class Scale:
    """How the metric is shown: fractions in percent, anything else in its own unit.

    Args:
        label: name of the metric with the unit.
        unit: that unit, as it follows a number.
        factor: what values are multiplied by.
    """

    label: str
    unit: str
    factor: float

    def number(self, value: float, width: float | None = None) -> str:
        """Write a value with the digits that its interval supports.

        Args:
            value: in the metric's unit.
            width: half the width of its interval in the same unit; four digits without one.

        Example:
            >>> Scale("Dice (%)", " %", 100.0).number(0.83371, 0.012)
            '83.4'
        """
        shown = value * self.factor
        if not math.isfinite(shown):
            return "–" if math.isnan(shown) else "∞".rjust(1 + (shown < 0), "−")
        if width is None or not math.isfinite(width) or width <= 0:
            text = f"{shown:.4g}"
        else:
            digits = max(0, 1 - math.floor(math.log10(width * self.factor)))
            text = f"{shown:.{min(digits, 6)}f}"
        return text.replace("-", "−")

    def interval(self, interval: Interval | None) -> str:
        """Write an interval as ``low to high``; a dash where there is none."""
        if interval is None:
            return "–"
        half = (interval.high - interval.low) / 2
        return f"{self.number(interval.low, half)} to {self.number(interval.high, half)}"


def scale(collected: Collected) -> Scale:
    """Return how a sweep's metric is shown."""
    metric = collected.metric
    if metric.unit == "fraction":
        return Scale(f"{metric.label} (%)", " %", 100.0)
    unit = f" {metric.unit}" if metric.unit else ""
    return Scale(f"{metric.label} ({metric.unit})" if unit else metric.label, unit, 1.0)


def counts(collected: Collected) -> str:
    """Say how many points have a complete run, and what became of the others."""
    states = [one.state for one in collected.unfinished]
    parts = [f"{len(collected.runs)} of {len(collected.sweep.points)} points have a complete run"]
    parts += [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return ", ".join(parts)


def provenance(collected: Collected) -> pd.DataFrame:
    """List the states of code and machines that the runs of a sweep were made on.

    Returns:
        One row for each: ``runs`` (how many), ``commit``, ``dirty``, ``code`` (hash of notebook,
        modules and declaration), ``versions``, ``hardware``, ``threads``; the most frequent first.
    """
    rows = []
    for run in collected.descriptions.values():
        git, hardware = run.get("git") or {}, run.get("hardware") or {}
        memory = hardware.get("memory_gb")
        parts = [
            str(hardware.get("cpu") or hardware.get("machine") or "unknown"),
            f"{hardware.get('cores', '?')} cores",
            *([f"{memory:g} GB"] if memory else []),
            *map(str, hardware.get("gpu") or []),
        ]
        rows.append(
            {
                "commit": str(git.get("commit") or "none")[:12],
                "dirty": "unknown" if git.get("dirty") is None else "yes" if git["dirty"] else "no",
                "code": run["code"],
                "versions": ", ".join(f"{k} {v}" for k, v in (run.get("versions") or {}).items()),
                "hardware": ", ".join(parts),
                "threads": str(run.get("threads", "unknown")),
            }
        )
    table = pd.DataFrame(rows)
    found = table.groupby(list(table.columns), sort=False).size().rename("runs").reset_index()
    found = found.sort_values("runs", ascending=False, kind="stable", ignore_index=True)
    return found[["runs", *table.columns]]


def warnings(collected: Collected, found: Surface, chosen: Sequence[Best]) -> list[str]:
    """Say what a reader must know before believing the numbers of a sweep."""
    told = [*collected.notes, *found.notes]
    origins = provenance(collected)
    for name, words in (
        ("code", "states of the code: differences may come from it"),
        ("versions", "sets of versions"),
        ("hardware", "kinds of machines: wall times are not comparable, records may differ"),
        ("threads", "numbers of threads: wall times are not comparable, records may differ"),
    ):
        kinds = set(origins[name])
        if len(kinds) > 1:
            told.append(f"The runs mix {len(kinds)} {words}.")
    dirty = int(origins.loc[origins["dirty"] == "yes", "runs"].sum())
    if dirty:
        told.append(f"{dirty} runs were made with uncommitted changes.")
    if set(collected.table["source"]) == {"phantom"}:
        told.append("All cases are of the phantom: they speak of the mechanism, never of patients.")
    if collected.unfinished:
        told.append(f"{len(collected.unfinished)} points are missing; means leave them out.")
    if found.means.groupby("series")["n_seeds"].nunique().max() > 1:
        told.append(
            "Settings rest on unequal numbers of seeds; fewer seeds make extremes likelier."
        )
    told += _of_best(chosen, scale(collected))
    return told


def _of_best(chosen: Sequence[Best], shown: Scale) -> list[str]:
    told = []
    few = [one for one in chosen if 0 < one.n_clusters < _FEW_CLUSTERS]
    if few:
        told.append(f"{few[0].n_clusters} clusters: intervals over clusters are rough.")
    many = max((one.n_settings for one in chosen), default=1)
    if many < 2:
        return told
    flattered = [(each.value, one, each) for one in chosen for each in one.optimism]
    head = f"Each best setting is the best of {many}, chosen and judged on the same data"
    if not flattered:
        return [
            *told,
            f"{head}; with one cluster and one seed the gain from luck cannot be estimated.",
        ]
    value, one, each = max(flattered, key=lambda item: item[0])
    return [
        *told,
        f"{head}. Halves of the {each.unit} that choose look better than halves that judge by up "
        f"to {shown.number(value, abs(value))}{shown.unit} ({one.series}). Judge the choice on "
        "new data.",
    ]


def selection_words(one: Best, shown: Scale) -> str:
    """Say what the selection adds to a best setting, by each unit that could be halved."""
    if one.n_settings < 2:
        return "nothing was selected"
    if not one.optimism:
        return "cannot be estimated: one cluster, one seed"
    return "; ".join(
        f"by {each.unit} ({each.n_units}): {shown.number(each.value, abs(each.value))} too good, "
        f"honest {shown.number(each.honest)}"
        for each in one.optimism
    )


def markdown(collected: Collected) -> str:
    """Summarise a sweep for a comment or the summary of a CI job.

    Args:
        collected: the sweep's tables.

    Returns:
        GitHub and GitLab Markdown: counts, warnings, best settings, at most 30 rows of means, and
        the failures. Texts from outside are escaped.
    """
    found = surface(collected)
    chosen = selection.best(collected, found)
    shown = scale(collected)
    sweep = collected.sweep
    wall = collected.runs["wall_s"].sum() if "wall_s" in collected.runs else None
    total = f" Computing time: {duration(float(wall))}." if wall is not None else ""
    direction = "higher" if found.higher else "lower"
    lines = [
        f"### Sweep {escape(sweep.name)}",
        "",
        f"Chapter {escape(sweep.slug)}, profile {sweep.profile}, {escape(shown.label)} "
        f"({direction} is better). {counts(collected)}.{total}",
        "",
    ]
    lines += [f"- ⚠ {escape(text)}" for text in warnings(collected, found, chosen)]
    lines += ["", *_best_table(chosen, shown), "", *_means_table(found, shown)]
    return "\n".join([*lines, *_failures(collected)]).rstrip() + "\n"


def escape(text: Any) -> str:
    """Make a text safe inside a line or a table of Markdown.

    Example:
        >>> escape("a|b <i> @you")
        'a\\\\|b \\\\<i\\\\> @\\u200byou'
    """
    flat = " ".join(str(text).split())
    # nobody is notified by what a traceback happens to hold
    return _SPECIAL.sub(r"\\\1", flat).replace("@", "@\u200b")


def _rows(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return table + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def _best_table(chosen: Sequence[Best], shown: Scale) -> list[str]:
    head = ["arm", "best setting", escape(shown.label), "95 % over seeds", "95 % over clusters"]
    rows = [
        [
            escape(one.series),
            escape(one.label),
            shown.number(one.mean, half_width(one.seeds or one.clusters)),
            over_seeds(one, shown),
            f"{shown.interval(one.clusters)} ({one.n_clusters})",
            escape(selection_words(one, shown)),
        ]
        for one in chosen
    ]
    return _rows([*head, "selection on the same data"], rows)


def over_seeds(one: Best, shown: Scale) -> str:
    """Write the interval over seeds, or why there is none."""
    if one.seeds is None:
        return f"no interval: {one.n_seeds} seed{'' if one.n_seeds == 1 else 's'}"
    return f"{shown.interval(one.seeds)} ({one.n_seeds})"


def half_width(interval: Interval | None) -> float | None:
    """Return half the width of an interval; None without one."""
    return None if interval is None else (interval.high - interval.low) / 2


def _means_table(found: Surface, shown: Scale) -> list[str]:
    head = [*(escape(name) for name in found.varied), *(escape(name) for name in found.series)]
    wide = dict(iter(found.means.groupby(["setting", "series"])))
    rows = []
    for setting in found.settings.index[:MAX_ROWS]:
        values = found.settings.loc[setting, list(found.varied)]
        cells = [plus_minus(wide.get((setting, series)), shown) for series in found.series]
        rows.append([*(escape(value) for value in values), *cells])
    left = len(found.settings) - len(rows)
    more = ["", f"... and {left} more settings; table.csv holds all of them."] if left > 0 else []
    title = f"{escape(shown.label)}, mean ± half of the 95 % interval over seeds:"
    return [title, "", *_rows(head, rows), *more]


def plus_minus(row: pd.DataFrame | None, shown: Scale) -> str:
    """Write a mean over seeds with half of its interval; a dash where there is no run.

    Args:
        row: one row of :attr:`Surface.means`.
        shown: how the metric is shown.
    """
    if row is None:
        return "–"
    mean, low, high = (float(row[name].iloc[0]) for name in ("mean", "low", "high"))
    if np.isnan(low):
        return shown.number(mean)
    half = (high - low) / 2
    return f"{shown.number(mean, half)} ± {shown.number(half, half)}"


def _failures(collected: Collected) -> list[str]:
    if not collected.unfinished:
        return []
    rows = [
        [
            one.point,
            escape(", ".join(f"{name} = {value}" for name, value in one.parameters.items())),
            one.state,
            one.cell or "–",
            escape(one.reason[:300]),
        ]
        for one in collected.unfinished[:MAX_FAILURES]
    ]
    left = len(collected.unfinished) - len(rows)
    more = ["", f"... and {left} more."] if left > 0 else []
    head = ["point", "parameters", "state", "code cell", "reason"]
    return ["", "Points without a valid run:", "", *_rows(head, rows), *more]
