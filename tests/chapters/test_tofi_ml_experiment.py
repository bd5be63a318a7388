"""Cross-validation of the arms: honest splits, named leaks, and records that tests can read."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common import papers, records as records_module
from common.chapters.tofi_ml import arms, experiment, scores, tables
from common.chapters.tofi_ml.arms import Arm
from common.chapters.tofi_ml.experiment import Options, Study
from common.models.tofi_ml_pipelines import Pipeline
from common.statistics import design, verdicts

OPTIONS = Options(n_folds=3, epochs=1)


def study(n=90, gap=1.0, seed=0, name="glaucoma"):
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 3 == 0).astype(int)
    x = rng.standard_normal((n, 70)).astype(np.float32)
    x[:, 5] += gap * label
    table = pd.DataFrame({"case": [f"c{i}" for i in range(n)], "label": label, "grade": label})
    table["cluster"] = table["case"]
    photos = rng.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8)
    return Study(name, table, {"all": x, "noise": x * 0}, photos)


def run(*arms, seeds=(0,), of=None, **options):
    return experiment.run([(of or study(), arms, seeds)], OPTIONS, jobs=1, **options)


def test_every_image_is_tested_once_a_seed():
    found = run(Arm("a", per_image=True), seeds=(0, 1), single=False)
    counts = found[found["metric"] == "correct"].groupby(["seed", "case"]).size()
    assert (counts == 1).all()
    assert len(counts) == 2 * 90
    assert found[found["metric"] == "auc"].groupby("seed")["fold"].nunique().tolist() == [3, 3]


def test_folds_hold_equal_shares_of_the_classes():
    label = np.repeat([0, 1, 2], [60, 30, 15])
    fold = experiment.deal(label, n_folds=5, seed=3)
    counts = pd.crosstab(fold, label).to_numpy()
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert (experiment.deal(label, n_folds=5, seed=4) != fold).any()


def test_the_split_of_the_released_code_gives_the_published_test_sets():
    """Rebuilt from the printed rates: 14 of 80, and 34 of 130."""
    label = np.repeat([0, 1], [311, 89])
    assert label[experiment.one_split(label)].sum() == 14
    chosen = experiment.one_split(np.repeat([0, 1], [482, 168]))
    assert chosen.sum() == 130
    mixed = label[np.random.default_rng(0).permutation(400)]
    assert mixed[experiment.one_split(mixed)].sum() == 14


@pytest.mark.parametrize(
    ("before", "classes", "made"),
    [("", [60, 30], 0), ("under", [30, 30], 0), ("over", [60, 60], 30), ("smote", [60, 60], 30)],
)
def test_what_is_done_before_the_split_changes_the_set_as_it_says(before, classes, made):
    found = experiment.view(study(), before, seed=0)
    assert np.bincount(found.label).tolist() == classes
    assert found.made.sum() == made
    real = ~found.made
    own = study().table["label"].to_numpy()
    np.testing.assert_array_equal(own[found.origin[real]], found.label[real])


def test_made_up_images_are_tested_but_never_recorded_as_images():
    found = run(Arm("leak", before="over", per_image=True, pipeline=Pipeline("knn")))
    images = found[found["metric"] == "correct"]
    assert images["case"].is_unique
    assert len(images) == 90


def test_repeats_before_the_split_find_a_class_that_is_not_there():
    null = experiment.null_runs([study(gap=0.0)], range(6), OPTIONS, jobs=1)
    means = null.groupby("arm")["value"].mean()
    assert means["null-leak"] > 0.6
    assert 0.35 < means["null-knn"] < 0.65
    assert (null["cluster"].nunique(), null["metric"].unique().tolist()) == (6, ["auc_null"])


def test_selection_before_the_split_finds_a_class_that_is_not_there():
    small = study(n=60, gap=0.0, name="amd")
    wide = np.random.default_rng(1).standard_normal((60, 600)).astype(np.float32)
    found = experiment.null_runs([replace(small, x={"all": wide})], range(5), OPTIONS, jobs=1)
    means = found.groupby("arm")["value"].mean()
    assert means["null-select-leak"] > means["null-select"] + 0.05


def test_undersampling_inside_the_fold_leaves_the_test_images_alone():
    arm = Arm("under", pipeline=Pipeline("knn", balance="under"), per_image=True)
    images = run(arm).query("metric == 'correct'")
    assert len(images) == 90


def test_an_informative_feature_is_found_and_an_empty_matrix_gives_chance():
    found = run(Arm("all"), Arm("empty", "noise"), of=study(gap=3.0))
    areas = found[found["metric"] == "auc"].groupby("arm")["value"].mean()
    assert areas["all"] > 0.9
    assert areas["empty"] == pytest.approx(0.5)


def test_selecting_all_features_is_selecting_none():
    found = run(Arm("all"), Arm("select", pipeline=Pipeline(n_selected=70)))
    wide = found[found["metric"] == "auc"].pivot(index="fold", columns="arm", values="value")
    np.testing.assert_array_equal(wide["all"], wide["select"])


def test_altered_images_that_are_the_same_cost_nothing():
    plain = study()
    shifted = {"noise 5": (plain.x["all"], plain.photos)}
    found = run(
        Arm("a", shifted=True),
        Arm("net", "photos", shifted=True),
        of=replace(plain, shifted=shifted),
    )
    drops = found[found["metric"] == "auc_drop"]
    assert drops["value"].abs().max() == 0
    assert set(drops["arm"]) == {"a", "net"}
    assert set(drops["group"]) == {"noise 5"}


def test_the_network_answers_the_grades_and_the_disease_with_one_training():
    graded = study()
    grade = np.where(graded.table["label"] == 1, 1 + np.arange(90) % 2, 0)
    of = replace(graded, table=graded.table.assign(grade=grade))
    asked = (Arm("two", "photos", per_image=True), Arm("five", "photos", target="grade"))
    found = run(*asked, of=of)
    assert set(found[found["arm"] == "five"]["metric"]) == {
        "accuracy",
        "precision",
        "sensitivity",
        "auc",
        "kappa",
    }
    assert (
        found[(found["arm"] == "two") & (found["metric"] == "score")]["value"].between(0, 1).all()
    )


def test_records_do_not_depend_on_the_number_of_processes():
    asked = (Arm("a", per_image=True), Arm("net", "photos"))
    plan = [(study(), asked, (0,))]
    first, second = (experiment.run(plan, OPTIONS, jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(first, second)


def test_the_single_split_has_metrics_of_its_own_name():
    found = run(Arm("a", single=True))
    alone = found[found["fold"] == "0.single"]
    assert set(alone["metric"]) == {f"single_{name}" for name in ("accuracy", "auc", "f1")} | {
        "single_precision",
        "single_sensitivity",
        "single_specificity",
    }


def test_repeated_folds_reach_the_corrected_t_as_splits_of_their_own():
    found = run(Arm("x"), Arm("y", "noise"), seeds=(0, 1, 2), single=False)
    recorder = records_module.Recorder(paper="p", run="r", profile="standard", source="phantom")
    recorder.extend(tables.with_repeats(found))
    paired = design.pair(recorder.frame(), metric="auc", arms=("x", "y"))
    sample = design.sample(paired, {"x": 1.0, "y": -1.0})
    assert (len(sample.fold_means()), sample.n_folds()) == (9, 3)
    repeats = design.pair(recorder.frame(), metric="auc_repeat", arms=("x", "y"))
    assert len(design.sample(repeats, {"x": 1.0}).fold_means()) == 3


def test_rates_are_those_of_the_confusion_matrix_behind_the_published_row():
    """TP 8, FP 1, FN 6, TN 65 print as 88.89, 57.14, 91.25 and 69.57 %."""
    called = np.repeat([1, 1, 0, 0], [8, 1, 6, 65])
    truth = np.repeat([1, 0, 1, 0], [8, 1, 6, 65])
    prob = np.stack([1 - called, called], axis=1).astype(float)
    found = scores.binary(prob, truth)
    printed = {"precision": 0.8889, "sensitivity": 0.5714, "accuracy": 0.9125, "f1": 0.6957}
    for name, value in printed.items():
        assert found[name] == pytest.approx(value, abs=5e-5)
    # an area of hard labels is the recall averaged over both classes
    both = (found["sensitivity"] + found["specificity"]) / 2
    assert found["auc"] == pytest.approx(both)


def test_rates_without_a_denominator_are_left_out():
    prob = np.tile([0.9, 0.1], (4, 1))
    found = scores.per_split(prob, np.array([0, 0, 1, 0]), split="s")
    assert "precision" not in set(found["metric"])
    assert found.set_index("metric")["value"]["sensitivity"] == 0


def test_the_five_class_recall_weighted_by_size_is_the_accuracy():
    rng = np.random.default_rng(0)
    truth, prob = rng.integers(0, 5, 200), rng.dirichlet(np.ones(5), 200)
    found = scores.graded(prob, truth)
    assert found["sensitivity"] == pytest.approx(found["accuracy"])
    right = scores.graded(np.eye(5)[truth], truth)
    assert (right["auc"], right["kappa"], right["accuracy"]) == (1, 1, 1)


def test_every_arm_that_is_run_is_declared():
    declared = {arm.id for arm in papers.load("tofi-ml").arms}
    planned = [*arms.retinopathy(), *arms.degeneration(), *arms.glaucoma()]
    planned += [arm for those in arms.sizes().values() for arm in those]
    names = {arm.name for arm in planned}
    names |= {f"null-{arm.name}" for those in experiment.NULL_ARMS.values() for arm in those}
    assert names <= declared


def test_every_claim_on_the_phantom_finds_a_test_that_fits():
    paper = papers.load("tofi-ml")
    for claim in paper.claims:
        evidence = claim.on("replication")
        if evidence.untested is None:
            assert evidence.test in verdicts.PROCEDURES, claim.id
            assert evidence.source == "phantom"


def test_claims_that_pair_images_name_arms_that_test_the_same_images_in_every_repeat():
    planned = [*arms.retinopathy(), *arms.degeneration(), *arms.glaucoma()]
    planned += [arm for those in arms.sizes().values() for arm in those]
    by_name = {arm.name: arm for arm in planned}
    for claim in papers.load("tofi-ml").claims:
        evidence = claim.on("replication")
        if evidence.untested is None and evidence.metric in ("correct", "score"):
            for name in evidence.arms:
                assert by_name[name].before == "", claim.id
                assert by_name[name].per_image, claim.id
