import pytest

from common.phantoms.dials import Dial, check


def dial(**changed) -> Dial:
    facts = {
        "name": "noise",
        "unit": "1",
        "default": 0.1,
        "low": 0.0,
        "high": 0.5,
        "effect": "Raises the noise.",
        "source": "Table 1",
        "null": 0.0,
    }
    return Dial(**{**facts, **changed})


@pytest.mark.parametrize("field", ["default", "null"])
def test_default_and_null_lie_in_the_range(field):
    with pytest.raises(ValueError, match=f"`{field}` of dial 'noise' must be in"):
        dial(**{field: 0.7})


def test_a_value_out_of_range_names_the_dial_the_range_and_the_meaning():
    with pytest.raises(ValueError, match=r"`noise` must be in \[0, 0.5\] 1, got 2. Raises the"):
        check([dial()], {"noise": 2})


@pytest.mark.parametrize("given", [{}, {"noise": 0.1, "nosie": 0.1}])
def test_unknown_and_missing_dials_are_named(given):
    with pytest.raises(ValueError, match="these differ: "):
        check([dial()], given)


def test_values_in_the_range_pass():
    check([dial(), dial(name="blur")], {"noise": 0.5, "blur": 0.0})


def test_a_dial_reads_as_one_line():
    assert dial().text == "noise (1, 0 to 0.5; off at 0): Raises the noise."
    assert "off" not in dial(null=None).text
