"""What is measured on gels, maps and runs, against counts worked by hand."""

import numpy as np
import pytest

from common.chapters.ife import measures
from common.chapters.ife.gels import make
from common.metrics.classification import macro_f1


def means(values):
    return {name: float(np.nanmean(each)) for name, each in values.items()}


def test_a_wrong_type_is_an_error_and_no_miss() -> None:
    label = np.array([0, 0, 3, 3, 5, 1])
    called = np.array([0, 3, 3, 4, 0, 1])
    found = means(measures.decisions(label, called))
    assert found["correct"] == 3 / 6
    assert found["missed"] == 1 / 4  # IgA called negative, of four positives
    assert found["m1_correct"] == 1.0


def test_the_mean_over_gels_of_the_three_smallest_is_the_mean_of_their_recalls() -> None:
    label = np.array([1, 8, 8, 2, 2, 2, 2, 0])
    called = np.array([1, 8, 0, 2, 0, 0, 0, 0])
    found = measures.decisions(label, called)
    assert measures.THREE_SMALLEST == (1, 8, 2)
    assert np.nanmean(found["m3_correct"]) == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)
    assert np.isnan(found["m3_correct"][-1])
    without = measures.decisions(label[1:], called[1:])
    assert np.nanmean(without["m3_correct"]) == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_the_printed_row_of_the_paper_can_be_recomputed_from_its_counts() -> None:
    """2,778 of 2,908 right with 70 of 837 missed prints 95.53 and 8.36, a run of the best row."""
    label = np.repeat([0, 3], [2071, 837])
    called = label.copy()
    called[2071 : 2071 + 70] = 0
    called[: 130 - 70] = 3
    found = measures.summary(label, called)
    assert round(100 * found["accuracy"], 2) == 95.53
    assert round(100 * found["fnr"], 2) == 8.36
    assert found["macro_f1"] == macro_f1(label, called, n_classes=9)
    assert np.isnan(found["m1"])


def test_entropy_is_one_for_flat_maps_and_falls_as_they_sharpen() -> None:
    maps = np.array([[1, 1, 1, 1], [1, 1, 1e-12, 1e-12], [1, 1e-12, 1e-12, 1e-12]])
    assert measures.entropy(maps).tolist() == pytest.approx([1, 0.5, 0], abs=1e-9)
    np.testing.assert_allclose(measures.entropy(maps), measures.entropy(0.2 * maps), atol=1e-12)


def test_the_pointing_game_hits_within_one_bin_of_the_band() -> None:
    maps = np.eye(8)  # gel i points at bin i, whose centre is 5 + 10 i
    hit, chance = measures.pointing(maps, np.full(8, 37.0), height=80)
    assert hit.tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert chance.tolist() == [0.25] * 8
    edge = measures.pointing(maps, np.full(8, 2.0), height=80)
    assert edge[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert edge[1][0] == 1 / 8


def test_the_mean_hit_of_random_maps_is_the_chance(rng) -> None:
    maps, row = rng.random((4000, 8)), rng.uniform(0, 64, 4000)
    hit, chance = measures.pointing(maps, row, height=64)
    assert hit.mean() == pytest.approx(chance.mean(), abs=3 * 0.5 / np.sqrt(4000))


def test_tasks_that_look_at_the_same_rows_do_not_diverge(rng) -> None:
    maps = rng.random((5, 8))
    assert measures.divergence(maps, maps).tolist() == pytest.approx([0] * 5, abs=1e-9)
    other = measures.divergence(maps, rng.random((5, 8)))
    assert ((other > 0) & (other < np.log(2))).all()


@pytest.fixture(scope="module")
def gels():
    return make(30, seed=1, part="test", size=(40, 40), dials={"imbalance": 0.0})


def test_attention_is_measured_where_it_can_be(gels, rng) -> None:
    maps = {task: [rng.random((30, 5), dtype=np.float32)] for task in ("heavy", "light")}
    found = measures.attention(gels, maps)
    assert (np.isnan(found["pointing_hit"]) == (gels.label == 0)).all()
    assert not np.isnan(found["attention_entropy"]).any()
    assert (np.isnan(found["task_divergence"]) == (gels.heavy == 0)).all()
    assert measures.attention(gels, {"label": []}) == {}
    assert "task_divergence" not in measures.attention(gels, {"label": maps["heavy"]})


def test_records_leave_out_what_does_not_count_and_group_the_entropy_by_sign(gels) -> None:
    values = measures.decisions(gels.label, gels.label)
    values["attention_entropy"] = np.ones(30)
    table = measures.records(values, gels)
    sizes = table.groupby("metric").size()
    assert sizes["correct"] == 30
    assert sizes["missed"] == (gels.label > 0).sum()
    groups = table[table["metric"] == "attention_entropy"]["group"]
    assert set(groups) == {"positive", "negative"}
    assert not table.duplicated(["case", "metric"]).any()
