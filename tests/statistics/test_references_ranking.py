"""Several methods over blocks against values made in R (tests/references/ranking.R)."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from common.statistics.paired import paired_t
from common.statistics.posthoc import (
    block_contrast_inference,
    friedman_posthoc,
    tukey,
    two_way_anova,
)
from common.statistics.ranking import (
    _kendall,
    block_anova,
    friedman,
    nemenyi_critical_difference,
)

FOLDER = Path(__file__).resolve().parent.parent / "references"
DATA = json.loads((FOLDER / "ranking_data.json").read_text())
REFERENCE = json.loads((FOLDER / "ranking.json").read_text())
CLOSE = {"rtol": 1e-8, "atol": 1e-10}
# R computes the studentised range to four digits or so where degrees of freedom are few (two
# methods with 2 of them get 0.05712, and by t 0.05719); an integral below checks scipy's further.
RANGE = {"rtol": 2e-3, "atol": 5e-4}


@pytest.fixture(params=list(REFERENCE["blocks"]))
def blocks(request):
    return np.array(DATA["blocks"][request.param], float), REFERENCE["blocks"][request.param]


@pytest.fixture(params=list(REFERENCE["repeats"]))
def repeats(request):
    return np.array(DATA["repeats"][request.param], float), REFERENCE["repeats"][request.param]


def test_friedman_and_iman_davenport(blocks):
    values, expected = blocks
    found = friedman(values)
    np.testing.assert_allclose(
        [found.statistic, found.p, *found.ranks],
        [expected["chi2"], expected["p"], *expected["ranks"]],
        **CLOSE,
    )
    if expected["f"] is None:  # all blocks rank alike
        assert np.isinf(found.f)
    else:
        np.testing.assert_allclose([found.f, found.p_f], [expected["f"], expected["p_f"]], **CLOSE)


# R lists up to a million arrangements one by one.
@pytest.mark.parametrize(
    "name", [name for name, each in REFERENCE["blocks"].items() if "p_exact" in each]
)
def test_exact_friedman(name):
    values, expected = DATA["blocks"][name], REFERENCE["blocks"][name]
    np.testing.assert_allclose(friedman(values, exact=True).p_exact, expected["p_exact"], **CLOSE)


def test_rank_tests_of_pairs(blocks):
    values, expected = blocks
    found = friedman_posthoc(values)
    np.testing.assert_allclose(found.effects, expected["effects"], **CLOSE)
    np.testing.assert_allclose(found.statistics, expected["z"], **CLOSE)
    np.testing.assert_allclose(found.p, expected["p_z"], **CLOSE)
    np.testing.assert_allclose(found.p_adjusted, expected["p_holm"], **CLOSE)
    nemenyi = friedman_posthoc(values, test="nemenyi")
    np.testing.assert_allclose(nemenyi.p, expected["p_nemenyi"], **CLOSE)
    control = friedman_posthoc(values, control=values.shape[1] - 1)
    np.testing.assert_allclose(control.p_adjusted, expected["p_control_holm"], **CLOSE)
    conover = friedman_posthoc(values, test="conover")
    np.testing.assert_allclose(conover.p, expected["p_conover"], **CLOSE)


def test_nemenyi_critical_difference(blocks):
    values, expected = blocks
    n, k = values.shape
    np.testing.assert_allclose(nemenyi_critical_difference(k, n), expected["cd"], **CLOSE)


def test_block_anova_and_tukey_without_repeats(blocks):
    values, expected = blocks
    anova = block_anova(values)
    np.testing.assert_allclose(
        [anova.f, anova.p, anova.residual_sd],
        [expected["anova_f"], expected["anova_p"], expected["residual_sd"]],
        **CLOSE,
    )
    found = tukey(values)
    np.testing.assert_allclose(found.effects, expected["tukey_effects"], **CLOSE)
    np.testing.assert_allclose(found.p, expected["tukey_p"], **RANGE)
    np.testing.assert_allclose(found.low, expected["tukey_low"], **RANGE)
    np.testing.assert_allclose(found.high, expected["tukey_high"], **RANGE)


def test_two_way_anova_in_both_readings(repeats):
    values, expected = repeats
    found = two_way_anova(values)
    for name in ("arm", "arm_fixed", "block", "interaction"):
        line = getattr(found, name)
        np.testing.assert_allclose([line.f, line.p], expected[name], **CLOSE)
    np.testing.assert_allclose(found.residual_sd, expected["residual_sd"], **CLOSE)


@pytest.mark.parametrize("blocks", ["fixed", "random"])
def test_tukey_with_repeats(repeats, blocks):
    values, expected = repeats
    found = tukey(values, blocks=blocks)
    np.testing.assert_allclose(found.effects, expected[f"{blocks}_effects"], **CLOSE)
    if expected[f"{blocks}_p"][0] is None:  # R has no studentised range for 1 degree of freedom
        t = paired_t(values.mean(axis=2)[:, 0] - values.mean(axis=2)[:, 1])
        np.testing.assert_allclose(
            [found.p[0], found.low[0], found.high[0]], [t.p, t.low, t.high], rtol=1e-5
        )
        return
    np.testing.assert_allclose(found.p, expected[f"{blocks}_p"], **RANGE)
    np.testing.assert_allclose(found.low, expected[f"{blocks}_low"], **RANGE)
    np.testing.assert_allclose(found.high, expected[f"{blocks}_high"], **RANGE)


@pytest.mark.parametrize("blocks", ["fixed", "random"])
def test_a_contrast_of_the_first_method_with_the_mean_of_the_others(repeats, blocks):
    values, expected = repeats
    k = values.shape[1]
    weights = np.append(1.0, np.full(k - 1, -1 / (k - 1)))
    found = block_contrast_inference(values, weights, blocks=blocks)
    np.testing.assert_allclose(
        [found.effect, found.p()], expected[f"contrast_{blocks}"], rtol=1e-8, atol=1e-10
    )


def test_two_methods_over_blocks_are_a_paired_t():
    values = np.array(DATA["blocks"]["plain"])[:, :2]
    found = tukey(values)
    expected = REFERENCE["paired"]
    np.testing.assert_allclose(
        [found.p[0], found.low[0], found.high[0]],
        [expected["p"], expected["low"], expected["high"]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", list(DATA["rankings"]))
def test_kendalls_tau(name):
    one, two = np.array(DATA["rankings"][name], float)
    np.testing.assert_allclose(_kendall(one, two[None])[0], REFERENCE["kendall"][name], **CLOSE)


def _range_sf(q, k, df):
    """Integrate the studentised range on a grid: the range of k normals, then the spread's law."""
    z, s = np.linspace(-9, 9, 721), np.linspace(1e-6, 6, 1201)
    w = q * s[:, None] if np.isfinite(df) else np.array([[q]])
    inner = stats.norm.pdf(z) * (stats.norm.cdf(z) - stats.norm.cdf(z - w)) ** (k - 1)
    cdf = k * np.trapezoid(inner, z, axis=1)
    if not np.isfinite(df):
        return 1 - cdf[0]
    return 1 - np.trapezoid(cdf * stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df), s)


@pytest.mark.parametrize(
    ("key", "k", "df"), [("k3_inf", 3, np.inf), ("k6_df4", 6, 4), ("k10_df20", 10, 20)]
)
def test_the_studentised_range_is_that_of_an_integral_and_near_that_of_r(key, k, df):
    expected = REFERENCE["ptukey"]
    found = stats.studentized_range.sf(expected["q"], k, df)
    own = [_range_sf(q, k, df) for q in expected["q"]]
    np.testing.assert_allclose(found, own, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found, expected[key], rtol=1e-5, atol=1e-8)
