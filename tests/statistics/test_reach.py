import math
from itertools import permutations, product

import numpy as np
import pytest

from common.statistics import reach as reach_module
from common.statistics.bootstrap import cluster_bootstrap
from common.statistics.mcnemar import mcnemar
from common.statistics.paired import sign_flip, signed_rank_inference
from common.statistics.procedures import PROCEDURES
from common.statistics.proportions import mcnemar_clustered
from common.statistics.ranking import friedman, page
from common.statistics.reach import FLOORS, reach, units_to_reach
from common.statistics.results import DesignError
from common.statistics.signed_rank_clustered import signed_rank_clustered_inference
from common.statistics.smallest_p import (
    smallest_p_friedman,
    smallest_p_kruskal,
    smallest_p_mann_whitney,
    smallest_p_nemenyi,
    smallest_p_page,
    smallest_p_score,
    smallest_p_wilcoxon,
)
from common.statistics.unpaired import kruskal

EVERYTHING = {
    "n_clusters": 12,
    "n_folds": 5,
    "n_arms": 4,
    "n_discordant": 8,
    "n_resamples": 999,
    "group_sizes": [6, 6],
}


@pytest.mark.parametrize("name", sorted(PROCEDURES))
def test_every_test_that_a_claim_can_name_has_a_smallest_p(name):
    assert 0 <= reach(name, **EVERYTHING) <= 1


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_half_of_a_two_sided_p_is_one_sided_except_for_tests_of_all_arms(name):
    two, one = (reach(name, sides=sides, **EVERYTHING) for sides in (2, 1))
    assert one == (two if "friedman" in name or "kruskal" in name or "nemenyi" in name else two / 2)


@pytest.mark.parametrize("method", ["exact", "mid-p", "asymptotic"])
def test_mcnemar_reaches_its_smallest_p_when_all_cases_favour_one_method(method):
    name = {"exact": "mcnemar", "mid-p": "mcnemar_midp", "asymptotic": "mcnemar_asymptotic"}[method]
    for d in (1, 4, 9):
        found = mcnemar([1] * d + [0], [0] * d + [0], method=method).p
        assert reach(name, n_discordant=d) == pytest.approx(found)
    assert reach(name, n_discordant=0) == 1.0


@pytest.mark.parametrize("method", ["pooled", "obuchowski", "yang", "durkalski"])
def test_clustered_mcnemar_reaches_its_smallest_p_with_equal_clusters_only(rng, method):
    for n in (3, 8):
        code = np.repeat(np.arange(n), 3)
        equal = mcnemar_clustered(np.ones(3 * n), np.zeros(3 * n), code, method=method).p
        assert smallest_p_score(n, method=method) == pytest.approx(equal)
        for _ in range(50):
            first, second = rng.integers(0, 2, size=(2, 3 * n))
            code = np.sort(rng.integers(0, n, size=3 * n))
            if len(np.unique(code)) == n:
                found = mcnemar_clustered(first, second, code, method=method).p
                assert found >= smallest_p_score(n, method=method) * (1 - 1e-12)


def test_sign_flips_and_clustered_ranks_reach_the_same(rng):
    for n in (3, 7):
        d, code = np.arange(1.0, 2 * n + 1), np.repeat(np.arange(n), 2)
        floor = reach("sign_flip_clustered", n_clusters=n, n_resamples=99)
        assert sign_flip(d, cluster=code, rng=rng).p == pytest.approx(floor)
        assert signed_rank_clustered_inference(d, code, rng=rng).p() == pytest.approx(floor)
        one_sided = reach("sign_flip_clustered", n_clusters=n, sides=1)
        assert signed_rank_clustered_inference(d, code, rng=rng).p_greater() == pytest.approx(
            one_sided
        )


def test_random_sign_patterns_and_bootstraps_are_limited_by_their_number(rng):
    d = np.arange(1.0, 31)
    flips = sign_flip(d, n_resamples=199, rng=rng).p
    assert reach("sign_flip_clustered", n_clusters=30, n_resamples=199) == pytest.approx(flips)
    bootstrap = cluster_bootstrap(d, n_resamples=199, rng=rng).p()
    assert reach("cluster_bootstrap", n_resamples=199) == pytest.approx(bootstrap) == 0.01


@pytest.mark.parametrize("values", [[1, 1, 2, 2, 2, 5], [0, 0, 3, 3, 4], [0, 1, 1, 1, 1, 1, 1]])
def test_signed_ranks_with_ties_and_zeros_reach_what_listing_all_signs_reaches(values):
    d = np.array(values, dtype=float)
    smallest = min(
        signed_rank_inference(d * np.array(signs)).p() for signs in product([1, -1], repeat=len(d))
    )
    assert smallest_p_wilcoxon(len(d), n_zeros=int((d == 0).sum())) == pytest.approx(smallest)


def test_friedman_reaches_its_smallest_p_when_all_blocks_rank_alike():
    for n, k in ((2, 3), (4, 4)):
        found = friedman([list(range(k))] * n, exact=True)
        assert smallest_p_friedman(n, k) == pytest.approx(found.p_exact)
        assert smallest_p_friedman(n, k, exact=False) == pytest.approx(found.p)
        assert reach("friedman", n_folds=n, n_arms=k) == pytest.approx(found.p)
        assert reach("friedman_clustered", n_clusters=n, n_arms=k) == pytest.approx(found.p)
        assert reach("friedman_exact", n_folds=n, n_arms=k) == pytest.approx(found.p_exact)


@pytest.mark.parametrize(("n", "k"), [(2, 3), (5, 4), (12, 3), (13, 4), (4, 9)])
def test_page_reaches_its_smallest_p_when_all_blocks_stand_in_order(n, k):
    found = page([list(range(k))] * n).p_claimed
    assert smallest_p_page(n, k) == pytest.approx(2 * found, rel=1e-6)
    assert reach("page", n_clusters=n, n_arms=k, sides=1) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("sizes", [[2, 3], [3, 1, 2], [2, 2, 2], [4, 1, 1]])
def test_kruskal_reaches_the_smallest_p_of_all_arrangements(sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    found = [kruskal(np.arange(len(group)), order).p for order in set(permutations(group.tolist()))]
    assert smallest_p_kruskal(sizes) == pytest.approx(min(found))
    share = np.mean(np.array(found) <= min(found) * (1 + 1e-9))
    assert smallest_p_kruskal(sizes, exact=True) == pytest.approx(share)


def test_clusters_are_dealt_to_folds_as_equally_as_possible():
    dealt = reach("kruskal_folds", n_clusters=11, n_folds=3)
    assert dealt == pytest.approx(smallest_p_kruskal([4, 4, 3]))
    assert reach("kruskal_folds", n_clusters=11, group_sizes=[9, 1, 1]) > dealt


def test_mann_whitney_needs_both_groups():
    assert reach("mann_whitney", group_sizes=[4, 5]) == pytest.approx(2 / math.comb(9, 4))
    assert smallest_p_mann_whitney(1, 1) == 1.0
    with pytest.raises(DesignError):
        reach("mann_whitney", group_sizes=[4, 5, 6])


def test_more_blocks_reach_further_under_one_law():
    for floor in (smallest_p_nemenyi, smallest_p_page, smallest_p_friedman):
        found = [floor(n, 4) for n in range(2, 13)]
        assert found == sorted(found, reverse=True)


def test_units_to_reach_a_level_are_the_smallest_number_that_does():
    for name, unit, known in (
        ("sign_flip_clustered", "n_clusters", {}),
        ("mcnemar_clustered", "n_clusters", {}),
        ("page_folds", "n_folds", {"n_arms": 3}),
        ("mcnemar", "n_discordant", {}),
        ("cluster_bootstrap", "n_resamples", {}),
    ):
        n = units_to_reach(name, 0.003, unit=unit, **known)
        assert reach(name, **{unit: n}, **known) <= 0.003 < reach(name, **{unit: n - 1}, **known)
    assert units_to_reach("corrected_t", unit="n_folds") == 2
    with pytest.raises(DesignError, match="reachable"):
        units_to_reach("cluster_bootstrap", 1e-4, n_resamples=999)


def test_a_misspelt_test_is_answered_with_the_nearest_one():
    with pytest.raises(DesignError, match="'sign_flip_clustered'"):
        reach("sign_flip_clusterd", n_clusters=5)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("friedman", "n_folds"),
        ("page", "n_clusters"),
        ("mcnemar", "n_discordant"),
        ("cluster_bootstrap", "n_resamples"),
        ("kruskal_folds", "n_folds"),
        ("mann_whitney", "group_sizes"),
    ],
)
def test_a_missing_number_is_named(name, missing):
    given = {key: value for key, value in EVERYTHING.items() if key not in (missing, "group_sizes")}
    with pytest.raises(DesignError, match=missing):
        reach(name, **given)


@pytest.mark.parametrize(
    "call",
    [
        lambda: reach("mcnemar", n_discordant=-1),
        lambda: reach("mcnemar", n_discordant=5, sides=3),
        lambda: smallest_p_wilcoxon(3, n_zeros=4),
        lambda: smallest_p_kruskal([3]),
        lambda: smallest_p_kruskal([3, 0]),
        lambda: smallest_p_score(0),
        lambda: reach_module.reach("cluster_bootstrap", n_resamples=0),
    ],
)
def test_impossible_counts_are_refused(call):
    with pytest.raises(DesignError):
        call()
