import numpy as np
import pandas as pd
import pytest

from common import comparison


@pytest.fixture
def records(rng):
    """Two arms, 30 patients of four images; the second arm is 0.2 better."""
    rows = []
    for arm, level in (("a", 0.5), ("b", 0.7)):
        for patient in range(30):
            for image in range(4):
                value = level + 0.05 * rng.standard_normal()
                rows.append((arm, "dice", "phantom", f"p{patient}", f"p{patient}-{image}", value))
    rows.append(("a", "dice", "open", "real", "real-1", 99.0))
    return pd.DataFrame(rows, columns=["arm", "metric", "source", "cluster", "case", "value"])


def measured(records, kind="quick", **changed):
    given = {
        "arms": {"a": "Baseline", "b": "Ours"},
        "metrics": {"dice": "Dice"},
        "scale": 100,
        "source": "phantom",
        "rng": np.random.default_rng(0),
    }
    return comparison.replicated(records, kind=kind, **{**given, **changed})


PRINTED = pd.DataFrame(
    {
        "column": ["Dice", "Dice", "IoU"],
        "row": ["Baseline", "Ours", "Ours"],
        "value": [0.5, 0.8, 0.6],
    }
)


def test_arms_are_averaged_over_clusters_of_one_source(records):
    found = measured(records).set_index("row")
    assert found.loc["Ours", "value"] == pytest.approx(70, abs=1)
    assert found.loc["Baseline", "value"] == pytest.approx(50, abs=1)
    assert found["n"].tolist() == [30, 30]
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()


def test_arms_and_metrics_without_records_are_left_out(records):
    assert measured(records, arms={"c": "Other"}).empty
    assert list(measured(records, metrics={"iou": "IoU"}).columns) == comparison.COLUMNS


def test_printed_cells_are_taken_by_name_and_a_missing_one_is_an_error():
    found = comparison.published(PRINTED, rows=["Ours"], metrics=["Dice", "IoU"], scale=100)
    assert found["value"].tolist() == [80, 60]
    assert found[["low", "high", "n"]].isna().all().all()
    with pytest.raises(KeyError):
        comparison.published(PRINTED, rows=["Baseline"], metrics=["IoU"])


def test_kinds_stand_in_one_order_whatever_the_order_of_the_rows(records):
    numbers = pd.concat(
        [
            measured(records, kind="mine"),
            measured(records, kind="full"),
            comparison.published(PRINTED, rows=["Baseline", "Ours"], metrics=["Dice"], scale=100),
            measured(records, kind="quick"),
        ]
    )
    found = comparison.wide(numbers)
    assert list(found.columns) == ["published", "quick", "full", "mine"]
    assert found.loc[("Dice", "Ours"), "published"] == "80.0"
    assert found.loc[("Dice", "Ours"), "quick"].startswith("70.")
    assert "[" in found.loc[("Dice", "Ours"), "quick"]


def test_what_was_not_run_is_a_dash_and_the_caption_tells_the_clusters(records):
    numbers = pd.concat(
        [
            comparison.published(PRINTED, rows=["Baseline", "Ours"], metrics=["Dice"]),
            measured(records, arms={"b": "Ours"}),
        ]
    )
    assert comparison.wide(numbers).loc[("Dice", "Baseline"), "quick"] == "–"
    shown = comparison.side_by_side(numbers, caption="Table 1.")
    assert "Clusters: quick 30." in shown.html
    printed = comparison.side_by_side(numbers[numbers["kind"] == "published"], caption="Table 1.")
    assert "Clusters" not in printed.html
