"""Cohorts, arms and records of the shoulder-implant experiment."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from common import papers, records as records_module
from common.chapters.shoulder_implant import (
    arms,
    cohorts,
    experiment,
    pictures,
    records,
    scores,
    tables,
)
from common.chapters.shoulder_implant.arms import PROPOSED, Arm
from common.errors import ReplicateError
from common.models.shoulder_implant import NETWORKS, Residual, build
from common.models.shoulder_implant_blocks import Scale
from common.models.shoulder_implant_training import Settings, beside
from common.statistics import design, verdicts
from common.statistics.procedures import PROCEDURES

NARROW = Scale(0.05, 0.05)
BASE = Settings("", NARROW, epochs=2, batch_size=16, n_copies=1)


@pytest.fixture(scope="module")
def sets():
    return {name: cohorts.phantom(name, 42, 3, size=75) for name in ("main", "shared")}


@pytest.fixture(scope="module")
def answers(sets):
    plan = [
        Arm(f"seven-{PROPOSED}", pretrained=False),
        Arm(f"depuy-{PROPOSED}", task="depuy", pretrained=False),
        Arm(f"others-{PROPOSED}", task="others", pretrained=False),
        *(replace(arm, pretrained=False) for arm in arms.expert()),
        Arm("seven-held-out", hold_out=True, pretrained=False),
        Arm("by-image", by_image=True, pretrained=False),
    ]
    return experiment.run(plan, sets, BASE, {}, {}, repeats=[0], n_folds=2, seed=0, jobs=1)


@pytest.fixture(scope="module")
def table(answers, sets):
    return records.collect(answers, sets)


def test_settings_have_about_as_many_images_and_the_dials_of_their_names():
    n = {
        name: len(cohorts.phantom(name, 60, 1, size=48).table) / cohorts.TIMES.get(name, 1)
        for name in cohorts.SETTINGS
    }
    assert max(n.values()) < 1.25 * min(n.values())
    assert set(cohorts.TIMES) == {"shared", "unshared", "no-cues"}
    assert cohorts.SETTINGS["unshared"]["patient_share"] == 0
    assert cohorts.SETTINGS["no-cues"]["cues"] == 0


def test_patients_stay_in_one_fold_unless_images_are_dealt(sets):
    cohort = sets["shared"]
    for by_image, most in ((False, 1), (True, 2)):
        fold = cohorts.deal(cohort, 2, 0, by_image=by_image)
        spread = pd.Series(fold).groupby(cohort.table["cluster"].to_numpy()).nunique()
        assert spread.max() == most
    assert (cohorts.deal(cohort, 2, 0) != cohorts.deal(cohort, 2, 1)).any()


def test_images_that_look_alike_stay_in_one_fold():
    n = 40
    pairs = pd.DataFrame({"first": ["x0", "x1"], "second": ["x1", "x2"]})
    table = pd.DataFrame({"case": [f"x{i}" for i in range(n)], "label": np.arange(n) % 4})
    table = table.assign(cluster=cohorts.alike(table["case"], pairs))
    cohort = cohorts.Cohort("open", table, np.zeros((n, 1, 8, 8), "f"), tuple("abcd"))
    for repeat in range(5):
        assert len(set(cohorts.deal(cohort, 3, repeat)[:3])) == 1
    told = cohorts.lookalikes(replace(cohort, pairs=pairs))
    # x0 and x1, x1 and x2: three images are one group, and every neighbour has another label
    assert told.startswith(f"{n} images in {n - 2} groups")
    assert "2 pairs look alike, 2 of them" in told


def test_tasks_are_the_papers(sets):
    main = sets["main"]
    four, three = (cohorts.task_classes(main, task) for task in ("depuy", "others"))
    assert [main.classes[k].split()[0] for k in four] == ["DePuy"] * 4
    assert sorted([*four, *three]) == list(range(7))
    with pytest.raises(ValueError, match="`task` must be one of"):
        cohorts.task_classes(main, "zimmer")


def test_every_image_of_a_task_is_tested_once_a_deal(table, sets):
    own = table[table["metric"] == "correct"]
    counts = own.groupby("arm")["case"].agg(["size", "nunique"])
    assert (counts["size"] == counts["nunique"]).all()
    n = len(sets["main"].table)
    assert counts.loc[f"seven-{PROPOSED}", "size"] == n
    assert counts.loc["split", "size"] == n
    assert counts.loc["seven-held-out-last", "size"] == n
    depuy = np.isin(sets["main"].label, cohorts.task_classes(sets["main"], "depuy")).sum()
    assert counts.loc[f"depuy-{PROPOSED}", "size"] == depuy


def test_records_are_records(table):
    whole = table.assign(paper="shoulder-implant", run="r", profile="quick")
    checked = records_module.check(whole)
    assert np.isfinite(checked[checked["metric"] != "auc"]["value"]).all()
    assert {"correct", "log_loss", "auc", "recall_one", "epoch_gain"} <= set(checked["metric"])


def test_the_joint_network_gains_by_being_told_the_side(table):
    own = table[table["metric"] == "correct"].set_index(["arm", "case"])["value"]
    free, told = (own[arm].sort_index() for arm in (f"seven-{PROPOSED}", "seven-restricted"))
    assert (told >= free).all()


def test_the_best_epoch_is_never_worse_than_the_last(table):
    rates = table[table["metric"] == "accuracy"].set_index(["arm", "fold"])["value"]
    names = ("seven-best-epoch", "seven-held-out-last", "seven-held-out")
    best, last, chosen = (rates[arm].sort_index() for arm in names)
    assert (best >= last).all()
    gain = table[table["metric"] == "epoch_gain"].set_index("fold")["value"].sort_index()
    np.testing.assert_allclose(gain, best - chosen, atol=1e-12)
    assert (gain >= 0).all()


def test_both_epochs_come_from_the_training_that_holds_images_out(answers, table, sets):
    """Its probabilities, and not those of the network of all training images, give the best."""
    own = table[table["metric"] == "accuracy"].set_index(["arm", "fold"])["value"]
    for each in answers:
        if each.job.arm.name == "seven-held-out":
            right = each.probs.argmax(axis=2) == sets["main"].label[each.index]
            fold = f"deal 0, fold {each.job.fold}"
            assert own["seven-best-epoch", fold] == right.mean(axis=1).max()


def test_two_deals_of_three_folds_are_six_splits(sets):
    """Rates of a fold are not averaged with those of the same fold of another deal."""
    plan = [Arm("seven-vgg16", network="vgg16", pretrained=False)]
    how = {"repeats": [0, 1], "n_folds": 3, "seed": 0, "jobs": 1}
    done = experiment.run(plan, sets, replace(BASE, epochs=1), {}, {}, **how)
    found = records.collect(done, sets).assign(paper="p", run="r", profile="standard")
    every = records_module.check(found)
    for metric in ("accuracy", "correct"):
        paired = design.pair(every, metric=metric, arms=("seven-vgg16",))
        sample = design.sample(paired, {"seven-vgg16": 1.0})
        inference = PROCEDURES["corrected_t"].estimate(sample, np.random.default_rng(0))
        assert inference.df == 5, metric
        assert sample.n_folds() == 3


def test_compared_arms_train_on_equally_many_images_and_experts_for_as_many_steps(
    sets, monkeypatch
):
    seen = {}

    def fit(images, label, settings, **rest):
        seen[name] = (len(images), settings.epochs * len(images), settings.n_copies)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "fit", fit)
    base = replace(BASE, epochs=20)
    for arm in arms.phantom():
        name = arm.name
        job = experiment.Job(replace(arm, cohort="main"), 0, 0, 3)
        settings = experiment.settings_of(arm, base, {})
        with pytest.raises(KeyboardInterrupt):
            experiment.train_one(job, sets["main"], settings, None, seed=0)
    n = {name: images for name, (images, _, _) in seen.items()}
    for task in ("seven", "depuy", "others"):
        compared = [f"{task}-{other}" for other in (*NETWORKS, "adam", "adagrad")]
        assert len({seen[other] for other in compared}) == 1
    for other in ("scratch", "plain", "scratch-plain", "literal"):
        assert seen[f"seven-{other}"] == seen[f"seven-{PROPOSED}"]
    # whole patients do not divide as evenly as images
    assert n["by-image"] == pytest.approx(n[f"seven-{PROPOSED}"], rel=0.1)
    assert n["depuy-as-long"] + n["others-as-long"] == n[f"seven-{PROPOSED}"]
    for side in ("depuy", "others"):
        assert seen[f"{side}-as-long"][1] == pytest.approx(seen[f"seven-{PROPOSED}"][1], rel=0.03)


def test_a_diverged_training_is_recorded_and_named(sets):
    plan = [
        Arm(f"seven-{PROPOSED}", pretrained=False),
        Arm("seven-vgg16", network="vgg16", lr=1e30, pretrained=False),
    ]
    how = {"repeats": [0], "n_folds": 2, "seed": 0, "jobs": 1}
    done = experiment.run(plan, sets, BASE, {}, {}, **how)
    found = records.collect(done, sets)
    own = found[found["metric"] == "diverged"].groupby("arm")["value"].agg(list)
    assert own.to_dict() == {f"seven-{PROPOSED}": [0.0, 0.0], "seven-vgg16": [1.0, 1.0]}
    area = found[(found["arm"] == "seven-vgg16") & (found["metric"] == "auc")]
    assert area["value"].tolist() == [0.5, 0.5]
    paper = papers.load("shoulder-implant")
    assert tables.diverged(found, paper) == (
        "  2 of 4 trainings diverged\n  Seven models, VGG16: 2 of 2"
    )
    calm = found[found["arm"] != "seven-vgg16"]
    assert tables.diverged(calm, paper) == "  0 of 2 trainings diverged"


def test_held_out_images_are_other_patients_than_trained_and_tested_ones(sets):
    main = sets["main"]
    job = experiment.Job(Arm("a", hold_out=True), 0, 0, 2)
    train = np.flatnonzero(cohorts.deal(main, 2, 0) != 0)
    held = experiment._held_out(main, train, job, 0)
    cluster = main.table["cluster"].to_numpy()[train]
    assert 0.1 < held.mean() < 0.35
    assert not set(cluster[held]) & set(cluster[~held])


def test_answers_do_not_depend_on_the_number_of_processes(sets):
    plan = [Arm("a", network="vgg16", pretrained=False), Arm("b", pretrained=False)]
    how = {"repeats": [0], "n_folds": 2, "seed": 4}
    one, two = (experiment.run(plan, sets, BASE, {}, {}, jobs=jobs, **how) for jobs in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert (first.probs == second.probs).all()
        assert first.job == second.job


def test_arms_of_a_fold_share_its_images_but_not_its_training(answers):
    by_name = {(each.job.arm.name, each.job.fold): each for each in answers}
    first, other = by_name[f"seven-{PROPOSED}", 0], by_name["seven-held-out", 0]
    assert (first.index == other.index).all()
    assert not (first.probs == other.probs).all()


def test_a_settings_rate_is_the_arms_own_then_the_tuned_then_the_grids():
    tuned = {(PROPOSED, "sgd", "pretext", "seven"): 0.5}
    assert experiment.settings_of(Arm("a"), BASE, tuned).lr == 0.5
    assert experiment.settings_of(Arm("a", task="depuy"), BASE, tuned).lr == 0.5
    for own in (Arm("a", pretrained=False), Arm("a", task="depuy", as_long=True)):
        assert experiment.settings_of(own, BASE, tuned).lr == arms.RATES["sgd"][0]
    assert experiment.settings_of(Arm("a", lr=1e-3), BASE, tuned).lr == 1e-3
    assert experiment.settings_of(Arm("a", optimiser="adam"), BASE, tuned).lr == 0.001


def test_the_rate_of_the_lowest_loss_is_taken(sets):
    tried = pd.DataFrame(
        {
            "network": ["vgg16"] * 3,
            "optimiser": ["sgd"] * 3,
            "start": ["scratch"] * 3,
            "task": ["seven"] * 3,
            "lr": [0.1, 0.2, 0.3],
            "loss": [1.0, 0.5, 0.7],
        }
    )
    assert experiment.best_rates(tried) == {("vgg16", "sgd", "scratch", "seven"): 0.2}
    one = experiment.tune(
        arms.phantom(), sets["main"], BASE, {}, n_rates=1, n_folds=2, seed=0, jobs=1
    )
    assert one.empty
    assert experiment.best_rates(one) == {}


def test_every_rate_that_an_arm_needs_is_tuned():
    for tried, wanted in (
        (arms.tuned(3), arms.phantom()),
        (arms.tuned(3, "makers", "open"), arms.real()),
    ):
        keys = {experiment.rate_key(arm) for arm in tried}
        assert keys == {experiment.rate_key(arm) for arm in wanted if arm.lr is None}
        assert len(tried) == 3 * len(keys)


def _made_up(n=60):
    """A stand-in of random images that goes the way of the real ones."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(n)]
    table = pd.DataFrame({"case": names, "cluster": names, "label": np.arange(n) % 4})
    images = rng.random((n, 1, 75, 75), dtype=np.float32)
    return cohorts.Cohort("open", table, images, ("Cofield", "DePuy", "Tornier", "Zimmer"))


def test_rates_of_real_images_are_chosen_by_the_training_loss_alone(monkeypatch):
    """Answers about images that are left out may be anything, also where a training diverges."""
    losses = {0.01: [2.0, 0.4], 0.003: [0.1, 0.5], 0.03: [0.2, np.nan]}
    asked = []

    def pretend(job, cohort, settings, start, *, seed):
        asked.append((job.repeat, job.fold, cohort.name))
        values = losses.get(settings.lr, [1.0, 1.0])
        history = pd.DataFrame({"epoch": [1, 2], "metric": "train_loss", "value": values})
        probs = np.full((2, 1, 4), np.nan, np.float32)
        index, classes = np.array([0]), np.arange(4)
        return experiment.Answers(job, index, classes, probs, 1, history)

    monkeypatch.setattr(experiment, "train_one", pretend)
    monkeypatch.setattr(
        experiment, "in_parallel", lambda todo, **_: [f(*a, **k) for f, a, k in todo]
    )
    how = {"n_rates": 3, "n_folds": 2, "seed": 0}
    tried = experiment.tune(arms.real(), _made_up(), BASE, {}, **how)
    assert experiment.best_rates(tried)[PROPOSED, "sgd", "pretext", "makers"] == 0.01
    assert set(asked) == {(experiment.TUNING_DEAL, 0, "open")}
    fewer = experiment.tune(arms.real("networks"), _made_up(), BASE, {}, **how)
    assert len(fewer) == 4 * 3 < len(tried)
    assert set(fewer["optimiser"]) == {"sgd"}


def test_the_last_training_loss_is_what_tuning_on_real_images_sees():
    some = _made_up()
    quick = replace(BASE, network="vgg16", epochs=2)
    job = experiment.Job(Arm("a", "open", "makers", "vgg16", pretrained=False), 3, 0, 2)
    answer = experiment.train_one(job, some, quick, None, seed=0)
    losses = answer.history.query("metric == 'train_loss'")["value"]
    assert experiment._loss(answer, some) == losses.iloc[1] != losses.iloc[0]


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"open_images": False, "archived": True}, "nothing to train"),
        ({"open_images": True, "archived": False}, "replicate archive shoulder-implant"),
    ],
)
def test_a_run_with_nothing_to_train_or_to_show_is_refused(given, remedy):
    with pytest.raises(ReplicateError, match=remedy):
        experiment.check(phantom_arms=False, **given)
    experiment.check(phantom_arms=True, **given)
    experiment.check(phantom_arms=False, open_images=True, archived=True)


def test_the_real_images_are_asked_for_by_one_clear_error(monkeypatch):
    monkeypatch.setattr(cohorts, "at_hand", lambda: False)
    with pytest.raises(ReplicateError, match="replicate data fetch uci-shoulder-implants"):
        cohorts.real(96)
    assert "fetch" in cohorts.banner(open_images=False)[1]


def test_real_images_are_read_grey_with_their_manufacturers(mirror):
    mirror("uci-shoulder-implants")
    cohort = cohorts.real(75, jobs=1)
    assert np.bincount(cohort.label).tolist() == [83, 294, 71, 149]
    assert cohort.images.shape == (597, 1, 75, 75)
    assert 0 <= cohort.images.min() < cohort.images.max() <= 1
    assert cohort.table["cluster"].nunique() == 582
    assert cohorts.lookalikes(cohort).endswith(
        "15 pairs look alike, 4 of them of two manufacturers"
    )
    assert cohort.source == "open"


def test_real_arms_are_recorded_and_judged():
    """A stand-in of random images goes the way of the real ones, to the verdicts."""
    some = {"open": _made_up()}
    plan = [replace(arm, pretrained=False) for arm in arms.real()]
    quick = replace(BASE, epochs=1)
    done = experiment.run(plan, some, quick, {}, {}, repeats=[0, 1], n_folds=2, seed=0, jobs=1)
    found = records.collect(done, some)
    paper = papers.load("shoulder-implant")
    every = records_module.check(found.assign(paper=paper.slug, run="r", profile="standard"))
    judged = verdicts.judge(
        paper,
        every,
        layer="replication",
        source="open",
        profile="standard",
        rng=np.random.default_rng(0),
    )
    of_real = [each for each in judged if each.claim.startswith("R")]
    assert len(of_real) == 11
    assert all(each.verdict != "untested" for each in of_real), [each.note for each in of_real]


def test_rates_of_a_perfect_and_of_a_constant_classifier():
    label = np.array([0, 0, 1, 2])
    perfect = scores.rates(np.eye(3)[label], label)
    assert set(perfect.values()) == {1.0}
    constant = scores.rates(np.tile([0.5, 0.3, 0.2], (4, 1)), label)
    assert constant["accuracy"] == constant["recall"] == 0.5
    assert constant["precision"] == 0.25
    assert constant["auc"] == constant["auc_weighted"] == 0.5


def test_the_majority_and_neighbours_answer_the_same_images(table):
    own = table[table["metric"] == "correct"].groupby("arm")["case"].apply(set)
    assert own["seven-majority"] == own["seven-neighbours"] == own[f"seven-{PROPOSED}"]
    wanted = (table["metric"] == "correct") & (table["arm"] == "seven-majority")
    right = table[wanted & (table["value"] == 1)]
    assert (right.groupby("fold")["group"].nunique() <= 1).all()


def test_small_pictures_forget_brightness_and_contrast():
    images = np.random.default_rng(0).random((3, 1, 80, 80), dtype=np.float32)
    np.testing.assert_allclose(records.small(images), records.small(0.2 + 0.5 * images), atol=1e-4)
    assert records.small(images).shape == (3, 256)


def test_attention_at_the_last_layer_is_the_class_activation_map():
    """Behind it there are only a mean and a linear layer, so slopes are the head's weights."""
    torch.manual_seed(0)
    model = build("vgg16", 3, Scale(0.05)).eval()
    images = np.random.default_rng(0).random((2, 1, 96, 96), dtype=np.float32)
    found = pictures.attention(model, images, layer=len(model.features) - 1)
    with torch.no_grad():
        maps = model.features((2 * torch.from_numpy(images) - 1).expand(-1, 3, -1, -1))
        called = model.head(maps.mean(dim=(2, 3))).argmax(dim=1)
        expected = torch.einsum("nk,nkhw->nhw", model.head.weight[called], maps).relu()[:, None]
        expected = torch.nn.functional.interpolate(expected, size=(96, 96), mode="bilinear")[:, 0]
    peak = expected.amax(dim=(1, 2), keepdim=True)
    assert (peak > 0).all()
    np.testing.assert_allclose(found, (expected / peak).numpy(), atol=1e-5)


def test_images_go_where_the_weights_are():
    """Grad-CAM and predictions follow a network to another device."""
    model = build("vgg16", 3, Scale(0.05)).to("meta")
    images = np.zeros((2, 1, 75, 75), np.float32)
    assert beside(model, images).device.type == "meta"
    with pytest.raises(NotImplementedError, match="meta"):
        # all is computed there, up to the last step, which brings numbers that "meta" lacks back
        pictures.attention(model, images, layer=2)


@pytest.mark.parametrize(("depth", "last"), [(0.1, 2), (0.5, 6), (1.0, 11)])
def test_the_layer_of_the_page_is_the_last_block_a(depth, last):
    scale = Scale(0.05, depth)
    model = build(PROPOSED, 3, scale)
    place = 1 + scale.repeats(10)
    assert place == last
    kinds = [isinstance(each, Residual) for each in model.features]
    assert kinds[place]
    assert not kinds[place + 1]


def test_a_confusion_matrix_counts_every_test_image(answers, sets):
    matrix = records.confusion(answers, sets["main"], f"seven-{PROPOSED}")
    assert matrix.sum(axis=1).tolist() == np.bincount(sets["main"].label, minlength=7).tolist()


def test_curves_have_every_epoch_of_every_fold(answers):
    found = records.curves(answers, "seven-held-out")
    assert set(found["metric"]) >= {"train_loss", "test_accuracy", "held out_accuracy"}
    assert found.groupby(["fold", "metric"]).size().unique().tolist() == [2]
