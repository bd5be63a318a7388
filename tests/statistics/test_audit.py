import numpy as np
import pytest

from common.statistics.audit import (
    Check,
    check_printed,
    is_multiple,
    multiple_deviation,
    relative_and_absolute,
    rounding,
    sums_to,
    table_of_checks,
)
from common.statistics.results import DesignError


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
