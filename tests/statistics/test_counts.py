from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from common.statistics.audit import Printed, as_printed
from common.statistics.counts import (
    check_denominator,
    check_runs,
    class_sizes,
    count_range,
    denominators,
    integers_possible,
    run_counts,
    run_denominators,
)
from common.statistics.results import DesignError
from common.statistics.run_counts import _attained, _Cell, _chance, _fit

# ife, Tables 1 and 2: mean and spread in percent of the four own rows and the ablation.
ACC = [(95.12, 0.04), (93.07, 0.05), (95.43, 0.10), (95.23, 0.01), (95.37, 0.05), (95.24, 0.08)]
FNR = [(10.10, 0.41), (14.22, 0.48), (8.54, 0.18), (9.80, 0.12), (9.14, 0.42), (9.26, 0.06)]
M1 = [(88.46, 3.84), (80.77, 3.84), (42.30, 3.85), (92.31, 0.00)]


def cells(pairs, how="rounded"):
    means, sds = zip(*pairs, strict=True)
    return tuple(as_printed(each, decimals=2, how=how, percent=True) for each in (means, sds))


def prints_like(number, values):
    """Tell by half units of the last digit, written out independently of `Printed`."""
    unit = 10.0**-number.decimals
    low = {"rounded": -0.5, "truncated": 0.0, "either": -0.5}[number.how] * unit
    high = {"rounded": 0.5, "truncated": 1.0, "either": 1.0}[number.how] * unit
    open_top = number.how != "rounded"
    off = np.asarray(values) - number.value
    below = off < high - 1e-12 if open_top else off <= high + 1e-12
    above = off >= low - 1e-12
    if open_top and number.ticks == 0:
        above = off > -unit + 1e-12
    return above & below


def tuples(n, runs):
    return np.array(list(combinations_with_replacement(range(n + 1), runs)))


@settings(max_examples=300, deadline=None)
@given(
    ticks=st.integers(0, 1000),
    n=st.integers(1, 400),
    how=st.sampled_from(["rounded", "truncated", "either"]),
)
def test_counts_are_those_of_a_search_over_all_counts(ticks, n, how):
    rate = Printed(ticks / 1000, 3, how)
    low, high = count_range(rate, n)
    counts = np.arange(n + 1)
    assert counts[prints_like(rate, counts / n)].tolist() == list(range(int(low), int(high) + 1))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 900), runs=st.integers(1, 6))
def test_true_tables_always_pass(data, n, runs):
    means, sds = [], []
    for _ in range(3):
        values = np.array(data.draw(st.lists(st.integers(0, n), min_size=runs, max_size=runs))) / n
        means.append(Printed(round(float(values.mean()), 4), 4))
        sds.append(Printed(round(float(values.std()), 4), 4))
    assert n in denominators(means, n=range(max(1, n - 3), n + 3), runs=runs)["n"].tolist()
    found = run_denominators(means, sds, n=[n], runs=[runs], ddofs=[0])
    assert found[["n", "runs", "ddof"]].to_numpy().tolist() == [[n, runs, 0]]


@pytest.mark.parametrize("values", range(1, 9))
def test_sums_of_squares_of_integers_with_a_given_sum_are_all_listed(values):
    # Against reachable pairs (sum, sum of squares), built up one integer at a time.
    limit = 150 if values <= 5 else 70
    reach = int(limit**0.5) + 1
    pairs = {(0, 0)}
    for _ in range(values):
        pairs = {
            (total + e, squares + e * e)
            for total, squares in pairs
            for e in range(-reach, reach + 1)
            if squares + e * e <= limit
        }
    m = np.arange(limit + 1)
    for rest in range(values):
        expected = sorted(squares for total, squares in pairs if total == rest)
        found = m[_attained(values, np.full(len(m), rest), m, m, limit) > 0]
        assert found.tolist() == expected
        window = _attained(values, np.array([rest]), np.array([11]), np.array([40]), limit)
        assert int(window[0]) == sum(11 <= each <= 40 for each in expected)


@pytest.mark.parametrize(
    ("n", "runs"), [(13, 2), (40, 2), (12, 3), (25, 3), (9, 4), (7, 5), (5, 6), (4, 8)]
)
@pytest.mark.parametrize("how", ["rounded", "either"])
def test_cells_over_runs_are_possible_exactly_if_some_counts_print_like_them(n, runs, how, rng):
    rates = tuples(n, runs) / n
    for ddof in (0, 1):
        mean, sd = rates.mean(axis=1), rates.std(axis=1, ddof=ddof)
        for _ in range(60):
            near = rng.integers(len(rates))
            steps = rng.integers(-2, 3, size=2)
            cell = (
                Printed(round(float(mean[near]), 2), 2, how).moved(int(steps[0])),
                Printed(round(float(sd[near]), 2), 2, how).moved(abs(int(steps[1]))),
            )
            fits = prints_like(cell[0], mean) & prints_like(cell[1], sd)
            found = run_counts(*cell, n=n, runs=runs, ddof=ddof, limit=10_000)
            expected = sorted(map(tuple, (rates[fits] * n).round().astype(int).tolist()))
            assert sorted(found) == expected
            table = run_denominators([cell[0]], [cell[1]], n=n, runs=runs, ddofs=[ddof])
            assert len(table) == bool(expected)


def test_a_certain_fit_is_never_wrong(rng):
    # Where no search is made, a search must find something.
    checked = 0
    for _ in range(400):
        n, runs = int(rng.integers(5, 60)), int(rng.integers(2, 9))
        cell = _Cell(
            Printed(round(rng.uniform(0.7, 1), 2), 2),
            Printed(round(rng.uniform(0, 0.2), 2), 2),
            runs,
            int(rng.integers(0, 2)),
        )
        step = np.array([n])
        possible, certain = _fit(cell, step, np.array([0]), step, cell.limit(n))
        some = next(cell.solutions(n, 0, n), None)
        assert not certain[0] or some is not None
        assert possible[0] or some is None
        checked += bool(certain[0])
    assert checked > 50


def test_the_smallest_class_of_the_gels_has_13_images_and_two_runs():
    found = run_denominators(*cells(M1, "either"), n=range(10, 30), runs=[1, 2, 3])
    assert found[["n", "runs", "ddof"]].to_numpy().tolist() == [[13, 2, 0], [26, 2, 0], [26, 3, 1]]
    pairs = [
        run_counts(mean, sd, n=13, runs=2, ddof=0)
        for mean, sd in zip(*cells(M1, "either"), strict=True)
    ]
    assert pairs == [[(11, 12)], [(10, 11)], [(5, 6)], [(12, 12)]]


def test_positives_of_the_gels_are_837_where_each_run_was_rounded_first():
    found = run_denominators(*cells(FNR), n=range(700, 935), runs=[2], run_decimals=4)
    assert found[["n", "ddof"]].to_numpy().tolist() == [[837, 0]]
    assert found["chance"].iloc[0] < 1e-6
    # With all digits kept no number of positives fits all rows.
    assert run_denominators(*cells(FNR), n=range(700, 935), runs=[2]).empty


@pytest.mark.parametrize(
    ("pairs", "n", "expected"),
    [
        (
            ACC,
            2908,
            [(2765, 2767), (2705, 2708), (2772, 2778), (2769, 2770), (2772, 2775), (2767, 2772)],
        ),
        (FNR, 837, [(81, 88), (115, 123), (70, 73), (81, 83), (73, 80), (77, 78)]),
    ],
)
def test_the_counts_of_both_runs_of_the_gels_are_unique(pairs, n, expected):
    found = [
        run_counts(mean, sd, n=n, runs=2, ddof=0, run_decimals=4)
        for mean, sd in zip(*cells(pairs), strict=True)
    ]
    assert found == [[each] for each in expected]
    assert check_runs(
        "R", "runs", means=cells(pairs)[0], sds=cells(pairs)[1], n=n, runs=2, run_decimals=4
    ).note.startswith("population sd")


def test_the_borrowed_row_of_the_gels_fits_neither_set():
    for pair, n in (((92.54, 0.63), 2908), ((9.31, 0.60), 837)):
        means, sds = cells([pair])
        found = run_denominators(means, sds, n=n, runs=2, ddofs=[0], run_decimals=4)
        assert found.empty
    means, sds = cells([(75.00, 0.01)])
    assert run_denominators(means, sds, n=range(1, 223), runs=2, run_decimals=4).empty


def test_rounding_each_run_first_is_searched_exactly(rng):
    for n, runs in ((9, 2), (16, 3), (32, 2)):
        counts = tuples(n, runs)
        rounded = np.floor(counts / n * 100 + 0.5) / 100
        mean, sd = rounded.mean(axis=1), rounded.std(axis=1, ddof=0)
        for _ in range(25):
            near = rng.integers(len(counts))
            cell = Printed(round(float(mean[near]), 2), 2), Printed(round(float(sd[near]), 2), 2)
            fits = prints_like(cell[0], mean) & prints_like(cell[1], sd)
            expected = set(map(tuple, counts[fits].tolist()))
            found = run_counts(*cell, n=n, runs=runs, ddof=0, run_decimals=2, limit=10_000)
            assert expected <= set(found)
            # Ties (a rate that ends in half a digit) may have gone to the even digit instead.
            if n not in (16, 32):
                assert expected == set(found)


@pytest.mark.parametrize(
    ("row", "first"),
    [
        ([20.00, 46.67, 24.44, 84.44, 95.56, 48.89], 45),
        ([35.63, 33.33, 13.79, 81.61, 78.16, 20.69], 87),
        ([33.90, 38.98, 27.12, 83.05, 91.53, 54.24], 59),
        ([23.81, 19.04, 14.29, 66.67, 42.86, 28.57], 21),
    ],
)
def test_the_clips_of_each_surgical_procedure_are_found(row, first):
    rates = as_printed(row, decimals=2, how="either", percent=True)
    found = denominators(rates, n=range(1, 90))
    assert found["n"].iloc[0] == first
    assert found["chance"].iloc[0] < 1e-7
    assert found["expected"].iloc[0] < 1e-6


def test_no_number_of_clips_gives_the_mixed_row():
    rates = as_printed([6.67, 15.39, 6.67, 30.77, 23.08, 15.39], decimals=2, percent=True)
    assert denominators(rates, n=range(1, 60)).empty


def test_the_stated_test_sets_are_refuted():
    clips = as_printed([10.02, 15.76, 12.27, 18.18], decimals=2, percent=True)
    check = check_denominator("N", "204 clips", rates=clips, n=204)
    assert check.status == "fail"
    assert check.note == "0.1002, 0.1576, 0.1227, 0.1818 is no count out of 204"
    assert denominators(clips[:1], n=range(1, 409)).empty
    assert denominators(clips[1:], n=range(1, 660)).empty
    assert denominators(clips, n=range(1, 1777)).empty
    # shoulder-implant: 54 and 94 images, not the 28 and 49 that the counts of Table 1 imply.
    for values, smallest in (
        ([68.52, 81.48, 88.89, 88.89], 54),
        ([70.21, 90.42, 72.34, 91.48], 94),
    ):
        rates = as_printed(values, decimals=2, how="either", percent=True)
        assert denominators(rates, n=range(1, 330))["n"].iloc[0] == smallest
    # facial-phenotyping: 332 queries reach none of these, 885 all.
    novel = as_printed([29.4, 32.6, 32.0], decimals=1, percent=True)
    assert check_denominator("Q", "332 queries", rates=novel, n=332).note.count(",") == 2


def test_the_stated_chance_is_the_share_of_printable_numbers_that_fit():
    for how in ("rounded", "truncated", "either"):
        for n in (7, 13, 60, 64, 100, 333, 500):
            every = [Printed(ticks / 1000, 3, how) for ticks in range(1, 1000)]
            low, high = zip(*(count_range(rate, n) for rate in every), strict=True)
            share = np.mean(np.array(low) <= np.array(high))
            stated = denominators([Printed(0.5, 3, how)] * 1, n=range(n, n + 1))["chance"]
            if len(stated):
                assert float(stated.iloc[0]) == pytest.approx(share, abs=0.003)
    always = denominators([Printed(0.0, 2), Printed(1.0, 2)], n=5)
    assert always["chance"].iloc[0] == 1.0


@pytest.mark.parametrize(
    ("n", "runs", "ddof", "decimals"),
    [(837, 3, 1, 4), (837, 4, 0, 4), (837, 5, 0, 4), (100, 4, 1, 3), (2908, 2, 0, 4)],
)
def test_the_stated_chance_of_cells_over_runs_is_near_their_share(n, runs, ddof, decimals, rng):
    step = np.array([n])
    limit = _Cell(Printed(0.5, 1), Printed(0.06, 2), runs, ddof).limit(n)
    hits, stated = [], []
    for _ in range(500):
        mean, sd = rng.uniform(0.6, 0.9), rng.uniform(0.02, 0.06)
        cell = _Cell(
            Printed(round(mean, decimals), decimals),
            Printed(round(sd, decimals), decimals),
            runs,
            ddof,
        )
        possible, certain = _fit(cell, step, np.zeros(1, dtype=int), step, limit)
        assert possible[0] == certain[0]  # far from the bounds nothing needs a search
        hits.append(possible[0])
        stated.append(float(_chance(cell, step, limit)[0]))
    assert np.mean(stated) == pytest.approx(np.mean(hits), abs=0.06)


def test_a_moved_digit_of_a_whole_table_is_found(rng):
    caught = 0
    for _ in range(40):
        rates = rng.integers(10, 70, size=6) / 80
        table = [Printed(round(float(rate), 4), 4) for rate in rates]
        which = int(rng.integers(6))
        table[which] = table[which].moved(int(rng.choice([-3, -2, -1, 1, 2, 3])))
        caught += check_denominator("D", "n = 80", rates=table, n=80).status == "fail"
    assert caught >= 36


def by_steps(n, low, high):
    """Build all pairs (sum, sum of squares) of n whole numbers, one number at a time."""
    pairs = {(0, 0)}
    for _ in range(n):
        pairs = {(s + v, q + v * v) for s, q in pairs for v in range(low, high + 1)}
    sums, squares = np.array(sorted(pairs)).T
    return sums / n, np.maximum(squares / n - (sums / n) ** 2, 0)


@pytest.mark.parametrize(("n", "low", "high"), [(3, 1, 7), (6, 1, 5), (15, 1, 5), (40, 0, 2)])
def test_whole_number_scores_are_possible_exactly_if_some_answers_give_them(n, low, high, rng):
    means, variances = by_steps(n, low, high)
    for ddof in (0, 1):
        sds = np.sqrt(variances * n / (n - ddof))
        for _ in range(150):
            near = rng.integers(len(means))
            mean = Printed(round(float(means[near]), 2), 2).moved(int(rng.integers(-1, 2)))
            sd = Printed(round(float(sds[near]), 2), 2).moved(int(rng.integers(0, 3)))
            expected = (prints_like(mean, means) & prints_like(sd, sds)).any()
            assert integers_possible(mean, sd, n=n, ddof=ddof, low=low, high=high) == expected
            if expected:
                assert integers_possible(mean, sd, n=n, ddof=ddof)


def test_scores_that_average_items_are_counted_in_items():
    # Two items a person: values are halves; 2 people, 1.0 and 1.5.
    assert integers_possible(Printed(1.25, 2), Printed(0.25, 2), n=2, ddof=0, items=2)
    assert not integers_possible(Printed(1.25, 2), Printed(0.25, 2), n=2, ddof=0)


def test_class_sizes_are_those_of_a_search_over_all_divisions(rng):
    for total, accuracy_given in ((24, False), (24, True), (30, True)):
        sizes = rng.multinomial(total - 6, [0.2, 0.3, 0.5]) + 2
        right = rng.binomial(sizes, [0.5, 0.7, 0.9])
        recalls = [Printed(round(float(k / n), 2), 2) for k, n in zip(right, sizes, strict=True)]
        accuracy = Printed(round(float(right.sum() / total), 3), 3) if accuracy_given else None
        found = class_sizes(recalls, total, accuracy=accuracy)
        expected = set()
        for division in product(range(1, total + 1), repeat=3):
            if sum(division) != total:
                continue
            counts = [
                np.arange(n + 1)[prints_like(recall, np.arange(n + 1) / n)]
                for n, recall in zip(division, recalls, strict=True)
            ]
            for chosen in product(*counts):
                if accuracy is None or prints_like(accuracy, sum(chosen) / total):
                    expected |= set(enumerate(division))
        assert set(found[["class_index", "n"]].itertuples(index=False, name=None)) == expected


def test_too_few_cells_or_cases_are_refused():
    rate = Printed(0.5, 2)
    for call in (
        lambda: denominators([], n=10),
        lambda: denominators([rate], n=0),
        lambda: denominators([rate], n=[1.5]),
        lambda: run_denominators([rate], [], n=10, runs=2),
        lambda: run_denominators([rate], [rate], n=10, runs=1, ddofs=[1]),
        lambda: run_counts(rate, rate, n=10, runs=1, ddof=1),
        lambda: class_sizes([rate, rate], 1),
        lambda: count_range(Printed(100, -2), 10),
        lambda: run_denominators([rate], [rate], n=100_000, runs=3),
    ):
        with pytest.raises(DesignError):
            call()
