"""The experiment: slides under every scanner, values of slides that average to AP, same records."""

import numpy as np
import pytest

from common import papers
from common.chapters.cell_detection import cohorts, experiment, scores
from common.metrics.average_precision import average_precision, pool_boxes

SLIDES = cohorts.Slides(size=48, box=12, share=0.08)


def setting(**changes):
    options = {
        "slides": SLIDES,
        "n_slides": 3,
        "n_test": 9,
        "shift": 1.0,
        "shifts": (0.0, 2.0),
        "width": 8,
        "epochs": 1,
        "batch_size": 8,
        "lr": 1e-3,
        "seed": 0,
    }
    return experiment.Setting(**(options | changes))


@pytest.fixture(scope="module")
def tested():
    return experiment.held_out(setting())


@pytest.fixture(scope="module")
def arms():
    return experiment.arms(ratio=0.5, weight=1.0, stain=0.2)


def run(tested, arms, names=("baseline", "acr"), jobs=1, seeds=(0,), sources="A"):
    tasks = experiment.plan({n: arms[n] for n in names}, seeds=seeds, sources=sources)
    return experiment.run(setting(), tasks, tested, jobs=jobs)


@pytest.fixture(scope="module")
def outcome(tested, arms):
    return run(tested, arms, names=tuple(arms))


def random_detections(n_slides=8, per_slide=4, seed=0):
    rng = np.random.default_rng(seed)
    n = n_slides * per_slide
    low = rng.uniform(0, 40, (n, 3, 2))
    boxes = np.concatenate([low, low + 10], axis=2)
    reference = [each[: rng.integers(0, 3)] for each in boxes + rng.normal(0, 1.5, (n, 3, 1))]
    scored = rng.random((n, 3))
    slide = [f"s{i % n_slides}" for i in range(n)]
    return boxes, scored, reference, slide


def test_a_slide_has_the_same_tissue_and_labels_under_every_scanner(tested):
    a, b = tested["A", 1.0], tested["B", 1.0]
    assert a.boxes.tolist() == b.boxes.tolist()
    assert (a.table["case"] == b.table["case"]).all()
    assert np.abs(a.image.astype(float) - b.image).mean() > 2.5


def test_without_shift_the_scanners_are_one():
    table = cohorts.draw(3, 1, SLIDES)
    images = [cohorts.scan(table, s, shift=0.0, slides=SLIDES).image for s in cohorts.SCANNERS]
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])


def test_scanners_grow_apart_with_the_shift():
    table = cohorts.draw(3, 1, SLIDES)
    own = cohorts.scan(table, "A", shift=1.0, slides=SLIDES).image.astype(float)
    apart = [
        np.abs(cohorts.scan(table, "C", shift=s, slides=SLIDES).image - own).mean()
        for s in (0.5, 1.0, 2.0)
    ]
    assert apart[0] < apart[1] < apart[2]


def test_training_and_test_slides_differ_and_every_seed_has_its_own(arms):
    drawn = {
        seed: experiment.training_slides(setting(), experiment.Task(arms["scr"], "A", seed))
        for seed in (0, 1)
    }
    same = experiment.training_slides(setting(), experiment.Task(arms["baseline"], "A", 0))
    seeds = {seed: set(each.table["seed"]) for seed, each in drawn.items()}
    assert seeds[0] & seeds[1] == set()
    assert set(same.table["seed"]) == seeds[0]
    assert seeds[0] & set(experiment.held_out(setting())["A", 1.0].table["seed"]) == set()


@pytest.mark.parametrize("error", [0.05, 0.118, 0.3])
def test_the_majority_errs_as_often_as_simulated_readers(error):
    wrong = np.random.default_rng(0).random((200_000, 3)) < error
    differ = wrong[:, 0] != wrong[:, 1]
    decided = np.where(differ, wrong[:, 2], wrong[:, 0])
    assert cohorts.majority_error(error) == pytest.approx(decided.mean(), abs=0.003)
    assert cohorts.disputed_share(error) == pytest.approx(differ.mean(), abs=0.004)
    assert cohorts.implied_error(cohorts.disputed_share(error)) == pytest.approx(error)


def test_the_default_error_is_that_of_the_real_votes(mirror):
    from common.chapters.cell_detection import annotations
    from common.datasets import midogpp_annotations

    found = annotations.regions(midogpp_annotations.load(mirror("midogpp-annotations")))
    assert annotations.readers(found)["error"] == pytest.approx(
        cohorts.Slides().reader_error, abs=5e-4
    )


def test_readers_without_error_name_every_figure_and_no_look_alike():
    certain = cohorts.Slides(size=48, box=12, share=0.3, reader_error=0.0)
    patches = cohorts.scan(cohorts.draw(6, 0, certain), "A", shift=1.0, slides=certain)
    assert (patches.positive == (patches.table["kind"] == "figure")).all()
    doubtful = cohorts.Slides(size=48, box=12, share=0.3, reader_error=0.5)
    called = cohorts.scan(cohorts.draw(6, 0, doubtful), "A", shift=1.0, slides=doubtful)
    kind = called.table["kind"].to_numpy()
    assert called.positive[kind == "look-alike"].any()
    assert not called.positive[kind == "empty"].any()


def test_the_values_of_slides_average_to_ap_exactly():
    boxes, scored, reference, slide = random_detections()
    found = scores.match(boxes, scored, reference, slide)
    for metric in scores.METRICS:
        values = scores.slide_values(found, metric)
        assert values.mean() == pytest.approx(found.score(metric), abs=1e-12)
    (pool,) = pool_boxes(list(boxes), list(scored), reference, thresholds=[0.5])
    assert found.score("ap50") == pytest.approx(average_precision(pool), abs=1e-12)


def test_a_value_says_how_ap_moves_when_the_slide_is_left_out():
    boxes, scored, reference, slide = random_detections()
    found = scores.match(boxes, scored, reference, slide)
    without = []
    for name in found.slides:
        kept = [i for i, other in enumerate(slide) if other != name]
        part = scores.match(
            boxes[kept], scored[kept], [reference[i] for i in kept], [slide[i] for i in kept]
        )
        without.append(part.score("ap75"))
    n = len(found.slides)
    expected = found.score("ap75") + (n - 1) * (np.mean(without) - np.array(without))
    np.testing.assert_allclose(scores.slide_values(found, "ap75"), expected, atol=1e-12)


def test_absent_boxes_and_slides_without_patches_change_nothing():
    boxes, scored, reference, slide = random_detections()
    padded = np.concatenate([boxes, np.zeros((len(boxes), 2, 4))], axis=1)
    absent = np.concatenate([scored, np.zeros((len(boxes), 2))], axis=1)
    one = scores.match(boxes, scored, reference, slide)
    other = scores.match(padded, absent, reference, slide, slides=[*one.slides, "empty"])
    assert other.score("ap50") == one.score("ap50")
    assert scores.slide_values(other, "ap50")[-1] == pytest.approx(one.score("ap50"), abs=0.15)
    with pytest.raises(ValueError, match="must name every patch's slide, got no 's0'"):
        scores.match(boxes, scored, reference, slide, slides=["other"])


def test_jackknife_and_bootstrap_agree_on_many_slides():
    boxes, scored, reference, slide = random_detections(n_slides=80, per_slide=3)
    found = scores.match(boxes, scored, reference, slide)
    worse = scores.match(boxes, 1.01 - scored, reference, slide)
    rng = np.random.default_rng(0)
    for each, contrast in (([found], [1.0]), ([found, worse], [1.0, -1.0])):
        error = scores.errors(each, "ap50", contrast, n_boot=400, rng=rng)
        assert error["jackknife"] == pytest.approx(error["bootstrap"], rel=0.25)


def test_a_network_against_itself_has_no_error():
    found = scores.match(*random_detections())
    error = scores.errors([found, found], "ap50", [1, -1], n_boot=20, rng=np.random.default_rng(0))
    assert error == {"jackknife": 0.0, "bootstrap": 0.0}


def test_every_arm_and_metric_that_a_claim_compares_is_recorded(outcome):
    paper = papers.load("cell-detection")
    records = outcome.records
    recorded = set(zip(records["metric"], records["arm"], strict=True))
    for claim in paper.claims:
        evidence = claim.on("replication")
        if evidence.untested is None:
            for arm in evidence.arms:
                assert (evidence.metric, arm) in recorded, claim.id
            if evidence.group is not None:
                assert evidence.group in set(records["group"])
    assert {metric.id for metric in paper.metrics} == set(records["metric"])
    assert {arm.id for arm in paper.arms} == set(records["arm"])


def test_slides_are_scored_once_per_arm_pair_and_seed(outcome):
    records = outcome.records
    keys = ["arm", "seed", "metric", "case", "group"]
    assert not records.duplicated(keys).any()
    unseen = records[(records["metric"] == "ap50") & (records["arm"] == "scr")]
    assert set(unseen["group"]) == {"A→B", "A→C"}
    assert (unseen.groupby("group")["cluster"].nunique() == 9).all()


def test_derived_values_follow_from_their_parts(outcome):
    table = outcome.records[outcome.records["arm"] == "baseline"]
    wide = table.pivot_table("value", ["cluster"], ["metric", "group"])
    unseen = (wide["ap50", "A→B"] + wide["ap50", "A→C"]) / 2
    gap = wide["unseen_minus_seen", "A→unseen"]
    np.testing.assert_allclose(gap, unseen - wide["seen_ap50", "A→A"], atol=3e-5)
    inflated = wide["ap50_positive", "A→B"] - wide["ap50", "A→B"]
    np.testing.assert_allclose(wide["positive_minus_all", "A→B"], inflated, atol=3e-5)
    dial = wide["ap50_shifted", "shift 2"] - wide["ap50_shifted", "shift 0"]
    np.testing.assert_allclose(wide["ap50_dial", "shift 2"], dial, atol=3e-5)
    alike = wide["ap50_shifted", "shift 0"]
    np.testing.assert_allclose(alike, wide["seen_ap50", "A→A"], atol=3e-5)


def test_the_same_seed_gives_the_same_records_whatever_the_number_of_processes(
    tested, arms, outcome
):
    again = run(tested, arms, jobs=2)
    names = ["baseline", "acr"]
    first = outcome.records[outcome.records["arm"].isin(names)].reset_index(drop=True)
    assert again.records.equals(first)


def test_repeating_an_arm_changes_its_weights_and_not_its_slides(outcome):
    table = outcome.records[outcome.records["metric"] == "feature_rms"].set_index("arm")["value"]
    assert table["repeat"] != table["baseline"]


def test_the_paper_s_arms_train_on_every_source_and_others_on_the_first(arms):
    tasks = experiment.plan(arms, seeds=[3, 4])
    assert len(tasks) == 2 * (3 * 3 + 6)
    assert {t.source for t in tasks if t.arm.name == "stain"} == {"A"}


@pytest.mark.parametrize(("free_gb", "cores", "expected"), [(139, 16, 16), (15, 16, 2), (4, 16, 1)])
def test_a_gpu_takes_as_many_trainings_as_memory_and_cores_allow(
    monkeypatch, free_gb, cores, expected
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free_gb * 2**30, 0))
    monkeypatch.setattr(experiment, "cpu_count", lambda: cores)
    assert experiment.at_once(2) == expected
