import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.papers import Paper
from common.statistics.printed import judge_published
from common.statistics.published import probability_false_ordering, probability_negligible


@pytest.fixture
def judged(make_paper, monkeypatch):
    """Judge one claim on printed numbers; ``cells`` maps arm to number or (number, sd)."""

    def run(
        cells,
        *,
        n=1000,
        clusters=None,
        statistic="proportion",
        scale=1.0,
        better="higher",
        congruence=None,
        design_effect=None,
        **claim,
    ):
        rows = []
        for arm, printed in cells.items():
            value, spread = printed if isinstance(printed, tuple) else (printed, np.nan)
            kind = "sd" if isinstance(printed, tuple) else ""
            rows.append([arm, "Acc", "Acc", value, spread, kind, "", ""])
        columns = ["row", "column", "metric", "value", "spread", "spread_kind", "n", "note"]
        table = pd.DataFrame(rows, columns=columns)
        monkeypatch.setattr(Paper, "table", lambda self, name: table)
        published = {
            "table": "table1",
            "metric": "Acc",
            "n": n,
            "clusters": clusters,
            "scale": scale,
            "statistic": statistic,
            "cells": {arm: {"row": arm, "column": "Acc"} for arm in cells},
        }
        claim = {"arms": list(cells), "evidence": {"published": {"published": published}}} | claim
        paper = make_paper(claim, better=better)
        (found,) = judge_published(paper, congruence=congruence, design_effect=design_effect)
        return found

    return run


def test_a_large_difference_on_many_cases_is_supported_over_the_whole_range(judged):
    found = judged({"a": 0.90, "b": 0.80})
    assert found.verdict == "supported"
    worst = probability_false_ordering(0.90, 0.80, 1000, congruence=0.72)
    assert found.p == pytest.approx(float(worst))
    assert found.effect == pytest.approx(0.10)
    assert (found.n_cases, found.source, found.layer) == (1000, "published", "published")


def test_the_interval_is_the_one_of_independent_errors(judged):
    found = judged({"a": 0.90, "b": 0.80})
    half = stats.norm.ppf(0.975) * np.sqrt((0.09 + 0.16) / 1000)
    assert found.low == pytest.approx(0.10 - half)
    assert found.high == pytest.approx(0.10 + half)


@pytest.mark.parametrize(
    ("cells", "direction", "word"),
    [
        ({"a": 0.80, "b": 0.90}, "greater", "contradicted"),
        ({"a": 0.80, "b": 0.90}, "less", "supported"),
        ({"a": 0.82, "b": 0.81}, "greater", "inconclusive"),
        ({"a": 0.82, "b": 0.82}, "greater", "inconclusive"),
        ({"a": 0.90, "b": 0.80}, "differ", "supported"),
        ({"a": 0.82, "b": 0.82}, "differ", "inconclusive"),
    ],
)
def test_the_printed_order_decides_only_when_it_cannot_be_chance(judged, cells, direction, word):
    assert judged(cells, direction=direction).verdict == word


def test_patients_count_and_not_their_patches(judged):
    cells = {"a": 0.824, "b": 0.788}
    assert judged(cells, n=15_120).verdict == "supported"
    assert judged(cells, n=15_120, clusters=252).verdict == "inconclusive"
    assert judged(cells, n=15_120, clusters=252, design_effect=1.0).verdict == "supported"


def test_a_measured_congruence_narrows_the_range(judged):
    cells = {"a": 0.83, "b": 0.80}
    wide, narrow = judged(cells, n=500), judged(cells, n=500, congruence={"C1": 0.79})
    assert wide.verdict == "inconclusive"
    assert narrow.verdict == "supported"
    assert "congruence 0.79 to 0.79" in narrow.note


def test_equality_needs_the_difference_within_the_margin(judged):
    claim = {"direction": "equivalent", "margin": 0.05}
    found = judged({"a": 0.82, "b": 0.82}, n=5000, **claim)
    assert found.verdict == "supported"
    negligible = probability_negligible(0.82, 0.82, 5000, margin=0.05, congruence=0.82**2)
    assert found.p == pytest.approx(1 - float(negligible))
    assert judged({"a": 0.92, "b": 0.82}, n=5000, **claim).verdict == "contradicted"
    assert judged({"a": 0.82, "b": 0.82}, n=50, **claim).verdict == "inconclusive"


def test_a_directed_claim_whose_difference_is_negligible_is_equivalent(judged):
    assert judged({"a": 0.821, "b": 0.82}, n=9000, margin=0.05).verdict == "equivalent"


@pytest.mark.parametrize(
    ("better", "cells", "word"),
    [
        ("higher", {"a": 0.80, "b": 0.81}, "supported"),
        ("higher", {"a": 0.60, "b": 0.81}, "contradicted"),
        ("lower", {"a": 0.60, "b": 0.81}, "supported"),
        ("lower", {"a": 0.95, "b": 0.81}, "contradicted"),
    ],
)
def test_non_inferiority_follows_what_is_better(judged, better, cells, word):
    claim = {"direction": "non_inferior", "margin": 0.05, "better": better}
    assert judged(cells, n=5000, **claim).verdict == word


def test_the_parts_of_a_claim_add_their_doubts(judged):
    both = judged({"a": 0.84, "b": 0.82, "c": 0.81}).p
    one, other = (judged({"a": 0.84, "b": rate}).p for rate in (0.82, 0.81))
    assert both == pytest.approx(one + other)


def test_every_part_of_a_claim_must_hold(judged):
    assert judged({"a": 0.9, "b": 0.8, "c": 0.7}).verdict == "supported"
    assert judged({"a": 0.9, "b": 0.8, "c": 0.89}).verdict == "inconclusive"
    assert judged({"a": 0.8, "b": 0.7, "c": 0.9}).verdict == "contradicted"
    ordered = {"direction": "order"}
    assert judged({"a": 0.9, "b": 0.8, "c": 0.7}, **ordered).verdict == "supported"
    assert judged({"a": 0.9, "b": 0.7, "c": 0.8}, **ordered).verdict == "contradicted"
    assert judged({"a": 0.7, "b": 0.8, "c": 0.9}, better="lower", **ordered).verdict == "supported"


def test_overlap_scores_use_the_widest_spread_unless_one_is_printed(judged):
    overlap = {"statistic": "overlap", "n": 100}
    assert judged({"a": 0.88, "b": 0.80}, **overlap).verdict == "inconclusive"
    printed = judged({"a": (0.88, 0.05), "b": (0.80, 0.05)}, **overlap)
    assert printed.verdict == "supported"
    se = np.sqrt(2 * 0.05**2 / 100)
    assert printed.p == pytest.approx(float(stats.t.cdf(-0.08 / se, 99)))


def test_one_arm_is_compared_with_the_value(judged):
    assert judged({"a": 0.9}, value=0.8).verdict == "supported"
    assert judged({"a": 0.9}, value=0.9).verdict == "inconclusive"
    near = {"direction": "value", "value": 0.9, "margin": 0.05}
    assert judged({"a": 0.9}, **near).verdict == "supported"
    assert judged({"a": 0.7}, **near).verdict == "contradicted"


def test_percent_are_scaled_to_the_metric(judged):
    percent, fraction = judged({"a": 90, "b": 80}, scale=100), judged({"a": 0.9, "b": 0.8})
    assert percent.p == pytest.approx(fraction.p)
    assert percent.effect == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n": None}, "number of cases"),
        ({"statistic": "mean"}, "no standard deviation"),
        ({"evidence": {"published": {"untested": "Only curves."}}}, "Only curves."),
        ({"design_effect": 2000.0, "statistic": "overlap"}, "design effect"),
    ],
)
def test_what_a_table_cannot_say_is_untested_with_the_reason(judged, options, reason):
    found = judged({"a": 0.9, "b": 0.8}, **options)
    assert found.verdict == "untested"
    assert reason in found.note


def test_a_contrast_compares_the_two_sides(make_paper, monkeypatch, judged):
    cells = {arm: (value, 0.05) for arm, value in zip("abcd", (0.9, 0.9, 0.8, 0.8), strict=True)}
    judged(cells, statistic="overlap")  # sets the table
    published = {
        "table": "table1",
        "metric": "Acc",
        "n": 200,
        "statistic": "overlap",
        "cells": {arm: {"row": arm, "column": "Acc"} for arm in cells},
    }
    weights = {"a": 0.5, "b": 0.5, "c": -0.5, "d": -0.5}
    evidence = {"published": {"published": published, "contrast": weights}}
    (found,) = judge_published(make_paper({"evidence": evidence}))
    assert found.verdict == "supported"
    assert found.effect == pytest.approx(0.1)
