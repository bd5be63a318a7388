import json
import math

import pytest

from common.statistics.decisions import (
    Verdict,
    acceptance,
    decide,
    from_json,
    number,
    to_frame,
    to_json,
)
from common.statistics.results import DesignError


@pytest.mark.parametrize(
    ("direction", "effect", "p", "word"),
    [
        ("greater", 0.03, 0.01, "supported"),
        ("greater", -0.03, 0.01, "contradicted"),
        ("greater", 0.03, 0.05, "inconclusive"),
        ("less", -0.03, 0.01, "supported"),
        ("less", 0.03, 0.01, "contradicted"),
        ("differ", -0.03, 0.01, "supported"),
        ("differ", 0.03, 0.2, "inconclusive"),
        ("order", 0.8, 0.01, "supported"),
        ("order", -0.8, 0.01, "contradicted"),
        ("greater", 0.03, math.nan, "inconclusive"),
    ],
)
def test_a_directed_claim_needs_a_small_p_on_its_side(direction, effect, p, word):
    assert decide(direction, effect=effect, p=p) == word


def test_a_high_p_alone_never_supports_equality():
    assert decide("equivalent", effect=0.0, p=0.99, p_inside=0.2, margin=0.02) == "inconclusive"
    assert decide("greater", effect=0.0, p=0.99, p_inside=0.2, margin=0.02) == "inconclusive"


@pytest.mark.parametrize("direction", ["equivalent", "non_inferior", "value"])
@pytest.mark.parametrize(
    ("p_inside", "p_outside", "word"),
    [
        (0.01, 0.99, "supported"),
        (0.5, 0.5, "inconclusive"),
        (0.99, 0.01, "contradicted"),
        (0.99, math.nan, "inconclusive"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_a_claim_about_a_margin_needs_proof_of_either_side(direction, p_inside, p_outside, word):
    found = decide(
        direction, effect=0, p=0.001, p_inside=p_inside, p_outside=p_outside, margin=0.02
    )
    assert found == word


@pytest.mark.parametrize("direction", ["greater", "less", "differ"])
def test_an_effect_shown_to_be_negligible_is_equivalent_even_if_it_is_significant(direction):
    found = decide(direction, effect=0.003, p=0.001, p_inside=0.001, margin=0.02)
    assert found == "equivalent"


def test_without_a_margin_nothing_is_negligible():
    assert decide("greater", effect=0.003, p=0.001, p_inside=0.001) == "supported"


def test_a_trend_in_which_two_arms_are_swapped_is_not_settled():
    assert decide("order", effect=0.7, p=0.001, in_order=False) == "inconclusive"
    assert decide("order", effect=-0.7, p=0.001, in_order=False) == "contradicted"


def test_an_absent_claim_cannot_be_decided():
    with pytest.raises(DesignError, match="absent"):
        decide("absent", effect=0, p=0.5)


def test_the_margin_of_non_inferiority_follows_what_is_better():
    assert acceptance("non_inferior", 0.1) == (-0.1, math.inf)
    assert acceptance("non_inferior", 0.1, "lower") == (-math.inf, 0.1)


def test_numbers_that_do_not_exist_become_none():
    assert [number(x) for x in (math.nan, math.inf, 0.0)] == [None, None, 0.0]


VERDICTS = [
    Verdict(
        "C1",
        "replication",
        "phantom",
        "standard",
        "supported",
        ("image", "patient"),
        test="crossed_t",
        effect=0.1,
        low=0.05,
        high=0.15,
        p=0.001,
        p_adjusted=0.002,
        n_cases=80,
        n_clusters=20,
        n_seeds=5,
        detectable=0.07,
        note="x",
        warnings=("y", "z"),
    ),
    Verdict("C2", "published", "published", "", "untested", ("scan", "scan"), note="absent"),
]


def test_verdicts_survive_json_exactly():
    text = json.dumps(to_json(VERDICTS), allow_nan=False)
    assert from_json(json.loads(text)) == VERDICTS


def test_the_table_has_one_row_per_verdict_and_keeps_missing_numbers_missing():
    table = to_frame(VERDICTS)
    assert table["unit"].tolist() == ["image in patient", "scan"]
    assert table["warnings"].tolist() == ["y; z", ""]
    assert table["p"].isna().tolist() == [False, True]
    assert table["n_cases"].tolist()[0] == 80
    assert to_frame([]).empty


def test_a_row_that_is_no_verdict_is_refused():
    row = to_json(VERDICTS)[0]
    with pytest.raises(DesignError, match="missing"):
        from_json([{"claim": "C1", "verdict": "supported"}])
    with pytest.raises(DesignError):
        from_json([{**row, "verdict": "proved"}])
    assert from_json([{**row, "origin": "archive"}]) == VERDICTS[:1]
