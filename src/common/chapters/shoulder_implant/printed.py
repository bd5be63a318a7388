"""The printed numbers of the shoulder-implant paper, and the test images that they give away."""

import csv

import pandas as pd

from common import paths
from common.papers import Paper
from common.statistics.digits import Printed
from common.statistics.proportions import proportion_interval
from common.statistics.rate_counts import denominators

# the task's name in the tables: its table of accuracies, its table of other metrics
TABLES = {
    "Depuy": ("table2", "table3"),
    "Non-Depuy": ("table4", "table5"),
    "All 7": ("table6", "table7"),
}
ROWS = {
    "vgg16": "VGG 16",
    "xception": "Xception",
    "inception-v3": "InceptionV3",
    "inception-resnet-v2": "Inception ResnetV2",
}
PROPOSED = "inception-resnet-v2"
# beyond twice the images of Table 1 no number of test images is tried
LARGEST = 330
TEST_SHARE = 0.3


def digits(paper: Paper, table: str) -> dict[tuple[str, str, str], str]:
    """Read the printed text of every number by row, column and metric."""
    path = paths.paper_dir(paper.slug) / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {
            (row["row"], row["column"], row["metric"]): row["value"]
            for row in csv.DictReader(stream)
        }


def value(paper: Paper, task: str, network: str, metric: str) -> float:
    """Return one printed number of a network on a task."""
    return float(text(paper, task, network, metric))


def text(paper: Paper, task: str, network: str, metric: str) -> str:
    """Return one printed number as it stands in the paper."""
    for table in TABLES[task]:
        found = digits(paper, table).get((ROWS[network], task, metric))
        if found is not None:
            return found
    raise KeyError(metric)


def images(paper: Paper) -> dict[str, int]:
    """Count the images of each task in Table 1."""
    table = paper.table("table1").set_index("row")["value"]
    depuy = int(table[table.index.str.startswith("Depuy")].sum())
    total = int(table.sum())
    return {"Depuy": depuy, "Non-Depuy": total - depuy, "All 7": total}


def accuracies(paper: Paper, task: str, metric: str = "Testing Accuracy (%)") -> list[Printed]:
    """Read the four accuracies of a task; they may be rounded or cut off."""
    return [
        Printed.read(text(paper, task, network, metric), how="either", percent=True)
        for network in ROWS
    ]


def recalls(paper: Paper, task: str) -> list[Printed]:
    """Read the four recalls of a task, which repeat its accuracies."""
    return [Printed.read(text(paper, task, network, "Recall"), how="either") for network in ROWS]


def sizes(paper: Paper, task: str, *, largest: int = LARGEST) -> list[int]:
    """Find the numbers of test images that can give all four printed recalls of a task.

    Recalls are used since one accuracy (82.49 for a recall of 0.8250) is no count of any of them.
    """
    found = denominators(recalls(paper, task), n=range(1, largest))
    return [int(n) for n in found["n"]]


def right(paper: Paper) -> pd.DataFrame:
    """Rebuild the right test images of every network and task from the smallest number that fits.

    Returns:
        ``task, network, right, n, low, high``; the interval is Clopper and Pearson's, 95 %.
    """
    rows = []
    for task in TABLES:
        n = sizes(paper, task)[0]
        for network in ROWS:
            right = round(value(paper, task, network, "Recall") * n)
            bound = proportion_interval(right, n, method="exact")
            rows.append((task, network, right, n, bound.low, bound.high))
    return pd.DataFrame(rows, columns=["task", "network", "right", "n", "low", "high"])


def leads(paper: Paper) -> pd.DataFrame:
    """Count by how many test images the proposed network leads each other one.

    Returns:
        ``task, network, images``.
    """
    table = right(paper)
    best = table[table["network"] == PROPOSED].set_index("task")["right"]
    others = table[table["network"] != PROPOSED]
    gap = others["task"].map(best) - others["right"]
    return others[["task", "network"]].assign(images=gap.astype(int)).reset_index(drop=True)


def fitting(paper: Paper, task: str, *, largest: int = 120) -> pd.DataFrame:
    """Tell for every number of test images which printed accuracies of a task it can give.

    Returns:
        One row a number ``n``, one column a network, True where some count prints like that.
    """
    rates = dict(zip(ROWS, recalls(paper, task), strict=True))
    every = {
        name: set(denominators([rate], n=range(1, largest + 1))["n"])
        for name, rate in rates.items()
    }
    ns = range(10, largest + 1)
    return pd.DataFrame({name: [n in fits for n in ns] for name, fits in every.items()}, index=ns)
