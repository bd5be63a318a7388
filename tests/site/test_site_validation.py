"""Tables of the archived validation: what is shown, marked and left out, and what without one."""

import re

import pandas as pd
import pytest

from common.site import validation
from common.statistics import validity
from common.validation import archive

SHARED = {"kind": "paired", "outcome": "dice", "icc": 0.2, "spread": 0.7, "run_share": 0.0}
TESTS = ("t_clustered", "sign_flip_clustered", "paired t of cases")


def cell(test, n_clusters, rate, **changes):
    design = {"n_seeds": 1, "n_folds": 0, "naive": " of " in test, "symmetric": "flip" in test}
    return SHARED | design | {"test": test, "n_clusters": n_clusters, "rate": rate} | changes


CELLS = [
    cell("t_clustered", 20, 0.08),
    cell("t_clustered", 100, 0.041),
    cell("t_clustered", 100, 0.062, icc=0.6),
    cell("crossed_t", 100, 0.02, kind="seeds", n_seeds=3),
    cell("crossed_t", 100, 0.05, kind="seeds", n_seeds=10),
    cell("sign_flip_clustered", 100, 0.05),
    cell("sign_flip_clustered", 100, 0.30, outcome="skewed"),
    cell("t_clustered", 100, 0.09, outcome="skewed"),
    cell("paired t of cases", 100, 0.41),
    cell("paired t of cases", 20, 0.33),
]


@pytest.fixture
def archived(book, monkeypatch):
    """Write a small archive in which the truth of every table is known."""
    stated = validity.Validity("x", min_clusters=30, min_clusters_skewed=250)
    monkeypatch.setattr(validity, "RANGES", {"t_clustered": stated})
    table = pd.DataFrame(CELLS).assign(n=2000, failed=0, mc_se=0.005, differing=50)
    coverage = table.assign(effect=0.0, covered=1 - table["rate"])
    words = ["supported", "contradicted", "equivalent", "inconclusive"]
    rows = [
        ("30 patients", "mixed", "main", "C1", "t_clustered", "none", 30, 0.1, 0, 0.1, 0, 0.5, 0.4),
        ("30 patients", "mixed", "main", "C2", "t_clustered", "none", 10, 0.1, 0, 0.5, 0, 0.5, 0),
        ("30 patients", "mixed", "main", "C1", "all", "all", 30, 0.1, 0, 0.9, 0.1, 0, 0),
        (
            "30 patients",
            "mixed",
            "main",
            "any of the family",
            "all",
            "all",
            30,
            0.1,
            0.02,
            *[None] * 4,
        ),
    ]
    names = [
        "design",
        "chapters",
        "family",
        "claim",
        "test",
        "truth",
        "n",
        "wrong_side",
        "wrong_equal",
    ]
    planted = pd.DataFrame(rows, columns=[*names, *words])
    planted["wrong_side_se"] = planted["wrong_equal_se"] = 0.01
    power = pd.DataFrame(
        {
            "test": ["t_clustered"],
            "outcome": ["dice"],
            "n_clusters": [30],
            "planned": [0.8],
            "found": [0.79],
            "difference": [-0.01],
            "mc_se": [0.009],
        }
    )
    tables = {
        "calibration": table.rename(columns={"rate": "rejected"}),
        "coverage": coverage,
        "planted": planted,
        "power": power,
    }
    run = archive.provenance(seed=1, wall_s=1, studies=2000, chapters=300, power_studies=2000)
    archive.write(tables, run, to=archive.folder())
    return book


def cells(shown, name):
    """Return the cells to the right of a name in a table."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in shown.html.split("<tr>")]
    (found,) = [row for row in rows if name in row]
    return found[found.index(name) + 1 :]


def test_without_an_archive_every_table_is_one_note_that_names_the_command(book):
    makers = [validation.origin, validation.levels, validation.coverage, validation.power]
    makers += [validation.planted_families, validation.planted_verdicts]
    makers += [lambda: validation.levels_figure([], outcome="dice", alt="a", caption="c")]
    shown = {make().plain for make in makers}
    assert shown == {"No validation run is archived yet. `make validate` makes one."}
    assert "<code>make validate</code>" in validation.origin().html
    assert not validation.stale()


def test_origin_tells_date_size_and_whether_the_statistics_changed_since(archived, monkeypatch):
    assert "2,000 studies of each kind" in validation.origin().plain
    assert "changed since" not in validation.origin().plain
    monkeypatch.setattr(archive, "sources_digest", lambda: "another")
    assert validation.stale()
    assert "The statistics changed since; make validate" in validation.origin().plain


def test_levels_are_ranges_over_kinds_of_study_marked_outside_the_band(archived):
    shown = validation.levels()
    assert cells(shown, "t_clustered") == ["(8.0 ▲)", "4.1–6.2"]
    assert "paired t of cases" not in shown.plain
    assert "Monte-Carlo error of one share about 0.5 points" in shown.plain


def test_seeds_have_rows_of_their_own(archived):
    assert cells(validation.levels(), "crossed_t, 3 seeds") == ["–", "(2.0 ▼)"]
    assert cells(validation.levels(), "crossed_t, 10 seeds") == ["–", "(5.0)"]


def test_skewed_differences_have_rows_of_their_own(archived):
    assert cells(validation.levels(), "t_clustered, skewed") == ["–", "(9.0 ▲)"]


def test_tests_of_symmetry_are_not_shown_where_differences_are_skewed(archived):
    assert cells(validation.levels(), "sign_flip_clustered") == ["–", "(5.0)"]


def test_naive_tests_have_a_table_of_their_own_that_promises_nothing(archived):
    shown = validation.levels(naive=True)
    assert cells(shown, "paired t of cases") == ["33.0 ▲", "41.0 ▲"]
    assert "sign_flip" not in shown.plain
    assert "brackets" not in shown.plain


def test_coverage_has_a_band_of_its_own(archived):
    assert cells(validation.coverage(), "t_clustered") == ["(92.0 ▼)", "93.8–95.9"]


def test_figure_of_levels_draws_chosen_tests_in_their_order(archived):
    shown = validation.levels_figure(TESTS, outcome="dice", alt="Rates.", caption="c")
    assert shown.plain == "Figure: Rates."
    assert "data:image/webp" in shown.html


def test_planted_families_show_their_error_and_claims_are_weighted_by_number(archived):
    assert "10.0 ± 1.0" in validation.planted_families().plain
    verdicts = validation.planted_verdicts()
    assert cells(verdicts, "main: none") == ["40", "20.0", "0.0", "50.0", "30.0"]


def test_power_is_shown_as_planned_and_found(archived):
    assert cells(validation.power(), "t_clustered") == ["30", "80.0", "79.0", "−1.0"]


def test_ranges_need_no_archive(book, monkeypatch):
    stated = {"crossed_t": validity.Validity("why", min_clusters=20, min_seeds=5)}
    monkeypatch.setattr(validity, "RANGES", stated)
    assert cells(validation.ranges(), "crossed_t") == [
        "20 patients, 5 seeds",
        "why",
    ]
