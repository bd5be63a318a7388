"""The authors' learning curves: the real table, and one in the same format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.datasets import mvaal_author_results as reader
from common.errors import ReplicateError

HEADER = "notebook_cell\theading\tal_budget\tmethod\tmean\tsd\tp_columns"
LINES = (
    "19\tBraTS segmentation\t300\tM-VAAL\t0.725\t0.006\tp-value1=0.067;p-value2=0.004",
    "19\tBraTS segmentation\t300\tVAAL\t0.702\t0.011\tp-value1=0.067;p-value2=0.004",
    "22\tCOVID Classification\t100\tRand\t0.722\t0.049\tp-value1=1.0;p-value2=1.0",
    "2\tBRATS segmentation visualization\tfull\tfully trained (mean)\t0.78969\t\t",
)


def write(root: Path, *lines: str) -> Path:
    (root / "active_learning_tables.tsv").write_text("\n".join((HEADER, *lines)) + "\n")
    return root


def test_the_real_table_holds_69_points_and_three_references(mirror):
    table = reader.load(mirror(reader.DATASET))
    reference = table["method"] == reader.REFERENCE
    assert (len(table), reference.sum()) == (72, 3)
    counts = table[~reference].groupby("task")["budget"].nunique()
    assert counts.to_dict() == {
        "brats-classification": 8,
        "brats-segmentation": 7,
        "covid-classification": 8,
    }
    assert table[~reference].groupby(["task", "budget"]).size().unique().tolist() == [3]
    full = table[reference].set_index("task")["mean"]
    assert full["brats-classification"] == 0.9656396776666666
    assert full["covid-classification"] == 0.951114923


def test_at_the_first_real_budget_all_methods_are_equal_and_later_not(mirror):
    table = reader.load(mirror(reader.DATASET)).dropna(subset=["budget"])
    for _, curve in table.groupby("task"):
        first = curve["budget"] == curve["budget"].min()
        assert curve[first][["mean", "sd"]].drop_duplicates().shape[0] == 1
        assert (curve[first][["p_vaal", "p_rand"]] == 1).to_numpy().all()
        spread = curve[~first].groupby("budget")["mean"].agg(lambda means: np.ptp(means))
        assert (spread > 0).any()


def test_rows_come_back_with_their_numbers(tmp_path):
    table = reader.load(write(tmp_path, *LINES))
    wanted = pd.DataFrame(
        {
            "task": ["brats-segmentation"] * 2 + ["covid-classification", "brats-segmentation"],
            "metric": ["dice", "dice", "accuracy", "dice"],
            "budget": pd.array([300, 300, 100, None], dtype="Int64"),
            "method": ["M-VAAL", "VAAL", "Rand", "fully trained"],
            "mean": [0.725, 0.702, 0.722, 0.78969],
            "sd": [0.006, 0.011, 0.049, np.nan],
            "p_vaal": [0.067, 0.067, 1.0, np.nan],
            "p_rand": [0.004, 0.004, 1.0, np.nan],
        }
    )
    pd.testing.assert_frame_equal(table, wanted)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BraTS segmentation", "BraTS detection"),
        ("\tVAAL\t", "\tCoreset\t"),
        ("\tVAAL\t", "\tfully trained (mean)\t"),
        ("\t300\t", "\tmany\t"),
        ("0.702", "high"),
        ("p-value1", "p"),
        ("p-value1=0.067", "p-value1"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(tmp_path, old, new):
    assert old in LINES[1]
    with pytest.raises(ReplicateError, match="must hold known tasks, methods and numbers"):
        reader.load(write(tmp_path, LINES[0], LINES[1].replace(old, new)))


def test_a_reference_of_a_method_is_refused(tmp_path):
    line = LINES[3].replace("fully trained (mean)", "VAAL")
    with pytest.raises(ReplicateError, match="a problem with method 'VAAL'"):
        reader.load(write(tmp_path, line))


def test_a_row_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match="got brats-segmentation, 300, VAAL again"):
        reader.load(write(tmp_path, *LINES, LINES[1]))


def test_an_absent_file_or_column_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match=r"active_learning_tables.tsv must be a sound table"):
        reader.load(tmp_path)
    (tmp_path / "active_learning_tables.tsv").write_text(HEADER.replace("\tsd", "") + "\n")
    with pytest.raises(ReplicateError, match="no column sd"):
        reader.load(tmp_path)
