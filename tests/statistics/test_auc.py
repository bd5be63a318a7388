import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from common.statistics.auc import (
    Area,
    auc,
    auc_areas,
    auc_clustered,
    auc_clustered_inference,
    auc_delong,
    auc_delong_inference,
    auc_equal,
    auc_inference,
    auc_interval,
    auc_pairs,
    auc_test,
    auc_unpaired,
    auc_unpaired_inference,
)
from common.statistics.results import DesignError, equivalence_p


def _draw(rng, n=90, k=2, gain=0.8, step=0.25):
    labels = np.r_[np.ones(n // 3), np.zeros(n - n // 3)]
    shared = rng.normal(size=(n, 1))
    scores = shared + rng.normal(size=(n, k)) + gain * labels[:, None]
    return np.round(scores / step) * step, labels  # rounded, so that many scores tie


def _order(x, y):
    return 1.0 if x > y else 0.5 if x == y else 0.0


def slow_clustered(scores, labels, cluster):
    """Obuchowski (1997) from the paper: loops over pairs, clusters and methods."""
    k = scores.shape[1]
    units = list(dict.fromkeys(cluster))
    size = len(units)
    positives = [i for i in range(len(labels)) if labels[i] == 1]
    negatives = [i for i in range(len(labels)) if labels[i] == 0]
    m, n = len(positives), len(negatives)
    areas, x, y = [], np.zeros((size, k)), np.zeros((size, k))
    for r in range(k):
        s = scores[:, r]
        areas.append(sum(_order(s[i], s[j]) for i in positives for j in negatives) / (m * n))
        for g, unit in enumerate(units):
            mine = [i for i in positives if cluster[i] == unit]
            x[g, r] = sum(sum(_order(s[i], s[j]) for j in negatives) / n for i in mine)
            x[g, r] -= len(mine) * areas[r]
            mine = [j for j in negatives if cluster[j] == unit]
            y[g, r] = sum(sum(_order(s[i], s[j]) for i in positives) / m for j in mine)
            y[g, r] -= len(mine) * areas[r]
    with_positive = len({cluster[i] for i in positives})
    with_negative = len({cluster[j] for j in negatives})
    covariance = np.zeros((k, k))
    for r in range(k):
        for t in range(k):
            s10 = with_positive / ((with_positive - 1) * m) * sum(x[:, r] * x[:, t])
            s01 = with_negative / ((with_negative - 1) * n) * sum(y[:, r] * y[:, t])
            s11 = size / (size - 1) * sum(x[:, r] * y[:, t])
            s11_turned = size / (size - 1) * sum(x[:, t] * y[:, r])
            covariance[r, t] = s10 / m + s01 / n + (s11 + s11_turned) / (m * n)
    return np.array(areas), covariance


def test_the_area_is_the_share_of_pairs_in_order(rng):
    scores, labels = _draw(rng, k=1)
    positives, negatives = scores[labels == 1, 0], scores[labels == 0, 0]
    slow = np.mean([_order(x, y) for x in positives for y in negatives])
    assert auc(scores[:, 0], labels) == pytest.approx(slow, abs=1e-14)
    assert auc(scores[:, 0], labels) == pytest.approx(roc_auc_score(labels, scores[:, 0]))


def test_turning_scores_or_labels_round_mirrors_the_area(rng):
    scores, labels = _draw(rng, k=1)
    area = auc(scores[:, 0], labels)
    assert auc(-scores[:, 0], labels) == pytest.approx(1 - area)
    assert auc(scores[:, 0], 1 - labels) == pytest.approx(1 - area)


def test_increasing_transformations_of_the_scores_change_nothing(rng):
    scores, labels = _draw(rng)
    found = auc_areas(np.exp(scores / 3) + 5, labels)
    assert found.aucs.tolist() == auc_areas(scores, labels).aucs.tolist()
    assert found.covariance == pytest.approx(auc_areas(scores, labels).covariance, abs=1e-16)


def test_the_order_of_the_cases_does_not_matter(rng):
    scores, labels = _draw(rng)
    cluster = rng.integers(0, 25, len(labels))
    shuffled = rng.permutation(len(labels))
    one = auc_areas(scores, labels, cluster=cluster)
    other = auc_areas(scores[shuffled], labels[shuffled], cluster=cluster[shuffled])
    assert other.covariance == pytest.approx(one.covariance, abs=1e-15)


@pytest.mark.parametrize("sizes", [(1, 2), (1, 5), (8, 12)])
def test_clustered_covariance_is_that_of_the_loops_of_the_paper(rng, sizes):
    members = rng.integers(*sizes, 20)
    cluster = rng.permutation(np.repeat(np.arange(20), members))
    labels = np.r_[1, 0, rng.integers(0, 2, len(cluster) - 2)]
    labels[:4] = [1, 0, 1, 0]
    scores = np.round(rng.normal(size=(len(cluster), 3)) + labels[:, None], 1)
    areas, covariance = slow_clustered(scores, labels, cluster.tolist())
    found = auc_areas(scores, labels, cluster=cluster)
    assert found.aucs == pytest.approx(areas, abs=1e-13)
    assert found.covariance == pytest.approx(covariance, abs=1e-13)
    one = auc_clustered_inference(scores[:, 0], None, labels, cluster)
    assert one.se == pytest.approx(np.sqrt(covariance[0, 0]))
    two = auc_clustered_inference(scores[:, 0], scores[:, 1], labels, cluster)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert two.se == pytest.approx(np.sqrt(variance))


def test_with_one_case_a_cluster_obuchowski_is_delong_without_any_factor(rng):
    scores, labels = _draw(rng)
    clustered = auc_clustered(scores[:, 0], scores[:, 1], labels, np.arange(len(labels)))
    plain = auc_delong(scores[:, 0], scores[:, 1], labels)
    assert clustered.p == pytest.approx(plain.p, abs=1e-14)
    assert clustered.low == pytest.approx(plain.low, abs=1e-14)


def test_copies_of_every_case_in_its_cluster_leave_the_variance_nearly_as_it_was(rng):
    scores, labels = _draw(rng, n=240)
    plain = auc_delong_inference(*scores.T, labels)
    twice, cluster = np.tile(scores, (2, 1)), np.tile(np.arange(240), 2)
    copied = auc_clustered_inference(*twice.T, np.tile(labels, 2), cluster)
    assert copied.se == pytest.approx(plain.se, rel=1e-10)
    careless = auc_delong_inference(*twice.T, np.tile(labels, 2))
    assert careless.se == pytest.approx(plain.se / np.sqrt(2), rel=0.02)


def test_the_delong_variance_agrees_with_a_bootstrap(rng):
    scores, labels = _draw(rng, n=240, step=0.01)
    members = [np.flatnonzero(labels == c) for c in (0, 1)]
    replicates = []
    for _ in range(600):
        rows = np.concatenate([rng.choice(group, len(group)) for group in members])
        replicates.append(auc(scores[rows, 0], labels[rows]) - auc(scores[rows, 1], labels[rows]))
    found = auc_delong_inference(scores[:, 0], scores[:, 1], labels)
    assert found.se == pytest.approx(np.std(replicates), rel=0.1)


def test_swapping_the_methods_turns_the_difference_round(rng):
    scores, labels = _draw(rng)
    one = auc_delong(scores[:, 0], scores[:, 1], labels)
    other = auc_delong(scores[:, 1], scores[:, 0], labels)
    assert other.effect == -one.effect
    assert other.low == pytest.approx(-one.high)
    assert other.p == pytest.approx(one.p)


def test_a_method_against_itself_or_its_transform_differs_by_nothing(rng):
    scores, labels = _draw(rng)
    for second in (scores[:, 0], 2 * scores[:, 0] + 1):
        found = auc_delong(scores[:, 0], second, labels)
        assert (found.effect, found.low, found.high, found.p) == (0, 0, 0, 1)
        assert "no spread" in found.note


def test_all_pairs_at_once_equal_the_pairs_one_by_one(rng):
    scores, labels = _draw(rng, k=4)
    cluster = rng.integers(0, 30, len(labels))
    for row in auc_pairs(scores, labels, cluster=cluster).itertuples():
        a, b = scores[:, row.first], scores[:, row.second]
        single = auc_clustered(a, b, labels, cluster)
        assert row.z == pytest.approx(single.statistic)
        assert row.p == pytest.approx(single.p)
        assert row.effect == pytest.approx(single.effect)


def test_the_joint_test_of_two_methods_is_the_square_of_their_z(rng):
    scores, labels = _draw(rng)
    pair = auc_delong(scores[:, 0], scores[:, 1], labels)
    joint = auc_equal(scores, labels)
    assert joint.statistic == pytest.approx(pair.statistic**2)
    assert joint.p == pytest.approx(pair.p)


def test_the_joint_test_inverts_the_covariance_of_any_contrasts(rng):
    scores, labels = _draw(rng, k=4)
    areas = auc_areas(scores, labels)
    contrast = np.array([[1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1]])
    d = contrast @ areas.aucs
    chi = d @ np.linalg.solve(contrast @ areas.covariance @ contrast.T, d)
    found = auc_equal(scores, labels)
    assert found.statistic == pytest.approx(chi)
    assert found.p == pytest.approx(stats.chi2.sf(chi, 3))


def test_a_copied_method_adds_no_degree_of_freedom(rng):
    scores, labels = _draw(rng, k=3)
    with_copy = auc_equal(np.column_stack([scores, scores[:, 0] * 3]), labels)
    assert with_copy.p == pytest.approx(auc_equal(scores, labels).p)
    assert auc_equal(scores[:, [0, 0]], labels).p == 1


def test_the_logit_interval_ends_where_the_test_begins_to_reject(rng):
    scores, labels = _draw(rng, k=1)
    found = auc_inference(scores[:, 0], labels)
    interval = found.interval(0.95)
    assert found.p(interval.low) == pytest.approx(0.05)
    assert found.p(interval.high) == pytest.approx(0.05)
    assert 0 < interval.low < found.effect < interval.high < 1
    assert auc_test(scores[:, 0], labels, null=interval.low).p == pytest.approx(0.05)
    assert found.p_greater(0.4) + found.p_less(0.4) == pytest.approx(1)
    assert equivalence_p(found, found.interval(0.90).low, np.inf) == pytest.approx(0.05)
    assert found.p(0.0) == 0
    assert found.p(1.0) == 0


def test_the_area_against_a_value_is_counted_from_it(rng):
    scores, labels = _draw(rng, k=1)
    found = auc_test(scores[:, 0], labels, null=0.7)
    interval = auc_interval(scores[:, 0], labels)
    assert found.effect == pytest.approx(auc(scores[:, 0], labels) - 0.7)
    assert (found.low, found.high) == (interval.low - 0.7, interval.high - 0.7)
    mirrored = auc_test(-scores[:, 0], labels, null=0.3)
    assert mirrored.p == pytest.approx(found.p)
    assert mirrored.effect == pytest.approx(-found.effect)


def test_perfect_order_gives_the_bound_of_disjoint_pairs():
    labels = [0] * 9 + [1] * 6
    found = auc_inference(np.arange(15), labels)
    interval = found.interval(0.95)
    assert interval.low == pytest.approx(0.025 ** (1 / 6))
    assert interval.high == 1
    assert found.p(interval.low) == pytest.approx(0.05)
    assert found.p_less(0.9) == 1
    assert auc_test(np.arange(15), labels).p == pytest.approx(2 * 0.5**6)
    turned = auc_inference(-np.arange(15), labels)
    assert turned.interval().high == pytest.approx(1 - interval.low)
    assert turned.p_less(1 - interval.low) == pytest.approx(0.025)
    assert turned.p_greater(0.1) == 1


@pytest.mark.parametrize(("m", "n", "area"), [(2, 2, 0.7), (3, 6, 0.8), (4, 4, 0.95)])
def test_perfect_order_is_no_more_likely_than_the_bound_supposes(rng, m, n, area):
    gain = np.sqrt(2) * stats.norm.ppf(area)
    positives, negatives = rng.normal(gain, 1, (4000, m)), rng.normal(0, 1, (4000, n))
    share = (positives.min(axis=1) > negatives.max(axis=1)).mean()
    found = auc_inference(np.arange(m + n), [0] * n + [1] * m)
    assert 0 < share <= found.p_greater(area) == pytest.approx(area ** min(m, n))


def test_pairs_of_a_bound_come_from_different_clusters():
    # Three patients with both classes give one disjoint pair of patients
    labels, cluster = [0, 1] * 3, [1, 1, 2, 2, 3, 3]
    found = auc_clustered_inference([1, 5, 2, 6, 3, 7], None, labels, cluster)
    assert found.n_pairs == 1
    assert found.interval().low == pytest.approx(0.025)


def test_a_constant_score_is_at_chance_for_certain():
    found = auc_inference([2.0] * 6, [0, 0, 0, 1, 1, 1])
    assert (found.effect, found.se, found.p(0.5), found.p(0.6)) == (0.5, 0, 1, 0)


def test_an_unpaired_difference_adds_the_variances(rng):
    (a, of_a), (b, of_b) = _draw(rng, k=1), _draw(rng, n=150, k=1)
    found = auc_unpaired_inference(a[:, 0], of_a, b[:, 0], of_b)
    one, two = auc_inference(a[:, 0], of_a), auc_inference(b[:, 0], of_b)
    assert found.se == pytest.approx(np.hypot(one.se, two.se))
    assert found.effect == pytest.approx(one.effect - two.effect)
    turned = auc_unpaired(b[:, 0], of_b, a[:, 0], of_a)
    assert turned.p == pytest.approx(found.p())
    assert turned.effect == pytest.approx(-found.effect)


def test_two_equal_methods_are_told_apart_at_the_nominal_rate(rng):
    rejected = 0
    for _ in range(500):
        scores, labels = _draw(rng, n=120, step=0.01)
        rejected += auc_delong_inference(scores[:, 0], scores[:, 1], labels).p() < 0.05
    assert 0.025 <= rejected / 500 <= 0.08


def test_clusters_keep_the_level_where_delong_alone_does_not(rng):
    plain = clustered = 0
    cluster = np.repeat(np.arange(40), 15)
    for _ in range(200):
        labels = np.repeat(rng.permutation(np.arange(40) % 2), 15)
        own = rng.normal(0, 1, (40, 2))[cluster]
        scores = own + rng.normal(0, 0.7, (600, 2)) + labels[:, None]
        plain += auc_delong_inference(*scores.T, labels).p() < 0.05
        clustered += auc_clustered_inference(*scores.T, labels, cluster).p() < 0.05
    assert clustered / 200 <= 0.11
    assert plain / 200 > 0.4


def test_a_hundred_thousand_cases_take_less_than_seconds(rng):
    labels = (rng.random(100_000) < 0.1).astype(float)
    scores = rng.normal(size=(100_000, 2)) + labels[:, None]
    start = time.perf_counter()
    auc_areas(scores, labels)
    assert time.perf_counter() - start < 3  # an O(n**2) method would need 10**9 comparisons


@pytest.mark.parametrize(
    "call",
    [
        lambda: auc([], []),
        lambda: auc([1, 2], [1, 1]),
        lambda: auc([1, 2], [0, 2]),
        lambda: auc([1, np.nan], [0, 1]),
        lambda: auc([1, 2, 3], [0, 1]),
        lambda: auc_inference([1, 2, 3], [0, 0, 1]),
        lambda: auc_delong([1, 2, 3, 4], [1, 2, 3], [0, 0, 1, 1]),
        lambda: auc_clustered_inference([1, 2, 3, 4], None, [0, 0, 1, 1], ["p", "p", "q", "q"]),
        lambda: auc_test([1, 2, 3, 4], [0, 0, 1, 1], null=1.0),
        lambda: auc_equal([[1], [2], [3], [4]], [0, 0, 1, 1]),
    ],
)
def test_unusable_scores_are_refused(call):
    with pytest.raises(DesignError):
        call()


def test_an_area_of_one_with_a_standard_error_of_zero_never_claims_certainty():
    interval = Area(1.0, 0.0, n_pairs=20).interval()
    assert interval.low < 0.85
