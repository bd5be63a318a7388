"""The two plots of the atlas, drawn by Bokeh in the reader's browser.

Bokeh's script is staged once and loaded by the atlas alone. The plots hold plain data; what a
click does, and the colours of the theme, are in ``book/_static/atlas.js``.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

BLUE, ORANGE = "#0072B2", "#D55E00"
# of ink on the blue of a full cell a contrast of 4.5 to 1 remains in both themes
_DEEPEST = 0.55
_ROW_PX = 19
_ID = re.compile(r'"(p\d+)"')


def head(static: str = "../_static") -> str:
    """Return the HTML that the page of the plots holds once.

    Args:
        static: way from the page to the folder of static files.
    """
    return (
        f'\n<script defer src="{static}/bokeh/bokeh.min.js"></script>\n'
        f'<script defer src="{static}/atlas.js"></script>'
    )


def order(counts: Mapping[tuple[str, str], int]) -> tuple[list[str], list[str]]:
    """Order tasks and modalities by their number of papers, the largest first.

    Example:
        >>> order({("a", "CT"): 1, ("b", "CT"): 2, ("b", "MR"): 1})
        (['b', 'a'], ['CT', 'MR'])
    """
    tasks: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for (task, kind), n in counts.items():
        tasks[task] += n
        kinds[kind] += n
    return _falling(tasks), _falling(kinds)


def _falling(counted: Counter[str]) -> list[str]:
    return sorted(counted, key=lambda name: (-counted[name], name))


def heatmap(counts: Mapping[tuple[str, str], int]) -> str:
    """Draw tasks by modalities; a click on a cell selects its rows of the table.

    Args:
        counts: (task, modality) to number of papers.

    Returns:
        HTML with the plot's data; the plot appears where the script runs.
    """
    from bokeh.models import ColumnDataSource, FactorRange
    from bokeh.plotting import figure

    tasks, kinds = order(counts)
    most = max(counts.values(), default=1)
    cells = [(task, kind, n) for (task, kind), n in sorted(counts.items())]
    data: dict[str, Any] = {
        "task": [task for task, _, _ in cells],
        "modality": [kind for _, kind, _ in cells],
        "n": [n for *_, n in cells],
        "depth": [0.08 + (_DEEPEST - 0.08) * (n / most) ** 0.5 for *_, n in cells],
    }
    source = ColumnDataSource(data, name="cells")
    plot = figure(
        name="heatmap",
        x_range=FactorRange(factors=kinds),
        y_range=FactorRange(factors=tasks[::-1]),
        x_axis_location="above",
        height=_ROW_PX * len(tasks) + 110,
        tools="tap,hover",
        tooltips=[("task", "@task"), ("modality", "@modality"), ("papers", "@n")],
        **_quiet(),
    )
    plot.rect("modality", "task", 0.94, 0.9, source=source, **_cell_look())
    plot.text("modality", "task", "n", source=source, name="numbers", **_number_look())
    plot.xaxis.major_label_orientation = 1.1
    plot.grid.visible = False
    _still(plot)
    return _embedded("atlas-heatmap", plot, "Number of papers for each task and modality")


def _cell_look() -> dict[str, Any]:
    return {
        "fill_color": BLUE,
        "fill_alpha": "depth",
        "line_color": None,
        "selection_line_color": ORANGE,
        "selection_line_width": 2,
        "selection_fill_alpha": "depth",
        "nonselection_fill_alpha": "depth",
        "hover_line_color": ORANGE,
        "hover_fill_alpha": "depth",
    }


def _number_look() -> dict[str, Any]:
    return {
        "text_align": "center",
        "text_baseline": "middle",
        "text_font_size": "10px",
        "nonselection_text_alpha": 1,
    }


def months(counts: Mapping[str, tuple[int, int]]) -> str:
    """Draw the papers of each month, with and without a link; the table's filters narrow it.

    Args:
        counts: month to the numbers of papers with and without a link.

    Returns:
        HTML with the plot's data; the plot appears where the script runs.
    """
    from bokeh.models import ColumnDataSource, DataRange1d, FactorRange
    from bokeh.plotting import figure

    names = list(counts)
    data: dict[str, Any] = {
        "month": names,
        "linked": [linked for linked, _ in counts.values()],
        "without": [rest for _, rest in counts.values()],
    }
    source = ColumnDataSource(data, name="months")
    plot = figure(
        name="by-month",
        x_range=FactorRange(factors=names),
        y_range=DataRange1d(start=0),
        height=260,
        tools="hover",
        tooltips=[("month", "@month"), ("with a link", "@linked"), ("without", "@without")],
        y_axis_label="papers",
        **_quiet(),
    )
    plot.vbar_stack(
        ["linked", "without"],
        x="month",
        width=0.8,
        source=source,
        fill_color=[BLUE, BLUE],
        fill_alpha=[0.85, 0.0],
        line_color=BLUE,
        hatch_pattern=[" ", "/"],
        hatch_color=BLUE,
        hatch_alpha=0.6,
        legend_label=["with a link", "without"],
    )
    plot.xgrid.visible = False
    plot.ygrid.grid_line_alpha = 0.3
    plot.legend.orientation = "horizontal"
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_color = None
    plot.add_layout(plot.legend[0], "above")
    _still(plot)
    return _embedded("atlas-months", plot, "Number of papers for each month, with and without code")


def _quiet() -> dict[str, Any]:
    return {
        "sizing_mode": "stretch_width",
        "toolbar_location": None,
        "background_fill_color": None,
        "border_fill_color": None,
        "outline_line_color": None,
        "min_border": 0,
    }


def _still(plot: Any) -> None:
    plot.axis.axis_line_color = None
    plot.axis.major_tick_line_color = None
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_font_size = "11px"


def _embedded(name: str, plot: Any, label: str) -> str:
    from bokeh.core.types import ID
    from bokeh.embed import json_item

    item = _safe(json_item(plot, ID(name)), name)
    return (
        f'<div class="rb-plot" id="{name}" role="img" aria-label="{label}"></div>\n'
        f'<script type="application/json" data-plot="{name}">{item}</script>\n'
    )


def _safe(item: Any, name: str) -> str:
    """Write JSON that may stand inside a script element, with ids that no other plot shifts."""
    text = json.dumps(item)
    ids = dict.fromkeys(_ID.findall(text))
    renamed = {each: f'"{name}-{place}"' for place, each in enumerate(ids)}
    text = _ID.sub(lambda found: renamed[found[1]], text)
    for sign in "<>&`":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
