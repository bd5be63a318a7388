"""The audit finds the faults that are known, and only those; offsets and pairs in closed form."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common import papers
from common.chapters.cell_detection import annotations, audit, offsets, pairs
from common.datasets import midogpp_annotations


@pytest.fixture(scope="module")
def paper():
    return papers.load("cell-detection")


@pytest.fixture(scope="module")
def alone(paper):
    return {check.id: check for check in audit.printed_alone(paper)}


@pytest.fixture(scope="module")
def regions(mirror):
    return annotations.regions(midogpp_annotations.load(mirror("midogpp-annotations")))


@pytest.fixture(scope="module")
def against(paper, regions):
    found = audit.against_annotations(paper, regions, rng=np.random.default_rng(0))
    return {check.id: check for check in found}


def failing(checks):
    return {name for name, check in checks.items() if check.status == "fail"}


def test_the_print_fails_where_units_are_counted_twice_and_equations_do_not_fit(alone):
    assert failing(alone) == {"A2.2", "A2.3", "A2.5", "A2.6", "A4.1", "A4.3", "A8", "A9"}


def test_the_text_is_right_that_all_pairs_rise(alone):
    assert alone["A1.2"].status == "pass"
    assert alone["A1.2"].note == "AP75 falls: A→B −0.6"


def test_attention_at_stride_4_needs_48_gib(alone):
    assert "stride 4: 48 GiB, stride 8: 3 GiB, stride 16: 0.19 GiB" in alone["A8"].recomputed


def test_p_by_pairs_and_by_sources_are_the_known_ones(paper):
    """Values of an independent script on the same table."""
    acr, scr = (pairs.printed_gains(paper, name, "Baseline") for name in ("ACR", "SCR"))
    for gains, metric, p, by_source in (
        (acr, "AP50:95", 0.031, 0.012),
        (acr, "AP50", 0.031, 0.097),
        (acr, "AP75", 0.062, 0.048),
        (scr, "AP50", 0.031, 0.197),
        (scr, "AP75", 0.125, 0.214),
    ):
        found = pairs.significance(gains[metric])
        assert found["wilcoxon"] == pytest.approx(p, abs=6e-4)
        assert found["t_sources"] == pytest.approx(by_source, abs=6e-4)
        assert found["least"] == 2 / 2**6


def test_averaging_pairs_before_the_test_is_a_t_test_on_three_means():
    gains = pd.Series([1.0, 3.0, 2.0, 4.0, 0.0, 1.0], index=pairs.PAIRS)
    sources = stats.ttest_1samp([2.0, 3.0, 0.5], 0).pvalue
    targets = stats.ttest_1samp([(2 + 0) / 2, (1 + 1) / 2, (3 + 4) / 2], 0).pvalue
    found = pairs.significance(gains)
    assert found["t_sources"] == pytest.approx(sources)
    assert found["t_targets"] == pytest.approx(targets)


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.5, 0.9])
def test_the_chance_of_six_equal_signs_agrees_with_simulation(rho):
    rng = np.random.default_rng(3)
    shared = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=(200_000, 3))
    same = (shared > 0).all(axis=(1, 2)) | (shared < 0).all(axis=(1, 2))
    assert pairs.chance_of_six(rho) == pytest.approx(same.mean(), abs=0.002)


def test_the_correlation_of_a_network_s_gains_is_recovered():
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(400):
        for source in "ABC":
            shared = rng.standard_normal()
            for target in (t for t in "ABC" if t != source):
                gain = np.sqrt(0.6) * shared + np.sqrt(0.4) * rng.standard_normal()
                rows.append((seed, source, target, gain))
    gains = pd.DataFrame(rows, columns=["seed", "source", "target", "gain"])
    assert pairs.correlation_of_targets(gains) == pytest.approx(0.6, abs=0.06)
    assert np.isnan(pairs.correlation_of_targets(gains[gains["seed"] < 0]))


def test_the_gain_of_a_network_is_the_mean_over_its_slides():
    rows = [
        (arm, 0, "A→B", "ap50", value)
        for arm, values in (("acr", (0.6, 0.8)), ("baseline", (0.5, 0.5)))
        for value in values
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "group", "metric", "value"])
    found = pairs.network_gains(table, "acr", "baseline", "ap50")
    assert found[["source", "target"]].to_numpy().tolist() == [["A", "B"]]
    assert found["gain"].item() == pytest.approx(0.2)


def test_overlap_follows_from_the_offset_by_counting_pixels():
    for dy, dx in ((0, 0), (3, 0), (5, 11), (50, 0)):
        one, other = np.zeros((2, 120, 120), bool)
        one[10:60, 10:60] = True
        other[10 + dy : 60 + dy, 10 + dx : 60 + dx] = True
        expected = (one & other).sum() / (one | other).sum()
        assert offsets.iou_of_offset(dy, dx) == pytest.approx(expected)


@pytest.mark.parametrize(("sigma", "iou"), [(3.0, 0.75), (3.5, 0.75), (4.0, 0.75), (6.0, 0.5)])
def test_the_share_within_a_threshold_agrees_with_simulation(sigma, iou):
    off = sigma * np.random.default_rng(0).standard_normal((2, 400_000))
    simulated = (offsets.iou_of_offset(*off) >= iou).mean()
    assert offsets.share_within(sigma, iou) == pytest.approx(simulated, abs=0.003)


def test_a_box_that_is_off_counts_twice_in_ap():
    """COCO's AP of one detection a cell, scores and offsets independent, is close to p x p."""
    from common.metrics.average_precision import average_precision
    from common.metrics.detection_records import Pooled

    rng = np.random.default_rng(0)
    n, sigma = 4000, 3.5
    within = offsets.iou_of_offset(*(sigma * rng.standard_normal((2, n)))) >= 0.75
    lesion = np.where(within, np.arange(n), -1)
    pool = Pooled(rng.random(n), np.zeros(n, int), lesion, np.array([n]))
    assert average_precision(pool) == pytest.approx(
        offsets.expected_ap(sigma, 0.75, both=True), abs=0.02
    )


def test_the_centre_error_that_a_ratio_implies_gives_the_ratio():
    for both in (True, False):
        sigma = offsets.implied_sigma(0.8, both=both)
        ratio = offsets.expected_ap(sigma, 0.75, both=both) / offsets.expected_ap(
            sigma, 0.5, both=both
        )
        assert ratio == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"`ratio` must lie in \(0, 1\), got 1.2"):
        offsets.implied_sigma(1.2)


def test_the_regions_have_the_counts_of_an_independent_script(regions):
    table = annotations.summary(regions)
    assert table.loc["mitotic figures"].tolist() == [451, 582, 688]
    assert table.loc["look-alikes"].tolist() == [724, 1066, 924]
    assert table.loc["patches of 512 px"].tolist() == [8250, 7766, 6500]
    assert table.loc["patches with a figure"].tolist() == [415, 492, 597]
    assert table.loc["patches with look-alikes only"].tolist() == [605, 806, 670]
    assert table.loc["regions without a figure"].tolist() == [6, 6, 3]
    cut = table.loc["figures cut by the grid (%)"]
    assert cut.round(1).tolist() == [19.7, 19.2, 20.5]


def test_the_sizes_that_are_printed_are_those_of_the_first_images(against):
    assert failing(against) == {"A5 B", "A5 C", "A6", "A7"}
    assert against["A5 B"].recomputed.startswith("1 of 50 have it; 50 sizes, width 7084 to 7185")
    assert against["A5 C"].recomputed.startswith("1 of 50 have it; 49 sizes, width 6439 to 6548")


def test_a_blind_detector_scores_high_on_patches_with_a_figure_only(regions):
    """At random scores AP is close to the share of figures among what is scored."""
    found = annotations.inflation(
        regions, separations=(0.0, 3.0), rng=np.random.default_rng(0), n=4
    )
    for scanner, figures, others in (("A", 451, 724), ("B", 582, 1066), ("C", 688, 924)):
        blind = found.loc[(scanner, 0.0)]
        assert blind["everywhere"] == pytest.approx(figures / (figures + others), abs=0.05)
        assert blind["positive"] > 0.8
        assert (found.loc[(scanner, 3.0)] > 0.95).all()


def test_detectors_whose_scores_agree_differ_less(regions):
    errors = annotations.sampling_error(
        regions, correlations=(0.5, 1.0), rng=np.random.default_rng(0), n=2
    )
    assert (errors["1"] < 1e-12).all()
    assert (errors["0.5"] > 0).all()
    assert (errors["one"] > 0).all()
