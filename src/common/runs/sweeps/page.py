"""The page of a sweep: one HTML file that shows everything and asks for nothing else."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from common.runs.files import write_text
from common.runs.progress import duration
from common.runs.sweeps import charts, selection, summary
from common.runs.sweeps.collect import Collected
from common.runs.sweeps.selection import Best
from common.runs.sweeps.summary import Scale
from common.runs.sweeps.surface import Surface, shown as text_of, surface

TEMPLATE = "sweep.html.jinja"
MAX_ROWS = 200


def write(collected: Collected, folder: Path) -> Path:
    """Write the page of a sweep.

    Args:
        collected: the sweep's tables.
        folder: where ``index.html`` goes; it is made.

    Returns:
        The path of the page; the same sweep gives the same bytes.

    Raises:
        ReplicateError: there is no room, or the folder cannot be written.
    """
    found = surface(collected)
    chosen = selection.best(collected, found)
    scale = summary.scale(collected)
    # the template is HTML: every value is escaped unless it is marked safe, and none is
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = (files("common") / "templates" / TEMPLATE).read_text(encoding="utf-8")
    html = environment.from_string(source).render(
        sweep=collected.sweep,
        paper=collected.paper,
        metric=scale.label,
        direction="higher" if found.higher else "lower",
        counts=summary.counts(collected),
        computing=duration(float(collected.runs["wall_s"].sum())),
        warnings=summary.warnings(collected, found, chosen),
        best=[_best(one, scale) for one in chosen],
        charts=charts.charts(found, scale.label, scale.factor),
        varied=list(found.varied),
        series=list(found.series),
        settings=_settings(found, scale),
        more=max(0, len(found.settings) - MAX_ROWS),
        fixed=_fixed(collected),
        unfinished=[_unfinished(one) for one in collected.unfinished],
        origins=summary.provenance(collected).to_dict("records"),
    )
    return write_text(folder / "index.html", html)


def _best(one: Best, scale: Scale) -> dict[str, Any]:
    half = summary.half_width(one.seeds or one.clusters)
    return {
        "series": one.series,
        "label": one.label,
        "mean": scale.number(one.mean, half),
        "seeds": summary.over_seeds(one, scale),
        "clusters": f"{scale.interval(one.clusters)} ({one.n_clusters})",
        "selection": summary.selection_words(one, scale),
        "runs": ", ".join(one.run_ids[:4]) + (", ..." if len(one.run_ids) > 4 else ""),
    }


def _settings(found: Surface, scale: Scale) -> list[dict[str, Any]]:
    parts = dict(iter(found.means.groupby(["setting", "series"])))
    rows = []
    for setting, row in found.settings.head(MAX_ROWS).iterrows():
        mine = [parts.get((setting, series)) for series in found.series]
        rows.append(
            {
                "values": [text_of(row[name]) for name in found.varied],
                "means": [summary.plus_minus(part, scale) for part in mine],
                "front": [part is not None and bool(part["front"].iloc[0]) for part in mine],
                "wall": duration(float(row["wall_s"])),
            }
        )
    return rows


def _fixed(collected: Collected) -> list[tuple[str, str]]:
    """Return the parameters that all runs share."""
    names = next(iter(collected.descriptions.values()))["parameters"].items()
    return [(name, text_of(value)) for name, value in names if name not in collected.sweep.varied]


def _unfinished(one: Any) -> dict[str, Any]:
    given = ", ".join(f"{name} = {text_of(value)}" for name, value in one.parameters.items())
    return {
        "point": one.point,
        "run_id": one.run_id,
        "parameters": given,
        "state": one.state,
        "cell": one.cell or "–",
        "reason": one.reason,
    }
