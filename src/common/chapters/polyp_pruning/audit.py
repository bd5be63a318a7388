"""The audit of the pruning paper: its numbers against each other and against its network."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.chapters.polyp_pruning.allocations import (
    Network,
    best_found,
    bilinear_unet,
    contains,
    even,
    nearest,
    outline,
    own_kernel_shares,
    rounds_to,
    unet,
    upper_bound,
)
from common.models.polyp_pruning import count, layout
from common.papers import Paper
from common.statistics.audit import Check, Printed, Status

SIDES = ("left", "right")
_SEARCH = 4  # seed of the search's random starts


def printed(paper: Paper, side: str) -> dict[str, float]:
    """Return the numbers printed for one of the two experiments.

    Args:
        paper: supplies the transcription.
        side: ``left`` (39 importance images) or ``right`` (235).

    Returns:
        ``removed``, ``images``, ``parameters``, ``macs`` (relative to the whole), ``iou``,
        ``time`` (reduction in percent).
    """
    table = paper.table("prose")
    mine = table[table["row"].str.startswith(f"{side}:")]
    value = mine.set_index("metric")["value"]
    return {
        "removed": float(mine["column"].iloc[0].split()[0]),
        "images": _prose(paper)["importance samples", side],
        "parameters": float(value["parameter ratio"]),
        "macs": float(value["FLOPs ratio"]),
        "iou": float(value["IoU"]),
        "time": float(value["time reduction percent"]),
    }


def _prose(paper: Paper) -> Any:
    table = paper.table("prose").drop_duplicates(["row", "column"], keep="last")
    return table.set_index(["row", "column"])["value"]


def total_filters(paper: Paper) -> int:
    """Return N, the filters that can be removed."""
    return int(_prose(paper)["total prunable neurons", "UNet"])


def checks(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other and against the networks they can belong to."""
    parts = (_shares, _intensity, _time, _network, _reachable, _readings, _words)
    return [check for part in parts for check in part(paper)]


def _check(
    id: str,
    statement: str,
    holds: bool | None,
    first: object = None,
    second: object = None,
    note: str = "",
) -> Check:
    words: dict[bool | None, Status] = {True: "pass", False: "fail", None: "undecidable"}
    printed_, recomputed = (None if value is None else str(value) for value in (first, second))
    return Check(id, statement, words[holds], printed_, recomputed, note)


def _shares(paper: Paper) -> Iterator[Check]:
    n, left, right = total_filters(paper), printed(paper, "left"), printed(paper, "right")
    yield _check(
        "A1",
        "736 filters are a quarter of all",
        right["removed"] * 4 == n,
        None,
        f"{right['removed']:.0f} of {n}: {right['removed'] / n:.1%}",
        f"the other experiment removes {left['removed'] / n:.1%}",
    )
    drastic = _prose(paper)["prunable before drastic IoU loss", "left"]
    yield _check(
        "A2",
        "about 1,500 filters are about half of all",
        abs(drastic / n - 0.5) < 0.025,
        "50 %",
        f"{drastic / n:.1%}",
    )
    stated: Any = paper.table("prose").set_index(["row", "metric"])["value"]
    removed = stated["introduction", "parameters removed percent"]
    ratio = stated["introduction", "FLOPs ratio"]
    yield _check(
        "A3",
        "the introduction's 14 % of parameters and half of the FLOPs are the left experiment's",
        round(100 * (1 - left["parameters"])) == removed and round(left["macs"], 1) == ratio,
        f"{removed:g} %, {ratio:g}x",
        f"{100 * (1 - left['parameters']):.1f} %, {left['macs']:g}x",
    )
    both = paper.table("prose").query("row == 'introduction' and metric == 'IoU'")
    before, after = (float(v) for v in both["value"])
    kept = stated["left: 39 importance samples", "IoU ratio"]
    span = Printed(float(kept), 2)
    low, high = left["iou"] / span.high, left["iou"] / span.low
    yield _check(
        "A4",
        "an IoU of 0.5795 that is 0.99 times the original fits 0.59 before and 0.58 after",
        low < before + 0.005 and high > before - 0.005 and round(left["iou"], 2) == after,
        f"{before:g} to {after:g}",
        f"{low:.3f} to {high:.3f} before, {left['iou']:.4f} after",
    )


def _intensity(paper: Paper) -> Iterator[Check]:
    bound: Any = paper.table("prose").set_index("row")["value"]["conclusion"]
    for number, side in ((5, "left"), (6, "right")):
        own = printed(paper, side)
        loss = "with 1 % of the IoU lost" if side == "left" else "the experiment without a loss"
        yield _check(
            f"A{number}",
            f"less than 50 % of the computation is left ({side})",
            100 * own["macs"] < bound,
            f"less than {bound:g} %",
            f"{100 * own['macs']:g} %",
            loss,
        )


def _time(paper: Paper) -> Iterator[Check]:
    for number, side in ((7, "left"), (8, "right")):
        own = printed(paper, side)
        cost, seconds = 1 / own["macs"], 1 / (1 - own["time"] / 100)
        yield _check(
            f"A{number}",
            f"time falls as the operations do ({side})",
            seconds > 0.9 * cost,
            f"{own['time']:g} % less time",
            f"{cost:.2f} times fewer operations, {seconds:.2f} times as fast",
            "batches of 10; hardware and repeats are not stated",
        )


def _network(paper: Paper) -> Iterator[Check]:
    n = total_filters(paper)
    plan = layout(32)
    size = count(plan, 256)
    yield _check(
        "A9",
        "a U-Net of five levels from 32 filters on has N filters",
        plan.n_filters == n,
        f"{n}",
        f"{plan.n_filters}",
        f"{size.parameters:,} parameters, {size.macs / 1e9:.1f} billion multiplications at 256 px",
    )
    other = bilinear_unet(encoder_only=True).n_filters
    yield _check(
        "A10",
        "no other common U-Net has that many",
        other != n,
        None,
        f"{other}",
        "the way down of a bilinear U-Net from 64 filters on; all of it has "
        f"{bilinear_unet(encoder_only=False).n_filters:,}",
    )


def _reachable(paper: Paper) -> Iterator[Check]:
    numbers = iter(range(11, 15))
    known = (("32 filters", unet()), ("64 filters, way down", bilinear_unet(encoder_only=True)))
    for name, network in known:
        for side in SIDES:
            own = printed(paper, side)
            bound = upper_bound(network, (1.0, 0.0), int(own["removed"]))
            found = _most_parameters(network, int(own["removed"]))
            yield _check(
                f"A{next(numbers)}",
                f"the parameter share can be left when {own['removed']:.0f} filters go ({name})",
                own["parameters"] - 0.0005 <= bound,
                f"{own['parameters']:g}",
                f"at most {bound:.4f}",
                f"proven for every allocation; the best one found has {found:.4f}",
            )


def _most_parameters(network: Network, n_remove: int) -> float:
    rng = np.random.default_rng(_SEARCH)
    form = network.direction((1.0, 0.0))
    kept = best_found(network, form, n_remove, rng=rng, starts=2)
    return float(network.shares(kept)[0])


def _readings(paper: Paper) -> Iterator[Check]:
    own = {side: printed(paper, side) for side in SIDES}
    pairs = {side: (own[side]["parameters"], own[side]["macs"]) for side in SIDES}
    removed = {side: int(own[side]["removed"]) for side in SIDES}
    network, whole = unet(), bilinear_unet(encoder_only=False)
    cheap = list(_exhibits(paper, network, partial(own_kernel_shares, network)))
    yield _check(
        "A15",
        "an allocation leaves each pair if a removed filter is charged its own kernel only",
        True if all(fits for fits, _ in cheap) else None,
        "; ".join(f"{p:g} and {m:g}" for p, m in pairs.values()),
        "; ".join(told for _, told in cheap),
        "then the input channels of its readers would have been left in place",
    )
    wide = list(_exhibits(paper, whole, whole.shares))
    open_ = all(contains(outline(whole, removed[s]), pairs[s]) for s in SIDES)
    yield _check(
        "A16",
        "N is that of a bilinear U-Net from 64 filters on, all of which can be pruned",
        whole.n_filters == total_filters(paper),
        f"{total_filters(paper):,} filters",
        f"{whole.n_filters:,} filters; {'; '.join(told for _, told in wide)}",
        f"the bound {'excludes neither pair' if open_ else 'excludes a pair'} there; "
        "where none was found, that is no proof",
    )
    shares = [even(unet(), removed[s] / total_filters(paper)) for s in SIDES]
    told = "; ".join(f"{p:.3f} and {m:.3f}" for p, m in shares)
    yield _check(
        "A17",
        "the printed pairs differ from even pruning of all layers",
        all(
            abs(pair[0] - share[0]) > 0.1
            for pair, share in zip(pairs.values(), shares, strict=True)
        ),
        "; ".join(f"{p:g} and {m:g}" for p, m in pairs.values()),
        told,
        "parameters and operations left; what was printed must come from layers of high resolution",
    )


def _exhibits(
    paper: Paper, network: Network, shares: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> Iterator[tuple[bool, str]]:
    """Look for an allocation that prints as each pair; say whether one was found, and what."""
    rng = np.random.default_rng(_SEARCH)
    for side in SIDES:
        own = printed(paper, side)
        point = np.array([own["parameters"], own["macs"]])
        half = np.array([0.5 * 10.0 ** -len(f"{value:g}".split(".")[1]) for value in point])
        n_remove = int(own["removed"])
        kept = nearest(shares, network, point, half, n_remove, rng=rng)
        found = shares(kept)
        fits = rounds_to(found, point, half)
        word = "found" if fits else "none found, nearest"
        yield fits, f"{n_remove} removed: {word} {found[0]:.4f} and {found[1]:.4f}"


def _words(paper: Paper) -> Iterator[Check]:
    sizes = [printed(paper, side)["images"] for side in SIDES]
    yield _check(
        "A18",
        "the two importance sets are the halves of one test set with the roles exchanged",
        None,
        " and ".join(f"{n:.0f}" for n in sizes),
        f"{sum(sizes):.0f} together",
        "the measuring parts are not stated; exchanged roles would explain the two sizes",
    )
    yield _check(
        "A19",
        "the score does without the loss, as section 3.1 says",
        False,
        "without considering the loss",
        "it starts from the gradient of E(y, t)",
        "only the length of that gradient is taken out; its direction needs the target",
    )
    yield _check(
        "A20",
        "symbols keep one meaning",
        False,
        "N",
        "size of the data set, and number of neurons",
        "the data set is also of size M, from index 0 to N",
    )
    yield _check(
        "A21",
        "the experiment of Figure 1 is named as in Figure 2",
        False,
        "Fig. 2 (top)",
        "the columns are the experiments, the rows the quantities",
        "956 filters belong to the left column",
    )
    yield _check(
        "A22",
        "P is chosen on other images than those on which its IoU is reported",
        None,
        None,
        None,
        "P is read off the curves; no third part of the test set is mentioned",
    )
