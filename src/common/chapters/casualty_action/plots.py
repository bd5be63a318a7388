"""Figures of the casualty-care page."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from common import figures
from common.chapters.casualty_action.audit import MODELS
from common.chapters.casualty_action.inputs import Clips
from common.chapters.casualty_action.steps import WORDS
from common.plotstyle import INK, PALETTE, QUIET, WIDTH_PX, arm_styles, canvas, style
from common.statistics.proportions import proportion_interval

_DASHES = (":", "-.", "--", (0, (5, 1)))


def strips(clips: NDArray[np.floating], names: list[str]) -> Figure:
    """Show the frames of some clips, one row a clip.

    Args:
        clips (n, 3, T, H, W): in [0, 1].
        names: one for each clip, written above its row.
    """
    n, _, t = clips.shape[:3]
    with style():
        figure, grid = canvas(n * (WIDTH_PX // t + 26), rows=n, columns=t)
        for row, name, clip in zip(grid, names, clips, strict=True):
            row[0].set_title(name, loc="left", fontsize=10)
            for axes, frame in zip(row, clip.transpose(1, 2, 3, 0), strict=True):
                axes.imshow(frame, vmin=0, vmax=1)
                axes.set_axis_off()
    return figure


def long_tail(steps: pd.DataFrame, words: pd.DataFrame) -> Figure:
    """Draw how often each action occurs, and which verbs meet which nouns.

    Args:
        steps: with ``action``, ``verb``, ``noun`` codes.
        words: with ``verb, noun, verb_code, noun_code``; names the codes.
    """
    counts = steps["action"].value_counts().to_numpy()
    both = pd.crosstab(steps["verb"], steps["noun"])
    both = both.loc[
        both.sum(axis=1).sort_values(ascending=False).index[:12],
        both.sum(axis=0).sort_values(ascending=False).index[:16],
    ]
    verb = words.drop_duplicates("verb_code").set_index("verb_code")["verb"]
    noun = words.drop_duplicates("noun_code").set_index("noun_code")["noun"]
    with style():
        figure, grid = canvas(360, columns=2, width_ratios=[2, 3])
        bars, cells = grid[0]
        bars.bar(np.arange(1, len(counts) + 1), counts, width=1.0, color=PALETTE[0])
        bars.set(xlabel="action, most frequent first", ylabel="clips")
        bars.grid(axis="y")
        shown = cells.imshow(np.log1p(both.to_numpy()), cmap="Blues", aspect="auto")
        marks = [0, 1, 3, 10, 30, 100]
        bar = figure.colorbar(shown, ax=cells, ticks=np.log1p(marks))
        bar.ax.set_yticklabels([str(mark) for mark in marks])
        bar.set_label("clips (log)")
        cells.set_yticks(range(len(both)), [verb[code] for code in both.index], fontsize=8)
        names = [noun[code] for code in both.columns]
        cells.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        cells.spines[:].set_visible(False)
    return figure


def published_and_blind(
    published: pd.DataFrame, blind: pd.DataFrame, *, n: int, source: str
) -> Figure:
    """Draw the published accuracies with Wilson intervals, and blind guesses as lines.

    Args:
        published: ``row, value`` in percent.
        blind: by arm ``top1, low, high`` in percent, of :func:`steps.summary`.
        n: clips that the intervals assume.
        source: of the guesses, for the legend.
    """
    words = {"open": "real annotations", "phantom": "phantom"}[source]
    with style():
        figure, grid = canvas(330)
        axes = grid[0, 0]
        for place, (kind, name) in enumerate(WORDS.items()):
            guess, low, high = blind.loc[f"steps-{kind}", ["top1", "low", "high"]].to_numpy(float)
            color = PALETTE[place + 1]
            axes.axvspan(low, high, color=color, alpha=0.15, lw=0)
            axes.axvline(guess, color=color, ls=_DASHES[place], label=name)
        for place, value in enumerate(published["value"].tolist()):
            interval = proportion_interval(round(value * n / 100), n)
            axes.hlines(place, 100 * interval.low, 100 * interval.high, color=INK, lw=2)
            axes.plot(value, place, "o", mfc="white", mec=INK, mew=1.6, ms=8)
        axes.set_yticks(range(len(published)), list(published["row"]))
        axes.set_ylim(len(published) - 0.5, -0.5)
        axes.set(xlabel="top-1 action accuracy (%)", xlim=(0, 80))
        axes.grid(axis="x")
        axes.legend(
            title=f"blind guesses, {words}",
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=2,
            borderaxespad=0.2,
        )
    return figure


def procedures(found: pd.DataFrame, measured: pd.DataFrame, kind: str) -> Figure:
    """Draw top-1 action accuracy by procedure, published with Wilson intervals and on the phantom.

    Args:
        found: of :func:`audit.action_counts`.
        measured: of :func:`tables.by_procedure`.
        kind: the run's profile.
    """
    rows = [
        *({"row": str(i), "kind": "published", **r} for i, r in found.to_dict("index").items()),
        *(
            {"row": str(i), "kind": kind, "value": r["Top-1 Act"]}
            for i, r in measured.to_dict("index").items()
            if i != "Average"
        ),
    ]
    table = pd.DataFrame(rows)[["row", "kind", "value", "low", "high"]]
    return figures.dot_published_replicated(table, label="top-1 action accuracy (%)")


def losses(history: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw the cross-entropy of the action head over the epochs.

    Args:
        history: of the outcome.
        labels: by training, those that are drawn.
    """
    shown = history[(history["metric"] == "action_loss") & history["training"].isin(list(labels))]
    return figures.curves(
        shown.assign(curve=shown["training"].map(labels)),
        x="epoch",
        y="value",
        arm="curve",
        label_x="epoch",
        label_y="cross-entropy of actions (nats)",
    )


def looks(kept: Mapping[str, NDArray[np.float64]], labels: Mapping[str, str]) -> Figure:
    """Draw attention to frames, and how large the learned terms of relative place are.

    Args:
        kept: of :func:`tables.arrays`; ``frames-<arm>`` (T,), ``tables-<arm>`` (2, L, 2n - 1, d).
        labels: by arm, those that are drawn.
    """
    styles = arm_styles(list(labels))
    with style():
        figure, grid = canvas(300, columns=2)
        for arm, label in labels.items():
            share = 100 * kept[f"frames-{arm}"]
            grid[0, 0].plot(np.arange(1, len(share) + 1), share, ms=6, label=label, **styles[arm])
        grid[0, 0].set(xlabel="frame", ylabel="attention of the class token (%)")
        grid[0, 0].set_ylim(0, 1.1 * grid[0, 0].get_ylim()[1])
        grid[0, 0].set_xticks(range(1, len(share) + 1))
        tables = kept["tables-revit"]
        n = tables.shape[2] // 2
        for axis, (name, dash) in enumerate((("rows, $R^H$", "-"), ("columns, $R^W$", "--"))):
            for layer in range(tables.shape[1]):
                size = np.linalg.norm(tables[axis, layer], axis=1)
                grid[0, 1].plot(
                    np.arange(-n, n + 1),
                    size,
                    ls=dash,
                    marker="os"[axis],
                    ms=5,
                    color=PALETTE[layer % len(PALETTE)],
                    label=f"{name}, layer {layer + 1}",
                )
        grid[0, 1].set(xlabel="displacement (patches)", ylabel="length of the learned vector")
        for axes in grid[0]:
            axes.grid(axis="y")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1, borderaxespad=0.2)
    return figure


def frequency(table: NDArray[np.float64]) -> Figure:
    """Draw the accuracy of each class over its training clips.

    Args:
        table (classes, 2): training clips, accuracy.
    """
    with style():
        figure, grid = canvas(280)
        axes = grid[0, 0]
        axes.plot(table[:, 0], 100 * table[:, 1], "o", color=PALETTE[0], alpha=0.7)
        axes.set(xlabel="training clips of the action", ylabel="right test clips (%)")
        axes.set_ylim(-3, 103)
        axes.grid()
    return figure


def lead_power(n: float, lead: float) -> Figure:
    """Draw the power to show a lead of two models over the share of discordant clips.

    Args:
        n: test clips, independent.
        lead: difference of the accuracies.
    """
    share = np.linspace(lead + 1e-4, 0.3, 200)
    z = lead * np.sqrt(n) / np.sqrt(share - lead**2)
    critical = stats.norm.ppf(0.975)
    with style():
        figure, grid = canvas(280)
        axes = grid[0, 0]
        chance = 100 * (stats.norm.sf(critical - z) + stats.norm.cdf(-critical - z))
        axes.plot(100 * share, chance, color=PALETTE[0])
        axes.axhline(80, color=QUIET, ls=":", lw=1)
        axes.set(
            xlabel="clips that only one of two models gets right (%)",
            ylabel="power (%)",
            ylim=(0, 103),
            title=f"{n:,.0f} clips, a lead of {100 * lead:.2f} points",
        )
        axes.grid()
    return figure


def published_models(paper_table: pd.DataFrame) -> pd.DataFrame:
    """Take the THOMPSON column of Table 1: ``row, value``, best first."""
    table = (
        paper_table[paper_table["column"] == "THOMPSON"].set_index("row").loc[list(MODELS[::-1])]
    )
    return table["value"].sort_values(ascending=False).reset_index()


def one_clip(clips: Clips, index: int) -> NDArray[np.floating]:
    """Return a clip and its reverse (2, 3, T, H, W)."""
    clip = clips.data["image"][index]
    return np.stack([clip, clip[:, ::-1]])
