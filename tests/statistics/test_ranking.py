import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics.ranking import (
    block_anova,
    friedman,
    mean_ranks,
    nemenyi_critical_difference,
    page,
)
from common.statistics.results import DesignError


def test_friedman_agrees_with_its_formula_on_ranks(rng):
    values = rng.normal(size=(7, 4))
    ranks = mean_ranks(values)
    chi2 = 12 * 7 / (4 * 5) * ((ranks - 2.5) ** 2).sum()
    found = friedman(values)
    assert found.statistic == pytest.approx(chi2)
    assert found.p == pytest.approx(stats.chi2.sf(chi2, 3))
    f = 6 * chi2 / (7 * 3 - chi2)
    assert found.p_f == pytest.approx(stats.f.sf(f, 3, 18))


def test_friedman_sees_ranks_only_and_does_not_care_about_blocks_or_names(rng):
    values = rng.normal(size=(6, 4))
    expected = friedman(values).p
    assert friedman(np.exp(3 * values) + rng.normal(size=(6, 1)) * 0).p == pytest.approx(expected)
    assert friedman(values[::-1][:, [2, 0, 3, 1]]).p == pytest.approx(expected)


def test_tied_methods_give_p_one_and_a_common_order_an_infinite_f():
    assert friedman(np.ones((4, 3))).p == 1
    assert np.isinf(friedman([[1, 2, 3]] * 4).f)


def test_friedman_keeps_its_level(rng):
    rejected = np.mean([friedman(rng.normal(size=(12, 4))).p < 0.05 for _ in range(600)])
    assert 0.025 <= rejected <= 0.075


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (6, 2.850), (10, 3.164)])
def test_nemenyi_uses_the_printed_critical_values_of_demsar(k, q):
    expected = q * np.sqrt(k * (k + 1) / (6 * 12))
    assert nemenyi_critical_difference(k, 12) == pytest.approx(expected, rel=1e-3)


def test_block_anova_agrees_with_least_squares(rng):
    values = rng.normal(size=(5, 6)) + rng.normal(size=(5, 1))
    block, arm = np.divmod(np.arange(30), 6)
    ones = np.ones((30, 1))
    blocks, arms = np.eye(5)[block][:, 1:], np.eye(6)[arm][:, 1:]

    def rss(design):
        fitted = design @ np.linalg.lstsq(design, values.ravel(), rcond=None)[0]
        return ((values.ravel() - fitted) ** 2).sum()

    full, reduced = rss(np.hstack([ones, blocks, arms])), rss(np.hstack([ones, blocks]))
    found = block_anova(values)
    f = (reduced - full) / 5 / (full / 20)
    assert found.f == pytest.approx(f)
    assert found.p == pytest.approx(stats.f.sf(f, 5, 20))
    assert found.residual_sd == pytest.approx(np.sqrt(full / 20))


def test_page_agrees_with_listing_all_arrangements(rng):
    values = rng.normal(size=(3, 3)) + np.array([0, 0.5, 1])
    found = page(values)
    weights = np.arange(1, 4)
    observed = (stats.rankdata(values, axis=1) @ weights).sum()
    orders = list(itertools.permutations(weights))
    sums = [
        sum(np.dot(order, weights) for order in blocks)
        for blocks in itertools.product(orders, repeat=3)
    ]
    assert found.p_claimed == pytest.approx(np.mean(np.array(sums) >= observed))
    assert found.p_reverse == pytest.approx(np.mean(np.array(sums) <= observed))


def test_page_turns_with_the_order_of_the_columns(rng):
    values = rng.normal(size=(20, 4)) + np.arange(4)
    forth, back = page(values), page(values[:, ::-1])
    assert forth.effect == pytest.approx(-back.effect)
    assert forth.p_claimed == pytest.approx(back.p_reverse)
    assert forth.in_order
    assert not back.in_order


def test_page_effect_is_the_mean_spearman_correlation(rng):
    values = rng.normal(size=(9, 5))
    expected = np.mean([stats.spearmanr(np.arange(5), block).statistic for block in values])
    assert page(values).effect == pytest.approx(expected)


@pytest.mark.parametrize("call", [friedman, page])
@pytest.mark.parametrize("bad", [[[1, 2, 3]], [[1, 2], [2, 1]], [[1, 2, np.nan], [1, 2, 3]]])
def test_too_few_blocks_or_methods_are_refused(call, bad):
    with pytest.raises(DesignError):
        call(bad)
