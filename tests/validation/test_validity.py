import pytest

from common.statistics.procedures import PROCEDURES
from common.statistics.validity import RANGES, conservative, holds, validity, warn


def test_every_test_that_paper_yml_can_name_has_a_range_but_those_of_cases():
    of_cases = {name for name, test in PROCEDURES.items() if test.unit == "case"}
    assert of_cases == {"mcnemar", "auc_delong"}
    assert set(PROCEDURES) - of_cases <= set(RANGES)


def test_every_range_names_what_was_measured():
    for name, one in RANGES.items():
        assert "%" in one.note, name
        assert one.never or max(one.min_clusters, one.min_folds, one.min_seeds) > 0, name
        assert one.min_clusters_skewed == 0 or one.min_clusters_skewed >= one.min_clusters, name


def test_inside_the_range_nothing_is_said():
    design = {"n_clusters": 250, "n_folds": 10, "n_seeds": 10}
    for name, one in RANGES.items():
        assert bool(warn(name, **design)) == one.never
        assert holds(name, **design) != one.never


def test_each_limit_that_is_not_met_is_named_with_what_was_measured():
    (few,) = warn("crossed_t", n_clusters=100, n_seeds=3)
    assert few.startswith("crossed_t is calibrated from 5 training seeds on, here 3: ")
    assert validity("crossed_t").note in few
    assert len(warn("crossed_t", n_clusters=5, n_seeds=3)) == 2
    assert warn("corrected_t", n_clusters=100, n_folds=3)[0].startswith("corrected_t is calibrated")


def test_skewness_and_few_differing_clusters_count_where_they_are_known():
    assert warn("t_clustered", n_clusters=50) == ()
    assert "skewed" in warn("t_clustered", n_clusters=50, skewness=-1.5)[0]
    assert warn("t_clustered", n_clusters=50, skewness=0.5) == ()
    assert "here 7" in warn("t_clustered", n_clusters=50, n_differing=7)[0]


def test_one_warning_about_clusters_is_enough():
    assert len(warn("t_clustered", n_clusters=10, skewness=3.0)) == 1


@pytest.mark.parametrize("n_clusters", [30, 10_000])
def test_a_test_that_held_nowhere_warns_everywhere(n_clusters):
    (text,) = warn("cluster_bootstrap_bca", n_clusters=n_clusters)
    assert "in no design tried" in text


def test_nothing_is_promised_for_a_test_without_a_range():
    assert warn("mcnemar", n_clusters=1) == ()
    assert not holds("mcnemar", n_clusters=10_000)
    assert validity("mcnemar") is None
    assert not conservative("mcnemar")
