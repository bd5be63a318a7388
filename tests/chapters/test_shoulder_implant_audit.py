"""The audit finds what the digest of the paper found, and would find other faults too."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from common import papers
from common.chapters.shoulder_implant import audit, printed


@pytest.fixture(scope="module")
def paper():
    return papers.load("shoulder-implant")


@pytest.fixture(scope="module")
def found(paper):
    return {check.id: check for check in audit.checks(paper)}


def test_every_check_has_the_status_that_the_numbers_call_for(found):
    passed = {name for name, check in found.items() if check.status == "pass"}
    assert passed == {"A1", "A6", "A11", "A12", "A15", "A17", "A18"}
    assert list(found) == [f"A{n}" for n in range(1, 19)]


def test_the_only_test_sets_that_fit_are_54_40_and_94_images_and_their_multiples(paper):
    assert [printed.sizes(paper, task)[:2] for task in printed.TABLES] == [
        [54, 108],
        [40, 80],
        [94, 188],
    ]


def test_sizes_are_found_by_trying_every_count(paper):
    """A second implementation, from the definition: some count prints like that, or is cut off."""
    for task in printed.TABLES:
        rates = [printed.value(paper, task, name, "Recall") for name in printed.ROWS]
        fitting = []
        for n in range(1, 120):
            shares = np.arange(n + 1) / n
            rounded, cut = np.round(shares, 4), np.floor(shares * 1e4 + 1e-9) / 1e4
            if all(
                (np.isclose(rounded, rate, atol=1e-9) | np.isclose(cut, rate, atol=1e-9)).any()
                for rate in rates
            ):
                fitting.append(n)
        assert fitting == [n for n in printed.sizes(paper, task) if n < 120]


def test_counts_of_right_images_give_the_printed_percentages(paper):
    table = printed.right(paper)
    assert table["right"].to_list() == [37, 44, 48, 48, 33, 34, 33, 35, 66, 85, 68, 86]
    row = table.iloc[-1]
    assert row["low"] == pytest.approx(beta.ppf(0.025, 86, 9))
    assert row["high"] == pytest.approx(beta.ppf(0.975, 87, 8))


def test_leads_are_counted_in_images(paper):
    gaps = printed.leads(paper).set_index(["task", "network"])["images"]
    assert gaps["All 7"].to_dict() == {"vgg16": 20, "xception": 1, "inception-v3": 18}
    assert gaps["Non-Depuy"].max() == 2


def test_findings_hold_the_numbers_of_the_digest(found):
    assert "83 of 94" in str(found["A13"].recomputed)
    assert "57.4 %, 57.1 %, 57.3 %" in str(found["A7"].recomputed)
    assert str(found["A14"].printed) == "66 (Depuy), 49 (Non-Depuy), 115 (All 7)"
    assert str(found["A14"].recomputed) == (
        "at least 1905 (Depuy), at least 2400 (Non-Depuy), at least 6667 (All 7)"
    )
    assert "58 or more" in found["A14"].note
    assert "30 or more" in found["A14"].note
    # reference 15 has 93.9 %, but is not among those that the paper claims to outperform
    assert found["A16"].recomputed == "Yilmaz [9]: 97.2 %"
    assert "+1, p ≥ 1" in str(found["A10"].recomputed)
    assert "0.003 to 0.028" in found["A12"].note


def test_training_sizes_are_found_by_trying_every_count(paper):
    """From the definition: some count of the smallest size prints like that, or is cut off."""
    for task, least in (("Depuy", 1905), ("Non-Depuy", 2400), ("All 7", 6667)):
        rates = [printed.value(paper, task, name, "Training Accuracy (%)") for name in printed.ROWS]

        def fits(n, rates=rates):
            shares = 100 * np.arange(n + 1)[int(0.9 * n) :] / n
            cut = np.floor(shares * 100 + 1e-7) / 100
            both = np.concatenate([np.round(shares, 2), cut])
            return all(np.isclose(both, rate, atol=1e-6).any() for rate in rates)

        assert next(n for n in range(1, least + 1) if fits(n)) == least


def test_training_accuracies_out_of_70_percent_would_pass(paper, monkeypatch):
    def of(paper, task, metric="Testing Accuracy (%)"):
        n = round(0.7 * printed.images(paper)[task])
        texts = [f"{100 * (n - k) / n:.2f}" for k in range(4)]
        return [printed.Printed.read(each, how="either", percent=True) for each in texts]

    monkeypatch.setattr(audit, "accuracies", of)
    assert next(audit._training(paper)).status == "pass"


def test_a_test_set_of_the_stated_size_would_pass(paper, monkeypatch):
    """The check is not one that always fails: with accuracies out of 28 images it passes."""
    own = {
        name: f"{100 * k / 28:.2f}" for name, k in zip(printed.ROWS, (19, 22, 25, 26), strict=True)
    }

    def of(paper, task, metric="Testing Accuracy (%)"):
        return [printed.Printed.read(each, how="either", percent=True) for each in own.values()]

    monkeypatch.setattr(audit, "accuracies", of)
    checks = {check.id: check for check in audit._test_sets(paper)}
    assert checks["A3"].status == "pass"
    assert checks["A5"].status == "fail"


def test_numbers_that_can_give_each_accuracy_are_marked(paper):
    table = printed.fitting(paper, "All 7", largest=100)
    assert table.index[table.all(axis=1)].tolist() == [94]
    assert isinstance(table, pd.DataFrame)
    assert not table.loc[[49, 50]].to_numpy().any()
