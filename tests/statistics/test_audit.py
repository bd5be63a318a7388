from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from common.statistics.audit import (
    Check,
    Printed,
    as_printed,
    check_between,
    check_equal,
    check_gain,
    check_mean,
    check_printed,
    check_sd,
    check_sum,
    check_weighted_mean,
    implied_rest,
    is_multiple,
    multiple_deviation,
    relative_and_absolute,
    repeated_rows,
    rounding,
    rounding_habit,
    sd_range,
    share_passing,
    sums_to,
    table_of_checks,
)
from common.statistics.results import DesignError


def shown(value, decimals, mode=ROUND_HALF_EVEN):
    """Print a number with decimals, in decimal arithmetic."""
    place = Decimal(1).scaleb(-decimals)
    return float(Decimal(repr(float(value))).quantize(place, mode))


@pytest.mark.parametrize(
    ("printed", "true", "decimals", "how"),
    [
        (0.834, 0.83366, 3, "rounded"),
        (0.833, 0.83366, 3, "truncated"),
        (0.788, 0.80589, 3, "neither"),
        (0.833, 0.8331, 3, "rounded"),  # rounding and truncation agree
        (0.3, 0.1 + 0.2, 1, "rounded"),  # 0.30000000000000004 in binary
        (2.68, 2.675, 2, "rounded"),  # 2.675 is 2.67499999... in binary
        (2.67, 2.675, 2, "truncated"),
        (0.2, 0.25, 1, "rounded"),  # half to even
        (0.3, 0.25, 1, "rounded"),  # half up
        (0.835, 0.7 + 0.1 + 0.0345, 3, "rounded"),  # 0.8344999999999999 is 0.8345
        (0.1, 0.3 - 0.1, 1, "neither"),  # 0.19999999999999998 is 0.2 and not cut to 0.1
        (0.19, 0.3 - 0.1, 2, "neither"),
        (-1.2, -1.25, 1, "rounded"),
        (-1.2, -1.29, 1, "truncated"),
        (98.0, 97.6, 0, "rounded"),
        (97.0, 97.6, 0, "truncated"),
    ],
)
def test_a_printed_number_is_told_apart_by_its_decimal_digits(printed, true, decimals, how):
    assert rounding(printed, true, decimals) == how


def test_a_printed_number_off_by_more_than_its_digits_fails_with_the_difference():
    check = check_printed("A", "mean", printed=0.788, true=0.80589, decimals=3)
    assert check == Check("A", "mean", "fail", 0.788, 0.80589, "off by -0.01789")
    assert check_printed("A", "mean", printed=0.805, true=0.80589, decimals=3).note == "truncated"
    unknown = check_printed("A", "mean", printed=0.788, true=None, decimals=3)
    assert unknown.status == "undecidable"


def test_rates_are_recognised_as_counts_out_of_the_cases(rng):
    rates = rng.integers(0, 3001, 50) / 3000
    assert is_multiple(rates, 3000)
    assert is_multiple(rates.astype(np.float32), 3000, tolerance=0.01)
    assert not is_multiple(rates, 2999)
    assert multiple_deviation([0.5, 0.52], 10) == pytest.approx(0.2)


def test_parts_are_added_in_decimal_arithmetic():
    assert sums_to([0.1] * 3, 0.3)
    assert not sums_to([3180, 3120, 3060], 9361)
    assert sums_to([33.3, 33.3, 33.3], 100, tolerance=0.1)
    assert not sums_to([33.3, 33.3, 33.3], 100, tolerance=0.09)


def test_relative_and_absolute_improvements_are_told_apart():
    relative, absolute = relative_and_absolute(0.8, 0.84)
    assert relative == pytest.approx(0.05)
    assert absolute == pytest.approx(0.04)


def test_the_table_keeps_the_order_and_the_numbers():
    checks = [Check("B", "x", "pass", 1.0, 1.0), Check("A", "y", "undecidable")]
    table = table_of_checks(checks)
    assert table["id"].tolist() == ["B", "A"]
    assert table["printed"].tolist()[0] == 1.0
    assert np.isnan(table["printed"].tolist()[1])
    assert table_of_checks([]).empty


@pytest.mark.parametrize(
    "call",
    [
        lambda: rounding(0.1, float("nan"), 1),
        lambda: is_multiple([0.1], 0),
        lambda: is_multiple([], 10),
        lambda: relative_and_absolute(0, 1),
        lambda: table_of_checks([Check("A", "x", "pass"), Check("A", "y", "fail")]),
    ],
)
def test_impossible_checks_are_refused(call):
    with pytest.raises(DesignError):
        call()


@settings(max_examples=200, deadline=None)
@given(
    value=st.integers(-300_000, 300_000),
    decimals=st.integers(0, 4),
    mode=st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN]),
)
def test_a_printed_number_holds_what_it_was_printed_from(value, decimals, mode):
    true = value / 1e5
    number = shown(true, decimals, mode)
    either = Printed(number, decimals, "either")
    own = Printed(number, decimals, "truncated" if mode == ROUND_DOWN else "rounded")
    assert either.contains(true)
    assert own.contains(true)
    assert own.low >= either.low
    assert own.high <= either.high


@pytest.mark.parametrize(
    ("number", "inside", "outside"),
    [
        (Printed(0.82, 2), [0.815, 0.82, 0.825], [0.8149, 0.8251]),
        (Printed(0.82, 2, "truncated"), [0.82, 0.829999], [0.8199, 0.83]),
        (Printed(0.82, 2, "either"), [0.815, 0.829999], [0.8149, 0.83]),
        (Printed(-1.2, 1, "truncated"), [-1.2, -1.29], [-1.3, -1.19]),
        (Printed(0.0, 1, "truncated"), [-0.09, 0.09], [-0.1, 0.1]),
        (Printed(1500, -2), [1450, 1550], [1449, 1551]),
        (Printed(4.28777e-06, 11), [4.287771e-06], [4.28778e-06, 4.28776e-06]),
    ],
)
def test_the_range_of_a_printed_number_has_the_ends_of_its_rounding(number, inside, outside):
    assert number.contains(inside).all()
    assert not number.contains(outside).any()
    assert not number.contains(np.nan)
    assert all(number.meets(value, value) for value in inside)
    assert not any(number.meets(value, value) for value in outside)


def test_digits_are_read_from_text_and_percent_become_fractions():
    assert Printed.read("0.790") == Printed(0.79, 3)
    assert Printed.read(" 88.46 %", "either") == Printed(0.8846, 4, "either")
    assert Printed.read("95", percent=True) == Printed(0.95, 2)
    assert Printed.read("7.48292e-56").decimals == 61
    assert as_printed([99.6], decimals=2, percent=True) == [Printed(0.996, 4)]
    assert Printed(0.79, 2).moved(3) == Printed(0.82, 2)
    with pytest.raises(DesignError, match="at most 2 decimals"):
        Printed(0.791, 2)
    with pytest.raises(DesignError, match="finite"):
        Printed.read("nan")


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.integers(0, 99_999), min_size=1, max_size=6),
    weights=st.lists(st.integers(1, 90), min_size=6, max_size=6),
    mode=st.sampled_from([ROUND_HALF_EVEN, ROUND_DOWN]),
)
def test_true_means_spreads_and_sums_always_pass(values, weights, mode):
    true = np.array(values) / 1e5
    rows = [Printed(shown(value, 3, mode), 3, "either") for value in true]
    share = np.array(weights[: len(true)])
    mean = Printed(shown(np.average(true, weights=share), 3, mode), 3, "either")
    check = check_weighted_mean("M", "mean", rows=rows, weights=share, mean=mean)
    assert check.status == "pass"
    total = Printed(shown(true.sum(), 2, mode), 2, "either")
    assert check_sum("S", "sum", parts=rows, total=total).status == "pass"
    if len(rows) > 1:
        for ddof in (0, 1):
            sd = Printed(shown(true.std(ddof=ddof), 3, mode), 3, "either")
            assert sd.meets(*sd_range(rows, ddof=ddof))
            assert check_sd("SD", "sd", rows=rows, sd=sd).status == "pass"


def test_a_moved_mean_fails_as_often_as_its_range_is_narrow(rng):
    # The mean of five rounded rows is known to +- half a digit, and its own print adds as much:
    # of 41 neighbours about two digits' worth pass.
    passed = []
    for _ in range(60):
        true = rng.uniform(0.5, 0.9, 5)
        rows = [Printed(shown(value, 3), 3) for value in true]
        mean = Printed(shown(np.mean([row.value for row in rows]), 3), 3)
        moved = [
            check_mean("M", "mean", rows=rows, mean=mean.moved(step)).status == "pass"
            for step in range(-20, 21)
        ]
        passed.append(np.mean(moved))
    assert np.mean(passed) == pytest.approx(2 / 41, abs=0.005)


def test_means_of_printed_rows_are_told_from_copied_ones():
    # pseudo-spr, Table 1: PSNR of four experiments on three patients.
    rows = [
        [55.74, 59.06, 59.31],
        [55.28, 58.68, 58.89],
        [55.65, 59.00, 59.27],
        [56.27, 59.78, 60.24],
    ]
    means, sds = [58.04, 57.61, 57.62, 58.76], [2.00, 2.02, 2.02, 2.17]
    checks = [
        check_mean(
            f"E{i}",
            "mean",
            rows=as_printed(row, decimals=2, how="either"),
            mean=Printed(mean, 2, "either"),
        )
        for i, (row, mean) in enumerate(zip(rows, means, strict=True))
    ]
    assert [check.status for check in checks] == ["pass", "pass", "fail", "pass"]
    assert checks[2].recomputed == pytest.approx(57.9733, abs=1e-4)
    spread = [
        check_sd("S", "sd", rows=as_printed(row, decimals=2), sd=Printed(sd, 2))
        for row, sd in zip(rows, sds, strict=True)
    ]
    assert [check.status for check in spread] == ["pass"] * 4
    assert {check.note for check in spread} == {"fits n - 1"}


def test_weights_are_clips_and_not_rows():
    # casualty-action, Table 2: the average row weights procedures by their clips.
    table = {
        "tour": [20.00, 46.67, 24.44, 84.44, 95.56, 48.89],
        "cric": [6.67, 15.39, 6.67, 30.77, 23.08, 15.39],
        "ct": [35.63, 33.33, 13.79, 81.61, 78.16, 20.69],
        "nd": [33.90, 38.98, 27.12, 83.05, 91.53, 54.24],
        "io": [23.81, 19.04, 14.29, 66.67, 42.86, 28.57],
    }
    average = as_printed(
        [27.69, 33.73, 18.18, 74.89, 74.76, 34.14], decimals=2, how="either", percent=True
    )
    columns = list(
        zip(
            *(as_printed(row, decimals=2, how="either", percent=True) for row in table.values()),
            strict=True,
        )
    )
    plain, weighted = (
        [
            check_weighted_mean("W", "mean", rows=rows, weights=weights, mean=mean).status
            for rows, mean in zip(columns, average, strict=True)
        ]
        for weights in (None, [45, 30, 87, 59, 21])
    )
    assert plain == ["fail"] * 6
    assert weighted == ["pass"] * 6


def test_the_rest_of_a_table_by_groups_follows_from_its_totals():
    # 10 of mean 0.5, of which 4 have mean 0.25: the other 6 have mean (5 - 1) / 6.
    low, high = implied_rest(Printed(0.5, 9), 10, [Printed(0.25, 9)], [4])
    assert low == pytest.approx(2 / 3, abs=1e-7)
    assert high == pytest.approx(2 / 3, abs=1e-7)
    with pytest.raises(DesignError, match="less than 10"):
        implied_rest(Printed(0.5, 2), 10, [Printed(0.5, 2)], [10])


def test_the_range_of_a_spread_is_that_of_all_values_that_print_like_the_rows(rng):
    for _ in range(20):
        rows = [Printed(float(value), 1) for value in rng.integers(0, 12, rng.integers(2, 6)) / 10]
        ends = np.array([(row.low, row.high) for row in rows])
        corners = np.array(list(product(*ends)))
        inside = rng.uniform(ends[:, 0], ends[:, 1], size=(2000, len(rows)))
        for ddof in (0, 1):
            low, high = sd_range(rows, ddof=ddof)
            assert high == pytest.approx(corners.std(axis=1, ddof=ddof).max(), abs=1e-12)
            assert (inside.std(axis=1, ddof=ddof) >= low - 1e-9).all()
            nearest = inside[inside.std(axis=1).argmin()]
            assert low <= nearest.std(ddof=ddof) <= low + 0.03
    assert sd_range([Printed(0.3, 1)] * 3)[0] == pytest.approx(0, abs=1e-12)
    with pytest.raises(DesignError, match="same digits"):
        sd_range([Printed(0.3, 1), Printed(0.31, 2)])


def test_bounds_and_equalities_count_the_digits():
    # breast-fedprox: sensitivity 0.6066 in one table and 0.64 in the other.
    assert check_equal("E", "s", first=Printed(0.6066, 4), second=Printed(0.64, 2)).status == "fail"
    assert check_equal("E", "f", first=Printed(0.7076, 4), second=Printed(0.71, 2)).status == "pass"
    inside = check_between("B", "in", value=Printed(0.5, 1), low=0.54, high=0.6)
    assert (inside.status, inside.recomputed) == ("pass", 0.54)
    assert check_between("B", "in", value=Printed(0.5, 1), low=0.56, high=1).status == "fail"
    assert check_between("B", "in", value=Printed(0.5, 1), low=0.56, high=np.nan).status == (
        "undecidable"
    )
    assert check_between("B", "empty", value=Printed(0.5, 1), low=0.6, high=0.4).status == "fail"


@pytest.mark.parametrize(
    ("before", "after", "gain", "note"),
    [
        ("87.5 %", "92.2 %", "4.7 %", "absolute"),
        ("87.5 %", "92.2 %", "5.37 %", "relative"),
        ("87.5 %", "92.2 %", "37.6 %", "of the error"),
        ("66.6", "78.1", "17.3", "absolute 11.5"),  # focalmix: relative, but not as a fraction
        ("66.6 %", "78.1 %", "17.3 %", "relative"),
        ("94.10", "15.78", "0.168", "ratio"),
        ("87.5 %", "92.2 %", "5.2 %", "absolute +0.047"),  # liver-ground-truth: fits nothing
    ],
)
def test_a_gain_is_absolute_or_relative_or_none(before, after, gain, note):
    check = check_gain(
        "G",
        "gain",
        before=Printed.read(before),
        after=Printed.read(after),
        gain=Printed.read(gain),
    )
    named = {"absolute", "relative", "of the error", "ratio"}
    if note in named:
        assert note in check.note.split(" or ")
        assert check.status == "pass"
    else:
        assert check.status == "fail"
        assert check.note.replace("+", "").startswith(note.replace("+", ""))


def test_copied_columns_are_found_with_the_chance_of_a_coincidence(rng):
    # hep2: fold D of one run printed as fold D of another.
    table = pd.DataFrame(
        [[0.968, 0.801, 0.821], [0.975, 0.817, 0.808], [0.971, 0.79, 0.83], [0.975, 0.817, 0.808]],
        index=["A", "D", "C", "D of BCE"],
    )
    found = repeated_rows(table, decimals=3)
    assert found[["first", "second", "cells"]].to_numpy().tolist() == [["D", "D of BCE", 3]]
    assert found["expected"].iloc[0] < 0.02
    assert repeated_rows(table.iloc[:3], decimals=3).empty
    # The expected number of coincidences is the one that normal columns really have.
    coincidence = 66 / (2 * np.sqrt(np.pi) * 20)
    copies = [
        repeated_rows(pd.DataFrame(rng.normal(0.8, 0.02, (12, 1)).round(3)), decimals=3)
        for _ in range(300)
    ]
    assert np.mean([len(found) for found in copies]) == pytest.approx(coincidence, rel=0.2)
    expected = [found["expected"].iloc[0] for found in copies if len(found)]
    assert np.median(expected) == pytest.approx(coincidence, rel=0.2)


def test_rounding_habits_are_counted_only_where_they_differ():
    habit = rounding_habit([0.968, 0.966, 0.976, 0.814], [0.96883, 0.96676, 0.9761, 0.8139], 3)
    assert habit == {"both": 1, "rounded": 1, "truncated": 2, "neither": 0}


def test_the_share_of_passing_neighbours_is_that_of_all_neighbours(rng):
    numbers = [Printed(0.50, 2), Printed(0.25, 2)]

    def passes(moved):
        return sum(number.ticks for number in moved) % 5 == 0

    share = share_passing(passes, numbers, rng=rng, draws=4000, span=10)
    assert share == pytest.approx(0.2, abs=0.03)
    again = (
        share_passing(passes, numbers, rng=np.random.default_rng(1), draws=50) for _ in range(2)
    )
    assert next(again) == next(again)
    seen = []
    edge = [Printed(0.99, 2)]
    share_passing(lambda moved: seen.append(moved[0].value) or True, edge, rng=rng, bounds=(0, 1))
    assert max(seen) == 1.0
    assert min(seen) == pytest.approx(0.79)


def test_weights_that_do_not_fit_are_refused():
    rows = [Printed(0.5, 1)] * 2
    for weights in ([1], [-1, 2], [0, 0]):
        with pytest.raises(DesignError, match="weights"):
            check_weighted_mean("M", "m", rows=rows, weights=weights, mean=Printed(0.5, 1))
    with pytest.raises(DesignError, match="rows"):
        check_mean("M", "m", rows=[], mean=Printed(0.5, 1))
