"""Paired scores and effect sizes against values made in R (tests/references/paired.R)."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.statistics.effect_sizes import (
    cliffs_delta_inference,
    cohens_d_z,
    cohens_d_z_inference,
    discordance_odds,
    hedges_factor,
    rank_biserial_inference,
)
from common.statistics.equivalence import equivalence, non_inferiority
from common.statistics.folds import corrected_t_clustered
from common.statistics.paired import hodges_lehmann, paired_t, paired_t_inference, tost, wilcoxon
from common.statistics.signed_rank import signed_rank_inference
from common.statistics.signed_rank_clustered import signed_rank_clustered_inference

FOLDER = Path(__file__).resolve().parent.parent / "references"
DATA = json.loads((FOLDER / "paired_data.json").read_text())
REFERENCE = json.loads((FOLDER / "paired.json").read_text())
DIFFERENCES, CLUSTERS, GROUPS, DISCORDANT, FOLDS = (
    list(DATA[key]) for key in ("differences", "clusters", "groups", "discordant", "folds")
)


def _close(found, expected, *, rel=1e-8, absolute=1e-8):
    assert found == pytest.approx(expected, rel=rel, abs=absolute)


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
@pytest.mark.parametrize("name", DIFFERENCES)
def test_signed_rank_p_values_are_those_of_coin(name, zeros):
    d, expected = DATA["differences"][name], REFERENCE["signed_rank"][name][zeros]
    exact = signed_rank_inference(d, zeros=zeros, method="exact")
    _close(exact.p(), expected["exact"])
    _close(exact.p_greater(), expected["exact_greater"])
    _close(exact.p_less(), expected["exact_less"])
    normal = signed_rank_inference(d, zeros=zeros, method="asymptotic")
    _close(normal.p(), expected["normal"])
    _close(normal.p_greater(), expected["normal_greater"])
    _close(wilcoxon(d, zeros=zeros).p, expected["exact" if len(d) <= 100 else "normal"])


@pytest.mark.parametrize("name", list(REFERENCE["shift"]))
def test_the_shift_its_interval_and_its_shifted_tests_are_those_of_wilcox_test(name):
    d, expected = DATA["differences"][name], REFERENCE["shift"][name]
    inference = signed_rank_inference(d)
    estimate, interval = hodges_lehmann(d)
    _close(estimate, expected["estimate"])
    _close(inference.statistic, expected["V"])
    if expected["reached"] >= 0.95 - 1e-12:
        _close([interval.low, interval.high], [expected["low"], expected["high"]])
    else:
        assert np.isinf([interval.low, interval.high]).all()  # R falls back to a lower level
    if expected["reached_80"] >= 0.80 - 1e-12:
        found = inference.interval(0.80)
        _close([found.low, found.high], [expected["low_80"], expected["high_80"]])
    _close(inference.p(0.123), expected["p_shifted"])
    _close(inference.p_greater(0.123), expected["greater_shifted"])
    _close(inference.p_less(-0.217), expected["less_shifted"])


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_paired_t_and_its_one_sided_tests_are_those_of_t_test(name):
    d, expected = DATA["differences"][name], REFERENCE["paired_t"][name]
    found, inference = paired_t(d), paired_t_inference(d)
    _close([found.p, found.low, found.high], [expected[key] for key in ("p", "low", "high")])
    _close(tost(d, margin=0.5).p, max(expected["above"], expected["below"]))
    _close(tost(d, margin=0.5).low, expected["low_90"])
    _close(non_inferiority(inference, 0.5).p, expected["above"])
    _close(non_inferiority(inference, 0.5, better="lower").p, expected["below"])
    _close(equivalence(inference, 0.5).p, max(expected["above"], expected["below"]))


@pytest.mark.parametrize("name", DIFFERENCES)
def test_d_z_has_the_interval_that_inverts_the_noncentral_t_of_r(name):
    d, expected = DATA["differences"][name], REFERENCE["standardised"][name]
    found, inference = cohens_d_z(d), cohens_d_z_inference(d)
    _close([found.effect, found.low, found.high], [expected[key] for key in ("d", "low", "high")])
    _close(inference.p_greater(0.5), expected["above_half"])
    _close(found.p, REFERENCE["paired_t"][name]["p"])
    if len(d) > 2:
        _close(hedges_factor(len(d) - 1), expected["factor"])
        corrected = cohens_d_z(d, hedges=True)
        _close(corrected.effect, expected["d"] * expected["factor"])
        assert (corrected.low, corrected.high) == (found.low, found.high)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_rank_biserial_correlation_is_that_of_the_statistic_of_wilcox_test(name):
    found = rank_biserial_inference(
        DATA["differences"][name], rng=np.random.default_rng(0), n_resamples=10
    )
    _close(found.effect, REFERENCE["rank_biserial"][name])


@pytest.mark.parametrize("name", CLUSTERS)
def test_clustered_signed_ranks_are_those_of_r_ranks_and_mean_squares(name, rng):
    d, cluster = DATA["clusters"][name]["differences"], DATA["clusters"][name]["cluster"]
    expected = REFERENCE["clustered"][name]
    for weights, key in (("cases", "plain"), ("rosner", "rosner")):
        found = signed_rank_clustered_inference(
            d, cluster, rng=rng, weights=weights, method="asymptotic"
        )
        _close(found.statistic, expected["at_zero"][f"{key}_z"])
        _close(found.p(), expected["at_zero"][f"{key}_p"])
        _close(found.p(0.1), expected["at_tenth"][f"{key}_p"])
    cases = signed_rank_clustered_inference(d, cluster, rng=rng)
    _close(cases.effect, expected["estimate"])


@pytest.mark.parametrize("name", GROUPS)
def test_cliffs_delta_and_its_variance_are_those_of_the_dominance_matrix(name):
    each, expected = DATA["groups"][name], REFERENCE["delta"][name]
    found = cliffs_delta_inference(each["first"], each["second"])
    _close(found.effect, expected["delta"])
    _close(found.se**2, expected["variance"])
    interval = found.interval()
    _close([interval.low, interval.high], [expected["low"], expected["high"]])


def test_the_terms_of_cliffs_variance_are_the_published_ones():
    # Cliff, Multivariate Behav Res 31:331 (1996): 0.2669753, 0.447 and 1.0055556
    found = cliffs_delta_inference(**DATA["groups"]["cliff"])
    published = (5 * 0.2669753 + 9 * 0.447 + 1.0055556) / 60
    assert found.effect == -0.25
    assert found.se**2 == pytest.approx(published, abs=1e-8)


@pytest.mark.parametrize("name", DISCORDANT)
def test_the_odds_of_discordance_are_those_of_binom_test_and_of_strata_of_pairs(name):
    b, c = DATA["discordant"][name]
    first, second = [1] * b + [0] * c + [1, 0], [0] * b + [1] * c + [1, 0]
    found, expected = discordance_odds(first, second), REFERENCE["odds"][name]
    low, high = (np.inf if expected[key] is None else expected[key] for key in ("low", "high"))
    _close([found.p, found.low, found.high], [expected["p"], low, high])
    if expected["mantel"] is not None:  # R finds these with a tolerance of about 1e-4
        _close(found.effect, expected["mantel"], rel=2e-3)
        _close(found.low, expected["mantel_low"], rel=2e-3)
        _close(found.high, expected["mantel_high"], rel=2e-3)


@pytest.mark.parametrize("name", FOLDS)
def test_the_corrected_t_of_clusters_is_that_of_means_of_means_in_r(name):
    found = corrected_t_clustered(**DATA["folds"][name])
    _close(found.statistic, REFERENCE["corrected"][name]["statistic"])
    _close(found.p, REFERENCE["corrected"][name]["p"])
