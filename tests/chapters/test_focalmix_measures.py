"""Measures of the FocalMix chapter: worked by hand, and against the FROC curve itself."""

import numpy as np
import pandas as pd
import pytest
import torch

from common.chapters.focalmix import measures
from common.chapters.focalmix.scans import Volumes
from common.metrics.detection import Matches
from common.metrics.detection_records import pool
from common.models.detection_inference import Found
from common.statistics import froc
from common.statistics.froc import FP_RATES, Detections


def random_matches(seed: int = 0, scans: int = 40) -> dict[str, Matches]:
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(scans):
        n = int(rng.poisson(1.3))
        hits = np.flatnonzero(rng.random(n) < 0.7)
        false = rng.random(rng.poisson(6))
        score = np.concatenate([0.3 + 0.7 * rng.random(len(hits)), false])
        lesion = np.concatenate([hits, np.full(len(false), -1)]).astype(int)
        found[f"s{i:02d}"] = Matches(score, lesion, n)
    return found


def test_a_detection_is_a_hit_where_its_centre_lies_in_the_nodule() -> None:
    image = np.zeros((1, 1, 8, 8, 8), np.float32)
    centre = np.array([[3.0, 3.0, 3.0]], np.float32)
    volumes = Volumes(("a",), image, (np.zeros((1, 6), np.float32),), (centre,), (np.array([2.0]),))
    # in the frame of the anchors the nodule's centre is 3.5: the first box hits, the second is
    # one voxel off its centre, which is the radius
    boxes = torch.tensor([[2.5, 2.5, 2.5, 4.5, 4.5, 4.5], [3.5, 2.5, 2.5, 5.5, 4.5, 4.5]])
    found = measures.match([Found(boxes, torch.tensor([0.9, 0.8]))], volumes)["a"]
    assert found.lesion.tolist() == [0, -1]
    nothing = measures.match([Found(torch.zeros(0, 6), torch.zeros(0))], volumes)["a"]
    assert (len(nothing.score), nothing.n_lesions) == (0, 1)


def test_the_mean_share_of_found_nodules_is_cpm_without_interpolation() -> None:
    for seed in range(5):
        matches = random_matches(seed)
        nodules, hits = measures.nodule_hits(matches)
        detections = Detections(*pool(matches.values()))
        np.testing.assert_allclose(hits.mean(axis=0), froc.froc(detections, interpolate=False))
        assert len(nodules) == sum(each.n_lesions for each in matches.values())
        assert measures.cpm(matches) == pytest.approx(froc.cpm(detections))


def test_records_give_the_curve_back() -> None:
    matches = random_matches(3)
    parts = [measures.records(random_matches(s), arm="a", draw=s, in_full=True) for s in (0, 1)]
    with pytest.raises(KeyError, match="no detections"):
        measures.detections(pd.concat(parts), arm="b")
    first, second = measures.detections(pd.concat(parts), arm="a")
    assert froc.cpm(first) == pytest.approx(measures.cpm(random_matches(0)))
    assert froc.cpm(second) == pytest.approx(measures.cpm(random_matches(1)))
    table = measures.records(matches, arm="a", draw=0, in_full=True)
    gap = table[table["metric"] == "few_minus_many"]["value"]
    found = froc.froc(Detections(*pool(matches.values())), interpolate=False)
    assert gap.mean() == pytest.approx(found[:3].mean() - found[4:].mean())
    one = table[(table["metric"] == "found") & (table["group"] == "1 FP")]["value"]
    assert one.mean() == pytest.approx(found[FP_RATES.index(1.0)])


def test_candidates_past_every_rate_are_left_out_and_change_nothing() -> None:
    rng = np.random.default_rng(0)
    many = {f"s{i}": Matches(rng.random(60), np.array([0] + [-1] * 59), 1) for i in range(5)}
    table = measures.records(many, arm="a", draw=0, in_full=True)
    kept = (table["group"] == "false").sum()
    assert kept <= measures.KEPT_FALSE * 5 + 1
    assert froc.cpm(measures.detections(table, arm="a")[0]) == pytest.approx(measures.cpm(many))


def test_doublings_worked_by_hand() -> None:
    curve = {12: 0.4, 24: 0.5, 48: 0.6, 192: 0.8}
    assert measures.doublings(curve, 0.5) == pytest.approx(1.0)
    assert measures.doublings(curve, 0.55) == pytest.approx(1.5)
    assert measures.doublings(curve, 0.7) == pytest.approx(3.0)
    assert measures.doublings(curve, 0.3) == 0.0
    assert measures.doublings(curve, 0.9) == 4.0
    # a dip in the curve is no level that more scans fall below
    assert measures.doublings({12: 0.4, 24: 0.35, 48: 0.6}, 0.5) == pytest.approx(1.5)
    # Table 1: 78.1 lies between 75.4 with 50 and 82.8 with 100 scans
    printed = measures.doublings({25: 66.6, 50: 75.4, 100: 82.8}, 78.1)
    assert printed == pytest.approx(1 + 2.7 / 7.4)


def test_what_is_left_of_the_loss_compares_the_last_quarter_with_the_first() -> None:
    loss = [2.0, 4.0, 3.0, 3.0, 3.0, 9.0, 9.0, 9.0, 1.0, 0.0, 2.0, 1.0]
    table = pd.DataFrame({"step": range(12), "metric": "score_loss", "value": loss})
    other = table.assign(metric="box_loss", value=100.0)
    shuffled = pd.concat([table.iloc[::-1], other])
    assert measures.loss_left(shuffled) == pytest.approx(1.0 / 3.0)
