import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from common import comparison_figures as cf
from common.errors import ReplicateError
from common.plotstyle import PALETTE
from common.statistics.results import TestResult

RANKS = {"U-Net": 1.2, "nnU-Net": 2.0, "a method with a long name": 2.8, "last": 4.0}


RESULTS = {
    name: TestResult(name, "", effect, effect - 0.02, effect + 0.02, p, 1.0, 100, 20)
    for name, effect, p in (("plain", 0.05, 0.0001), ("clustered", -0.013, 0.31))
}


@pytest.fixture
def rates():
    return pd.DataFrame(
        [
            {
                "test": test,
                "icc": icc,
                "n": n,
                "rate": 0.05 + icc * (test == "plain"),
                "mc_se": 0.01,
            }
            for test in ("plain", "clustered")
            for icc in (0.0, 0.2)
            for n in (20, 100)
        ]
    )


@pytest.fixture
def all_figures(rates, rng):
    x = np.linspace(0, 1, 20)
    rate = np.geomspace(0.125, 8, 20)
    band = (rate, x, np.maximum(x - 0.1, 0), np.minimum(x + 0.1, 1))
    values = rng.normal(size=500)
    lines = {"bias": (0.0, -0.1, 0.1), "lower limit": (-2, -2.3, -1.7)}
    return {
        "results": cf.results_forest(RESULTS, label="difference (points)", margin=0.02),
        "ranks": cf.critical_difference(RANKS, [["U-Net", "nnU-Net"], ["last"]], difference=1.5),
        "agreement": cf.bland_altman(
            values, values[::-1], lines, label_x="mean (ml)", label_y="difference (ml)"
        ),
        "roc": cf.roc({"A": (x, np.sqrt(x))}, {"A": (0.7, 0.6, 0.8)}),
        "froc": cf.froc({"A": band, "B": band}),
        "calibration": cf.calibration(rates, x="n", label_x="patients", panel="icc", highest=0.2),
        "null": cf.resamples(values, observed=-2.0, label="effect (points)", extreme=True),
        "bootstrap": cf.resamples(values, observed=0.0, label="effect (points)", interval=(-2, 2)),
        "power": cf.power_curves(x, {"3 seeds": x, "5 seeds": np.sqrt(x)}, label="effect (points)"),
        "reach": cf.reach([3, 4, 5], {"sign flips": [0.25, 0.125, 0.0625]}, label="patients"),
        "p": cf.ordered_p_values([0.001, 0.02, 0.5]),
    }


def lines_of(axes):
    return [line.get_xydata() for line in axes.lines]


def texts_of(axes):
    return [text.get_text().strip() for text in axes.texts]


def test_every_figure_is_as_wide_as_the_page(all_figures):
    widths = {name: 72 * figure.get_size_inches()[0] for name, figure in all_figures.items()}
    assert widths == dict.fromkeys(all_figures, 720.0)


def test_every_figure_names_its_axes(all_figures):
    assert all(figure.axes[0].get_xlabel() for figure in all_figures.values())
    del all_figures["ranks"], all_figures["results"]
    assert all(figure.axes[0].get_ylabel() for figure in all_figures.values())


def test_every_figure_can_be_drawn_and_nothing_leaves_the_picture(all_figures):
    for name, figure in all_figures.items():
        figure.draw_without_rendering()
        wide, high = figure.get_size_inches() * figure.dpi
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box.x0 > -3, name
            assert box.y0 > -3, name
            assert box.x1 < wide + 3, name
            assert box.y1 < high + 3, name


def test_no_setting_of_matplotlib_is_left_changed(rates):
    before = dict(mpl.rcParams)
    cf.calibration(rates, x="n", label_x="patients")
    assert dict(mpl.rcParams) == before


def test_table_of_results_shows_effects_in_points_with_p_and_units():
    shown = cf.results_table(RESULTS, caption="Two tests", level="90 %")
    assert "effect [90 % interval]" in shown.plain
    assert "+5.00 [+3.00, +7.00] points" in shown.plain
    assert "−1.30 [−3.30, +0.70] points" in shown.plain
    assert "< 0.001" in shown.plain
    with pytest.raises(ReplicateError, match="`results` must hold at least 1 entry"):
        cf.results_table({}, caption="None")


def test_forest_of_results_scales_effects_and_margin_alike():
    axes = cf.results_forest(RESULTS, label="x", scale=10, margin=0.02).axes[0]
    marks = [x for line in axes.lines if line.get_linestyle() == "None" for x in line.get_xdata()]
    assert marks == pytest.approx([0.5, -0.13])
    assert axes.patches[0].get_width() == pytest.approx(0.4)


def test_reach_ends_where_a_curve_falls_below_the_lowest_p_that_is_shown():
    axes = cf.reach([3, 4, 5], {"fast": [0.1, 1e-3, 1e-6]}, label="x", lowest=1e-4).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [3, 4]


def test_only_groups_of_several_methods_get_a_bar_from_their_first_to_their_last_rank():
    groups = [["nnU-Net", "U-Net"], ["last"]]
    axes = cf.critical_difference(RANKS, groups).axes[0]
    bars = [line for line in axes.lines if line.get_linewidth() == 5]
    assert len(bars) == 1
    assert bars[0].get_xdata().tolist() == pytest.approx([1.18, 2.02])


def test_methods_stand_at_their_ranks_best_on_the_left_whatever_their_order():
    backwards = dict(reversed(RANKS.items()))
    axes = cf.critical_difference(backwards, []).axes[0]
    assert texts_of(axes) == [
        "U-Net  1.20",
        "nnU-Net  2.00",
        "2.80  a method with a long name",
        "4.00  last",
    ]
    marks = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert marks == list(RANKS.values())


def test_ruler_is_as_long_as_the_critical_difference():
    axes = cf.critical_difference(RANKS, [], difference=1.25).axes[0]
    assert any(np.ptp(line[:, 0]) == 1.25 and line[0, 1] < 0 for line in lines_of(axes))
    assert "critical difference 1.25" in texts_of(axes)


def test_groups_that_name_an_unknown_method_are_refused():
    with pytest.raises(ReplicateError, match=r"`groups` must name methods of `ranks`, got 'V-Net'"):
        cf.critical_difference(RANKS, [["U-Net", "V-Net"]])
    with pytest.raises(ReplicateError, match="at least 2 methods, got 1"):
        cf.critical_difference({"U-Net": 1.0}, [])


def test_lines_of_agreement_are_drawn_with_their_bands_and_named():
    lines = {"bias": (1.0, 0.5, 1.5), "upper limit": (3.0, 2.0, 4.0)}
    axes = cf.bland_altman([1, 2], [0, 2], lines, label_x="x", label_y="y").axes[0]
    bands = [(patch.get_y(), patch.get_height()) for patch in axes.patches]
    assert bands == [(0.5, 1.0), (2.0, 2.0)]
    assert texts_of(axes) == ["bias 1", "upper limit 3"]


def test_unpaired_or_missing_values_are_refused():
    with pytest.raises(ReplicateError, match="`differences` must be 2 values, got 1"):
        cf.bland_altman([1, 2], [0], {}, label_x="x", label_y="y")
    with pytest.raises(ReplicateError, match="`means` must be 1 or more finite numbers"):
        cf.bland_altman([1, np.nan], [0, 1], {}, label_x="x", label_y="y")
    with pytest.raises(ReplicateError, match="`curves` must hold at least 1 entry, got none"):
        cf.froc({})


def test_roc_tells_each_area_with_its_interval():
    figure = cf.roc({"A": ([0, 0, 1], [0, 1, 1])}, {"A": (1.0, 0.9, 1.0)})
    texts = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert texts == ["A: area 1.000 [0.900, 1.000]"]


def test_froc_marks_the_sensitivity_at_each_rate_that_is_averaged():
    rate = np.array([0.125, 8.0])
    axes = cf.froc({"A": (rate, rate / 10, rate / 20, rate / 5)}, points=(1, 2)).axes[0]
    assert np.array([0.1, 0.2]) == pytest.approx(lines_of(axes)[1][:, 1])


def test_rates_above_the_highest_are_an_arrow_with_their_number(rates):
    axes = cf.calibration(rates, x="n", label_x="patients", panel="icc", highest=0.2).axes
    assert [panel.get_title(loc="left") for panel in axes] == ["icc 0", "icc 0.2"]
    assert texts_of(axes[0]) == []
    assert texts_of(axes[1]) == ["25", "25"]


def test_bars_of_a_rate_reach_1_96_monte_carlo_errors_either_way():
    one = pd.DataFrame({"test": ["t"], "rate": [0.05], "mc_se": [0.01], "n": [20]})
    axes = cf.calibration(one, x="n", label_x="patients").axes[0]
    (ends,) = axes.collections[0].get_segments()
    assert ends[:, 1] == pytest.approx([3.04, 6.96])


def test_rates_without_a_column_are_refused(rates):
    with pytest.raises(ReplicateError, match="without mc_se"):
        cf.calibration(rates.drop(columns="mc_se"), x="n", label_x="patients")


def test_share_of_extreme_resamples_is_told_and_counts_both_sides():
    values = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    axes = cf.resamples(values, observed=2.0, label="x", extreme=True).axes[0]
    assert "as far from 0 as observed: 40 %" in [t.get_text() for t in axes.get_legend().texts]


def test_resamples_without_any_spread_can_be_drawn():
    figure = cf.resamples([2.0, 2.0], observed=2.0, label="x", interval=(2.0, 2.0))
    figure.draw_without_rendering()


def test_bounds_of_corrections_are_those_of_holm_and_benjamini_hochberg():
    axes = cf.ordered_p_values([0.5, 0.01, 0.04, 0.03]).axes[0]
    by_name = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert by_name["Holm"] == pytest.approx([0.0125, 0.05 / 3, 0.025, 0.05])
    assert by_name["Benjamini-Hochberg"] == pytest.approx([0.0125, 0.025, 0.0375, 0.05])
    assert by_name["p-values"].tolist() == [0.01, 0.03, 0.04, 0.5]


def test_p_values_outside_their_range_are_refused():
    with pytest.raises(ReplicateError, match=r"`p_values` must lie in \[0, 1\], got 0.1 to 1.5"):
        cf.ordered_p_values([0.1, 1.5])


def test_colours_of_methods_come_from_the_palette_of_the_book():
    figure = cf.power_curves([0, 1], {"A": [0, 1], "B": [0, 0.5]}, label="x")
    used = [line.get_color() for line in figure.axes[0].lines[1:]]
    assert used == list(PALETTE[:2])
