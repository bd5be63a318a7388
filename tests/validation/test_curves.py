import numpy as np
import pytest

from common.statistics.areas import auc
from common.statistics.froc import cpm
from common.validation.curves import Classes, Detectors, draw_classes, draw_detectors


def test_the_areas_are_those_planned(rng):
    study = draw_classes(Classes(4000, 0.2, effect=0.05), rng)
    first, second = (auc(study.scores[:, arm], study.labels) for arm in (0, 1))
    assert second == pytest.approx(0.802, abs=0.015)
    assert first - second == pytest.approx(0.05, abs=0.015)


def test_every_patient_has_one_class_and_both_classes_occur(rng):
    for _ in range(20):
        study = draw_classes(Classes(5, 0.0), rng)
        pairs = set(zip(study.cluster, study.labels, strict=True))
        assert len(pairs) == 5
        assert {0, 1} == set(study.labels)


def test_detectors_are_equally_good(rng):
    scores = []
    for _ in range(60):
        first, second = draw_detectors(Detectors(40, 0.2), rng)
        scores.append((cpm(first), cpm(second)))
    gap = np.diff(scores, axis=1).ravel()
    assert gap.mean() == pytest.approx(0, abs=4 * gap.std() / np.sqrt(60))
    assert 0.4 < np.mean(scores) < 0.8


def test_both_detectors_search_the_same_scans_and_see_alike(rng):
    first, second = draw_detectors(Detectors(300, 0.0), rng)
    assert np.array_equal(first.n_lesions, second.n_lesions)
    sizes = [np.bincount(np.asarray(each.scan), minlength=300) for each in (first, second)]
    assert np.corrcoef(sizes)[0, 1] > 0.3  # scans with clutter have more candidates of both
