from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics

from common.statistics.audit import Printed, as_printed, share_passing
from common.statistics.counts import denominators
from common.statistics.rates import (
    RATES,
    ap_bounds,
    auc_splits,
    check_ap,
    check_matrix,
    check_pooled,
    check_psnr,
    class_margins,
    confusion_matrices,
    f1_bounds,
    implied_dice_sd,
    implied_peak,
    implied_rate,
    implied_sizes,
    implied_weights,
    iou_bounds,
    rate_of,
    rmse_bounds,
    smallest_change,
)
from common.statistics.results import DesignError


def percent(value, decimals=2, how="rounded"):
    return as_printed([value], decimals=decimals, percent=True, how=how)[0]


def printed(value, decimals=3):
    return Printed(round(float(value), decimals), decimals)


def every_matrix(n):
    return np.array(
        [
            (tp, fp, fn, n - tp - fp - fn)
            for tp in range(n + 1)
            for fp in range(n + 1 - tp)
            for fn in range(n + 1 - tp - fp)
        ]
    )


def test_rates_are_those_of_scikit_learn(rng):
    for _ in range(20):
        truth, guess = rng.integers(0, 2, size=(2, 40))
        tn, fp, fn, tp = metrics.confusion_matrix(truth, guess, labels=[0, 1]).ravel()
        options = {"zero_division": 0}
        macro = {"average": "macro", **options}
        weighted = {"average": "weighted", **options}
        expected = {
            "accuracy": metrics.accuracy_score(truth, guess),
            "recall": metrics.recall_score(truth, guess, **options),
            "specificity": metrics.recall_score(truth, guess, pos_label=0, **options),
            "precision": metrics.precision_score(truth, guess, **options),
            "npv": metrics.precision_score(truth, guess, pos_label=0, **options),
            "f1": metrics.f1_score(truth, guess, **options),
            "iou": metrics.jaccard_score(truth, guess, **options),
            "background_iou": metrics.jaccard_score(truth, guess, pos_label=0, **options),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess),
            "macro_precision": metrics.precision_score(truth, guess, **macro),
            "macro_f1": metrics.f1_score(truth, guess, **macro),
            "weighted_precision": metrics.precision_score(truth, guess, **weighted),
            "weighted_f1": metrics.f1_score(truth, guess, **weighted),
            "mcc": metrics.matthews_corrcoef(truth, guess),
            "kappa": metrics.cohen_kappa_score(truth, guess),
        }
        for name, value in expected.items():
            found = rate_of(name, tp, fp, fn, tn, undefined=0.0)
            assert float(found) == pytest.approx(value, abs=1e-12), name


def test_complements_and_sums_of_rates():
    cells = 7, 2, 3, 28
    assert rate_of("fpr", *cells) == pytest.approx(1 - rate_of("specificity", *cells))
    assert rate_of("fnr", *cells) == pytest.approx(1 - rate_of("sensitivity", *cells))
    assert rate_of("youden", *cells) == pytest.approx(2 * rate_of("balanced_accuracy", *cells) - 1)
    assert rate_of("prevalence", *cells) == pytest.approx(10 / 40)
    assert rate_of("predicted_share", *cells) == pytest.approx(9 / 40)
    assert np.isnan(rate_of("precision", 0, 0, 3, 7))
    assert rate_of("precision", 0, 0, 3, 7, undefined=0.0) == 0


@pytest.mark.parametrize(
    "names",
    [
        ("accuracy", "sensitivity"),
        ("precision", "recall", "f1"),
        ("mcc",),
        ("kappa", "specificity"),
        ("iou", "background_iou"),
        ("balanced_accuracy", "npv"),
        ("macro_f1", "accuracy"),
        ("weighted_f1", "prevalence"),
    ],
)
def test_matrices_are_those_of_a_search_over_all_matrices(names, rng):
    n = 17
    cells = every_matrix(n)
    for _ in range(4):
        true = rng.multinomial(n, [0.3, 0.2, 0.1, 0.4])
        rates = {name: printed(rate_of(name, *true, undefined=0.0), 2) for name in names}
        fits = np.ones(len(cells), dtype=bool)
        for name, rate in rates.items():
            values = rate_of(name, *cells.T, undefined=0.0)
            fits &= np.abs(values - rate.value) <= 0.005 + 1e-12
        found = confusion_matrices(rates, n=n, undefined=0.0)
        assert set(map(tuple, found.to_numpy().tolist())) == set(map(tuple, cells[fits].tolist()))
        assert list(true) in found.to_numpy().tolist()


@settings(max_examples=80, deadline=None)
@given(cells=st.lists(st.integers(1, 60), min_size=4, max_size=4), decimals=st.integers(2, 4))
def test_rates_of_a_true_matrix_always_pass(cells, decimals):
    names = ("accuracy", "sensitivity", "specificity", "precision", "f1", "mcc")
    rates = {name: printed(rate_of(name, *cells), decimals) for name in names}
    found = confusion_matrices(rates, n=sum(cells))
    assert cells in found.to_numpy().tolist()
    pooled = {name: rates[name] for name in names[:-1]}
    low, high = implied_rate(pooled)
    prevalence = (cells[0] + cells[2]) / sum(cells)
    assert low - 1e-9 <= prevalence <= high + 1e-9
    assert check_pooled("P", "pooled", rates=pooled).status == "pass"


def test_the_matrices_of_macular_degeneration_are_unique():
    # tofi-ml: 80 test images; the number of positive ones is not printed.
    plain = {"accuracy": percent(91.25), "precision": percent(88.89), "recall": percent(57.14)}
    smote = {"accuracy": percent(93.75), "precision": percent(84.62), "recall": percent(78.57)}
    assert confusion_matrices(plain, n=80).to_numpy().tolist() == [[8, 1, 6, 65]]
    assert confusion_matrices(smote, n=80).to_numpy().tolist() == [[11, 2, 3, 64]]
    f1 = {"f1": percent(69.56, how="truncated")}
    assert check_matrix("C", "plain", rates=plain | f1, n=80).note == (
        "only TP 8, FP 1, FN 6, TN 65"
    )
    assert check_matrix("C", "plain", rates=plain | {"f1": percent(70.10)}, n=80).status == "fail"
    # Macro rates of the same matrices are what the quoted rows print.
    assert rate_of("macro_precision", 8, 1, 6, 65) == pytest.approx(0.9022, abs=5e-5)
    assert rate_of("macro_f1", 11, 2, 3, 64) == pytest.approx(0.8886, abs=5e-5)


def test_tables_next_to_a_true_one_hardly_ever_have_a_matrix(rng):
    names = ("accuracy", "precision", "recall")
    numbers = [percent(93.75), percent(84.62), percent(78.57)]

    def passes(moved):
        return not confusion_matrices(dict(zip(names, moved, strict=True)), n=80).empty

    assert passes(numbers)
    # Accuracy alone fits 81 of 10,001 numbers, and what is left must fit the other two.
    assert share_passing(passes, numbers, rng=rng, draws=300, span=20, bounds=(0, 1)) < 0.01


def test_areas_under_the_curve_tell_the_split():
    # tofi-ml: all six are multiples of 1 / (14 x 66); shuffled labels of 80 give no other split.
    aucs = [percent(value) for value in (81.17, 82.14, 84.63, 92.53, 90.58, 91.34)]
    counts = [round(rate.value * 14 * 66) for rate in aucs]
    assert counts == [750, 759, 782, 855, 837, 844]
    found = auc_splits(aucs, n=80, positives=range(10, 25))
    assert found[["positives", "negatives"]].to_numpy().tolist() == [[14, 66]]
    assert found["chance"].iloc[0] < 1e-5


def test_areas_are_possible_exactly_if_some_ranking_gives_them(rng):
    positives, negatives = 3, 4
    labels = np.array([1] * positives + [0] * negatives)
    scores = [rng.permutation(7) for _ in range(200)]
    plain = {round(metrics.roc_auc_score(labels, each), 3) for each in scores}
    tied = {round(metrics.roc_auc_score(labels, each // 2), 3) for each in scores}
    for value in range(0, 1001, 3):
        auc = Printed(value / 1000, 3)
        fits = not auc_splits([auc], n=7, positives=3).empty
        assert fits == any(abs(value / 1000 - k / 12) <= 0.0005 + 1e-12 for k in range(13))
        assert fits or auc.value not in plain
        if auc.value in tied:
            assert not auc_splits([auc], n=7, positives=3, ties=True).empty


def test_accuracy_outside_sensitivity_and_specificity_is_no_matrix():
    # breast-fedprox, Table 1, six rounds.
    rounds = [
        (0.1575, 0.8452, 0.9204, None),
        (0.5214, 0.9742, 0.9399, 0.076),
        (0.5226, 0.9897, 0.9525, 0.080),
        (0.5842, 0.9876, 0.9549, 0.081),
        (0.5518, 0.9895, 0.9541, 0.081),
        (0.6066, 0.9919, 0.9607, 0.081),
    ]
    for sensitivity, specificity, accuracy, prevalence in rounds:
        rates = {
            "sensitivity": Printed(sensitivity, 4),
            "specificity": Printed(specificity, 4),
            "accuracy": Printed(accuracy, 4),
        }
        check = check_pooled("A", "round", rates=rates)
        if prevalence is None:
            assert check.status == "fail"
            assert "fits without sensitivity or specificity or accuracy" in check.note
        else:
            low, high = implied_rate(rates)
            assert low <= prevalence + 5e-4
            assert high >= prevalence - 5e-4
            assert high - low < 0.001


def test_pooled_tumour_metrics_contradict_each_other():
    # gross-pathology-lung, final model on set A: accuracy, tumour recall and tumour IoU imply the
    # prevalence and a background IoU above the printed one.
    rates = {
        "accuracy": Printed(0.968, 3),
        "sensitivity": Printed(0.697, 3),
        "iou": Printed(0.616, 3),
    }
    low, high = implied_rate(rates, "background_iou")
    assert low == pytest.approx(0.966, abs=0.001)
    assert high == pytest.approx(0.966, abs=0.001)
    assert implied_rate(rates, "precision")[0] == pytest.approx(0.84, abs=0.01)
    assert check_pooled("B", "A", rates=rates | {"background_iou": Printed(0.94, 3)}).status == (
        "fail"
    )


def test_an_implied_rate_is_bounded_by_matrices_found_at_random(rng):
    for _ in range(10):
        true = rng.dirichlet([2, 1, 1, 4])
        rates = {
            name: printed(rate_of(name, *true), 2) for name in ("accuracy", "precision", "recall")
        }
        tried = np.abs(true + 0.02 * rng.normal(size=(60_000, 4)))
        fits = np.all(
            [np.abs(rate_of(name, *tried.T) - rates[name].value) <= 0.005 for name in rates], axis=0
        )
        values = rate_of("f1", *tried[fits].T)
        low, high = implied_rate(rates, "f1")
        assert values.min() >= low - 1e-12
        assert values.max() <= high + 1e-12
        assert high - low <= 1.6 * (values.max() - values.min()) + 0.002


def test_pooled_dice_and_iou_are_one_number():
    for iou in (0.956, 0.439, 0.035):
        low, high = implied_rate({"iou": Printed(iou, 3)}, "dice")
        assert low <= 2 * iou / (1 + iou) <= high
        assert high - low < 0.002


def test_f1_lies_between_what_precision_and_recall_allow(rng):
    # maldi-registration, pooled over an object; super-images, means over cases.
    low, high = f1_bounds(Printed(0.980, 3), Printed(0.982, 3))
    assert low < 0.981 < high
    low, high = f1_bounds(Printed(0.872, 3), Printed(0.878, 3), averaged=True)
    assert high < 0.895
    for _ in range(50):
        precision, recall = rng.beta(2, 1, size=(2, 30))
        mean = np.mean(2 * precision * recall / (precision + recall))
        low, high = f1_bounds(printed(precision.mean()), printed(recall.mean()), averaged=True)
        assert low <= mean <= high
    assert f1_bounds(Printed(0.0, 2), Printed(0.0, 2))[0] == 0


def iou_of(dice):
    return dice / (2 - dice)


@settings(max_examples=150, deadline=None)
@given(
    scores=st.lists(st.integers(0, 100), min_size=2, max_size=12),
    ddof=st.integers(0, 1),
)
def test_the_mean_iou_of_any_images_keeps_its_bounds(scores, ddof):
    dice = np.array(scores) / 100
    n, mean, spread = len(dice), Printed(float(dice.mean().round(9)), 9), dice.std(ddof=ddof)
    found = iou_of(dice).mean()
    bounds = [iou_bounds(mean), iou_bounds(mean, n=n)]
    bounds.append(iou_bounds(mean, sd=Printed(float(spread.round(9)), 9), n=n, ddof=ddof))
    for low, high in bounds:
        assert low - 1e-7 <= found <= high + 1e-7
    assert bounds[1][1] <= bounds[0][1] + 1e-12
    low, high = implied_dice_sd(mean, Printed(float(found.round(9)), 9))
    # A digit of the mean moves the implied variance, so near 0 its root moves a lot.
    assert low - 1e-3 <= dice.std() <= high + 1e-3


def test_bounds_with_a_spread_are_reached_by_two_point_laws():
    mean, sd = 0.7, 0.2
    low, high = iou_bounds(Printed(mean, 12), sd=Printed(sd, 12), ddof=0)
    second = mean**2 + sd**2
    zero = np.array([0.0, second / mean]), np.array([1 - mean**2 / second, mean**2 / second])
    rest = 1 - mean
    square = rest**2 + sd**2
    one = np.array([1.0, 1 - square / rest]), np.array([1 - rest**2 / square, rest**2 / square])
    for (points, share), bound in ((zero, low), (one, high)):
        assert share @ points == pytest.approx(mean)
        assert np.sqrt(share @ points**2 - mean**2) == pytest.approx(sd)
        assert share @ iou_of(points) == pytest.approx(bound, abs=1e-9)
    # Inverted: a mean IoU at a bound allows this spread at an end of its range.
    assert implied_dice_sd(Printed(mean, 12), Printed(round(low, 12), 12))[1] == (
        pytest.approx(sd, abs=1e-6)
    )
    assert implied_dice_sd(Printed(mean, 12), Printed(round(high, 12), 12))[0] == (
        pytest.approx(sd, abs=1e-6)
    )


def test_the_most_unequal_images_reach_the_bound_of_n():
    # Mean 0.7 of 4 images: two at 1, one at 0.8, one at 0.
    low, high = iou_bounds(Printed(0.7, 12), n=4)
    assert high == pytest.approx(iou_of(np.array([1, 1, 0.8, 0])).mean(), abs=1e-9)
    assert low == pytest.approx(0.7 / 1.3, abs=1e-9)


def test_the_overlap_of_rounds_tells_of_batches_and_not_of_images():
    # breast-fedprox: the mean IoU is so near the mean Dice's that images differ by .02 to .06.
    dice = [0.105, 0.5636, 0.6336, 0.6718, 0.6505, 0.7076]
    iou = [0.0555, 0.3951, 0.4639, 0.5064, 0.4840, 0.5494]
    for d, j in zip(dice, iou, strict=True):
        low, high = iou_bounds(Printed(d, 4))
        assert low <= j <= high
        narrow, wide = implied_dice_sd(Printed(d, 4), Printed(j, 4))
        assert narrow < 0.06
        assert wide < 0.11
    assert np.isnan(implied_dice_sd(Printed(0.8, 4), Printed(0.5, 4))).all()


def test_classes_are_those_of_a_search_over_all_tables(rng):
    sizes = (3, 2, 3)
    rows = [
        [row for row in product(range(size + 1), repeat=3) if sum(row) == size] for size in sizes
    ]
    tables = np.array(list(product(*rows)))
    diagonal = np.einsum("tii->ti", tables)
    predicted = tables.sum(axis=1)
    for given_accuracy in (False, True):
        for table in tables[rng.integers(len(tables), size=6)]:
            if (table.sum(axis=0) == 0).any():
                continue
            correct, guessed = np.diag(table), table.sum(axis=0)
            recalls = [printed(k / n, 2) for k, n in zip(correct, sizes, strict=True)]
            precisions = [printed(k / m, 2) for k, m in zip(correct, guessed, strict=True)]
            accuracy = printed(correct.sum() / 8, 2) if given_accuracy else None
            found = class_margins(sizes, recalls, precisions, accuracy=accuracy)
            fits = np.all(np.abs(diagonal / sizes - correct / sizes) <= 1e-9, axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = diagonal / predicted
            printed_ratio = np.array([rate.value for rate in precisions])
            fits &= np.all(np.abs(ratio - printed_ratio) <= 0.005 + 1e-12, axis=1)
            expected = {
                (index, sizes[index], int(diagonal[t, index]), int(predicted[t, index]))
                for t in np.nonzero(fits)[0]
                for index in range(3)
            }
            assert set(found.itertuples(index=False, name=None)) == expected


def test_classes_that_need_more_wrong_cases_than_there_are_have_no_table():
    # Class 0 would receive 2 wrong cases and lose 2, but only 3 are wrong in all.
    recalls = [Printed(0.5, 2), Printed(0.5, 2), Printed(0.75, 2)]
    precisions = [Printed(0.5, 2), Printed(1.0, 2), Printed(0.75, 2)]
    assert class_margins([4, 2, 4], recalls, precisions).empty
    assert class_margins([4], [Printed(0.3, 2)], [Printed(0.3, 2)]).empty


def test_specificity_and_f1_narrow_the_classes():
    sizes = (40, 25, 20, 15)
    table = np.array([[33, 4, 2, 1], [3, 20, 1, 1], [2, 1, 15, 2], [0, 3, 0, 12]])
    correct, guessed = np.diag(table), table.sum(axis=0)
    columns = zip(correct, guessed, sizes, strict=True)
    recalls, precisions, f1s, specificities = zip(
        *(
            (
                printed(k / n, 2),
                printed(k / m, 1),
                printed(2 * k / (n + m), 3),
                printed(1 - (m - k) / (100 - n), 3),
            )
            for k, m, n in columns
        ),
        strict=True,
    )
    loose = class_margins(sizes, recalls, precisions)
    narrow = class_margins(sizes, recalls, precisions, f1s=f1s, specificities=specificities)
    assert len(narrow) == 4
    assert len(loose) > 10
    assert narrow["predicted"].tolist() == guessed.tolist()


def test_weights_and_sizes_behind_an_average_row_are_found():
    # casualty-action, Table 2.
    table = [
        [20.00, 46.67, 24.44, 84.44, 95.56, 48.89],
        [6.67, 15.39, 6.67, 30.77, 23.08, 15.39],
        [35.63, 33.33, 13.79, 81.61, 78.16, 20.69],
        [33.90, 38.98, 27.12, 83.05, 91.53, 54.24],
        [23.81, 19.04, 14.29, 66.67, 42.86, 28.57],
    ]
    rows = [as_printed(row, decimals=2, how="either", percent=True) for row in table]
    average = as_printed(
        [27.69, 33.73, 18.18, 74.89, 74.76, 34.14], decimals=2, how="either", percent=True
    )
    weights = implied_weights(rows, average)
    assert (weights[:, 0] <= np.array([45, 30, 87, 59, 21]) / 242).all()
    assert (weights[:, 1] >= np.array([45, 30, 87, 59, 21]) / 242).all()
    assert (weights[:, 1] - weights[:, 0] < 0.01).all()
    candidates = [
        denominators(row, n=range(1, 120))["n"].tolist() or list(range(1, 61)) for row in rows
    ]
    found = implied_sizes(rows, average, candidates)
    assert found[found["total"] == 242].to_numpy().tolist() == [[45, 30, 87, 59, 21, 242]]
    assert 204 not in found["total"].tolist()
    broken = [*average[:5], average[5].moved(300)]
    assert np.isnan(implied_weights(rows, broken)).all()
    assert implied_sizes(rows, broken, candidates).empty


def test_weights_contain_those_that_made_the_means(rng):
    for _ in range(10):
        weights = rng.dirichlet(np.ones(3))
        values = rng.uniform(size=(3, 4))
        rows = [[printed(value) for value in row] for row in values]
        found = implied_weights(rows, [printed(mean) for mean in weights @ values])
        assert (found[:, 0] <= weights + 1e-6).all()
        assert (found[:, 1] >= weights - 1e-6).all()


def test_the_smallest_change_is_that_of_one_case():
    assert smallest_change("accuracy", 5, 3, 2, 10) == pytest.approx(1 / 20)
    assert smallest_change("specificity", 5, 3, 2, 10) == pytest.approx(1 / 13)
    assert smallest_change("balanced_accuracy", 5, 3, 2, 10) == pytest.approx(1 / 26)
    changes = [
        abs(rate_of("f1", *cells) - rate_of("f1", 5, 3, 2, 10))
        for cells in ((4, 3, 3, 10), (6, 3, 1, 10), (5, 2, 2, 11), (5, 4, 2, 9))
    ]
    assert smallest_change("f1", 5, 3, 2, 10) == pytest.approx(min(changes))
    assert np.isnan(smallest_change("sensitivity", 0, 2, 0, 3))


def test_errors_bound_each_other(rng):
    for _ in range(30):
        errors = np.abs(rng.standard_t(3, size=12))
        mae, rmse = errors.mean(), np.sqrt((errors**2).mean())
        low, high = rmse_bounds(printed(mae, 9), n=12, largest=errors.max())
        assert low - 1e-6 <= rmse <= high + 1e-6
    # One value carries all: n is reached.
    assert rmse_bounds(Printed(1.0, 9), n=9)[1] == pytest.approx(3, abs=1e-6)
    assert rmse_bounds(Printed(1.0, 9)) == (pytest.approx(1, abs=1e-6), np.inf)


def test_printed_psnr_needs_an_impossible_peak():
    # pseudo-spr, Table 1, patient by experiment: 14,074 to 20,588 HU for a 12-bit map.
    mae = [32.08, 35.45, 31.81, 29.39, 17.60, 20.72, 17.74, 15.15, 16.17, 19.29, 16.58, 13.69]
    psnr = [55.74, 55.28, 55.65, 56.27, 59.06, 58.68, 59.00, 59.78, 59.31, 58.89, 59.27, 60.24]
    peaks = []
    for m, p in zip(mae, psnr, strict=True):
        image = {"psnr": Printed(p, 2), "mae": Printed(m, 2)}
        assert check_psnr("P", "12 bit", peak=4095, **image).status == "fail"
        assert check_psnr("P", "12 bit", peak=4095, averaged=True, **image).status == "undecidable"
        assert check_psnr("P", "16 bit", peak=65535, **image).status == "pass"
        peaks.append(implied_peak(**image))
    assert min(peaks) == pytest.approx(14_074, rel=1e-3)
    assert max(peaks) == pytest.approx(20_588, rel=1e-3)


def test_average_precision_keeps_its_bounds(rng):
    for _ in range(100):
        curve = np.sort(rng.uniform(size=10))[::-1].round(3)
        whole = printed(curve.mean(), 3)
        rates = {"ap50": Printed(float(curve[0]), 3), "ap75": Printed(float(curve[5]), 3)}
        assert check_ap("A", "ap", ap=whole, **rates).status == "pass"
    steps = np.array([0.8, *[0.6] * 5, *[0.0] * 4])
    assert ap_bounds(Printed(0.8, 9), Printed(0.6, 9))[0] == pytest.approx(steps.mean(), abs=1e-8)
    steps = np.array([*[0.8] * 5, *[0.6] * 5])
    assert ap_bounds(Printed(0.8, 9), Printed(0.6, 9))[1] == pytest.approx(steps.mean(), abs=1e-8)
    inverted = check_ap("A", "ap", ap=Printed(0.6, 1), ap50=Printed(0.5, 1), ap75=Printed(0.8, 1))
    assert inverted.status == "fail"


def test_unknown_rates_and_endless_searches_are_refused():
    half = Printed(0.5, 1)
    for call in (
        lambda: rate_of("recal", 1, 1, 1, 1),
        lambda: confusion_matrices({"acc": half}, n=10),
        lambda: implied_rate({"mcc": half}),
        lambda: implied_rate({"accuracy": half}, "kappa"),
        lambda: confusion_matrices({"mcc": half}, n=20_000, positives=10_000),
        lambda: iou_bounds(half, sd=Printed(0.9, 1), ddof=0),
        lambda: iou_bounds(half, sd=Printed(0.2, 1)),
        lambda: implied_sizes([[half]] * 3, [half], [range(1, 500)] * 3),
    ):
        with pytest.raises(DesignError):
            call()
    assert set(RATES) >= {"recall", "dice", "mcc"}
