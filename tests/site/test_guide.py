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


def test_a_measured_range_is_told_with_what_skewed_differences_need(monkeypatch):
    stated = validity.Validity("", min_clusters=30, min_seeds=5, min_clusters_skewed=100)
    monkeypatch.setitem(validity.RANGES, "crossed_t", stated)
    assert guide.held_from("crossed_t") == "30 patients, 5 seeds (100 if skewed)"
    monkeypatch.setitem(validity.RANGES, "crossed_t", validity.Validity("", never=True))
    assert guide.held_from("crossed_t") == "in no design tried"
    monkeypatch.delitem(validity.RANGES, "crossed_t")
    assert guide.held_from("crossed_t") == "not measured"


def test_reach_is_told_where_it_limits_a_design():
    assert guide.reaches_from("mcnemar") == "6 cases that differ"
    assert guide.reaches_from("wilcoxon_clustered") == "6 patients"
    assert guide.reaches_from("mcnemar_clustered") == "4 patients"
    assert guide.reaches_from("cluster_bootstrap") == "–"


def test_table_shows_functions_and_names_apart():
    shown = guide.table("curves", caption="Curves")
    assert (
        "<code>auc.<wbr>auc_delong</code><br><code><strong>auc_delong</strong></code>" in shown.html
    )
    assert "froc.cpm_test, cpm_bootstrap" in shown.plain
