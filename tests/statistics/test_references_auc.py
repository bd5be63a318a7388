"""Areas under ROC curves against values made in R with pROC (tests/references/auc.R)."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.statistics.auc import (
    auc,
    auc_areas,
    auc_delong,
    auc_interval,
    auc_pairs,
    auc_unpaired,
    auc_unpaired_inference,
)

FOLDER = Path(__file__).resolve().parent.parent / "references"
SETS = json.loads((FOLDER / "auc_data.json").read_text())
REFERENCE = json.loads((FOLDER / "auc.json").read_text())
NAMES = list(SETS)


def _data(name):
    return np.array(SETS[name]["scores"]), np.array(SETS[name]["labels"])


@pytest.mark.parametrize("name", NAMES)
def test_areas_and_their_covariance_are_those_of_proc(name):
    scores, labels = _data(name)
    expected = REFERENCE["values"][name]
    found = auc_areas(scores, labels)
    assert found.aucs == pytest.approx(expected["aucs"], abs=1e-12)
    assert found.covariance == pytest.approx(np.array(expected["covariance"]), abs=1e-12)
    assert [auc(column, labels) for column in scores.T] == pytest.approx(expected["aucs"])


@pytest.mark.parametrize("name", NAMES)
def test_intervals_of_one_area_are_those_of_proc(name):
    scores, labels = _data(name)
    for method in ("wald", "logit"):
        for column, ends in zip(scores.T, REFERENCE["values"][name][method], strict=True):
            found = auc_interval(column, labels, method=method)
            assert [found.low, found.high] == pytest.approx(ends, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_paired_differences_are_those_of_proc(name):
    scores, labels = _data(name)
    table = auc_pairs(scores, labels)
    for row, expected in zip(table.itertuples(), REFERENCE["values"][name]["paired"], strict=True):
        assert [row.first, row.second] == expected["pair"]
        assert row.z == pytest.approx(expected["z"], abs=1e-10)
        found = auc_delong(scores[:, row.first], scores[:, row.second], labels)
        assert found.p == pytest.approx(expected["p"], abs=1e-10)
        assert [found.low, found.high] == pytest.approx(expected["interval"], abs=1e-10)


@pytest.mark.parametrize("expected", REFERENCE["unpaired"], ids=lambda each: each["sets"][0])
def test_unpaired_differences_are_those_of_proc(expected):
    (a, of_a), (b, of_b) = (_data(name) for name in expected["sets"])
    found = auc_unpaired(a[:, 0], of_a, b[:, 1], of_b)
    assert found.statistic == pytest.approx(expected["t"], abs=1e-10)
    assert found.p == pytest.approx(expected["p"], abs=1e-10)
    df = auc_unpaired_inference(a[:, 0], of_a, b[:, 1], of_b).df
    assert df == pytest.approx(expected["df"], rel=1e-10)
