import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from common import figures, plotstyle
from common.errors import ReplicateError

ROWS = ["a", "b", "c"]


@pytest.fixture
def effects():
    rows = [
        {"row": row, "kind": kind, "effect": i, "low": i - wide, "high": i + wide}
        for i, row in enumerate(ROWS)
        for kind, wide in (("folds", 0.5), ("patients", 2.0))
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def all_figures(effects, rng):
    numbers = pd.DataFrame(
        {"row": ROWS * 2, "kind": ["published"] * 3 + ["quick"] * 3, "value": range(6)}
    )
    slopes = pd.DataFrame({"row": ROWS, "left": [1.0, 2.0, 3.0], "right": [1.0, 2.0, 2.5]})
    history = pd.DataFrame(
        [
            {"arm": arm, "epoch": epoch, "loss": 1 / (epoch + 1) + seed}
            for arm in ROWS
            for epoch in range(5)
            for seed in range(2)
        ]
    )
    shares = np.linspace(0.6, 0.8, 9)
    return {
        "forest": figures.forest(effects, label="difference (points)", margin=0.5),
        "dots": figures.dot_published_replicated(numbers, label="accuracy (%)"),
        "slope": figures.slope(slopes, label="accuracy (%)", left="printed", right="true"),
        "heatmap": figures.heatmap_patients(rng.random((3, 20)), arms=ROWS, label="share"),
        "curves": figures.curves(
            history, x="epoch", y="loss", label_x="epoch", label_y="loss (nats)"
        ),
        "ladder": figures.ladder({"naive": 1e-9, "proper": 0.4}),
        "congruence": figures.congruence_curve(shares, {"independent": shares / 2}, measured=0.7),
        "gallery": figures.gallery([np.eye(8)] * 8, [f"i{i}" for i in range(8)]),
    }


def test_every_figure_is_as_wide_as_the_page(all_figures):
    widths = {name: 72 * figure.get_size_inches()[0] for name, figure in all_figures.items()}
    assert widths == dict.fromkeys(all_figures, 720.0)


def test_every_figure_with_values_names_its_horizontal_axis(all_figures):
    del all_figures["gallery"], all_figures["slope"]
    assert all(figure.axes[0].get_xlabel() for figure in all_figures.values())


def test_every_figure_can_be_drawn_and_nothing_leaves_the_picture(all_figures):
    for name, figure in all_figures.items():
        figure.draw_without_rendering()
        for axes in figure.axes:
            box = axes.get_tightbbox()
            wide, high = figure.get_size_inches() * figure.dpi
            assert box.x0 > -3, name
            assert box.y0 > -3, name
            assert box.x1 < wide + 3, name
            assert box.y1 < high + 3, name


def test_no_setting_of_matplotlib_is_left_changed(effects):
    before = dict(mpl.rcParams)
    figures.forest(effects, label="x")
    with pytest.raises(ZeroDivisionError), figures.style():
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def test_an_arm_keeps_its_colour_when_another_is_appended():
    few, many = figures.arm_styles(ROWS), figures.arm_styles([*ROWS, "d"])
    assert {arm: many[arm] for arm in ROWS} == few


def test_thirty_arms_are_told_apart_by_colour_and_marker():
    looks = figures.arm_styles([f"arm {i}" for i in range(30)])
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == 30


def red_green_blind(hex_code: str) -> np.ndarray:
    """Project a colour as a deuteranope sees it (Vienot, Brettel and Mollon, 1999)."""
    rgb = np.array([int(hex_code[i : i + 2], 16) / 255 for i in (1, 3, 5)]) ** 2.2
    red, green, blue = rgb
    mixed = 0.293 * red + 0.707 * green
    return np.array([mixed, mixed, -0.022 * red + 0.022 * green + blue]).clip(0, 1) ** (1 / 2.2)


def test_first_six_colours_stay_apart_for_red_green_blind_readers():
    seen = [red_green_blind(code) for code in plotstyle.PALETTE[:6]]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(gaps) > 0.12
    pure = [red_green_blind("#ff0000"), red_green_blind("#8f8f00")]
    assert np.linalg.norm(pure[0] - pure[1]) < 0.25, "the projection merges red and olive"


def test_forest_draws_one_interval_for_each_row_and_kind(effects):
    axes = figures.forest(effects, label="x").axes[0]
    segments = [line for lines in axes.collections for line in lines.get_segments()]
    assert len(segments) == 6
    ends = sorted((low[0], high[0]) for low, high in segments)
    assert ends == sorted(zip(effects["low"], effects["high"], strict=True))
    assert [label.get_text() for label in axes.get_yticklabels()] == ROWS
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["folds", "patients"]


def test_forest_without_kinds_has_no_legend(effects):
    one = effects[effects["kind"] == "folds"].drop(columns="kind")
    assert figures.forest(one, label="x").axes[0].get_legend() is None


def test_published_numbers_are_open_circles():
    frame = pd.DataFrame(
        {"row": ["a"] * 2, "kind": ["published", "full"], "value": [1, 2], "low": 0, "high": 3}
    )
    lines = figures.dot_published_replicated(frame, label="x").axes[0].get_lines()
    faces = {line.get_label(): line.get_markerfacecolor() for line in lines}
    assert faces["published"] == "white"
    assert faces["full"] == plotstyle.PALETTE[0]


def test_slope_joins_the_two_values_of_each_row():
    frame = pd.DataFrame({"row": ["a", "b"], "left": [1.0, 2.0], "right": [1.5, 1.5]})
    axes = figures.slope(frame, label="x", left="l", right="r").axes[0]
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[1.0, 1.5], [2.0, 1.5]]
    heights = [text.xyann[1] for text in axes.texts]
    assert heights[0] != heights[1], "labels of equal values are moved apart"


def test_heatmap_sorts_patients_inside_their_group():
    values = np.array([[0.9, 0.1, 0.5, 0.2], [0.9, 0.1, 0.5, 0.2]])
    figure = figures.heatmap_patients(
        values, arms=["x", "y"], label="share", groups=["g", "h", "g", "h"]
    )
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert shown[0].tolist() == [0.5, 0.9, 0.1, 0.2]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["g", "h"]


def test_heatmap_refuses_a_wrong_shape():
    with pytest.raises(ReplicateError, match=r"must have shape \(3, patients\), got \(2, 4\)"):
        figures.heatmap_patients(np.zeros((2, 4)), arms=ROWS, label="x")


def test_curve_is_the_mean_over_repeats_and_the_band_their_range():
    history = pd.DataFrame({"arm": "a", "t": [0, 0, 1, 1], "v": [1.0, 3.0, 2.0, 6.0]})
    axes = figures.curves(history, x="t", y="v", label_x="t (s)", label_y="v").axes[0]
    assert list(axes.get_lines()[0].get_ydata()) == [2.0, 4.0]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (1.0, 6.0)


def test_ladder_is_logarithmic_and_floors_tiny_p_values():
    axes = figures.ladder({"naive": 0.0, "middle": 1e-3, "proper": 0.5}, smallest=1e-6).axes[0]
    assert axes.get_xscale() == "log"
    places = [float(line.get_xdata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert places == [1e-6, 1e-3, 0.5]
    assert [text.get_text() for text in axes.texts] == ["p < 1e-06", "p = 0.001", "p = 0.5"]


@pytest.mark.parametrize("p", [1.5, -0.1, float("nan")])
def test_ladder_refuses_what_is_not_a_probability(p):
    with pytest.raises(ReplicateError, match=r"`p_values` must be in \[0, 1\]"):
        figures.ladder({"test": p})


def test_gallery_shows_all_images_on_one_scale():
    figure = figures.gallery([np.zeros((4, 4)), np.full((4, 4), 5.0)], ["", "b"], columns=2)
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0.0, 5.0)}


def test_gallery_refuses_a_missing_title():
    with pytest.raises(ReplicateError, match="0 titles for 1 images"):
        figures.gallery([np.eye(3)], [])


def test_congruence_curve_marks_the_measured_value():
    axes = figures.congruence_curve([0.1, 0.2], {"x": [0.3, 0.1]}, measured=0.15).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["x", "measured here: 0.150"]


def test_missing_column_is_named():
    with pytest.raises(ReplicateError, match=r"`effects` must have .* Add high\."):
        figures.forest(pd.DataFrame({"row": ["a"], "effect": [1], "low": [0]}), label="x")


def test_p_values_are_counted_in_bins_as_wide_as_the_level():
    figure = figures.p_value_histogram({"naive": [0.01, 0.02, 0.04, 0.5], "valid": [0.1] * 4})
    naive, valid = figure.axes
    heights = [bar.get_height() for bar in naive.patches]
    assert len(heights) == 20
    assert heights[0] == 75
    assert sum(heights) == 100
    assert [axes.get_title(loc="left") or axes.get_title() for axes in (naive, valid)] == [
        "naive",
        "valid",
    ]
