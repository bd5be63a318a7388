import math

import pytest

from common.statistics.results import Student
from common.validation.tally import Tally, failure, monte_carlo_se, of_inference, of_p


def test_a_study_is_counted_on_the_side_where_it_errs():
    # t = 2.5 with 10 degrees of freedom: p = 0.031, one-sided 0.016
    high = of_inference(Student(2.5, 1.0, 10), 0.0)
    assert [high[name] for name in ("rejected", "above", "below", "covered")] == [1, 1, 0, 0]
    right = of_inference(Student(2.5, 1.0, 10), 2.0)
    assert [right[name] for name in ("rejected", "above", "below", "covered")] == [1, 0, 0, 1]
    assert high["split"] == right["split"] == 0
    assert high["width"] == pytest.approx(2 * 2.228139)


def test_without_the_interval_the_p_value_of_the_truth_tells_whether_it_is_covered():
    found = of_inference(Student(2.5, 1.0, 10), 0.0, interval=False)
    assert (found["covered"], found["intervals"], found["width"]) == (0, 0, 0)


def test_an_open_interval_has_no_width():
    class Open(Student):
        def interval(self, level=0.95):
            from common.statistics.results import Interval

            return Interval(-math.inf, math.inf, level)

    found = of_inference(Open(9.0, 1.0, 10), 0.0)
    assert (found["open"], found["width"], found["covered"]) == (1, 0, 1)
    assert found["split"] == 1  # p rejects the truth that the interval holds


def test_tallies_add_up():
    total = of_p(0.01) + of_p(0.2) + failure() + Tally.of()
    assert (total["n"], total["rejected"], total["failed"]) == (2, 1, 1)


def test_the_monte_carlo_error_is_that_of_a_share():
    assert monte_carlo_se(0.5, 100) == pytest.approx(0.05)
