"""The experiment of FocalMix: fair material, records that hold together, repeatable runs."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from common import papers
from common.chapters.focalmix import experiment, measures, scans
from common.errors import ReplicateError
from common.statistics import froc, verdicts

SIZES = experiment.Sizes(
    size=24,
    n_labelled=4,
    n_unlabelled=16,
    n_train=32,
    n_test=12,
    width=8,
    steps=3,
    batch_size=2,
    lr=2e-3,
)
SMALL = {"seed": 5, "sizes": SIZES}
FEW = ("supervised-25", "focalmix-25", "supervised-50", "supervised-100", "supervised-all")


@pytest.fixture(scope="module")
def material():
    test = scans.held_out(6, seed=5, size=24)
    return scans.material(
        1, test, seed=5, size=24, n_train=40, n_labelled=5, n_unlabelled=16, shift=1.0
    )


@pytest.fixture(scope="module")
def outcome():
    arms = [arm for arm in experiment.plan(2) if arm.name in FEW]
    return experiment.run(arms, draws=2, jobs=1, **SMALL)


def test_budgets_are_nested_and_unlabelled_scans_are_apart_from_all_of_them(material):
    budgets = [set(material.labelled(name)) for name in ("25", "50", "100", "all")]
    assert [len(each) for each in budgets] == [5, 10, 20, 40]
    assert all(a < b for a, b in itertools.pairwise(budgets))
    quarter, whole = (set(material.unlabelled(share)) for share in (0.25, 1.0))
    assert len(quarter) == 4
    assert quarter < whole
    assert not whole & budgets[2]
    assert max(whole) < 40


def test_draws_and_kinds_of_scans_share_no_scan(material):
    other = scans.material(
        2, material.test, seed=5, size=24, n_train=40, n_labelled=5, n_unlabelled=16, shift=1.0
    )
    everything = [material.pool, material.other_site, material.test, other.pool, other.other_site]
    images = {image.tobytes() for each in everything for image in each.image}
    assert len(images) == sum(map(len, everything))


def test_the_other_site_is_noisier_and_has_half_the_nodules():
    test = scans.held_out(1, seed=0, size=24)
    sizes = {"size": 24, "n_train": 116, "n_labelled": 4, "n_unlabelled": 100, "shift": 1.0}
    found = scans.material(0, test, seed=0, **sizes)
    rate = [each.n_nodules / len(each) for each in (found.pool, found.other_site)]
    assert rate[0] == pytest.approx(1.34, abs=0.4)
    assert rate[1] == pytest.approx(0.67, abs=0.3)
    # between neighbouring voxels of lung little but the scanner's noise changes
    step = [np.median(np.abs(np.diff(v.image, axis=-1))) for v in (found.pool, found.other_site)]
    assert 1.3 < step[1] / step[0] < 1.7


def test_a_training_part_that_is_too_small_is_refused(material):
    with pytest.raises(ReplicateError, match="at least 36"):
        scans.material(0, material.test, seed=0, size=24, n_train=35, n_labelled=5, n_unlabelled=16)


def test_boxes_come_into_the_frame_of_the_anchors(material):
    place = next(i for i, boxes in enumerate(material.pool.boxes) if len(boxes))
    (box,) = material.pool.anchor_boxes([place])
    middle = (box[:, :3] + box[:, 3:]).numpy() / 2
    # voxel i reaches from i to i + 1, so that its centre lies half a voxel further
    np.testing.assert_allclose(middle, material.pool.centres_mm[place] + 0.5, atol=1e-5)


def test_every_arm_of_a_claim_is_trained_or_published():
    paper, planned = papers.load("focalmix"), {arm.name for arm in experiment.plan(2)}
    made = planned | {"soft-focal-loss"}
    for claim in paper.claims:
        evidence = claim.on("replication")
        if evidence.untested is None:
            assert {*(evidence.arms or ()), *(evidence.contrast or ())} <= made | {
                "dial-supervised",
                "dial-focalmix",
            }
    assert planned <= {arm.id for arm in paper.arms}


def test_each_ablation_differs_from_focalmix_in_what_its_name_says():
    arms = {arm.name: arm for arm in experiment.plan(4)}
    own = dataclasses.asdict(arms["focalmix-25"].recipe)
    changed = {
        name: {key for key, value in dataclasses.asdict(arm.recipe).items() if value != own[key]}
        for name, arm in arms.items()
    }
    assert changed["no-mixup"] == {"mix_images", "mix_objects"}
    assert changed["image-only"] == {"mix_objects"}
    assert changed["object-only"] == {"mix_images"}
    assert changed["one-flip"] == {"k"}
    assert changed["no-sharpening"] == {"temperature"}
    assert changed["no-ramp"] == {"ramp"}
    assert all(changed[name] == {"loss"} for name in ("hard-focal", "cross-entropy", "no-beta"))
    assert not changed["repeat"]
    assert not changed["supervised-mixup"]
    assert arms["supervised-mixup"].unlabelled == 0
    assert all(arms[f"supervised-{b}"].unlabelled == 0 for b in ("25", "50", "100", "all"))
    assert arms["repeat"].redraw != 0


def test_records_hold_together(outcome):
    table = outcome.records
    lesions = table[(table["metric"] == "detection") & table["group"].isin(["hit", "miss"])]
    assert lesions.groupby(["arm", "seed"])["case"].apply(frozenset).nunique() == 1
    share = table[table["metric"] == "found_share"]
    assert set(share["case"]) == set(lesions["case"])
    for arm in FEW[:-1]:
        for draw, each in enumerate(measures.detections(table, arm=arm)):
            mine = table[(table["arm"] == arm) & (table["seed"] == draw)]
            stored = mine[mine["metric"] == "cpm"]["value"].item()
            assert froc.cpm(each) == pytest.approx(stored)
    with pytest.raises(KeyError, match="no detections"):
        measures.detections(table, arm="supervised-all")
    doubled = table[table["metric"] == "label_doublings"]
    assert doubled["value"].between(0, np.log2(8)).all()
    assert len(doubled) == 2


def test_rates_are_recorded_where_claims_need_them(outcome):
    found = outcome.records[outcome.records["metric"] == "found"]
    assert set(found["group"]) == {"0.125 FP", "1 FP", "8 FP"}
    assert set(found["arm"]) == {"supervised-25", "focalmix-25", "supervised-50", "supervised-100"}
    by_rate = found.groupby(["arm", "seed", "group"])["value"].mean().unstack()
    assert (by_rate["0.125 FP"] <= by_rate["1 FP"]).all()
    assert (by_rate["1 FP"] <= by_rate["8 FP"]).all()


def test_the_records_do_not_depend_on_the_number_of_processes(outcome):
    arms = [arm for arm in experiment.plan(2) if arm.name in FEW[:2]]
    again = experiment.run(arms, draws=1, jobs=2, **SMALL)
    for mine, all_of_them in (
        (again.records, outcome.records.rename(columns={"seed": "draw"})),
        (again.history, outcome.history),
    ):
        of_these = all_of_them["arm"].isin(FEW[:2]) & (all_of_them["draw"] == 0)
        of_these &= ~all_of_them["metric"].eq("label_doublings")  # needs more arms
        expected = all_of_them[of_these].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine.rename(columns={"seed": "draw"}), expected)


def test_arms_of_one_draw_start_from_the_same_weights_and_batches():
    # in the first step unlabelled scans have no weight, so that both see annotated scans alone
    arms = [arm for arm in experiment.plan(1) if arm.name in ("supervised-25", "no-mixup")]
    found = experiment.run(arms, draws=1, jobs=1, **SMALL).history
    first = found[(found["metric"] == "box_loss") & (found["step"] == 1)]
    one, other = first["value"]
    assert one == pytest.approx(other, rel=1e-3)


def test_what_is_left_of_the_loss_is_recorded_for_every_training(outcome):
    left = outcome.records[outcome.records["metric"] == "loss_left"]
    assert sorted(zip(left["arm"], left["seed"], strict=True)) == [
        (arm, draw) for arm in sorted(FEW) for draw in (0, 1)
    ]
    own = outcome.history.query("arm == 'focalmix-25' and draw == 1 and metric == 'score_loss'")
    mine = left[(left["arm"] == "focalmix-25") & (left["seed"] == 1)]["value"].item()
    assert mine == pytest.approx(own["value"].iloc[-1] / own["value"].iloc[0])


def test_the_first_draw_comes_back_and_a_teacher_can_be_trained_on_it(outcome):
    assert outcome.first.draw == 0
    assert len(outcome.first.pool) == SIZES.n_train
    network = experiment.teacher(outcome.first, steps=2, sizes=SIZES, seed=0)
    logits, _ = network(torch.tensor(outcome.first.test.image[:1]))
    assert torch.isfinite(logits).all()


def test_targets_are_recorded_while_focalmix_trains(outcome):
    table = outcome.records
    watched = table[table["metric"].isin(experiment.WATCHED_METRICS)]
    assert set(watched["arm"]) == {"focalmix-25"}
    mine = watched[(watched["seed"] == 1) & (watched["metric"] == "target_mass")]
    history = outcome.history
    kept = history[(history["draw"] == 1) & (history["metric"] == "target_mass")]
    assert mine["value"].tolist() == kept["value"].tolist()
    assert mine["case"].tolist() == [f"step-{step:05d}" for step in kept["step"]]


def test_bfloat16_is_used_where_the_processor_multiplies_in_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for native, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native}
        )
        assert experiment.precision() == expected


def test_the_dial_is_recorded_by_its_stand(outcome):
    found = experiment.dial("contrast", (0.0,), draws=1, n_flips=1, jobs=1, **SMALL)
    assert set(found["arm"]) == {"dial-supervised", "dial-focalmix"}
    assert set(found["group"]) == {"contrast 0"}
    assert set(found["metric"]) == {"cpm"}


def test_the_two_losses_agree_at_hard_targets_to_rounding():
    found = experiment.loss_gaps(60, rng=np.random.default_rng(0))
    assert len(found) == 60
    assert found["value"].abs().max() < 1e-6


def test_every_replication_claim_but_the_dial_gets_a_verdict_from_the_records(outcome):
    paper = papers.load("focalmix")
    records = outcome.records.assign(paper="focalmix", run="r", profile="standard")
    judged = verdicts.judge(
        paper,
        records,
        layer="replication",
        source="phantom",
        profile="standard",
        rng=np.random.default_rng(0),
    )
    tested = {each.claim for each in judged if each.verdict != "untested"}
    assert {"C1a", "D1a", "C4c"} <= tested


def test_the_official_counts_are_those_of_the_files_and_of_the_manifest(mirror, monkeypatch):
    mirror("luna16")
    with_files = scans.official(50)
    assert with_files.loc["LUNA16", ["scans", "nodules"]].tolist() == [888, 1186]
    assert with_files.loc["LUNA16", "median (mm)"] == pytest.approx(6.43, abs=0.01)
    assert with_files.loc["phantom", "scans"] == 50
    monkeypatch.setattr(scans.manifests, "locate", lambda dataset: None)
    without = scans.official(50)
    columns = ["scans", "nodules", "a scan", "without any (%)"]
    assert without.loc["LUNA16", columns].tolist() == with_files.loc["LUNA16", columns].tolist()
    assert np.isnan(without.loc["LUNA16", "median (mm)"])


def test_the_parts_of_a_draw_are_named_for_the_check_of_leaks(material):
    cases, parts = scans.split(material)
    assert len(cases) == len(parts) == 20 + 16 + 16 + 6
    assert cases.table["case"].is_unique
    assert np.array_equal(cases[parts.index("test")].image, material.test.image[0])
