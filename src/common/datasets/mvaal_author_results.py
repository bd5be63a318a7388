"""The M-VAAL authors' results: mean and deviation per labelling budget, from their notebook.

The table was taken by script from stored outputs of ``visualize_results.ipynb`` in the authors'
repository, cells 2, 4, 6, 16, 19 and 22; it is no file of that repository. Deviations divide by n
(``ddof`` 0). The two p values of a budget are printed beside all three of its methods. At the
first budget the methods share one labelled set, so that they are equal and p is 1.
"""

from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.files import read_rows
from common.errors import ReplicateError

DATASET = "mvaal-author-results"
METHODS = ("M-VAAL", "VAAL", "Rand")
REFERENCE = "fully trained"

# the heading of each notebook cell -> task of the paper and its metric
_TASKS = {
    "BRATS Classification": ("brats-classification", "mean average precision"),
    "BraTS segmentation": ("brats-segmentation", "dice"),
    "COVID Classification": ("covid-classification", "accuracy"),
    "BRATS multi-label Classification": ("brats-classification", "mean average precision"),
    "BRATS segmentation visualization": ("brats-segmentation", "dice"),
    "COVID multi-class classification": ("covid-classification", "accuracy"),
}
_COLUMNS = ("notebook_cell", "heading", "al_budget", "method", "mean", "sd", "p_columns")


def load(folder: Path | None = None) -> pd.DataFrame:
    """Read the table of results.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        One row a task, budget and method: ``task``, ``metric``, ``budget`` (labelled images; NA
        for the reference trained on all), ``method`` (:data:`METHODS` or :data:`REFERENCE`),
        ``mean``, ``sd`` (NaN for the reference), ``p_vaal`` and ``p_rand`` (p values of
        t tests of M-VAAL against VAAL and against random choice, NaN for the reference).

    Raises:
        ReplicateError: the file is absent, or a row has an unknown heading or method, a value
            that is no number, or stands twice.
    """
    path = manifests.require(DATASET, folder) / "active_learning_tables.tsv"
    rows = [_row(path, row) for row in read_rows(path, _COLUMNS, separator="\t")]
    table = pd.DataFrame(rows).astype({"budget": "Int64"})
    doubled = table[table.duplicated(["task", "budget", "method"])]
    if len(doubled):
        first = doubled.iloc[0]
        raise ReplicateError(
            f"{path} must hold each task, budget and method once, got {first['task']}, "
            f"{first['budget']}, {first['method']} again. Fetch or copy it again."
        )
    return table


def _row(path: Path, row: dict[str, str]) -> dict[str, object]:
    reference = row["al_budget"] == "full"
    method = row["method"].removesuffix(" (mean)")
    try:
        task, metric = _TASKS[row["heading"]]
        if method not in ((REFERENCE,) if reference else METHODS):
            raise ValueError(f"method {method!r}")
        budget = None if reference else int(row["al_budget"])
        p_values = dict(pair.split("=") for pair in row["p_columns"].split(";") if pair)
        wanted = {} if reference else {"p_vaal": "p-value1", "p_rand": "p-value2"}
        numbers = {"mean": float(row["mean"]), "sd": float(row["sd"] or "nan")}
        numbers |= {name: float(p_values[key]) for name, key in wanted.items()}
    except (KeyError, ValueError) as error:
        raise ReplicateError(
            f"{path} must hold known tasks, methods and numbers, got a problem with {error} in "
            f"{row}. Fetch or copy it again."
        ) from None
    return {"task": task, "metric": metric, "budget": budget, "method": method, **numbers}
