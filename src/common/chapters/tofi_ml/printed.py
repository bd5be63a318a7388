"""The printed numbers of ToFi-ML and what stands behind them: rates, counts, areas, test images."""

from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from common.papers import Paper
from common.statistics import matrices, rate_counts, rates
from common.statistics.digits import Printed

# the paper's word for a rate, and ours
RATE = {
    "Precision": "precision",
    "Recall": "sensitivity",
    "Sensitivity": "sensitivity",
    "Specificity": "specificity",
    "Accuracy": "accuracy",
    "F1": "f1",
}
N_TEST = {"AMD": 80, "APTOS": 733, "ORIGA": 130}  # a fifth of 400, 3,662 and 650
N_QUOTED = 549  # 15 % of 3,662, the test images of the quoted row SCL
LARGEST_N = 200


def value(paper: Paper, table: str, row: str, metric: str, column: str | None = None) -> float:
    """Read one printed number."""
    found = paper.table(table)
    found = found[(found["row"] == row) & (found["metric"] == metric)]
    if column is not None:
        found = found[found["column"] == column]
    return float(found["value"].iloc[0])


def printed_rates(paper: Paper, table: str, row: str, decimals: int) -> dict[str, Printed]:
    """Read the rates of one row as fractions with the digits they stand for."""
    found = paper.table(table)
    mine = found[(found["row"] == row) & found["metric"].isin(RATE)]
    return {
        RATE[metric]: Printed(round(number / 100, decimals + 2), decimals + 2, "either")
        for metric, number in zip(mine["metric"], mine["value"], strict=True)
    }


def confusion(paper: Paper, table: str, row: str, n: int, decimals: int) -> pd.DataFrame:
    """List every confusion matrix on n test images that prints like a row.

    Returns:
        ``tp, fp, fn, tn``; empty where the row contradicts itself or n.
    """
    return matrices.confusion_matrices(printed_rates(paper, table, row, decimals), n=n)


@dataclass(frozen=True)
class Cells:
    """Counts of one confusion matrix."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def right(self) -> int:
        """Images named rightly."""
        return self.tp + self.tn


def cells_of(found: pd.DataFrame) -> list[Cells]:
    """Turn a table of confusion matrices into objects."""
    return [Cells(*map(int, row)) for row in found.to_numpy()]


def wording(table: pd.DataFrame) -> str:
    """Word a list of confusion matrices: the only one, or how many there are."""
    if table.empty:
        return "none fits"
    if len(table) > 1:
        return f"{len(table)} matrices fit"
    one = cells_of(table)[0]
    return f"TP {one.tp}, FP {one.fp}, FN {one.fn}, TN {one.tn}"


def amd_cells(paper: Paper, row: str) -> Cells:
    """Rebuild the confusion matrix of one of the paper's rows of Table 2."""
    return cells_of(confusion(paper, "table2", row, N_TEST["AMD"], 2))[0]


def amd_areas(paper: Paper) -> list[Printed]:
    """Read the AUCs that the paper prints for its own models on IChallenge-AMD."""
    own = [value(paper, "table2", row, "AUC") for row in ("ToFi-ML", "ToFi-ML SMOTE")]
    ablation = paper.table("table6").query("column == 'IC-AMD' and metric == 'AUC'")["value"]
    return [Printed(round(each / 100, 4), 4) for each in sorted({*own, *ablation})]


def hanley_mcneil(auc: float, positives: int, negatives: int) -> float:
    r"""Estimate the standard error of an area under the curve from the area alone.

    With :math:`Q_1 = A / (2 - A)` and :math:`Q_2 = 2 A^2 / (1 + A)`, the variance is
    :math:`[A (1 - A) + (n_+ - 1)(Q_1 - A^2) + (n_- - 1)(Q_2 - A^2)] / (n_+ n_-)`.

    Args:
        auc: area, 0 to 1.
        positives: positive cases.
        negatives: negative cases.

    Source: Hanley and McNeil, Radiology 143:29 (1982).

    Example:
        >>> round(hanley_mcneil(0.5, 1, 1), 3)
        0.5
    """
    first, second = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = auc * (1 - auc) + (positives - 1) * first + (negatives - 1) * second
    return float(np.sqrt(variance / (positives * negatives)))


def macro(paper: Paper, row: str) -> str:
    """Word the rates of one of the paper's rows of Table 2, averaged over both classes."""
    cells = np.array(astuple(amd_cells(paper, row)), dtype=np.float64)
    names = {"P": "macro_precision", "R": "macro_recall", "F1": "macro_f1"}
    return " ".join(
        f"{short} {100 * float(matrices.rate_of(name, *cells)):.2f}"
        for short, name in names.items()
    )


def balanced_sizes(paper: Paper) -> dict[str, list[int]]:
    """Find the numbers of test images that the balanced results on ORIGA can come from.

    Returns:
        ``accuracies``: those of which all printed accuracies are counts; ``all``: of these, those
        that also allow a confusion matrix and all printed AUCs.
    """
    table = paper.table("table6").query("column == 'ORIGA'")
    accuracies = table[table["metric"] == "Accuracy"]["value"]
    areas = table[table["metric"] == "AUC"]["value"]
    shares = [Printed(round(each / 100, 4), 4) for each in sorted(set(accuracies))]
    pairs = [Printed(round(each / 100, 4), 4) for each in sorted(set(areas))]
    fits = rate_counts.denominators(shares, n=range(20, LARGEST_N))["n"].tolist()
    whole = []
    for n in fits:
        found = confusion(paper, "table4", "ToFi-ML-balanced", n, 1)
        positives = sorted(set(found["tp"] + found["fn"]))
        # k-NN ties scores, so that half pairs count
        if positives and len(rates.auc_splits(pairs, n=n, positives=positives, ties=True)):
            whole.append(n)
    return {"accuracies": fits, "all": whole}
