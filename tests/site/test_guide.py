"""The guide from an experiment to its test: complete, true to the package, and measured."""

import importlib

import pytest

from common.site import guide
from common.statistics import procedures, validity

ROWS = [row for rows in guide.TABLES.values() for row in rows]


def test_every_test_that_paper_yml_can_name_stands_in_the_guide():
    named = {name for row in ROWS for name in row.names}
    assert named == set(procedures.PROCEDURES)


@pytest.mark.parametrize("function", sorted({name for row in ROWS for name in row.functions}))
def test_every_function_of_the_guide_exists(function):
    module, name = function.split(".")
    assert callable(getattr(importlib.import_module(f"common.statistics.{module}"), name))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.test}, {row.independent}")
def test_every_row_states_a_least_design(row):
    assert all(guide.least_design(row))


def test_least_design_tells_the_reach_and_the_measured_range(monkeypatch):
    stated = validity.Validity("", min_clusters=30, min_seeds=5, min_clusters_skewed=100)
    monkeypatch.setitem(validity.RANGES, "sign_flip_clustered", stated)
    row = guide.Row("patient", "sign flips", (), ("sign_flip_clustered",))
    assert guide.least_design(row) == (
        "reaches 0.05 from 6 patients on",
        "holds its level from 30 patients, 5 seeds on, with skewed differences from 100 on",
    )
    monkeypatch.setitem(validity.RANGES, "sign_flip_clustered", validity.Validity("", never=True))
    assert guide.least_design(row)[1] == "too many rejections in every design tried"


def test_table_shows_functions_and_names_apart():
    shown = guide.table("curves", caption="Curves")
    assert "<code>auc.auc_delong</code><br><code><strong>auc_delong</strong></code>" in shown.html
    assert "froc.cpm_test, cpm_bootstrap" in shown.plain
