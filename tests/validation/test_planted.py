import numpy as np
import pandas as pd
import pytest

from common.statistics import design
from common.validation import archive
from common.validation.planted import (
    DESIGNS,
    MARGIN,
    PLANS,
    RIVALS,
    Chapter,
    differences,
    draw_chapter,
    judge_chapters,
    paper,
    records,
    summary,
    true_words,
    truth_class,
)

ALWAYS = {"inconclusive"}


@pytest.mark.parametrize(
    ("direction", "effects", "words"),
    [
        ("greater", [0.0], {"equivalent"}),
        ("greater", [0.5], {"supported", "equivalent"}),
        ("greater", [1.0], {"supported"}),
        ("greater", [-1.5], {"contradicted"}),
        ("greater", [0.5, -0.5], {"contradicted", "equivalent"}),
        ("greater", [0.5, 0.0], {"equivalent"}),
        ("less", [-0.5], {"supported", "equivalent"}),
        ("less", [0.5], {"contradicted", "equivalent"}),
        ("differ", [0.0], {"equivalent"}),
        ("differ", [-1.0], {"supported"}),
        ("equivalent", [0.9], {"supported"}),
        ("equivalent", [1.0], {"contradicted"}),
        ("equivalent", [0.5, 0.0, -1.0], {"contradicted"}),
        ("value", [-0.9], {"supported"}),
        ("non_inferior", [-1.0], {"contradicted"}),
        ("non_inferior", [1.5], {"supported"}),
        ("order", [0.5, 0.5], {"supported", "equivalent"}),
        ("order", [0.0, 0.0], {"equivalent"}),
        ("order", [0.75, -0.25], {"contradicted", "equivalent"}),
    ],
)
def test_the_words_that_are_right_follow_from_the_truth(direction, effects, words):
    assert true_words(direction, effects, margin=True) == words | ALWAYS


def test_a_claim_without_margin_cannot_be_equivalent():
    assert true_words("greater", [0.1], margin=False) == {"supported"} | ALWAYS


def test_differences_of_several_arms_are_those_that_the_claim_compares():
    chapter = Chapter(DESIGNS[0], 1, {"f": 1.0, "g": -1.0, "i": 0.5, "j": 1.0}, -0.5)
    plans = {plan.id: plan for plan in PLANS}
    assert differences(plans["all equivalent"], chapter) == (1.0, -1.0, -2.0)
    assert differences(plans["order"], chapter) == (0.5, 0.5)
    assert differences(plans["value"], chapter) == (-0.5,)


def test_truth_classes_say_how_large_the_largest_difference_is():
    cases = ([0.0, 0.0], [0.5, 0.0], [0.5, -0.5], [1.0], [-1.5, -1.0])
    assert [truth_class(case) for case in cases] == [
        "none", "below margin", "both signs", "at margin", "above margin",
    ]  # fmt: skip


def test_every_third_chapter_is_the_worst_case(rng):
    worst = draw_chapter(DESIGNS[0], 3, rng=rng)
    assert {worst.effects[arm] for arm in "abcde"} == {0.0}
    assert {abs(worst.effects[arm]) for arm in "fgh"} == {1.0}
    assert worst.effects["i"] == worst.effects["j"] == 0.0
    mixed = [draw_chapter(DESIGNS[0], 1, rng=rng) for _ in range(20)]
    assert len({chapter.effects["a"] for chapter in mixed}) > 3


def test_records_have_the_planted_effects(rng):
    effects = dict.fromkeys(RIVALS, 0.0) | {"a": 1.0, "d": -1.0}
    large = ("one training", 3000, 1, 0.0)
    table = records(Chapter(large, 1, effects, 0.0), rng=rng)
    for metric, arm, expected in (("dice", "a", 1.0), ("binary", "d", -1.0), ("dice", "b", 0.0)):
        paired = design.pair(table, metric=metric, arms=("ours", arm))
        found = (paired.scores["ours"] - paired.scores[arm]).mean()
        assert found == pytest.approx(expected * MARGIN[metric], abs=0.25 * MARGIN[metric])


def test_the_value_claimed_lies_the_stated_gap_below_ours(rng):
    chapter = Chapter(DESIGNS[0], 1, dict.fromkeys(RIVALS, 0.0), 1.0)
    claim = paper(chapter).claim("value")
    table = records(Chapter(("one training", 3000, 1, 0.0), 1, chapter.effects, 1.0), rng=rng)
    ours = table[(table["arm"] == "ours") & (table["metric"] == "dice")]["value"].mean()
    assert ours - claim.value == pytest.approx(MARGIN["dice"], abs=0.01)


def test_chapters_are_judged_without_a_claim_left_untested():
    judged = judge_chapters(3, seed=2)
    assert len(judged) == 3 * len(DESIGNS) * len(PLANS)
    assert (judged["verdict"] != "untested").all()
    assert not judged.loc[judged["verdict"] == "inconclusive", "false"].any()


def test_the_summary_counts_claims_and_families():
    base = {"design": "d", "chapters": "mixed", "family": "main", "test": "t", "truth": "none"}
    rows = [
        base | {"chapter": chapter, "claim": claim, "verdict": verdict, "false": false}
        for chapter, claim, verdict, false in (
            (0, "x", "supported", True),
            (0, "y", "contradicted", True),
            (1, "x", "equivalent", True),
            (1, "y", "inconclusive", False),
        )
    ]
    found = summary(pd.DataFrame(rows)).set_index(["claim", "truth"])
    family = found.loc[("any of the family", "all")]
    assert (family["n"], family["wrong_side"], family["wrong_equal"]) == (2, 0.5, 0.5)
    assert found.loc[("x", "all"), "wrong_side"] == 0.5
    assert found.loc[("y", "none"), "contradicted"] == 0.5


def test_the_archived_chapters_have_few_false_verdicts():
    table = archive.read("planted")
    families = table[table["claim"] == "any of the family"]
    assert families["n"].sum() >= 2 * 300  # two families a chapter
    for wrong in ("wrong_side", "wrong_equal"):
        # each share was counted: twice its own error is granted
        allowed = 0.05 + 2 * np.sqrt(0.05 * 0.95 / families["n"])
        assert (families[wrong] <= allowed).all(), families.to_string()
        assert np.average(families[wrong], weights=families["n"]) <= 0.05
