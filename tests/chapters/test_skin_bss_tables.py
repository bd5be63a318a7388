"""What the page shows of the paper is what the paper prints, and of records what they hold."""

import csv

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.skin_bss import audit, tables
from common.statistics.audit import Check


@pytest.fixture(scope="module")
def paper():
    return papers.load("skin-bss")


@pytest.fixture
def printed(checkout):
    """The independent transcription, row by row."""
    path = checkout.parent / "shared" / "papers" / "skin-bss" / "tables" / "prose.csv"
    if not path.is_file():
        pytest.skip("the independent transcription is not at hand")
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_printed_number_is_that_of_an_independent_transcription(paper, printed):
    ours = audit.prose(paper)
    theirs = [row for row in printed if "overlap" not in row["metric"]]
    assert len(theirs) == len(ours) == 9 + 8
    for row in theirs:
        place = (row["row_label"], row["column_label"], row["metric"])
        assert ours[place] == float(row["value"])


def test_every_statement_on_boxes_is_that_of_an_independent_transcription(paper, printed):
    ours = audit.statements(paper)
    theirs = {row["row_label"]: row["value"] for row in printed if "overlap" in row["metric"]}
    assert len(theirs) == 8
    assert ours.to_dict() == theirs


def test_each_statement_that_has_an_arm_names_one_that_is_declared(paper):
    assert set(tables.STATED) <= set(audit.statements(paper).index)
    for arm in (*tables.STATED.values(), *tables.IDENTIFIED, *tables.SEPARATED, *tables.BOXED):
        assert paper.arm(arm).label


def scored(arm, values, *, setting="", cohort="00", seed=0, metric="identification"):
    """Records of three naevi and three melanomas."""
    suffix = f", {setting}" if setting else ""
    return pd.DataFrame(
        {
            "arm": arm,
            "case": [f"{setting or 'main'} c{cohort} lesion-{i}" for i in range(6)],
            "group": [f"{name}{suffix}" for name in ("naevus",) * 3 + ("melanoma",) * 3],
            "metric": metric,
            "seed": seed,
            "value": values,
        }
    )


def test_areas_come_from_the_setting_that_is_asked_for():
    good, bad = [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]
    records = pd.concat([scored("blue", good), scored("blue", bad, setting="gap 0")])
    assert tables.area(records, "blue")[0] == 1.0
    assert tables.area(records, "blue", setting="gap 0")[0] == 0.0
    value, label = tables.scores(records, "blue", setting="gap 0")
    assert value.tolist() == bad
    assert label.tolist() == [0, 0, 0, 1, 1, 1]


def test_boxes_of_random_starts_are_counted_start_by_start():
    apart, mixed = [1, 2, 3, 7, 8, 9], [1, 7, 3, 2, 8, 4]
    records = pd.concat(
        scored("random-nmf", value, cohort=cohort, seed=seed, metric="identification_start")
        for cohort, seed, value in (("00", 0, apart), ("00", 1, mixed), ("01", 0, mixed))
    )
    gaps = tables.start_gaps(records)
    assert len(gaps) == 3
    assert (gaps > 0).sum() == 1


def test_detectable_gains_shrink_with_cohorts_and_with_correlation(paper):
    table = tables.detectable(paper, cohorts=(1, 10))
    assert table["images"].tolist() == [85, 850]
    assert (table.loc[10].drop("images") < table.loc[1].drop("images")).all()
    assert (table["gain found, r = 0.7"] < table["gain found, r = 0"]).all()


def test_the_gain_of_ten_cohorts_is_found_by_the_test_it_is_planned_for(paper):
    """A simulation in which scores correlate by 0.7 and the areas differ by the planned gain."""
    from scipy import stats

    from common.statistics.auc import auc_delong

    rng = np.random.default_rng(5)
    gain = tables.detectable(paper, cohorts=(10,))["gain found, r = 0.7"].item()
    shift = np.sqrt(2) * stats.norm.ppf([0.8 + gain, 0.8])
    label = np.repeat([1.0, 0.0], [340, 510])
    found = 0
    for _ in range(200):
        noise = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 850)
        first, second = (noise + label[:, None] * shift).T
        found += auc_delong(first, second, label).p < 0.05
    assert found / 200 == pytest.approx(0.8, abs=0.08)


def test_checks_of_a_run_and_of_an_archive_look_the_same():
    check = Check("A1", "sums", "fail", "1", "2", "off by one")
    stored = {"id": "A1", "statement": "sums", "status": "fail", "printed": "1"}
    stored |= {"recomputed": "2", "note": "off by one"}
    assert tables.checks([check]).equals(tables.checks([stored]))
    assert tables.checks([check])["finding"].item() == "printed: 1; recomputed: 2; off by one"
