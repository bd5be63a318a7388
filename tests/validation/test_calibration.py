import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.statistics.paired import paired_t_inference
from common.validation import archive, calibration, engine
from common.validation.calibration import Cell, cells, count, failures, in_range, tables
from common.validation.folds import Folds
from common.validation.simulate import Scenario, draw

SEED = 4


def band(n, p=0.05, tail=1e-4):
    """Rejections out of n that a test with level p keeps to, all but once in 5,000."""
    law = stats.binom(n, p)
    return law.ppf(tail) / n, law.isf(tail) / n


@pytest.fixture(scope="module")
def counted():
    grid = [
        Cell("paired", Scenario("dice", 50, 0.6), 200),
        Cell("paired", Scenario("binary", 50, 0.6), 200),
        Cell("folds", Folds("overlap", 50, 5), 200),
    ]
    only = (
        "t_clustered",
        "mcnemar_clustered",
        "paired t of cases",
        "mcnemar of cases",
        "corrected_t",
        "paired t of folds",
    )
    return count(grid, seed=SEED, only=only).set_index(["test", "outcome"])


def test_tests_of_clusters_keep_their_level_and_tests_of_cases_do_not(counted):
    low, high = band(200)
    for test in ("t_clustered", "mcnemar_clustered"):
        for outcome in ("dice", "binary"):
            assert low <= counted.loc[(test, outcome), "rejected"] <= high
    assert counted.loc[("paired t of cases", "dice"), "rejected"] > 0.25
    assert counted.loc[("mcnemar of cases", "binary"), "rejected"] > 0.25


def test_the_corrected_t_keeps_its_level_where_folds_overlap_and_the_plain_t_does_not(counted):
    low, high = band(200)
    assert low <= counted.loc[("corrected_t", "overlap"), "rejected"] <= high
    assert counted.loc[("paired t of folds", "overlap"), "rejected"] > high


def test_intervals_cover_as_often_as_their_tests_keep_the_truth(counted):
    row = counted.loc[("t_clustered", "dice")]
    assert row["covered"] == pytest.approx(1 - row["rejected"])
    assert row["split"] == row["open"] == 0
    assert row["above"] + row["below"] >= row["rejected"]
    assert row["se_ratio"] == pytest.approx(1, abs=0.15)


def test_a_test_without_outcomes_of_its_kind_has_no_row(counted):
    assert ("mcnemar of cases", "dice") not in counted.index


def test_counts_are_those_of_a_plain_loop():
    cell = Cell("paired", Scenario("dice", 20, 0.2), 40)
    found = count([cell], seed=SEED, only=("t_clustered",)).iloc[0]
    rejected = 0
    for replicate in range(40):
        study = draw(cell.scenario, engine.stream(SEED, cell.id, replicate))
        d, sizes = study.sample, study.sizes
        means = np.bincount(d.cluster, d.value) / sizes
        rejected += paired_t_inference(means).p() < 0.05
    assert found["rejected"] == pytest.approx(rejected / 40)
    assert found["n"] == 40


def test_counts_do_not_depend_on_the_number_of_processes_or_on_other_tests():
    grid = [Cell("paired", Scenario("dice", 20, 0.2), 30)]
    one = count(grid, seed=SEED, only=("cluster_bootstrap",))
    two = count(grid, seed=SEED, jobs=2, only=("cluster_bootstrap", "t_clustered"))
    two = two[two["test"] == "cluster_bootstrap"].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, two)


def test_a_cell_in_doubt_is_tried_on_further_studies_and_all_are_counted():
    cell = Cell("paired", Scenario("dice", 30, 0.2), 10)  # 0 of 10 rejections is out of the band
    once = count([cell], seed=1, only=("t_clustered", "paired t of cases"))
    again = count([cell], seed=1, only=("t_clustered", "paired t of cases"), confirm=3)
    longer = count([Cell("paired", cell.scenario, 40)], seed=1, only=("t_clustered",))
    assert len(failures("calibration", once)) == 1
    assert again["n"].tolist() == [40, 10]
    assert again["rejected"].iloc[0] == longer["rejected"].iloc[0]


def test_the_grid_covers_the_stated_ranges():
    grid = [cell.scenario for cell in cells(n=1, kinds=("paired",)) if cell.scenario.effect == 0]
    assert {20, 50, 100, 250} <= {one.n_clusters for one in grid}
    assert {0.0, 0.2, 0.6} == {one.icc for one in grid}
    assert {one.spread for one in grid} == {0.0, 0.7, 1.2}
    assert {cell.kind for cell in cells(n=1)} == set(calibration.KINDS)
    assert len({cell.id for cell in cells(n=1)}) == len(cells(n=1))


@pytest.fixture
def rows():
    base = {
        "naive": False,
        "symmetric": False,
        "outcome": "dice",
        "n_folds": np.nan,
        "differing": 90.0,
        "n_seeds": 1,
        "effect": 0.0,
        "icc": 0.2,
        "n": 1000,
        "covered": 0.95,
        "rejected": 0.05,
        "n_clusters": 100,
        "test": "t_clustered",
    }

    def make(*changes):
        return pd.DataFrame([base | change for change in changes])

    return make


def test_only_what_is_promised_can_fail(rows):
    table = rows(
        {"rejected": 0.08},
        {"rejected": 0.02},
        {"rejected": 0.08, "naive": True},
        {"rejected": 0.08, "n_clusters": 3},
        {"rejected": 0.08, "test": "wilcoxon_clustered", "symmetric": True, "outcome": "skewed"},
        {"rejected": 0.02, "differing": 5.0},
        {"rejected": 0.05, "differing": np.nan},
    )
    assert in_range(table).tolist() == [True, True, False, False, False, False, True]
    assert failures("calibration", table).index.tolist() == [0, 1]


def test_coverage_is_judged_from_thirty_clusters_on(rows):
    table = rows({"covered": 0.9}, {"covered": 0.98}, {"covered": 0.94}, {"n_clusters": 29})
    assert failures("coverage", table).index.tolist() == [0, 1]


def test_the_report_names_what_fails(rows):
    lines = calibration.report({"calibration": rows({"rejected": 0.08}, {})})
    assert lines[0].startswith("calibration: 1 of 2 promised cells")
    assert "t_clustered, dice, 100 clusters" in lines[1]


def test_tables_divide_rejections_at_no_effect_from_coverage_at_any():
    grid = [Cell("paired", Scenario("dice", 20, 0.2, effect=effect), 20) for effect in (0.0, 0.05)]
    both = tables(count(grid, seed=SEED, only=("t_clustered",)))
    assert len(both["calibration"]) == 1
    assert both["coverage"]["effect"].tolist() == [0.0, 0.05]
    assert "rejected" not in both["coverage"]


archived = pytest.mark.skipif(
    not (archive.folder() / "run.json").exists(),
    reason="no archived validation run yet: `make validate` writes it",
)


@archived
@pytest.mark.parametrize("name", ["calibration", "coverage"])
def test_the_archived_run_keeps_every_promise(name):
    table = archive.read(name)
    broken = failures(name, table)
    assert in_range(table).sum() > 100
    assert broken.empty, broken.to_string()


@archived
def test_the_archived_run_shows_that_naive_tests_fail():
    table = archive.read("calibration")
    worst = table[table["naive"]].groupby("test")["rejected"].max()
    assert (worst > 2 * calibration.LEVELS[1]).sum() >= 5


@archived
def test_no_archived_interval_contradicts_its_p_value():
    table = archive.read("coverage")
    table = table[in_range(table) & table["split"].notna()]
    # ranks leave zeros out at 0 and count them in the interval: right and wrong answers tie often
    ranks = table["test"].isin(["wilcoxon_clustered", "signed_rank_clustered"])
    tied = ranks & table["outcome"].isin(["binary", "rare"])
    assert table.loc[~tied, "split"].max() < 0.02
    assert table.loc[tied, "split"].max() < 0.10
