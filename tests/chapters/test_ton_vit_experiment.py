"""The experiments: pairs by brute force, copies kept together, controls that must find nothing."""

import numpy as np
import pytest

from common.chapters.ton_vit import anomalies, averages, clips, recognition, tables, videos
from common.models import ton_vit
from common.statistics.verdicts import Verdict


@pytest.fixture(scope="module")
def cohort():
    return videos.cohort(61, n=60, anomalies=12)


@pytest.fixture(scope="module")
def normal(cohort):
    return cohort.where(cohort.kind == 0)


def test_twins_are_exact_copies_and_share_a_number(normal):
    twins = normal.twins
    for i in range(len(normal)):
        for j in range(i):
            same = normal.actions[i] == normal.actions[j] and normal.label[i] == normal.label[j]
            assert (twins[i] == twins[j]) == same


def test_real_videos_are_grouped_by_sequence_and_generated_ones_by_cohort(normal):
    real = recognition.table(np.ones(60), "ton", "correct", normal, "open")
    assert real["cluster"].nunique() == len(np.unique(normal.twins))
    assert set(real["cluster"]) <= set(real["case"])
    made = recognition.table(np.arange(60), "ton", "correct", normal, "phantom")
    assert made[["cluster", "value"]].to_numpy().tolist() == [["cohort-61", 29.5]]


def test_gaps_and_the_area_of_pairs_equal_loops():
    rng = np.random.default_rng(0)
    x, label = rng.random((9, 3)), np.repeat([0, 1, 2], 3)
    between = ton_vit.distances(x)
    gaps = recognition.gaps(between, label)
    for i in range(9):
        own = max(between[i, j] for j in range(9) if label[j] == label[i])
        other = min(between[i, j] for j in range(9) if label[j] != label[i])
        assert gaps[i] == pytest.approx(other - own)
    within, outside = recognition.pairs(between, label)
    wins = [(b > a) + 0.5 * (b == a) for a in within for b in outside]
    assert (len(within), len(outside)) == (9, 27)
    assert recognition.pair_area(between, label) == pytest.approx(np.mean(wins))


def test_the_area_of_parted_procedures_is_one_with_an_interval_of_nought():
    x = np.kron(np.eye(3), np.ones((4, 2)))
    found = recognition.pair_area_interval(
        ton_vit.distances(x),
        np.repeat([0, 1, 2], 4),
        np.arange(12),
        n_resamples=20,
        rng=np.random.default_rng(0),
    )
    assert found == (1.0, 1.0, 1.0)


def test_actions_stay_at_full_accuracy_and_come_from_the_pool_at_none():
    actions = [tuple("abab"), tuple("bbbb")]
    assert recognition.disturb(actions, 1.0, np.random.default_rng(0)) == actions
    many = recognition.disturb([tuple("a" * 30 + "b" * 10)] * 50, 0.0, np.random.default_rng(1))
    share = np.mean([action == "a" for each in many for action in each])
    assert share == pytest.approx(0.75, abs=0.03)


def test_a_bag_cannot_see_the_order_and_shuffled_labels_give_chance(normal):
    order = recognition.order_task(normal).set_index("arm")["value"]
    assert order["bag"] == pytest.approx(0.5, abs=0.02)
    assert order["ton"] > 0.75
    found = recognition.predictions(normal)
    assert (found["ton-null"] == normal.label).mean() < 0.45
    assert (found["ton"] == normal.label).mean() > 0.9


def test_scripted_performers_leave_a_gap_and_free_ones_do_not():
    gaps = {}
    for name, v in (("scripted", 0.0), ("free", 2.0)):
        drawn = videos.cohort(62, n=100, variability=v, concurrency=0.0)
        within, outside = recognition.pairs(ton_vit.distances(drawn.ordinals()), drawn.label)
        gaps[name] = outside.min() - within.max()
    assert gaps["scripted"] > 0.5
    assert gaps["free"] < 0


def test_the_average_of_scripted_videos_is_the_plain_procedure():
    drawn = videos.cohort(63, n=60, variability=0.0, concurrency=0.0)
    truth = videos.plain(63, variability=0.0)
    for c in range(5):
        for rule in averages.AVERAGES.values():
            assert averages.average(averages.of(drawn, c), rule).actions == list(truth[c])
    merged = averages.merge(drawn)
    assert merged.measures["shifted", "order_error"] <= merged.measures["union", "order_error"]
    assert merged.measures["parents", "chain"] > 0.9


def test_interleaving_makes_the_average_worse():
    found = averages.recover(64, n=141)
    value = found[found["metric"] == "order_error"].groupby("arm")["value"].mean()
    assert value["busy"] > value["calm"]
    f1 = found[found["metric"] == "edge_f1"].groupby("arm")["value"].mean()
    assert f1["meant"] > f1["printed"]


def test_anomalies_are_judged_where_their_origin_was_left_out(cohort):
    found = anomalies.judge(cohort)
    for calls in found.called.values():
        assert (calls >= 0).all()
    assert np.isfinite(found.nearest["multi"]).all()
    assert set(np.asarray(cohort.origin)[cohort.kind > 0]) <= set(cohort.name[:60])


def test_perfect_and_blind_calls_have_known_rates():
    kind = np.repeat([0, 1, 2], [6, 3, 3])
    perfect = anomalies.rates(kind, kind)
    assert perfect == {"balanced": 1, "false_alarm": 0, "shortcut_gain": 1, "mistake_gain": 1}
    blind = anomalies.rates(kind, np.zeros(12, dtype=int))
    assert blind["balanced"] == pytest.approx(1 / 3)
    assert (blind["false_alarm"], blind["mistake_gain"]) == (0, 0)


def test_records_do_not_depend_on_the_number_of_processes():
    one, two = (recognition.over(averages.recover, [65, 66], jobs=jobs, n=40) for jobs in (1, 2))
    assert one.equals(two)


SMALL = clips.Sizes(
    n_train=8, n_test=4, size=24, n_frames=2, dim=16, depth=1, epochs=1, device="cpu"
)


@pytest.fixture(scope="module")
def outcome():
    return clips.run(SMALL, 67, [1])[0]


def test_every_arm_scores_every_test_video(outcome):
    counts = outcome.records.groupby(["metric", "arm"])["case"].nunique()
    assert set(counts) == {4}
    arms = {metric: set(counts[metric].index) for metric in ("top1", "procedure")}
    assert arms["top1"] == set(tables.BLIND)
    assert arms["procedure"] == {"e2e-ton", "e2e-bag", "truth-ton"}
    value = outcome.records.pivot(index=["case", "arm"], columns="metric", values="value")
    both = value.dropna(subset=["top1", "top5"])
    assert (both["top5"] >= both["top1"]).all()
    seen = outcome.attention[np.isfinite(outcome.attention[:, 0])]
    np.testing.assert_allclose(seen.sum(axis=1), 1, rtol=1e-5)


def test_training_and_test_videos_share_procedures_and_no_clip():
    train, test = clips.draw(SMALL, 67)
    np.testing.assert_array_equal(train.words, test.words)
    for part in (train, test):
        np.testing.assert_array_equal(part.words[part.action], np.c_[part.verb, part.noun])
        assert sum(map(len, part.videos)) == len(part.action)
    flat = {each.tobytes() for each in train.image}
    assert not any(each.tobytes() in flat for each in test.image)


def test_noise_has_its_size_and_none_is_none():
    image = np.full((2, 3, 2, 16, 16), 128, np.uint8)
    assert clips.noisy(image, 0.0, seed=0) is image
    spread = clips.noisy(image, 0.1, seed=0).astype(float).std() / 255
    assert spread == pytest.approx(0.1, rel=0.05)


def test_the_tested_verdict_of_a_claim_is_kept():
    unit = ("video", "video")
    old = Verdict("C1", "reanalysis", "published", "quick", "untested", unit)
    new = Verdict("C1", "reanalysis", "open", "quick", "supported", unit)
    other = Verdict("C2", "reanalysis", "open", "quick", "untested", unit)
    assert tables.once([old, new, other, old]) == [new, other]
