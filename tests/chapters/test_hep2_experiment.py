"""The experiment: every arm on every fold, each patient scored once per seed, and reproducibly."""

import numpy as np
import pytest

from common import papers
from common.chapters.hep2 import experiment
from common.datasets import hep2_phantom


@pytest.fixture(scope="module")
def phantom():
    specimens = hep2_phantom.draw_specimens(16, n_specimens=1, rng=np.random.default_rng(0))
    return hep2_phantom.render(specimens, size=32, n_patches=2)


def run(phantom, **changes):
    options = {"seeds": [0], "n_folds": 2, "width": 4, "jobs": 1} | changes
    return experiment.run(phantom, experiment.plan(2), **options)


@pytest.fixture(scope="module")
def records(phantom):
    return run(phantom)[0]


def test_every_arm_that_a_replication_claim_compares_is_trained(records):
    paper = papers.load("hep2")
    trained = set(records["arm"]) | set(experiment.MECHANISM)
    metrics = set(records["metric"])
    for claim in paper.claims:
        evidence = claim.on("replication")
        if evidence.untested is None and evidence.metric in metrics:
            assert set(evidence.arms or evidence.contrast) <= trained, claim.id


def test_each_patch_is_tested_once_per_arm(records):
    right = records[records["metric"] == "label_correct"]
    assert (right.groupby("arm")["case"].nunique() == 32).all()
    assert not right.duplicated(["arm", "case"]).any()


def test_a_single_task_is_scored_on_its_own_metrics_only(records):
    alone = records[records["arm"] == "single-mask"]
    assert set(alone["metric"]) == {"pixel_accuracy", "dice"}


def test_no_patient_is_in_two_folds_and_seeds_deal_anew():
    patients = np.repeat([f"p{i}" for i in range(20)], 3)
    deals = [experiment.deal_folds(patients, n_folds=4, seed=seed) for seed in (0, 0, 1)]
    for deal in deals:
        by_patient = deal.reshape(20, 3)
        assert (by_patient == by_patient[:, :1]).all()
        assert np.bincount(by_patient[:, 0]).tolist() == [5, 5, 5, 5]
    assert (deals[0] == deals[1]).all()
    assert (deals[0] != deals[2]).any()


def test_the_same_seed_gives_the_same_records_whatever_the_number_of_processes(phantom, records):
    again = run(phantom, jobs=2)[0]
    assert again.equals(records)


def test_another_seed_gives_other_records(phantom, records):
    assert not run(phantom, seeds=[1])[0]["value"].equals(records["value"])


def test_the_longer_run_passes_through_the_shorter_one(phantom):
    """Thirty epochs recorded on the way to 35 are the thirty epochs of a run of their own."""
    short = experiment.Training(
        experiment.Arm("alone", "dice", experiment.ALPHA_LOW, epochs=2), {"alone": 2}
    )
    alone = experiment.run(phantom, [short], seeds=[0], n_folds=2, width=4, jobs=1)[0]
    passing = run(phantom)[0]
    keys = ["metric", "case"]
    one = alone[alone["metric"] == "dice"].set_index(keys)["value"].sort_index()
    other = passing[(passing["arm"] == "dice-30-0.06") & (passing["metric"] == "dice")]
    assert one.equals(other.set_index(keys)["value"].sort_index())


def test_derived_values_follow_from_their_parts(records):
    wide = records[records["arm"] == "bce-30-0.12"].pivot_table("value", "case", "metric")
    difference = wide["pixel_accuracy"] - wide["label_correct"]
    np.testing.assert_allclose(wide["pixel_minus_label"], difference)
    np.testing.assert_allclose(
        wide["both_correct"], wide["label_correct"] * wide["intensity_correct"]
    )


def test_the_dial_gives_both_arms_the_same_patches():
    found = experiment.mechanism(
        debris=(0.0, 0.5),
        seeds=[3],
        n_patients=9,
        n_specimens=1,
        n_patches=1,
        size=32,
        width=4,
        epochs=1,
        jobs=1,
    )
    cases = found.groupby(["group", "arm"])["case"].apply(list)
    assert cases["debris 0", "with-mask"] == cases["debris 0", "without-mask"]
    assert set(found["cluster"]) == {"draw-3"}


@pytest.mark.parametrize(
    ("free_gb", "cores", "expected"), [(139, 16, 16), (139, 64, 23), (15, 16, 2), (4, 16, 1)]
)
def test_a_gpu_takes_as_many_trainings_as_memory_and_cores_allow(
    monkeypatch, free_gb, cores, expected
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free_gb * 2**30, 0))
    monkeypatch.setattr(experiment, "cpu_count", lambda: cores)
    assert experiment._at_once(2) == expected


def test_without_a_gpu_the_processes_are_those_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert experiment._at_once(2) == 2
