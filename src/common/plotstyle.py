"""The one style of all figures: size, type, colours that everybody can tell apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

WIDTH_PX = 720
PX_PER_INCH = 72
INK, QUIET, RULE = "#1f2933", "#5b6770", "#d5dade"
# Okabe and Ito without yellow, then Tol's muted set: told apart with every kind of colour vision
_HEX = "0072B2 D55E00 009E73 CC79A7 56B4E9 E69F00 332288 882255 999933 44AA99 661100 6699CC"
PALETTE = tuple(f"#{code}" for code in _HEX.split())
MARKERS = "osD^vPX<>*hp"
_STYLE: Any = {
    "figure.facecolor": "white",
    "figure.dpi": PX_PER_INCH,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "image.interpolation": "nearest",
    "lines.linewidth": 1.8,
    "svg.hashsalt": "book",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw inside the book's style; the settings before are restored afterwards.

    Example:
        >>> before = mpl.rcParams["font.size"]
        >>> with style():
        ...     inside = mpl.rcParams["font.size"]
        >>> inside, mpl.rcParams["font.size"] == before
        (11.0, True)
    """
    with mpl.rc_context(_STYLE):
        yield


def canvas(
    height: int, *, rows: int = 1, columns: int = 1, width: int = WIDTH_PX, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make an empty figure in the style that is active.

    Args:
        height: pixels on the page.
        rows: of the grid of axes.
        columns: of the grid of axes.
        width: pixels on the page.
        options: passed to ``Figure.subplots``.

    Returns:
        The figure and its axes (rows, columns).
    """
    figure = Figure(figsize=(width / PX_PER_INCH, height / PX_PER_INCH), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def arm_styles(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give every arm a fixed colour and marker.

    Args:
        arms: all arms of a chapter, in the order in which ``paper.yml`` declares them.

    Returns:
        For each arm the keywords ``color`` and ``marker``. Past twelve arms colours return with
        another marker.

    Example:
        >>> arm_styles(["dice", "bce"])["bce"]
        {'color': '#D55E00', 'marker': 's'}
    """
    n = len(PALETTE)
    return {
        arm: {"color": PALETTE[i % n], "marker": MARKERS[(i + i // n) % len(MARKERS)]}
        for i, arm in enumerate(arms)
    }
