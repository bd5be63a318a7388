import numpy as np
import pytest

from common.statistics import procedures
from common.statistics.procedures import PROCEDURES, Procedure
from common.statistics.results import Student
from common.validation import trials as module
from common.validation.curves import Classes, Detectors, draw_classes, draw_detectors
from common.validation.simulate import Scenario, draw
from common.validation.trials import KINDS, kind, trials


def _all():
    return [test.name for wanted in KINDS for test in trials(wanted) if not test.naive]


def test_every_procedure_of_the_register_is_tried_exactly_once():
    # McNemar's own test is tried as the naive test of cases, DeLong's as that of class scores
    as_naive = {"mcnemar", "auc_delong"}
    assert sorted(_all()) == sorted(set(PROCEDURES) - as_naive)


def test_a_new_procedure_is_tried_without_further_change(monkeypatch):
    def estimate(sample, rng):
        return Student(float(sample.value.mean()), 1.0, 10)

    new = Procedure("brand_new", "cluster", "mean difference = 0", "averaged", estimate)
    monkeypatch.setitem(procedures.PROCEDURES, "brand_new", new)
    (found,) = [test for test in trials("paired") if test.name == "brand_new"]
    study = draw(Scenario("dice", 5, 0.0), np.random.default_rng(0))
    tally = found.run(study, 0.0, np.random.default_rng(0), True)
    assert tally["n"] == 1
    assert tally["effect"] == pytest.approx(study.sample.value.mean())


def test_naive_tests_are_marked_and_the_others_are_not():
    naive = {test.name for wanted in KINDS for test in trials(wanted) if test.naive}
    assert {"mcnemar of cases", "paired t of cases", "delong of cases"} <= naive
    assert not naive & set(PROCEDURES)


def test_tests_of_symmetry_are_told_from_tests_of_means():
    symmetric = {test.name for test in trials("paired") if test.symmetric}
    assert symmetric == {"sign_flip_clustered", "signed_rank_clustered", "wilcoxon_clustered"}


def test_folds_seeds_and_arms_go_to_their_own_kinds():
    kinds = {name: kind(test) for name, test in PROCEDURES.items()}
    assert kinds["corrected_t"] == kinds["two_level_bootstrap"] == "folds"
    assert kinds["crossed_t"] == "seeds"
    assert kinds["friedman_clustered"] == "arms"
    assert kinds["page_folds"] == kinds["kruskal_folds"] == "arm_folds"
    assert kinds["welch_clustered"] == "between"
    assert kinds["auc_clustered"] is None


@pytest.mark.parametrize("wanted", ["paired", "seeds", "arms", "between"])
def test_every_test_gives_one_count_per_study(wanted, rng):
    scenario = Scenario("binary", 12, 0.2, n_arms=3, n_seeds=2 if wanted == "seeds" else 1)
    study = draw(scenario, rng)
    monkey = procedures.N_RESAMPLES
    for test in trials(wanted):
        tally = test.run(study, 0.0, np.random.default_rng(0), False)
        assert tally["n"] + tally["failed"] == 1
    assert monkey == procedures.N_RESAMPLES


def test_class_scores_and_detections_are_tried_too(rng):
    study = draw_classes(Classes(20, 0.2), rng)
    both = {test.name: test.run(study, 0.0, rng, True) for test in trials("classes")}
    assert both["auc_clustered"]["effect"] == pytest.approx(both["delong of cases"]["effect"])
    assert both["auc_clustered"]["se2"] != both["delong of cases"]["se2"]
    (cpm,) = trials("detectors")
    assert cpm.run(draw_detectors(Detectors(12, 0.2), rng), 0.0, rng, True)["n"] == 1


def test_a_refused_study_is_counted_and_not_judged():
    study = draw(Scenario("dice", 5, 0.0), np.random.default_rng(0))
    (mcnemar,) = [test for test in module.NAIVE["paired"] if test.name == "mcnemar of cases"]
    tally = mcnemar.run(study, 0.0, np.random.default_rng(0), True)
    assert (tally["n"], tally["failed"]) == (0, 1)
