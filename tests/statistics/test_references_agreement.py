"""Agreement and correlation inside clusters against values made in R (references/agreement.R)."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.statistics.agreement import (
    RATER_FORMS,
    bland_altman,
    bland_altman_clustered,
    cohens_kappa_inference,
    rater_icc,
    rater_icc_inference,
)
from common.statistics.dependence import icc, icc_interval

FOLDER = Path(__file__).resolve().parent.parent / "references"
DATA = json.loads((FOLDER / "agreement_data.json").read_text())
REFERENCE = json.loads((FOLDER / "agreement.json").read_text())
RATINGS, KAPPAS, CLUSTERS, DIFFERENCES = (
    list(DATA[key]) for key in ("ratings", "kappa", "clusters", "differences")
)


def _close(found, expected, *, rel=1e-8, absolute=1e-8):
    assert found == pytest.approx(expected, rel=rel, abs=absolute)


@pytest.mark.parametrize("form", RATER_FORMS)
@pytest.mark.parametrize("name", RATINGS)
def test_rater_correlations_and_their_f_intervals_are_those_of_psych(name, form):
    number = RATER_FORMS.index(form)
    value, low, high, p = (
        REFERENCE["icc"][name][key][number] for key in ("value", "low", "high", "p")
    )
    found = rater_icc(DATA["ratings"][name], form=form)
    # psych gives form 2 the exact F test of no correlation, which is the one of form 3
    exact = rater_icc_inference(DATA["ratings"][name], form=form.replace("2", "3"))
    _close(exact.p_greater(), p)
    if value > 1:  # psych steps up a correlation of one rating below -1 / (k - 1)
        assert (name, form, found.effect) == ("disagree", "2,k", -np.inf)
        return
    _close([found.effect, found.low, found.high], [value, low, high])


def test_the_correlations_of_shrout_and_fleiss_are_the_published_ones():
    published = [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]  # table 4
    found = [rater_icc(DATA["ratings"]["shrout"], form=form).effect for form in RATER_FORMS]
    assert found == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize("weights", ["plain", "linear", "quadratic"])
@pytest.mark.parametrize("name", KAPPAS)
def test_kappa_and_its_standard_error_are_those_of_vcd(name, weights):
    each = DATA["kappa"][name]
    found = cohens_kappa_inference(
        each["first"], each["second"], weights=None if weights == "plain" else weights
    )
    _close([found.effect, found.se], REFERENCE["kappa"][name][weights])


@pytest.mark.parametrize("name", DIFFERENCES)
def test_limits_of_agreement_are_those_of_arithmetic_in_r(name):
    expected = REFERENCE["limits"][name]
    exact = bland_altman(DATA["differences"][name])
    rough = bland_altman(DATA["differences"][name], method="approximate")
    _close([exact.bias, exact.sd, exact.upper], [expected[key] for key in ("bias", "sd", "upper")])
    _close(exact.bias_interval.high, expected["bias_high"])
    _close([rough.upper_interval.low, rough.upper_interval.high], expected["rough"])
    _close([exact.upper_interval.low, exact.upper_interval.high], expected["exact"], rel=1e-7)


@pytest.mark.parametrize("name", CLUSTERS)
def test_limits_of_repeated_measurements_are_those_of_the_mean_squares_of_lm(name):
    each, expected = DATA["clusters"][name], REFERENCE["repeated"][name]
    found = bland_altman_clustered(each["values"], each["cluster"])
    _close([found.bias, found.bias_interval.high], [expected["bias"], expected["bias_high"]])
    _close(found.sd_between**2, expected["between"])
    _close(found.sd_within**2, expected["within"])
    _close([found.lower, found.upper], expected["limits"])
    _close(found.upper_interval.low, expected["upper_low"])
    _close(found.upper_interval.high, expected["upper_high"])


def test_limits_of_repeated_measurements_are_the_published_ones():
    # Bland and Altman, J Biopharm Stat 17:571 (2007): mean squares 4.2090856 and 0.170714026,
    # divisor 4.9818182, variance 0.98133606, limits -1.34 and 2.54
    each = DATA["clusters"]["heart"]
    found = bland_altman_clustered(each["values"], each["cluster"])
    assert found.bias == pytest.approx(0.6021667, abs=1e-7)
    assert found.sd_within**2 == pytest.approx(0.170714026, abs=1e-7)
    assert found.sd_between**2 == pytest.approx((4.2090856 - 0.170714026) / 4.9818182, abs=5e-7)
    assert found.sd**2 == pytest.approx(0.98133606, abs=1e-7)
    assert (found.lower, found.upper) == pytest.approx((-1.3394565, 2.5437899), abs=5e-5)


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_interval_of_the_correlation_is_that_of_generalised_least_squares(name):
    each = DATA["clusters"][name]
    for level, key in ((0.95, "wald"), (0.80, "wald_80")):
        found = icc_interval(each["values"], each["cluster"], level=level)
        _close([found.low, found.high], REFERENCE[key][name], rel=1e-7, absolute=1e-7)


def test_the_correlation_of_equal_clusters_is_form_1_of_the_raters():
    each = DATA["clusters"]["equal"]
    found = rater_icc(np.reshape(each["values"], (8, 5)), form="1,1")
    interval = icc_interval(each["values"], each["cluster"])
    _close(icc(each["values"], each["cluster"]), found.effect)
    _close([interval.low, interval.high], [found.low, found.high])
