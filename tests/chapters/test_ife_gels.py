"""The sets: disjoint, reproducible, the same gels at every offset."""

import numpy as np
import pytest

from common.chapters.ife import gels
from common.models.ife import recombine

SIZE = (32, 40)


@pytest.fixture(scope="module")
def sets():
    return gels.make_sets(
        seeds=[0, 1], n_train=40, n_test=30, size=SIZE, stands=["main", "offset"], jobs=1
    )


def test_seeds_have_training_gels_of_their_own_and_share_the_test_gels(sets) -> None:
    one, two = sets.train["main", 0], sets.train["main", 1]
    assert len(one) == len(two) == 40
    assert len(sets.validation["main", 0]) == 4
    assert (one.image != two.image).any()
    assert set(sets.test) == {"main", "offset"}
    names = [set(each.table["case"]) for each in (one, two, sets.test["main"], sets.fresh)]
    assert len(set.union(*names)) == 40 + 40 + 30 + 30


def test_the_shifted_test_set_holds_the_gels_of_the_plain_one(sets) -> None:
    plain, shifted = sets.test["main"], sets.test["offset"]
    assert plain.table["case"].tolist() == shifted.table["case"].tolist()
    assert (plain.label == shifted.label).all()
    np.testing.assert_allclose(plain.band_row, shifted.band_row, atol=0.2)
    assert np.abs(plain.lanes - shifted.lanes).max() > 1


def test_gels_do_not_depend_on_the_number_of_processes(sets) -> None:
    again = gels.make_sets(
        seeds=[0, 1], n_train=40, n_test=30, size=SIZE, stands=["main", "offset"], jobs=2
    )
    assert (again.train["main", 1].image == sets.train["main", 1].image).all()
    assert (again.fresh.image == sets.fresh.image).all()


def test_codes_are_those_of_the_label(sets) -> None:
    own = sets.train["main", 0]
    assert own.image.dtype == np.uint8
    assert own.image.shape == (40, 3, *SIZE)
    assert (recombine(own.heavy, own.light) == own.label).all()
    assert (own.codes["positive"] == (own.label > 0)).all()
    some = own.where(own.label > 0)
    assert len(some) == (own.label > 0).sum() == len(some.table)
    assert (some.band_row >= 0).all()


def test_equal_classes_are_equal_and_the_usual_ones_are_not() -> None:
    table = [
        gels.make(90, seed=0, part="train", size=SIZE, dials=gels.STANDS[stand]).label
        for stand in ("balanced", "main")
    ]
    assert np.bincount(table[0], minlength=9).tolist() == [10] * 9
    assert np.bincount(table[1], minlength=9)[0] > 60


def test_a_gel_in_two_parts_is_refused_and_disjoint_parts_are_told(sets) -> None:
    train, test = sets.train["main", 0], sets.test["main"]
    assert "none in more than one part" in gels.leakage({"train": train, "test": test})
    both = {"train": train, "test": train.where(np.arange(40) < 5)}
    with pytest.raises(ValueError, match="twice"):
        gels.leakage(both)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match="`part` must be one of"):
        gels.make(4, seed=0, part="rest", size=SIZE)
