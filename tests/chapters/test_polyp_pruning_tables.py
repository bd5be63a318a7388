"""Tables and figures of the pruning page: made of the right numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.polyp_pruning import costs, pictures, tables
from common.chapters.polyp_pruning.curves import (
    AREA_LEVELS,
    GROUPS,
    LEFT,
    LEVELS,
    RIGHT,
    SCORES,
)
from common.chapters.polyp_pruning.inputs import Frames
from common.statistics import power
from common.statistics.audit import Check


@pytest.fixture(scope="module")
def paper():
    return papers.load("polyp-pruning")


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    n_levels, n_seeds, n = len(LEVELS), 2, 30
    fall = 0.7 - 2 * np.maximum(0, np.array(LEVELS) - 0.5)
    frames = np.clip(fall[None, :, None] + 0.01 * rng.standard_normal((n_seeds, n_levels, n)), 0, 1)
    left = 1 - np.array(LEVELS)
    curve = np.tile(frames.mean(2), (len(SCORES), 1, 1))
    # every score and share has its own height, so that a figure cannot mix them up
    factor = 1 + 0.01 * np.arange(len(SCORES))[:, None, None]
    return {
        "curve": curve * factor,
        "shares": np.stack([left * factor, left**2 * factor], axis=-1).repeat(n_seeds, axis=1),
        "chance": curve[0][:, :7],
        "chance-shares": np.tile(1 - np.array(AREA_LEVELS)[:, None], (n_seeds, 1, 2)),
        "small-shares": np.full((n_seeds, 2), 0.25),
        "time-shares": 0.5 + 0.01 * np.arange(3 * len(costs.TIMED_SCORES)).reshape(-1, 3),
        "loss": np.arange(3 * n_seeds * 4, dtype=float).reshape(3, n_seeds, 4),
        "clusters": np.arange(n) // 2,
        "seconds-whole": np.array([2.0, 4.0, 4.0]),
        "seconds-left": np.array([1.0, 2.0, 2.0]),
        "seconds-right": np.array([1.6, 3.2, 3.2]),
        "seconds-small": np.array([0.5, 1.0, 1.0]),
        "frames": frames,
        "kept": np.tile(np.round(32 * left)[:, None], (2, n_seeds, 1, 18)),
        "agreement": np.array([[0.5, 0.9], [0.7, 0.9]]),
        "agreement-sizes": np.array([5, 20]),
    }


def records(arms, *, metric="iou", group="", n=6):
    rows = [
        {"arm": arm, "metric": metric, "group": group, "seed": 0, "fold": "", "source": "phantom",
         "paper": "polyp-pruning", "run": "r", "profile": "standard",
         "case": f"f{i}", "cluster": f"f{i}", "value": value + 0.001 * i}
        for arm, value in arms.items()
        for i in range(n)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def both_points():
    parts = []
    for share, arm in ((LEFT, "few"), (RIGHT, "taylor")):
        parts.append(records({arm: 0.4, "unpruned": 0.5}, group=GROUPS[share]))
        for metric, value in (("mac_share", 0.6), ("parameter_share", 0.3)):
            parts.append(records({arm: value}, metric=metric, group=GROUPS[share], n=1))
    return pd.concat(parts)


def test_printed_points_stand_beside_measured_ones(paper):
    seconds = {
        "seconds-whole": np.array([2.0, 2.0]),
        "seconds-left": np.array([1.0, 1.0]),
        "seconds-right": np.ones(2),
    }
    found = tables.published_and_replicated(paper, {"quick": both_points()}, {"quick": seconds})
    left = found.loc["956 of 2,944"]
    assert left["published"].tolist() == [0.477, 0.864, 0.5795, 0.99, 0.7]
    assert left["quick"].tolist() == pytest.approx([0.6, 0.3, 0.4025, 0.4025 / 0.5025, 0.5])
    assert found.loc[("736 of 2,944", "IoU ratio"), "published"] == 1


def test_levels_of_high_resolution_own_operations_and_few_parameters():
    found = tables.sizes_by_level(32)
    np.testing.assert_allclose(found.sum(), 100)
    top = found.loc[:3].sum()
    assert top["filters"] == pytest.approx(100 * 896 / 2944)
    assert top["operations"] > 60
    assert top["parameters"] < 20


def test_equality_needs_frames_as_the_square_of_the_spread():
    found = tables.frames_needed((0.02, 0.04), margin=0.01, n=235)
    needed = found["frames needed"].tolist()
    assert needed[1] == pytest.approx(4 * needed[0], rel=0.05)
    # at the margin that n frames can show, n frames are needed
    at = found["margin of 235 frames"].iloc[0]
    again = tables.frames_needed((0.02,), margin=at, n=235)["frames needed"].iloc[0]
    assert again == pytest.approx(235, rel=0.03)


def test_a_run_on_the_phantom_is_judged_as_if_its_frames_were_real(paper):
    rng = np.random.default_rng(0)
    table = pd.concat(
        [
            records({"taylor": 0.5, "signed": 0.0}, metric="area", n=40),
            records({"dial-pruned": 0.2, "dial-whole": 0.6}, group="narrow", n=40),
        ]
    )
    table["value"] += 0.02 * rng.standard_normal(len(table))
    found = tables.judge_all(paper, table, profile="standard", data="phantom", rng=rng)
    words = {verdict.claim: verdict.verdict for verdict in found}
    assert words["C7"] == "supported"
    assert words["C16n"] == "supported"
    assert words["C1"] == "untested"
    # where the main frames are real, phantom records of the main claims do not count
    real = tables.judge_all(paper, table, profile="standard", data="open", rng=rng)
    words = {verdict.claim: verdict.verdict for verdict in real}
    assert words["C7"] == "untested"
    assert words["C16n"] == "supported"


def test_scores_are_averaged_by_arm_and_level(paper):
    parts = [records({"taylor": 0.5, "unpruned": 0.6}, group=group) for group in GROUPS.values()]
    parts.append(records({"taylor": 0.4}, metric="area"))
    numbers = tables.scores(paper, {"quick": pd.concat(parts)}, rng=np.random.default_rng(0))
    found = tables.score_table(numbers, "quick")
    label = paper.arm("taylor").label
    assert found.loc[label, "area"].startswith("0.403 [")
    assert found.loc["Unpruned", "IoU at 25 %"].startswith("0.60")
    assert found.loc["Unpruned", "area"] == "–"


def test_ranks_put_the_largest_area_first(paper):
    arms = dict(zip(tables.COMPARED, (0.9, 0.1, 0.5, 0.6, 0.7, 0.8), strict=True))
    mean, groups, difference = tables.ranks(records(arms, metric="area", n=30), paper)
    assert mean[paper.arm("taylor").label] == 1
    assert mean[paper.arm("chance").label] == 6
    assert all(len(group) <= 2 for group in groups)
    assert 0 < difference < 2


def test_turns_lie_where_the_curve_turns(arrays):
    found = tables.knees(arrays, rng=np.random.default_rng(0), n_resamples=20)
    assert found.loc["all", "turns at"] == pytest.approx(50, abs=3)
    assert (found["low"] <= found["turns at"] + 1e-9).all()
    assert (found["high"] >= found["turns at"] - 1e-9).all()
    assert tables.agreement(arrays).loc[5].tolist() == pytest.approx([60, 50, 70])


def test_time_is_relative_to_the_whole_network(arrays):
    found = costs.timing(arrays, rng=np.random.default_rng(0))
    macs = arrays["shares"][SCORES.index("few"), 0, LEVELS.index(LEFT), 1]
    assert found.loc["left"].tolist() == [2.0, macs, 0.5, 0.5, 0.5]
    assert found.loc["whole", "operations left"] == 1
    assert found.loc["small"].tolist() == [1.0, 0.25, 0.25, 0.25, 0.25]


def test_a_quick_run_shows_the_archive_and_a_larger_one_itself():
    old = SimpleNamespace(arrays={"curve": 1}, profile="standard")
    own = {"curve": 2}
    assert tables.curves(own, old, "quick") == ({"curve": 1}, "archived standard run")
    assert tables.curves(own, old, "full") == (own, "full run")
    assert tables.curves(own, old, "standard") == (own, "standard run")
    assert tables.curves(own, None, "quick") == (own, "quick run")


def test_the_interval_of_a_turn_comes_from_whole_clusters():
    # two clusters: one turns at 30 %, the other at 60 %; frames of a cluster are alike
    x = np.array(LEVELS)[:, None]
    early, late = (0.7 - 0.7 * np.maximum(0, x - place) for place in (0.3, 0.6))
    frames = np.concatenate([np.tile(early, 9), np.tile(late, 9)], axis=1)[None]
    options = {"rng": np.random.default_rng(0), "n_resamples": 60}
    by_cluster = tables.knees({"frames": frames, "clusters": np.repeat([0, 1], 9)}, **options)
    by_frame = tables.knees({"frames": frames, "clusters": np.arange(18)}, **options)
    width = [(each["high"] - each["low"])["0"] for each in (by_cluster, by_frame)]
    assert width[0] == pytest.approx(30, abs=3)
    assert width[1] < 25
    straight = tables.knees(
        {"frames": 0.7 - 0.2 * np.tile(x, 4)[None], "clusters": np.arange(4)}, **options
    )
    assert np.isnan(straight.loc["all", "turns at"])
    assert straight.loc["all", "turn"] == 0


def test_the_margin_that_can_be_shown_follows_the_spread_of_clusters():
    rng = np.random.default_rng(0)
    table = records({"few": 0.4, "unpruned": 0.5}, group=GROUPS[LEFT], n=100)
    noise = rng.standard_normal(100)
    table.loc[table["arm"] == "few", "value"] += 0.05 * noise
    wanted = 0.05 * noise.std(ddof=1) / 10
    # two one-sided tests at 5 % with 80 % power: about 2.93 standard errors
    assert tables.smallest_margin(table) == pytest.approx(2.93 * wanted, rel=0.15)
    assert tables.n_trainings(table) == 1


def test_dots_hold_the_printed_and_the_measured_iou(paper):
    parts = [records({"taylor": 0.5, "few": 0.6}, group=group) for group in GROUPS.values()]
    numbers = tables.scores(paper, {"quick": pd.concat(parts)}, rng=np.random.default_rng(0))
    found = tables.iou_dots(paper, numbers).set_index(["row", "kind"])["value"]
    assert found["First-order score, 25 %", "published"] == 0.5879
    assert found["First-order score, few frames, 32.5 %", "published"] == 0.5795
    assert found["First-order score, 25 %", "quick"] == pytest.approx(0.5025)


def test_twins_and_dial_are_averaged_by_arm():
    twins = records({"leaky": 0.7, "unpruned": 0.5}, group="twins")
    found = tables.twins({"quick": twins})
    row = found.loc[("quick", "look alike")]
    assert row.tolist()[:4] == pytest.approx([6, 6, 0.5025, 0.7025])
    assert row["detectable"] == pytest.approx(0, abs=1e-9)  # all frames differ by the same
    none = found.loc[("quick", "near-duplicates")]
    assert none["frames"] == 0
    assert np.isnan(none["detectable"])
    spread = twins.copy()
    spread.loc[spread["arm"] == "leaky", "value"] += 0.01 * np.array([1, -1, 1, -1, 1, -1])
    found = tables.twins({"quick": spread}).loc[("quick", "look alike"), "detectable"]
    assert found == pytest.approx(power.paired_t(0.01 * np.sqrt(6 / 5), n=6))
    dial = records({"dial-pruned": 0.2, "dial-whole": 0.6}, group="narrow")
    assert tables.dial({"quick": dial}).loc["narrow"].tolist() == pytest.approx([0.6025, 0.2025])


def test_checks_say_what_was_printed_and_what_follows():
    found = tables.checks([Check("A1", "holds", "fail", "1", "2", "why"), Check("A2", "b", "pass")])
    assert found["finding"].tolist() == ["printed: 1; recomputed: 2; why", "–"]


def test_every_figure_is_drawn(paper, arrays):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (8, 3, 32, 32)).astype(np.uint8)
    mask = np.zeros((8, 32, 32), dtype=bool)
    mask[:, 8:20, 8:20] = True
    frames = Frames(
        pd.DataFrame({"case": list("abcdefgh"), "cluster": list("abcdefgh")}), image, mask
    )
    after = np.where(mask, 0.9, 0.1).astype(np.float32)
    after[3] = 0.1
    masks = {"before": np.where(mask, 0.9, 0.1).astype(np.float32), "after": after}
    chosen = pictures.examples(frames, masks)
    assert chosen[-1] == 3
    times = pd.DataFrame(
        {"time left": [0.7, 0.8], "low": [0.6, 0.7], "high": [0.8, 0.9]}, ["left", "right"]
    )
    whole = [32] * 18
    drawn = [
        pictures.frames({"phantom": frames, "open": frames}),
        pictures.where_sizes_lie(tables.sizes_by_level(8)),
        pictures.trade_off(arrays, paper, times),
        pictures.score_curves(arrays, paper),
        pictures.losses(arrays),
        pictures.kept_filters(whole, {"a": [16] * 18, "b": [8] * 18}),
        pictures.network_at(arrays, whole, 32.5),
        pictures.before_and_after(frames, masks, chosen),
    ]
    assert all(figure.axes for figure in drawn)
    assert "32.5% removed" in drawn[6].axes[0].get_title(loc="left")


def points(axes, x):
    """Return the heights of the single points at one place."""
    lines = (line for line in axes.lines if len(line.get_xdata()) == 1)
    return {round(float(line.get_ydata()[0]), 4) for line in lines if line.get_xdata()[0] == x}


def test_published_points_stand_at_their_places(paper, arrays):
    times = pd.DataFrame(
        {"time left": [0.6, 0.65], "low": [0.6, 0.6], "high": [0.8, 0.9]}, ["left", "right"]
    )
    panels = pictures.trade_off(arrays, paper, times).axes
    for k, (left, right) in enumerate(
        ((0.5795, 0.5879), (0.864, 0.922), (0.477, 0.54), (0.7, 0.74))
    ):
        assert left in points(panels[k], 100 * LEFT)
        assert right in points(panels[k], 100 * RIGHT)
    assert 0.6 in points(panels[3], 100 * LEFT)
    costs_ = np.array(pictures.cost_curves(arrays, paper).axes).reshape(3, 3)
    for row, wanted in zip(costs_, ((0.864, 0.922), (0.477, 0.54), (0.7, 0.74)), strict=True):
        for axes in row:
            assert points(axes, 100 * LEFT) == {wanted[0]}
            assert points(axes, 100 * RIGHT) == {wanted[1]}


def test_every_score_has_its_own_line_in_every_panel(paper, arrays):
    shown = pictures.score_curves(arrays, paper).axes
    costs_ = np.array(pictures.cost_curves(arrays, paper).axes).reshape(3, 3)
    seen = set()
    for k, arms in enumerate(pictures.PANELS.values()):
        seen |= set(arms)
        labels = [paper.arm(arm).label for arm in arms]
        assert [line.get_label() for line in shown[k].lines] == labels
        for arm, line in zip(arms, shown[k].lines, strict=True):
            if arm != "chance":
                wanted = arrays["curve"][SCORES.index(arm)].mean(axis=0)
                np.testing.assert_allclose(line.get_ydata(), wanted)
        for row, quantity in ((0, 0), (1, 1)):
            for arm, line in zip(arms, costs_[row, k].lines, strict=False):
                if arm != "chance":
                    wanted = arrays["shares"][SCORES.index(arm)][..., quantity].mean(axis=0)
                    np.testing.assert_allclose(line.get_ydata(), wanted)
        for arm, line in zip(arms, costs_[2, k].lines, strict=False):
            wanted = arrays["time-shares"][costs.TIMED_SCORES.index(arm)]
            np.testing.assert_allclose(line.get_ydata(), [1, *wanted])
    assert seen | {"few", "few-other"} == {*SCORES, "chance"}
