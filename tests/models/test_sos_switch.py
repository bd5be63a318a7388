"""What a switch does to frozen predictions: limits, sums, operations counted by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from common.models.sos import Design, SOSNetwork
from common.models.sos_switch import (
    THRESHOLDS,
    Cost,
    aurc,
    best_threshold,
    calibration_error,
    count_operations,
    coverage_risk,
    decompose,
    measure_seconds,
    sweep,
    switch_cost,
    switched,
)


@pytest.fixture
def frozen(rng):
    low, high = (rng.dirichlet(np.ones(4), 200) for _ in "ab")
    return low, high, rng.integers(4, size=200)


def test_at_its_ends_the_threshold_gives_each_network_alone(frozen):
    low, high, label = frozen
    table = sweep(low, high, label, low_cost=0.1).set_index("c")
    assert table.loc[0.25, "accuracy"] == (low.argmax(1) == label).mean()
    assert table.loc[0.25, "low_share"] == 1
    assert table.loc[0.25, "boost"] == pytest.approx(10)
    assert table.loc[1.0, "accuracy"] == (high.argmax(1) == label).mean()
    assert table.loc[1.0, "cost_share"] == 1


def test_a_higher_threshold_never_decides_more_at_low_resolution(frozen):
    low, high, label = frozen
    table = sweep(low, high, label, low_cost=0.1)
    assert table["c"].is_monotonic_increasing
    assert (table["low_share"].diff().dropna() <= 0).all()
    assert (table["cost_share"].diff().dropna() >= 0).all()
    with pytest.raises(ValueError, match="at least 1 slide"):
        sweep(low[:0], high[:0], label[:0], low_cost=0.1)


def test_a_switch_never_beats_the_oracle_nor_loses_to_both(frozen):
    low, high, label = frozen
    a, b = low.argmax(1) == label, high.argmax(1) == label
    for c in THRESHOLDS:
        answer, _ = switched(low, high, c)
        right = answer == label
        assert (a & b <= right).all()
        assert (right <= a | b).all()


def test_the_best_threshold_is_the_cheapest_of_the_most_accurate():
    # the first network is right where it is sure by 0.6, the second everywhere
    low = np.array([[0.9, 0.1], [0.66, 0.34], [0.55, 0.45]])
    high = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    label = np.array([0, 0, 1])
    assert best_threshold(low, high, label) == 0.55  # 0.55 is not above 0.55: it zooms in
    assert best_threshold(low, high, label, thresholds=(0.5, 0.8, 1.0)) == 0.8


def test_cost_is_linear_between_its_ends_and_gives_the_printed_time():
    assert switch_cost(1, low=2, both=10) == 2
    assert switch_cost(0, low=2, both=10) == 10
    assert switch_cost(0.935, low=8.37, both=122.10) == pytest.approx(15.76, abs=0.005)
    with pytest.raises(ValueError, match="`low_share` must lie in 0 to 1, got 94"):
        switch_cost(94, low=2, both=10)


def test_the_whole_curve_ends_at_the_error_of_all_and_starts_at_the_surest():
    coverage, risk = coverage_risk([0.5, 0.9, 0.7, 0.6], [0, 1, 0, 1])
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc([0.5, 0.9, 0.7, 0.6], [0, 1, 0, 1]) == pytest.approx(
        (0 + 1 / 2 + 1 / 3 + 1 / 2) / 4
    )


def test_equal_confidences_give_the_mean_over_their_orders(rng):
    right = rng.integers(2, size=12)
    confidence = rng.integers(3, size=12) / 3
    found = coverage_risk(confidence, right)[1]
    orders = [coverage_risk(confidence + 1e-9 * rng.permutation(12), right)[1] for _ in range(4000)]
    np.testing.assert_allclose(found, np.mean(orders, axis=0), atol=0.02)


def test_a_perfect_doubt_has_the_least_area_and_its_reverse_the_largest(rng):
    right = rng.integers(2, size=50)
    best, worst = aurc(right + 0.01 * rng.random(50), right), aurc(-right + 0.0, right)
    others = [aurc(rng.random(50), right) for _ in range(50)]
    assert best < min(others) <= max(others) < worst


def test_ranking_alone_matters_to_the_curve_as_to_the_auc(rng):
    confidence, right = rng.random(80), rng.integers(2, size=80)
    assert aurc(confidence, right) == pytest.approx(aurc(confidence**3, right))
    assert roc_auc_score(1 - right, -confidence) == pytest.approx(
        roc_auc_score(1 - right, -(confidence**3))
    )


def test_calibration_error_is_the_gap_and_nothing_for_honest_confidence(rng):
    assert calibration_error(np.full(10, 0.9), np.zeros(10)) == pytest.approx(0.9)
    assert calibration_error([0.95, 0.95, 0.15, 0.15], [1, 0, 0, 0]) == pytest.approx(
        (2 * 0.45 + 2 * 0.15) / 4
    )
    confidence = rng.uniform(0.25, 1, 200_000)
    assert calibration_error(confidence, rng.random(200_000) < confidence) < 0.01
    assert np.isnan(calibration_error([], []))


def test_the_two_parts_of_a_gain_sum_to_it(rng):
    image, low, final = rng.integers(2, size=(3, 30))
    parts = decompose(image, low, final)
    assert parts["network"] + parts["switch"] == pytest.approx(parts["total"])
    assert parts["total"] == pytest.approx(final.mean() - image.mean())


def two_networks(width=3):
    torch.manual_seed(0)
    both = SOSNetwork(Design(), width=width, tile_width=width)
    return both, SOSNetwork(Design(low=False), width=width, tile_width=width)


def test_counted_operations_are_those_of_convolutions_and_products_by_hand():
    w, low_px, tile_px, n = 3, 32, 64, 5
    found = count_operations(*two_networks(w), low_px=low_px, tile_px=tile_px, n_tiles=n)

    def encoder(side):
        pixels = [(side // 2 ** (k + 1)) ** 2 for k in range(3)]
        return 2 * sum(
            p * k for p, k in zip(pixels, (25 * w, 9 * w * 2 * w, 9 * 2 * w * 4 * w), strict=True)
        )

    d, hidden, classes = 4 * w, 16, 4
    attention = n * 2 * (2 * d * hidden + hidden)
    high = n * encoder(tile_px) + attention + 2 * d * d + 2 * d * classes
    low = encoder(low_px) + 2 * d * classes
    assert found == Cost(low=low, both=low + high, high=high)
    assert found.share("both") == 1
    assert found.share("low") == pytest.approx(low / (low + high))


def test_seconds_are_positive_and_both_streams_take_longer_than_one(rng):
    slides = [rng.random((1, 256, 256), dtype=np.float32) for _ in range(6)]
    found = measure_seconds(*two_networks(8), slides, shrink=8, tile_px=64)
    assert found.shape == (6, 3)
    assert (found > 0).all(axis=None)
    assert found["both"].median() > found["low"].median()
