"""Figures of the FocalMix page that no other chapter needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from common.chapters.focalmix import audit
from common.chapters.focalmix.scans import BUDGETS, Volumes
from common.models.detection import Anchors
from common.models.focalmix_losses import soft_focal_loss
from common.models.focalmix_mixup import mix, mix_objects
from common.papers import Paper
from common.plotstyle import INK, PALETTE, arm_styles, canvas, style
from common.statistics.froc import FP_RATES, FrocBootstrap

BOX = PALETTE[1]
KINDS = ("supervised", "focalmix")
NAMES = {"supervised": "supervised", "focalmix": "FocalMix"}
LOOKS = arm_styles(KINDS)


def loss_curves(
    targets: Sequence[float] = (0.0, 0.2, 0.5, 0.8, 1.0),
    *,
    alpha_0: float = 0.05,
    alpha_1: float = 0.95,
    gamma: float = 2.0,
) -> Figure:
    """Draw the soft-target focal loss over the probability, a curve for each target."""
    p = np.linspace(0.002, 0.998, 300)
    logits = torch.logit(torch.as_tensor(p))
    looks = arm_styles([f"y = {y:g}" for y in targets])
    with style():
        figure, grid = canvas(300)
        axes = grid[0, 0]
        for y, (name, look) in zip(targets, looks.items(), strict=True):
            loss = soft_focal_loss(
                logits,
                torch.full_like(logits, y),
                alpha_0=alpha_0,
                alpha_1=alpha_1,
                gamma=gamma,
            )
            axes.plot(p, loss.numpy(), markevery=30, ms=5, label=name, **look)
        axes.set(xlabel="probability p", ylabel="soft-target focal loss", ylim=(0, 1.2))
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(targets))
    return figure


def froc_by_budget(paper: Paper, found: Mapping[str, FrocBootstrap], *, run: str) -> Figure:
    """Draw the curves of both methods for each budget, with the published points.

    Args:
        paper: supplies Table 1.
        found: by arm, see :func:`common.chapters.focalmix.tables.curve`.
        run: whose curves these are.
    """
    with style():
        figure, grid = canvas(330, columns=3, sharey=True)
        for axes, budget in zip(grid[0], BUDGETS, strict=True):
            for kind in KINDS:
                own = found[f"{kind}-{budget}"].sensitivities
                ends = np.array([each.interval(0.95) for each in own], dtype=object)
                low, high = (100 * np.array([getattr(e, n) for e in ends]) for n in ("low", "high"))
                look = LOOKS[kind]
                axes.fill_between(FP_RATES, low, high, color=look["color"], alpha=0.18, lw=0)
                middle = [100 * each.effect for each in own]
                axes.plot(FP_RATES, middle, ms=5, label=f"{NAMES[kind]}, {run} run", **look)
                row = audit.printed_row(paper, f"{kind}-{budget}")
                open_look = look | {"mfc": "white", "ls": ":", "ms": 5, "lw": 1}
                axes.plot(
                    FP_RATES, row[[*audit.RATES]], label=f"{NAMES[kind]}, published", **open_look
                )
            axes.set_title(f"{budget} annotated")
            _rates(axes)
        grid[0, 0].set_ylabel("nodules found (%)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _rates(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xticks([0.125, 0.5, 2, 8], ["1/8", "1/2", "2", "8"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(0, 100), xlabel="false positives a scan")
    axes.grid()


def unlabelled_curve(paper: Paper, runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw CPM over the share of unlabelled scans, at the largest budget: Fig. 3 on our data.

    Args:
        paper: supplies the two published ends.
        runs: records by run.
    """
    arms = {
        0.0: "supervised-100",
        0.25: "focalmix-100-u100",
        0.5: "focalmix-100-u200",
        1.0: "focalmix-100",
    }
    printed = audit.recalls(paper)["CPM"]
    looks = arm_styles([*runs])
    with style():
        figure, grid = canvas(300)
        axes = grid[0, 0]
        ends = [printed[100, 0], printed[100, audit.UNLABELLED]]
        axes.plot([0, 1], ends, ls=":", color=INK, marker="o", mfc="white", label="published")
        for kind, table in runs.items():
            own = table[table["metric"] == "cpm"].astype({"arm": str})
            level = (
                100 * own.pivot_table(index="seed", columns="arm", values="value")[[*arms.values()]]
            )
            look = looks[kind]
            for _, draw in level.iterrows():
                axes.plot([*arms], draw, color=look["color"], lw=0.8, alpha=0.5)
            axes.plot([*arms], level.mean(), ms=6, label=f"{kind} run, mean of draws", **look)
        axes.set_xticks([*arms], ["0", "1/4", "1/2", "all (paper: 400)"])
        axes.set(xlabel="share of the unlabelled scans", ylabel="CPM (%)")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    return figure


def anchor_map(prob: NDArray[np.float64], anchors: Anchors, depth: int) -> NDArray[np.float64]:
    """Take the highest probability at each point of the finest grid in one slice.

    Args:
        prob (A,): of each anchor.
        anchors: their grid.
        depth: voxel along the first axis.

    Returns:
        (points along y, points along x).
    """
    grid, per_point = anchors.grids[0], anchors.per_point[0]
    level = prob[: int(np.prod(grid)) * per_point].reshape(*grid, per_point)
    slice_ = min(depth * grid[0] // anchors.size[0], grid[0] - 1)
    return np.asarray(level[slice_].max(axis=-1))


def flips_on_a_slice(
    volumes: Volumes,
    place: int,
    prob: NDArray[np.float64],
    target: NDArray[np.float64],
    anchors: Anchors,
    names: Sequence[str],
) -> Figure:
    """Show one slice, the predictions under each flip mapped back, their mean and the target.

    Args:
        volumes: the unlabelled scans.
        place: which of them; the slice goes through its first nodule.
        prob (K, A): predictions under each flip, on the unflipped grid.
        target (A,): sharpened mean.
        anchors: of the scans.
        names (K,): of the flips.
    """
    centre = np.rint(volumes.centres_mm[place][0]).astype(int)
    maps = [
        anchor_map(np.asarray(each), anchors, int(centre[0]))
        for each in (*prob, prob.mean(axis=0), target)
    ]
    titles = [*names, "mean", "sharpened"]
    columns = -(-(len(maps) + 1) // 2)
    with style():
        figure, grid = canvas(2 * (720 // columns) + 60, rows=2, columns=columns)
        for axes in grid.flat:
            axes.set_axis_off()
        first, *others = grid.flat
        highest = max(float(shown.max()) for shown in maps)
        _slice(first, volumes.image[place, 0], volumes.boxes[place], centre[0])
        first.set_title("slice and nodule", fontsize=10, loc="center")
        for axes, shown, title in zip(others, maps, titles, strict=False):
            drawn = axes.imshow(shown, cmap="cividis", vmin=0, vmax=highest)
            axes.set_title(title, fontsize=10, loc="center")
        figure.colorbar(drawn, ax=grid, label="probability of a nodule", shrink=0.8, pad=0.02)
    return figure


def _slice(axes: Axes, volume: NDArray[np.float32], boxes: NDArray[np.float32], depth: int) -> None:
    """Draw one slice with the boxes that it cuts."""
    axes.imshow(volume[depth], cmap="gray", vmin=0, vmax=1)
    for z0, y0, x0, z1, y1, x1 in boxes:
        if z0 <= depth <= z1:
            corner = (x0 - 0.5, y0 - 0.5)
            axes.add_patch(Rectangle(corner, x1 - x0 + 1, y1 - y0 + 1, fill=False, ec=BOX, lw=1.6))
    axes.set_axis_off()


def mixups(volumes: Volumes, pair: tuple[int, int], *, weight: float = 0.6) -> Figure:
    """Show two scans before MixUp, mixed as images, and with their objects mixed.

    Args:
        volumes: annotated scans.
        pair: two scans with a nodule each.
        weight: share that stays.
    """
    index = list(pair)
    image = torch.tensor(volumes.image[index])
    keep = torch.full((2,), weight)
    whole = mix(image, torch.tensor([1, 0]), keep)
    boxes = [box[:1] for box in volumes.anchor_boxes(index)]
    parts = mix_objects(image, boxes, [1, 0], keep.tolist())
    rows = {"before": image, "images mixed": whole, "objects mixed": parts}
    with style():
        figure, grid = canvas(480, rows=2, columns=3)
        for row, (place, line) in enumerate(zip(index, grid, strict=True)):
            depth = int(np.rint(volumes.centres_mm[place][0][0]))
            for axes, (name, batch) in zip(line, rows.items(), strict=True):
                _slice(axes, batch[row, 0].numpy(), volumes.boxes[place][:1], depth)
                axes.set_title(f"{name}, scan {row + 1}", fontsize=10, loc="center")
    return figure


def training(records: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw the loss and the targets of unlabelled scans: what is called a nodule, and their sum.

    Args:
        records: with the metrics ``score_loss``, ``targets_found`` and ``target_mass``, a step each
            case.
        labels: arm: its label.
    """
    quantities = {
        "score_loss": "loss of the scores",
        "targets_found": "anchors with target ≥ 1/2, a scan",
        "target_mass": "sum of the targets of a scan",
    }
    looks = arm_styles([*labels])
    with style():
        figure, grid = canvas(310, columns=3)
        for axes, (metric, label) in zip(grid[0], quantities.items(), strict=True):
            for arm, name in labels.items():
                own = records[(records["arm"] == arm) & (records["metric"] == metric)]
                step = own["case"].astype(str).str.removeprefix("step-").astype(int)
                mean = own.groupby(step)["value"].mean()
                every = max(1, len(mean) // 6)
                axes.plot(mean.index, mean, label=name, ms=5, markevery=every, **looks[arm])
            axes.set(xlabel="training step", ylabel=label)
            axes.set_ylim(bottom=0)
            axes.grid(axis="y")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=min(4, len(names)))
    return figure


def gallery(volumes: Volumes, places: Sequence[int], titles: Sequence[str]) -> Figure:
    """Show scans of the phantom in the slice through their first nodule, with its box."""
    with style():
        figure, grid = canvas(720 // len(places) + 30, columns=len(places))
        for axes, place, title in zip(grid[0], places, titles, strict=True):
            depth = int(np.rint(volumes.centres_mm[place][0][0]))
            _slice(axes, volumes.image[place, 0], volumes.boxes[place], depth)
            axes.set_title(title, fontsize=10, loc="center")
    return figure
