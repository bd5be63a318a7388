"""The tables are those of the paper, and records become the right rows."""

import csv

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.shoulder_implant import arms, printed, tables
from common.models.shoulder_implant import LABELS
from common.statistics.folds import corrected_t
from common.statistics.proportions import mcnemar


@pytest.fixture(scope="module")
def paper():
    return papers.load("shoulder-implant")


@pytest.fixture
def transcribed(checkout):
    """Read the independent transcription of a table, row by row."""

    def read(table):
        folder = checkout.parent / "shared" / "papers" / "shoulder-implant" / "tables"
        if not folder.is_dir():
            pytest.skip("the independent transcription is not at hand")
        with (folder / f"{table}.csv").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    return read


BEST = "InceptionResnetV2"
OTHERS = "Urban et al. [14], other "
# a number of the text, by row and metric: its place in the independent transcription, and in ours
PROSE = {
    ("InceptionResNetV2, 7 classes", "accuracy (%)"): (BEST, "All 7", "accuracy (%), abstract"),
    ("InceptionResNetV2, 7 classes", "AUC"): (BEST, "All 7", "AUC, abstract"),
    ("InceptionResNetV2, Depuy", "accuracy (%)"): (BEST, "Depuy", "accuracy (%), conclusion"),
    ("InceptionResNetV2, non-Depuy", "accuracy (%)"): (
        BEST,
        "Non-Depuy",
        "accuracy (%), conclusion",
    ),
    ("split", "train share (%)"): ("split", "training", "share (%)"),
    ("split", "test share (%)"): ("split", "testing", "share (%)"),
    ("Yilmaz [9]", "accuracy (%)"): ("Yilmaz [9]", "4 manufacturers", "accuracy (%)"),
    ("Urban et al. [14]", "accuracy (%)"): ("Urban et al. [14]", "16 models", "accuracy (%)"),
    (OTHERS + "classifiers", "accuracy (%)"): (OTHERS + "methods", "16 models", "accuracy (%)"),
    ("Geng et al. [15]", "accuracy (%)"): ("Geng et al. [15]", "10 implants", "accuracy (%)"),
    ("Geng et al. [15]", "F1"): ("Geng et al. [15]", "10 implants", "F1 score"),
    ("Depuy run", "learning rate (SGD)"): ("SGD", "Depuy", "learning rate"),
    ("Non-Depuy run", "learning rate (Adagrad)"): ("Adagrad", "Non-Depuy", "learning rate"),
    ("All-7 run", "learning rate (SGD)"): ("SGD", "All 7", "learning rate"),
}


@pytest.mark.parametrize("table", [f"table{n}" for n in range(2, 8)])
def test_every_printed_result_is_that_of_an_independent_transcription(paper, transcribed, table):
    ours = {
        (row["row"], row["metric"]): row["value"] for row in paper.table(table).to_dict("records")
    }
    theirs = transcribed(table)
    assert len(theirs) == len(ours) == 20
    for row in theirs:
        assert ours[row["row_label"], row["column_label"]] == float(row["value"])


def test_every_count_of_table_1_is_that_of_an_independent_transcription(paper, transcribed):
    ours = paper.table("table1").set_index("row")["value"]
    theirs = {
        row["row_label"].replace(" | ", " "): float(row["value"]) for row in transcribed("table1")
    }
    assert ours.to_dict() == theirs


def test_every_number_of_the_text_is_that_of_an_independent_transcription(paper, transcribed):
    ours = paper.table("prose").set_index(["row", "column", "metric"])["value"]
    theirs = {
        (row["row_label"], row["metric"]): float(row["value"]) for row in transcribed("prose")
    }
    assert len(theirs) == len(PROSE)
    for key, own in PROSE.items():
        assert theirs[key] == ours[own], key


def test_every_arm_that_is_trained_is_declared_and_every_claim_has_its_arms(paper):
    trained = {arm.name for arm in arms.phantom() + arms.real()}
    read = {"split", "seven-restricted"}
    read |= {
        f"{task}-{n}"
        for task in ("seven", "makers")
        for n in ("best-epoch", "held-out-last", "majority", "neighbours")
    }
    declared = {arm.id for arm in paper.arms}
    assert trained | read == declared
    assert len(arms.phantom()) + len(arms.real()) == len(trained)
    for claim in paper.claims:
        used = set(claim.arms)
        for evidence in claim.evidence.values():
            used |= set(evidence.contrast or ())
        assert used <= declared
        assert used or claim.direction == "absent"


def test_contrasts_of_the_two_factors_are_the_textbook_ones(paper):
    found = {claim.id: claim.on("replication").contrast for claim in paper.claims}
    base = f"seven-{arms.PROPOSED}"
    # means that depend on each factor alone
    cells = {base: 8.0, "seven-plain": 5.0, "seven-scratch": 6.0, "seven-scratch-plain": 1.0}

    def of(id):
        return sum(weight * cells[arm] for arm, weight in found[id].items())

    assert of("C6p") == pytest.approx((8 + 5) / 2 - (6 + 1) / 2)
    assert of("C6a") == pytest.approx((8 + 6) / 2 - (5 + 1) / 2)
    assert of("C6i") == pytest.approx((6 - 1) - (8 - 5))


def folds(arm, values, *, metric="accuracy", seed=0):
    n = len(values)
    names = [f"fold-{i}" for i in range(n)]
    return pd.DataFrame(
        {
            "arm": arm,
            "seed": seed,
            "fold": [str(i) for i in range(n)],
            "case": names,
            "cluster": names,
            "group": "",
            "metric": metric,
            "value": values,
        }
    )


def test_intervals_are_those_of_the_corrected_t():
    values = [0.7, 0.8, 0.6]
    own = tables.by_fold(folds("a", values), "a", "accuracy")
    found = corrected_t(values, test_train_ratio=1 / 2)
    np.testing.assert_allclose(tables.interval(own), (found.effect, found.low, found.high))
    assert np.isnan(tables.interval(own.iloc[:1])[1])


def images(arm, right, *, seed=0, metric="correct", clusters=None):
    n = len(right)
    names = [f"image-{i}" for i in range(n)]
    return pd.DataFrame(
        {
            "arm": arm,
            "seed": seed,
            "fold": ["0"] * (n // 2) + ["1"] * (n - n // 2),
            "case": names,
            "cluster": clusters or names,
            "group": "",
            "metric": metric,
            "value": np.asarray(right, float),
        }
    )


def test_images_are_paired_on_the_first_deal_alone():
    rng = np.random.default_rng(0)
    right = {name: rng.random(60) < 0.6 for name in LABELS}
    parts = [images(f"seven-{name}", each) for name, each in right.items()]
    parts += [images(f"seven-{name}", ~each, seed=1) for name, each in right.items()]
    found, q, n = tables.paired(pd.concat(parts), "seven")
    assert n == 60
    for name in ("vgg16", "xception", "inception-v3"):
        row = found.loc[LABELS[name]]
        assert row["proposed"] == (right[arms.PROPOSED] & ~right[name]).sum()
        assert row["exact p"] == mcnemar(right[arms.PROPOSED], right[name]).p
        assert row["Holm's p"] >= row["exact p"]
    # Cochran's Q by hand
    x = np.stack(list(right.values()), axis=1).astype(float)
    k, columns, rows = 4, x.sum(0), x.sum(1)
    stat = (k - 1) * (k * (columns**2).sum() - x.sum() ** 2) / (k * x.sum() - (rows**2).sum())
    from scipy.stats import chi2

    assert q == pytest.approx(chi2.sf(stat, 3))


def test_deals_are_compared_by_trainings_and_not_by_patients(paper):
    """Six splits of an arm: the interval is that of the corrected t with five degrees."""
    gaps = [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]
    parts = [folds("by-image", gaps[:3]), folds("by-image", gaps[3:], seed=1)]
    base = f"seven-{arms.PROPOSED}"
    parts += [folds(base, [0.0] * 3), folds(base, [0.0] * 3, seed=1)]
    found = tables.differences(pd.concat(parts), [("by-image", base)], paper, metric="accuracy")
    expected = corrected_t(gaps, test_train_ratio=1 / 2)
    row = found.iloc[0]
    np.testing.assert_allclose(row["effect"], 100 * expected.effect)
    np.testing.assert_allclose((row["low"], row["high"]), (100 * expected.low, 100 * expected.high))


def test_tasks_are_joined_each_with_its_own_cochran():
    rng = np.random.default_rng(1)
    parts = []
    for task, share in (("seven", 0.5), ("depuy", 0.9)):
        parts += [images(f"{task}-{name}", rng.random(40) < share) for name in LABELS]
    every = pd.concat(parts)
    found = tables.paired_tasks(every, {"seven": "seven", "depuy": "DePuy"})
    assert found["task (images)"].unique().tolist() == ["seven (40)", "DePuy (40)"]
    assert len(found) == 6
    for task, title in (("seven", "seven"), ("depuy", "DePuy")):
        own = found[found["task (images)"] == f"{title} (40)"]
        assert own["Cochran's p"].unique().tolist() == [tables.paired(every, task)[1]]


def test_power_beforehand_is_that_of_the_corrected_t():
    """A simulation finds the difference in the table with 80 % power."""
    found = tables.beforehand((5,), ((3, 2),)).loc["5", "3 folds x 2"]
    rng = np.random.default_rng(0)
    # folds that correlate as the correction assumes, 1/3; 5 is the spread inside the run
    shared = rng.normal(0, 5 * np.sqrt(0.5), (4000, 1))
    p = [
        corrected_t(x, test_train_ratio=1 / 2).p
        for x in found + shared + rng.normal(0, 5, (4000, 6))
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.03)


def test_margins_that_a_run_cannot_show_are_named_beforehand():
    sizes = {"others": 70, "unshared": 330, "no-cues": 330, "open": 597}
    found = tables.margins(sizes, n_folds=3, n_repeats=2)
    assert (found.loc[["C3e", "C8n"], "power"] < 0.1).all()
    assert (found.loc[["C11", "R11"], "power"] > 0.7).all()
    # 23.3 images of a fold, one in ten answered otherwise
    assert found.loc["C3e", "spread"] == pytest.approx(100 * (0.1 * 3 / 70) ** 0.5)
    more = tables.margins({k: 100 * n for k, n in sizes.items()}, n_folds=3, n_repeats=2)
    assert (more["power"] > 0.95).all()


def test_an_optimiser_that_always_wins_has_rank_one():
    values = {"adagrad": [0.9, 0.8, 0.7], "adam": [0.5, 0.6, 0.5], arms.PROPOSED: [0.6, 0.7, 0.6]}
    every = pd.concat([folds(f"seven-{name}", each) for name, each in values.items()])
    row = tables.optimiser_ranks(every, ["seven"]).loc["seven"]
    assert row[["Adagrad", "SGD", "Adam"]].tolist() == [1, 2, 3]


def test_published_results_stand_beside_ours_as_fractions(paper):
    every = pd.concat([folds(f"seven-{name}", [0.5, 0.7]) for name in printed.ROWS])
    found = tables.published_and_replicated(paper, "All 7", every, None, profile="quick")
    own = found[(found["metric"] == "accuracy") & (found["row"] == "Inception ResnetV2")]
    assert own["value"].round(4).to_list() == [0.9148, 0.6]
    assert set(found["kind"]) == {"published", "quick"}
    assert (found[found["kind"] == "published"]["value"] <= 1).all()
