import numpy as np
import pandas as pd
import pytest

from common.papers import Between
from common.records import Recorder
from common.statistics import areas, auc, froc
from common.statistics.design import pair
from common.statistics.detections import Detections
from common.statistics.results import DesignError
from common.statistics.scored import FALSE, HIT, MISS, NONE, Shifted, auc_contrast, cpm_contrast
from common.statistics.verdicts import judge

CLASSES = Between(left=("ill",), right=("well",))
N_CLUSTERS, N_CASES = 40, 3


@pytest.fixture
def truth(rng):
    return rng.random((N_CLUSTERS, N_CASES)) < 0.4


@pytest.fixture
def class_records(rng, truth, make_records):
    """Records of class scores; a stronger arm separates the classes more."""

    def make(strengths, n_seeds=1):
        alike = rng.normal(size=(1, N_CLUSTERS, 1))
        scores = {
            arm: strength * truth[None] + alike + rng.normal(size=(n_seeds, N_CLUSTERS, N_CASES))
            for arm, strength in strengths.items()
        }
        records = make_records(scores)
        labels = np.where(truth.ravel(), "ill", "well")
        # records of one arm and seed follow each other, cases in order
        records["group"] = np.tile(labels, len(strengths) * n_seeds)
        return records, scores

    return make


def flat(scores, arm, seed=0):
    return scores[arm][seed].ravel()


def test_one_seed_of_two_arms_is_delongs_test(class_records, truth):
    records, scores = class_records({"a": 2.0, "b": 1.0})
    paired = pair(records, metric="score", arms=("a", "b"))
    found = auc_contrast(paired, {"a": 1.0, "b": -1.0}, 0.0, CLASSES, clustered=False)
    expected = auc.auc_delong_inference(flat(scores, "a"), flat(scores, "b"), truth.ravel())
    assert found.effect == pytest.approx(expected.effect)
    assert found.p() == pytest.approx(expected.p())
    cluster = np.repeat(np.arange(N_CLUSTERS), N_CASES)
    clustered = auc_contrast(paired, {"a": 1.0, "b": -1.0}, 0.0, CLASSES, clustered=True)
    of_clusters = auc.auc_clustered_inference(
        flat(scores, "a"), flat(scores, "b"), truth.ravel(), cluster
    )
    assert clustered.se == pytest.approx(of_clusters.se)


def test_seeds_are_averaged_as_areas_and_not_as_scores(class_records, truth):
    records, scores = class_records({"a": 2.0, "b": 1.0}, n_seeds=3)
    paired = pair(records, metric="score", arms=("a", "b"))
    found = auc_contrast(paired, {"a": 1.0, "b": -1.0}, 0.0, CLASSES, clustered=False)
    each = {
        arm: np.mean([areas.auc(flat(scores, arm, seed), truth.ravel()) for seed in range(3)])
        for arm in "ab"
    }
    assert found.effect == pytest.approx(each["a"] - each["b"])
    copies = {arm: np.repeat(values[:1], 3, axis=0) for arm, values in scores.items()}
    one = auc.auc_delong_inference(flat(copies, "a"), flat(copies, "b"), truth.ravel())
    records["value"] = np.concatenate([copies[arm].ravel() for arm in "ab"])
    same = auc_contrast(
        pair(records, metric="score", arms=("a", "b")), {"a": 1.0, "b": -1.0}, 0.0, CLASSES,
        clustered=False,
    )  # fmt: skip
    assert same.se == pytest.approx(one.se)


def test_one_arm_is_compared_with_a_value_on_the_logit_scale(class_records, truth):
    records, scores = class_records({"a": 2.0})
    paired = pair(records, metric="score", arms=("a",))
    found = auc_contrast(paired, {"a": 1.0}, 0.5, CLASSES, clustered=False)
    area = auc.auc_inference(flat(scores, "a"), truth.ravel())
    assert isinstance(found, Shifted)
    assert found.p() == pytest.approx(area.p(0.5))
    assert found.interval().high == pytest.approx(area.interval().high - 0.5)
    assert found.p_greater(0.1) == pytest.approx(area.p_greater(0.6))
    assert found.p_less(0.1) == pytest.approx(area.p_less(0.6))


def test_seeds_with_other_cases_are_refused(class_records):
    records, _ = class_records({"a": 2.0, "b": 1.0}, n_seeds=2)
    gone = (records["seed"] == 1) & (records["case"] == "i0000")
    paired = pair(records[~gone], metric="score", arms=("a", "b"))
    with pytest.raises(DesignError, match="1 cases of 120 without some seed"):
        auc_contrast(paired, {"a": 1.0, "b": -1.0}, 0.0, CLASSES, clustered=True)


def test_a_claim_on_auc_names_its_classes(class_records, make_paper, rng):
    records, _ = class_records({"a": 2.0, "b": 0.2})
    claim = {"arms": ["a", "b"], "test": "auc_clustered"}
    between = {"left": ["ill"], "right": ["well"]}
    paper = make_paper(
        {**claim, "evidence": {"replication": {"between": between}}},
        claim,
        {
            "arms": ["a"], "test": "auc_delong", "direction": "greater", "value": 0.5,
            "evidence": {"replication": {"between": between}},
        },
    )  # fmt: skip
    found = judge(
        paper, records, layer="replication", source="phantom", profile="standard", rng=rng
    )
    assert [each.verdict for each in found] == ["supported", "untested", "supported"]
    assert "go together" in found[1].note
    assert (found[0].n_cases, found[0].n_clusters) == (120, 40)


# lesions: scan s0 has two, s1 one, s2 none, s3 none
def detector_records(candidates, *, arm, seed=0, missed=()):
    """candidates: (scan, lesion or None, score); missed: (scan, lesion)."""
    recorder = Recorder(paper="toy", run="r", profile="standard", source="phantom")
    rows = [
        (scan, lesion or f"{scan}-candidate-{number}", HIT if lesion else FALSE, score)
        for number, (scan, lesion, score) in enumerate(candidates)
    ]
    rows += [(scan, lesion, MISS, 0.0) for scan, lesion in missed]
    rows += [("s3", "s3", NONE, 0.0)]
    for scan, case, group, value in rows:
        recorder.add("score", [value], arm=arm, seed=seed, case=[case], cluster=[scan], group=group)
    return recorder.frame()


GOOD = [("s0", "n1", 0.9), ("s0", "n2", 0.8), ("s1", "n1", 0.7), ("s2", None, 0.1)]
BAD = [("s0", "n2", 0.3), ("s2", None, 0.9), ("s1", None, 0.8)]
MISSED = [("s0", "n1"), ("s1", "n1")]


def test_records_of_candidates_are_read_as_the_detections_they_stand_for(rng):
    records = detector_records(BAD, arm="b", missed=MISSED)
    found, size = cpm_contrast(records, {"b": 1.0}, 0.0, rng=rng)
    direct = Detections([0.3, 0.9, 0.8], [0, 2, 1], [1, -1, -1], [2, 1, 0, 0])
    assert found.effect == pytest.approx(froc.cpm(direct))
    assert (size.n_cases, size.n_clusters, size.n_seeds) == (3, 4, 1)


def test_arms_and_seeds_of_detectors_are_compared_on_the_same_scans(rng):
    records = pd.concat(
        [
            detector_records(GOOD, arm="a"),
            detector_records(BAD, arm="b", missed=MISSED),
            detector_records(BAD, arm="b", seed=1, missed=MISSED),
        ]
    )
    found, size = cpm_contrast(records, {"a": 1.0, "b": -1.0}, 0.0, rng=rng)
    good = Detections([0.9, 0.8, 0.7, 0.1], [0, 0, 1, 2], [0, 1, 0, -1], [2, 1, 0, 0])
    bad = Detections([0.3, 0.9, 0.8], [0, 2, 1], [1, -1, -1], [2, 1, 0, 0])
    assert found.effect == pytest.approx(froc.cpm(good) - froc.cpm(bad))
    assert size.n_seeds == 2
    moved, _ = cpm_contrast(records, {"a": 1.0}, 0.25, rng=rng)
    assert moved.effect == pytest.approx(froc.cpm(good) - 0.25)


def test_detectors_with_other_lesions_or_groups_are_refused(rng):
    both = pd.concat([detector_records(GOOD, arm="a"), detector_records(BAD, arm="b")])
    with pytest.raises(DesignError, match="must name each lesion once"):
        cpm_contrast(both, {"a": 1.0, "b": -1.0}, 0.0, rng=rng)
    with pytest.raises(DesignError, match="arm 'c' has no records"):
        cpm_contrast(both, {"c": 1.0}, 0.0, rng=rng)
    odd = both.assign(group="lesion")
    with pytest.raises(DesignError, match="must be hit, miss, false or none, got 'lesion'"):
        cpm_contrast(odd, {"a": 1.0}, 0.0, rng=rng)


def test_a_claim_on_cpm_is_judged_over_scans(make_paper, rng):
    parts = []
    for arm, share in (("a", 0.9), ("b", 0.3)):
        for scan in range(40):
            hit = rng.random() < share
            group, value = (HIT, rng.random() + 1) if hit else (MISS, 0.0)
            parts.append((arm, f"s{scan:02d}", "n", group, value))
            parts.append((arm, f"s{scan:02d}", "f", FALSE, rng.random()))
    recorder = Recorder(paper="toy", run="r", profile="standard", source="phantom")
    for arm, scan, case, group, value in parts:
        recorder.add("score", [value], arm=arm, case=[case], cluster=[scan], group=group)
    paper = make_paper({"arms": ["a", "b"], "test": "cpm_bootstrap"})
    (found,) = judge(
        paper, recorder.frame(), layer="replication", source="phantom", profile="full", rng=rng
    )
    assert found.verdict == "supported"
    assert (found.n_cases, found.n_clusters) == (40, 40)
    assert found.low < found.effect < found.high
