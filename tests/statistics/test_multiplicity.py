import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from common.statistics.multiplicity import adjust, adjust_families
from common.statistics.results import DesignError


def test_holm_gives_the_values_worked_by_hand():
    # sorted .01 .02 .03 .5 times 4 3 2 1, made monotone
    np.testing.assert_allclose(adjust([0.5, 0.02, 0.01, 0.03]), [0.5, 0.06, 0.04, 0.06])


def test_benjamini_hochberg_gives_the_values_worked_by_hand():
    np.testing.assert_allclose(
        adjust([0.01, 0.04, 0.03, 0.5], method="fdr_bh"), [0.04, 0.16 / 3, 0.16 / 3, 0.5]
    )


@pytest.mark.parametrize("method", ["holm", "fdr_bh"])
def test_corrections_agree_with_statsmodels_ties_included(rng, method):
    p = np.round(rng.random(30) ** 3, 2)
    np.testing.assert_allclose(adjust(p, method=method), multipletests(p, method=method)[1])


def test_untested_claims_do_not_count():
    nan = float("nan")
    np.testing.assert_allclose(adjust([0.01, nan, 0.04, nan]), [0.02, nan, 0.04, nan])
    assert np.isnan(adjust([nan])).all()
    assert adjust([]).size == 0


def test_each_family_is_corrected_on_its_own_and_by_its_method():
    p, family = [0.01, 0.03, 0.04, 0.02], ["a", "b", "b", "a"]
    np.testing.assert_allclose(adjust_families(p, family), [0.02, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(
        adjust_families(p, family, methods={"b": "none"}), [0.02, 0.03, 0.04, 0.02]
    )


def test_holm_keeps_the_chance_of_any_false_rejection(rng):
    any_false = np.mean([(adjust(rng.random(6)) < 0.05).any() for _ in range(800)])
    assert any_false <= 0.07


@pytest.mark.parametrize("call", [lambda: adjust([1.2]), lambda: adjust([0.1], method="magic")])
def test_what_is_not_a_p_value_or_method_is_refused(call):
    with pytest.raises(DesignError):
        call()


def test_families_must_fit_the_p_values():
    with pytest.raises(DesignError, match="`family`"):
        adjust_families([0.1, 0.2], ["a"])
