"""The experiment: every claimed arm, reproducible records, honest choice of the epoch."""

import numpy as np
import pandas as pd
import pytest

from common import papers, records as records_module
from common.chapters.ife import experiment, gels
from common.models.ife_losses import Pull
from common.models.ife_training import Fit

PLAN = experiment.plan(lr=0.1, pull=Pull(0.3, 0.3))
SETTINGS = experiment.Settings(width=2, epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def sets():
    return gels.make_sets(seeds=[0, 1], n_train=60, n_test=40, size=(32, 32), jobs=1)


def run(sets, plan=PLAN, *, seeds=(0,), n_side=1, n_sweep=1, jobs=1):
    return experiment.run(
        sets, plan, SETTINGS, seeds=list(seeds), n_side=n_side, n_sweep=n_sweep, jobs=jobs
    )


@pytest.fixture(scope="module")
def found(sets):
    return run(sets)


def test_every_arm_and_metric_of_a_replication_claim_is_recorded(found) -> None:
    records, _, _ = found
    have = set(zip(records["arm"], records["metric"], strict=True))
    for claim in papers.load("ife").claims:
        evidence = claim.on("replication")
        if evidence.untested is None:
            for arm in evidence.contrast or evidence.arms:
                assert (arm, evidence.metric) in have or evidence.metric == "m1_correct", claim.id


def test_every_arm_declared_for_the_phantom_is_trained(found) -> None:
    declared = {arm.id for arm in papers.load("ife").arms if "phantom" in arm.sources}
    assert set(found[0]["arm"]) == declared == {training.name for training in PLAN}


def test_records_are_records(found) -> None:
    table = found[0].assign(paper="ife", run="r", profile="quick")
    assert len(records_module.check(table)) == len(found[0])
    right = found[0][found[0]["metric"] == "correct"]
    assert (right.groupby("arm")["case"].nunique() == 40).all()


def test_the_numbers_of_a_run_are_the_means_of_its_gels(found) -> None:
    own = found[0][found[0]["arm"] == "full"].groupby("metric")["value"].mean()
    for of_run, of_gels in {"accuracy": "correct", "fnr": "missed", "m3": "m3_correct"}.items():
        assert own[of_run] == pytest.approx(own[of_gels])


def test_the_same_seed_gives_the_same_records_whatever_the_number_of_processes(sets, found) -> None:
    some = [t for t in PLAN if t.name in ("full", "two-stage", "collocative", "multiclass")]
    one, two = (run(sets, some, jobs=jobs)[0] for jobs in (1, 2))
    assert one.equals(two)
    whole = found[0][found[0]["arm"].isin([t.name for t in some])].reset_index(drop=True)
    keys = ["arm", "case", "metric"]
    assert whole.sort_values(keys)["value"].tolist() == one.sort_values(keys)["value"].tolist()


def test_side_arms_and_sweep_train_only_the_seeds_asked_for(sets) -> None:
    some = [t for t in PLAN if t.name in ("mt", "share-0", "tau-2")]
    records, history, _ = run(sets, some, seeds=(0, 1), n_side=1, n_sweep=0)
    assert set(zip(history["arm"], history["seed"], strict=True)) == {
        ("mt", 0),
        ("mt", 1),
        ("share-0", 0),
    }
    assert set(records["seed"]) == {0, 1}


def test_a_repeat_starts_from_other_weights_and_tests_the_same_gels(found) -> None:
    records, history, _ = found
    losses = history[history["metric"] == "heavy"].set_index("arm")["value"]
    assert losses["repeat"] != losses["full"]
    cases = {
        arm: list(own["case"]) for arm, own in records.groupby("arm") if arm in ("repeat", "full")
    }
    keep = [c for c in cases["repeat"] if not c.startswith("run")]
    assert keep == [c for c in cases["full"] if not c.startswith("run")]


def test_maps_of_the_first_seed_are_kept_by_arm_and_task(found) -> None:
    _, _, maps = found
    assert maps["full/light"].shape == (40, 4)
    assert "multiclass-attention/label" in maps
    assert not any(name.startswith(("multiclass/", "full-offset/")) for name in maps)


def labelled(label):
    n = len(label)
    table = pd.DataFrame({"case": [f"g{i}" for i in range(n)], "cluster": range(n)})
    blank = np.zeros(n, dtype=np.int64)
    return gels.Gels(table, blank, np.asarray(label), blank, blank, blank, blank)


def test_the_epoch_is_chosen_as_the_released_code_does_and_its_optimism_is_the_gain_beyond() -> (
    None
):
    sets = {name: labelled([0, 1, 2, 3]) for name in ("test", "validation", "fresh")}
    epochs = {
        # right of four after each epoch: test 3, 3, 2; validation 1, 2, 4; fresh 2, 1, 2
        "test": [[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 0, 0]],
        "validation": [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 2, 3]],
        "fresh": [[0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]],
    }
    watched = {name: {"label": np.array(each)} for name, each in epochs.items()}
    found = experiment.selection(Fit(None, None, watched), sets)
    assert found["reported_test"] == 0.75  # the second epoch: of equals the latest
    assert found["reported_validation"] == found["reported_last"] == 0.5
    assert found["optimism"] == pytest.approx((0.75 - 0.5) - (0.25 - 0.5))


def test_two_stages_never_call_a_gel_of_the_second_negative_by_training(sets) -> None:
    training = next(t for t in PLAN if t.kind == "two-stage")
    fitted, predicted = experiment._two_stage(
        training, sets.train["main", 0], sets.test["main"], SETTINGS, 0, None
    )
    assert set(fitted.history["metric"]) == {"positive"}
    assert predicted.codes["label"].shape == (40,)


@pytest.mark.parametrize(("free_gb", "cores", "expected"), [(139, 16, 11), (139, 4, 4), (4, 16, 1)])
def test_a_gpu_takes_as_many_trainings_as_memory_and_cores_allow(
    monkeypatch, free_gb, cores, expected
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free_gb * 2**30, 0))
    monkeypatch.setattr(experiment, "cpu_count", lambda: cores)
    assert experiment._at_once(2) == expected
