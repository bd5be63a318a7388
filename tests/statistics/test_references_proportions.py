"""Paired and clustered proportions against values made in R (tests/references/proportions.R)."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.statistics.mcnemar import (
    PairedCounts,
    PairedScore,
    mcnemar,
    mcnemar_inference,
    paired_difference_interval,
)
from common.statistics.proportions import (
    effective_cases,
    mcnemar_clustered,
    mcnemar_clustered_pairs,
    proportion_interval,
    proportion_interval_clustered,
)

FOLDER = Path(__file__).resolve().parent.parent / "references"
DATA = json.loads((FOLDER / "proportions_data.json").read_text())
REFERENCE = json.loads((FOLDER / "proportions.json").read_text())
TABLES, SINGLE, CLUSTERS = (list(DATA[key]) for key in ("tables", "proportions", "clusters"))
DIFFERING = [name for name in TABLES if sum(DATA["tables"][name][1:3]) > 0]
OUTCOMES = [(1, 1), (1, 0), (0, 1), (0, 0)]  # both right, only the first, only the second, neither


def _cases(counts):
    """One row a case from the four counts, of one table or of each cluster."""
    counts = np.asarray(counts, dtype=int).reshape(4, -1)
    cells = np.repeat(OUTCOMES, counts.sum(axis=1), axis=0)
    clusters = np.concatenate([np.repeat(np.arange(len(row)), row) for row in counts])
    return cells[:, 0], cells[:, 1], clusters


def _clusters(name):
    return _cases([DATA["clusters"][name][key] for key in "abcd"])


def _close(interval, expected):
    assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", DIFFERING)
def test_mcnemar_gives_the_p_values_of_r(name):
    first, second, _ = _cases(DATA["tables"][name])
    expected = REFERENCE["paired"][name]
    for method, key in (("exact", "p_exact"), ("mid-p", "p_mid"), ("asymptotic", "p_asymptotic")):
        assert mcnemar(first, second, method=method).p == pytest.approx(expected[key], abs=1e-10)
    asymptotic = mcnemar(first, second, method="asymptotic")
    assert asymptotic.statistic == pytest.approx(expected["chi"], rel=1e-10)
    exact = mcnemar_inference(first, second)
    assert exact.p_greater() == pytest.approx(expected["p_greater"], abs=1e-10)
    assert exact.p_less() == pytest.approx(expected["p_less"], abs=1e-10)


@pytest.mark.parametrize("name", DIFFERING)
def test_tango_maximises_the_likelihood_under_the_null_as_a_numerical_search_does(name):
    _, b, c, _ = DATA["tables"][name]
    score = PairedScore(b, c, sum(DATA["tables"][name]))
    expected = REFERENCE["paired"][name]
    assert score._z(0.1) == pytest.approx(expected["tango_z"], abs=1e-8)
    assert score.statistic**2 == pytest.approx(expected["chi"], abs=1e-8)


@pytest.mark.parametrize("name", TABLES)
def test_intervals_of_a_paired_difference_agree_with_r(name):
    a, b, c, d = DATA["tables"][name]
    n, expected = a + b + c + d, REFERENCE["paired"][name]
    _close(paired_difference_interval(b, c, n), expected["bonett_price"])
    _close(paired_difference_interval(b, c, n, method="tango"), expected["tango"])
    _close(paired_difference_interval(b, c, n, method="newcombe", both=a), expected["newcombe"])
    narrow = paired_difference_interval(b, c, n, method="newcombe", both=a, level=0.9)
    _close(narrow, expected["newcombe_90"])
    _close(PairedCounts(b, c, n).interval(), expected["bonett_price"])


@pytest.mark.parametrize("name", SINGLE)
def test_wilson_and_clopper_pearson_agree_with_r(name):
    right, n = DATA["proportions"][name]
    expected = REFERENCE["single"][name]
    _close(proportion_interval(right, n), expected["wilson"])
    _close(proportion_interval(right, n, method="exact"), expected["exact"])
    _close(proportion_interval(right, n, level=0.9), expected["wilson_90"])


@pytest.mark.parametrize("method", ["pooled", "obuchowski", "yang", "durkalski"])
@pytest.mark.parametrize("name", CLUSTERS)
def test_clustered_mcnemar_agrees_with_the_formulas_of_the_papers(name, method):
    first, second, cluster = _clusters(name)
    found = mcnemar_clustered(first, second, cluster, method=method)
    expected = REFERENCE["clustered"][name]
    assert found.statistic**2 == pytest.approx(expected["chi"][method], rel=1e-10)
    ends = expected["interval"][method]  # no number where R has an infinite one
    if None in ends:
        assert (found.low, found.high) == (-np.inf, np.inf)
    else:
        assert [found.low, found.high] == pytest.approx(ends, abs=1e-8)
    row = mcnemar_clustered_pairs(np.column_stack([first, second]), cluster, method=method).iloc[0]
    assert row["z"] ** 2 == pytest.approx(expected["chi"][method], rel=1e-10)


def test_the_published_glands_give_the_published_statistics():
    # Obuchowski (1998) and the example of the R package clust.bin.pair
    first, second, cluster = _clusters("thyroids")
    chi = {
        method: mcnemar_clustered(first, second, cluster, method=method).statistic ** 2
        for method in ("obuchowski", "yang")
    }
    assert round(chi["obuchowski"], 4) == 2.8571
    assert round(chi["yang"], 4) == 3.1317
    assert round(mcnemar_clustered(first, second, cluster, method="yang").p, 5) == 0.07679


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_clustered_proportion_rests_on_the_survey_variance(name):
    right, _, cluster = _clusters(name)
    expected = REFERENCE["clustered"][name]
    assert effective_cases(right, cluster) == pytest.approx(expected["worth"], rel=1e-8)
    _close(proportion_interval_clustered(right, cluster), expected["wilson"])
    _close(proportion_interval_clustered(right, cluster, method="exact"), expected["exact"])
