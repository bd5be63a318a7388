import numpy as np
import pandas as pd
import pytest

from common.datasets.cases import Case, Cases

READ = []


def read(row) -> Case:
    READ.append(row["case"])
    number = int(row["case"][1:])
    image = np.full((1, 2, 3), number, np.float32)
    return Case(row["case"], row["cluster"], image, {"label": number % 2, "name": row["case"]})


@pytest.fixture
def cases() -> Cases:
    READ.clear()
    names = [f"c{i}" for i in range(5)]
    return Cases(pd.DataFrame({"case": names, "cluster": list("aabbb")}, index=range(5, 10)), read)


def test_a_case_is_read_when_asked_for_and_not_before(cases):
    chosen = cases.where(cases.table["cluster"] == "b")[1:]
    assert READ == []
    assert [case.case for case in chosen] == ["c3", "c4"]
    assert READ == ["c3", "c4"]


def test_it_counts_from_the_end_and_refuses_what_is_beyond(cases):
    assert cases[-1].case == "c4"
    with pytest.raises(IndexError):
        cases[5]


def test_its_table_is_a_copy(cases):
    table = cases.table
    table.loc[0, "case"] = "other"
    assert cases[0].case == "c0"


def test_arrays_stack_images_and_the_targets_of_one_shape(cases):
    found = cases.arrays()
    assert found["image"].shape == (5, 1, 2, 3)
    assert found["label"].tolist() == [0, 1, 0, 1, 0]
    assert found["image"][4].max() == 4


def test_arrays_are_the_same_from_several_processes(cases):
    one, two = cases.arrays(), cases.arrays(jobs=2)
    assert list(one) == list(two)
    np.testing.assert_array_equal(one["image"], two["image"])


def test_no_case_gives_no_array(cases):
    assert cases.where([False] * 5).arrays() == {}


def test_images_of_different_shape_are_not_stacked(cases):
    def grown(case: Case) -> Case:
        side = 2 + case.target["label"]
        return Case(case.case, case.cluster, np.zeros((1, side, 3)), case.target)

    with pytest.raises(ValueError, match="images must have one shape"):
        cases.map(grown).arrays()


def test_map_changes_what_is_read_and_keeps_the_table(cases):
    doubled = cases.map(lambda c: Case(c.case, c.cluster, 2 * c.image, c.target))
    assert doubled[3].image.max() == 6
    assert doubled.table.equals(cases.table)


def test_a_case_is_named_once_and_belongs_to_a_cluster():
    with pytest.raises(ValueError, match="got 'a' twice"):
        Cases(pd.DataFrame({"case": ["a", "a"], "cluster": ["p", "q"]}), read)
    with pytest.raises(ValueError, match=r"got no \['cluster'\]"):
        Cases(pd.DataFrame({"case": ["a"]}), read)


def test_a_choice_needs_one_value_a_case(cases):
    with pytest.raises(ValueError, match=r"shape \(5,\), got \(2,\)"):
        cases.where([True, False])
