"""Figures of the shoulder-implant page that no other chapter needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.chapters.shoulder_implant.printed import (
    PROPOSED,
    ROWS,
    fitting,
    images,
    leads,
    recalls,
    right,
)
from common.chapters.shoulder_implant.tables import TASKS, by_fold, interval
from common.models.shoulder_implant import LABELS
from common.models.shoulder_implant_blocks import Classifier
from common.models.shoulder_implant_training import beside, scaled
from common.papers import Paper
from common.plotstyle import INK, PALETTE, QUIET, RULE, arm_styles, canvas, style

TITLES = {"Depuy": "DePuy, 4 models", "Non-Depuy": "others, 3 models", "All 7": "all 7 models"}


def reachable(paper: Paper, task: str, *, largest: int = 120) -> Figure:
    """Mark the numbers of test images that can give each printed accuracy of a task.

    Args:
        paper: supplies the numbers.
        task: as the tables name it.
        largest: number of test images tried.
    """
    table = fitting(paper, task, largest=largest)
    stated = 0.3 * images(paper)[task]
    looks = arm_styles(list(ROWS))
    with style():
        figure, grid = canvas(230)
        axes = grid[0, 0]
        for place, name in enumerate(reversed(list(ROWS))):
            n = table.index[table[name]]
            axes.plot(n, np.full(len(n), place), ls="", ms=5, **looks[name])
        every = table.index[table.all(axis=1)]
        for n in every:
            axes.axvline(n, color=INK, lw=1.2, zorder=0)
            axes.annotate(f" {n}", (n, len(ROWS) - 0.45), fontsize=10)
        axes.axvspan(stated - 0.6, stated + 0.6, color=PALETTE[5], alpha=0.45, lw=0, zorder=0)
        axes.annotate("30 % ", (stated, -0.85), ha="right", va="center", fontsize=10)
        axes.set_yticks(range(len(ROWS)), [ROWS[name] for name in reversed(list(ROWS))])
        axes.set(ylim=(-1.2, len(ROWS) - 0.1), xlabel="number of test images", title=TITLES[task])
    return figure


def nearest(paper: Paper, task: str, n: int) -> Figure:
    """Show the accuracies that ``n`` test images allow beside the printed ones.

    Args:
        paper: supplies the numbers.
        task: as the tables name it.
        n: test images.
    """
    rates = dict(zip(ROWS, recalls(paper, task), strict=True))
    possible = 100 * np.arange(n + 1) / n
    with style():
        figure, grid = canvas(210)
        axes = grid[0, 0]
        for place, rate in enumerate(reversed(list(rates.values()))):
            fits = bool(rate.contains(possible / 100).any())
            axes.plot(possible, np.full(n + 1, place), "|", color=QUIET, ms=9)
            look = (
                {"color": PALETTE[2], "marker": "o"}
                if fits
                else {"color": PALETTE[1], "marker": "x"}
            )
            axes.plot(100 * rate.value, place, ms=9, mew=2, **look)
        axes.set_yticks(range(len(ROWS)), [ROWS[name] for name in reversed(list(ROWS))])
        axes.set(xlim=(60, 100), ylim=(-0.6, len(ROWS) - 0.4), xlabel="accuracy (%)")
        axes.set_title(f"{TITLES[task]}, {n} test images")
    return figure


def accuracies(
    paper: Paper, runs: Mapping[str, pd.DataFrame], makers: Mapping[str, pd.DataFrame]
) -> Figure:
    """Draw the accuracy of the four networks: fold by fold, their means, and the printed points.

    Args:
        paper: supplies the printed points.
        runs: records by profile; the last is drawn.
        makers: the same, for real X-rays; may be empty.
    """
    panels = list(TASKS) + (["makers"] if makers else [])
    looks = arm_styles(list(ROWS))
    table, gaps = right(paper), leads(paper).set_index(["task", "network"])["images"]
    with style():
        figure, grid = canvas(400, columns=len(panels), sharey=True)
        for axes, task in zip(grid[0], panels, strict=True):
            records = list((makers if task == "makers" else runs).values())[-1]
            for place, name in enumerate(ROWS):
                arm = f"{TASKS.get(task, task)}-{name}"
                values = 100 * by_fold(records, arm, "accuracy")
                mean, low, high = interval(values)
                shift = place + np.linspace(-0.18, 0.18, max(1, len(values)))[: len(values)]
                axes.plot(shift, values, ls="", ms=3, alpha=0.55, **looks[name])
                axes.vlines(place, max(low, 0), min(high, 100), color=looks[name]["color"], lw=2.5)
                axes.plot(place, mean, ms=9, **looks[name])
                if task == "makers":
                    continue
                own = table[(table["task"] == task) & (table["network"] == name)].iloc[0]
                share = 100 * own["right"] / own["n"]
                axes.plot(place, share, "o", ms=8, mfc="white", mec=INK, mew=1.4)
                words = f"{own['right']}/{own['n']}"
                if name != PROPOSED:
                    words += f"\n−{gaps[task, name]}" if gaps[task, name] else "\n0"
                axes.annotate(words, (place, 101), ha="center", va="bottom", fontsize=8.5)
            axes.set_title("real, 4 makers" if task == "makers" else TITLES[task], pad=30)
            short = [LABELS[name].replace("Inception-ResNet-v2", "IR-v2") for name in ROWS]
            short = [name.replace("Inception-v3", "I-v3") for name in short]
            axes.set_xticks(range(len(ROWS)), short, fontsize=9, rotation=30)
            axes.set(xlim=(-0.5, 3.5), ylim=(0, 101))
            axes.grid(axis="y")
        grid[0, 0].set_ylabel("accuracy (%)")
    return figure


def epochs(curves: pd.DataFrame, *, n_shown: int = 6) -> Figure:
    """Draw training loss and test accuracy over epochs, with the best epoch of each fold marked.

    Args:
        curves: ``seed, fold, epoch, metric, value`` of one arm.
        n_shown: folds drawn.
    """
    with style():
        figure, grid = canvas(280, columns=2)
        for number, (_, own) in enumerate(curves.groupby(["seed", "fold"])):
            if number >= n_shown:
                break
            color = PALETTE[number % len(PALETTE)]
            for axes, metric, scale in ((grid[0, 0], "_loss", 1), (grid[0, 1], "_accuracy", 100)):
                for name, dash in (("train", ":"), ("test", "-")):
                    line = own[own["metric"] == name + metric]
                    axes.plot(line["epoch"], scale * line["value"], color=color, ls=dash, lw=1.3)
            test = own[own["metric"] == "test_accuracy"]
            place = int(test["value"].to_numpy().argmax())
            best = test["epoch"].to_numpy()[place], 100 * test["value"].to_numpy()[place]
            grid[0, 1].plot(*best, "*", color=color, ms=11)
        grid[0, 0].set(
            xlabel="epoch", ylabel="loss (nats)", title="loss: dotted training, line test"
        )
        grid[0, 1].set(
            xlabel="epoch", ylabel="accuracy (%)", title="test accuracy, star: best epoch"
        )
    return figure


def confusion(matrix: NDArray[np.integer], classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix, true classes in rows, with counts.

    Args:
        matrix (k, k): counts.
        classes: names.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with style():
        figure, grid = canvas(430, width=560)
        axes = grid[0, 0]
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (y, x), n in np.ndenumerate(matrix):
            color = "white" if share[y, x] > 0.55 else INK if n else RULE
            axes.text(x, y, n, ha="center", va="center", color=color, fontsize=9)
        axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", fontsize=9)
        axes.set_yticks(range(len(classes)), classes, fontsize=9)
        axes.set(xlabel="called", ylabel="true")
    return figure


def attention(model: Classifier, images: NDArray[np.float32], layer: int) -> NDArray[np.float32]:
    r"""Compute Grad-CAM: where the features speak for the called class.

    With maps $A^k$ and the score $y$ of the called class, the map is
    $\mathrm{ReLU}(\sum_k \alpha_k A^k)$, $\alpha_k$ the mean of $\partial y / \partial A^k$.

    Args:
        model: in evaluation mode.
        images (n, 1, S, S): in [0, 1].
        layer: place of the module of the features whose output is looked at.

    Returns:
        (n, S, S), each with a largest value of 1 (0 where nothing speaks for it).

    Source:
        Selvaraju et al., ICCV 2017, equations 1 and 2.
    """
    x = model.prepare(scaled(beside(model, images)))
    modules = list(model.features.children())
    with torch.no_grad():
        for module in modules[: layer + 1]:
            x = module(x)
    maps = x.detach().requires_grad_(True)
    y = maps
    for module in modules[layer + 1 :]:
        y = module(y if y is not maps else maps.clone())
    logits = model.head(y.mean(dim=(2, 3)))
    (slope,) = torch.autograd.grad(logits.amax(dim=1).sum(), maps)
    weighed = F.relu((slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True))
    full = F.interpolate(weighed, size=images.shape[-2:], mode="bilinear", align_corners=False)
    full = full / full.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)
    found: NDArray[np.float32] = full[:, 0].detach().cpu().numpy()
    return found


def overlays(
    images: NDArray[np.float32], maps: NDArray[np.float32], titles: Sequence[str]
) -> Figure:
    """Lay maps over images, one row of pairs.

    Args:
        images (n, 1, S, S): in [0, 1].
        maps (n, S, S): in [0, 1].
        titles: one for each image.
    """
    with style():
        figure, grid = canvas(270, rows=2, columns=len(images))
        for column, (image, each, title) in enumerate(zip(images, maps, titles, strict=True)):
            for row in (0, 1):
                grid[row, column].imshow(image[0], cmap="gray", vmin=0, vmax=1)
                grid[row, column].set_axis_off()
            grid[1, column].imshow(each, cmap="magma", alpha=0.55 * (each > 0.15), vmin=0, vmax=1)
            grid[0, column].set_title(title, fontsize=8.5)
    return figure


def copies(images: NDArray[np.float32], titles: Sequence[str]) -> Figure:
    """Show an image and its copies in one row.

    Args:
        images (n, 1, S, S): in [0, 1].
        titles: one for each.
    """
    with style():
        figure, grid = canvas(140, columns=len(images))
        for axes, image, title in zip(grid[0], images, titles, strict=True):
            axes.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            axes.set_title(title, fontsize=8.5, color=QUIET)
            axes.set_axis_off()
    return figure
