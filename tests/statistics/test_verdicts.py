import numpy as np
import pytest
from scipy import stats

from common.errors import ReplicateError
from common.statistics.paired import crossed_t_inference
from common.statistics.results import equivalence_p
from common.statistics.verdicts import judge, to_json

CROSSED = {"arms": ["a", "b"], "test": "crossed_t"}


@pytest.fixture
def court(make_paper, make_records, rng):
    """Judge claims on scores; returns the verdicts by claim."""

    def run(
        scores,
        *claims,
        profile="standard",
        layer="replication",
        n_folds=0,
        group="",
        better="higher",
        families=None,
        alpha=None,
        records=None,
    ):
        paper = make_paper(*claims, better=better, families=families)
        if records is None:
            records = make_records(scores, n_folds=n_folds, group=group)
        found = judge(
            paper, records, layer=layer, source="phantom", profile=profile, rng=rng, alpha=alpha
        )
        return {verdict.claim: verdict for verdict in found}

    return run


def test_a_clear_effect_is_supported_and_its_reverse_contradicted(court, draw):
    scores = draw({"a": 0.85, "b": 0.80})
    found = court(
        scores, CROSSED, {**CROSSED, "arms": ["b", "a"]}, {**CROSSED, "direction": "less"}
    )
    assert [each.verdict for each in found.values()] == [
        "supported",
        "contradicted",
        "contradicted",
    ]
    assert found["C1"].effect == pytest.approx(-found["C2"].effect)


def test_a_verdict_names_everything_it_rests_on(court, draw):
    scores = draw({"a": 0.85, "b": 0.80}, n_seeds=5, n_clusters=30, n_cases=3)
    found = court(scores, {**CROSSED, "margin": 0.01})["C1"]
    inference = crossed_t_inference((scores["a"] - scores["b"]).mean(axis=2).T)
    interval = inference.interval(0.95)
    assert found.effect == pytest.approx(inference.effect)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == found.p_adjusted == pytest.approx(inference.p())
    assert (found.n_cases, found.n_clusters, found.n_seeds) == (90, 30, 5)
    assert found.unit == ("image", "patient")
    assert (found.layer, found.source, found.profile) == ("replication", "phantom", "standard")
    assert 2 * inference.se < found.detectable < 5 * inference.se
    assert found.warnings == ()


def test_equality_is_supported_inside_the_margin_and_contradicted_outside(court, draw):
    same = {**CROSSED, "direction": "equivalent"}
    scores = draw({"a": 0.80, "b": 0.80})
    found = court(scores, {**same, "margin": 0.02}, {**same, "margin": 0.0001})
    assert [each.verdict for each in found.values()] == ["supported", "inconclusive"]
    far = court(draw({"a": 0.86, "b": 0.80}), {**same, "margin": 0.02})
    assert far["C1"].verdict == "contradicted"


def test_the_p_of_an_equality_is_that_of_two_one_sided_tests(court, draw):
    scores = draw({"a": 0.80, "b": 0.80})
    found = court(scores, {**CROSSED, "direction": "equivalent", "margin": 0.01})["C1"]
    inference = crossed_t_inference((scores["a"] - scores["b"]).mean(axis=2).T)
    assert found.p == pytest.approx(equivalence_p(inference, -0.01, 0.01))


def test_non_inferiority_follows_what_is_better(court, draw):
    claim = {**CROSSED, "direction": "non_inferior", "margin": 0.02}
    scores = draw({"a": 0.86, "b": 0.80})
    assert court(scores, claim)["C1"].verdict == "supported"
    assert court(scores, claim, better="lower")["C1"].verdict == "contradicted"


def test_one_arm_is_compared_with_the_value(court, draw):
    scores = draw({"a": 0.9}, sd_patient=0.02)
    one = {"arms": ["a"], "test": "t_clustered"}
    found = court(
        scores,
        {**one, "value": 0.8},
        {**one, "value": 0.8, "direction": "less"},
        {**one, "value": 0.9, "margin": 0.05, "direction": "value"},
        {**one, "value": 0.5, "margin": 0.05, "direction": "value"},
    )
    assert [each.verdict for each in found.values()] == [
        "supported", "contradicted", "supported", "contradicted",
    ]  # fmt: skip
    assert found["C1"].effect == pytest.approx(scores["a"].mean() - 0.8)
    assert found["C3"].p < 0.05 < found["C4"].p


def test_the_first_of_several_arms_must_beat_each_other(court, draw):
    best = {"arms": ["a", "b", "c"], "test": "crossed_t"}
    assert court(draw({"a": 0.9, "b": 0.8, "c": 0.85}), best)["C1"].verdict == "supported"
    tied = court(draw({"a": 0.9, "b": 0.8, "c": 0.9}), best)["C1"]
    assert tied.verdict == "inconclusive"
    beaten = court(draw({"a": 0.85, "b": 0.8, "c": 0.9}), best)["C1"]
    assert beaten.verdict == "contradicted"
    assert "a minus c, of 2 comparisons" in beaten.note


def test_several_arms_are_equal_only_if_every_pair_is(court, draw):
    claim = {"arms": ["a", "b", "c"], "test": "crossed_t", "direction": "equivalent",
             "margin": 0.02}  # fmt: skip
    assert court(draw({"a": 0.8, "b": 0.8, "c": 0.8}), claim)["C1"].verdict == "supported"
    odd = court(draw({"a": 0.8, "b": 0.8, "c": 0.88}), claim)["C1"]
    assert odd.verdict == "contradicted"
    assert abs(odd.effect) == pytest.approx(0.08, abs=0.03)


def _exact_t(effect, t, n=20):
    """Scores (1, n, 1) whose mean is ``effect`` and whose standard error is ``1 / t``."""
    noise = np.tile([-1.0, 1.0], n // 2)
    noise *= np.sqrt(n) / noise.std(ddof=1) / t
    return (effect + noise).reshape(1, n, 1)


def test_one_of_several_pairs_contradicts_equality_only_beyond_its_share_of_the_level(court):
    # a lies 2 standard errors outside the margin: beyond t(0.95) = 1.73, short of t(0.983) = 2.29
    claim = {"arms": ["a", "b", "c"], "test": "t_clustered", "direction": "equivalent"}
    scores = {"a": _exact_t(3.0, 1.0), "b": np.zeros((1, 20, 1)), "c": np.zeros((1, 20, 1))}
    assert court(scores, {**claim, "margin": 1.0})["C1"].verdict == "inconclusive"
    assert court(scores, {**claim, "margin": 0.5})["C1"].verdict == "contradicted"
    pair = {**claim, "arms": ["a", "b"], "margin": 1.0}
    assert court(scores, pair)["C1"].verdict == "contradicted"


def test_claims_of_equality_do_not_count_against_the_margin_of_directed_ones(court):
    # both one-sided p are 0.03: enough alone, too much when shared between two
    margin = float(stats.t.isf(0.03, 19))
    scores = {"a": _exact_t(0.0, 1.0), "b": np.zeros((1, 20, 1))}
    directed = {"arms": ["a", "b"], "test": "t_clustered", "margin": margin}
    equal = {**directed, "direction": "equivalent"}
    found = court(scores, directed, equal)
    assert [each.verdict for each in found.values()] == ["equivalent", "inconclusive"]
    two = court(scores, directed, directed)
    assert [each.verdict for each in two.values()] == ["inconclusive", "inconclusive"]


def test_a_contradicted_margin_is_corrected_in_its_family(court):
    # beyond the margin with a one-sided p of 0.03: enough alone, too much when shared between two
    margin = 1.0
    effect = margin + float(stats.t.isf(0.03, 19))
    scores = {"a": _exact_t(effect, 1.0), "b": np.zeros((1, 20, 1))}
    claim = {"arms": ["a", "b"], "test": "t_clustered", "direction": "equivalent", "margin": margin}
    assert court(scores, claim)["C1"].verdict == "contradicted"
    two = court(scores, claim, claim)
    assert [each.verdict for each in two.values()] == ["inconclusive", "inconclusive"]
    value = {**claim, "direction": "value", "value": 0.0}
    # a value is judged by its 95 % interval: both tails count
    assert court(scores, value)["C1"].verdict == "inconclusive"


def test_a_difference_among_several_arms_counts_all_its_pairs(court, draw):
    scores = draw({"a": 0.80, "b": 0.80, "c": 0.80})
    claim = {"arms": ["a", "b", "c"], "test": "t_clustered", "direction": "differ"}
    found = court(scores, claim)["C1"]
    means = {arm: values.mean(axis=(0, 2)) for arm, values in scores.items()}
    smallest = min(stats.ttest_rel(means[i], means[j]).pvalue for i, j in ("ab", "ac", "bc"))
    assert found.p == pytest.approx(min(1, 3 * smallest))


def test_an_order_is_judged_best_arm_first(court, draw):
    claim = {"arms": ["a", "b", "c"], "test": "page", "direction": "order"}
    scores = draw({"a": 0.9, "b": 0.85, "c": 0.8})
    assert court(scores, claim)["C1"].verdict == "supported"
    assert court(scores, claim, better="lower")["C1"].verdict == "contradicted"
    swapped = court(draw({"a": 0.9, "b": 0.8, "c": 0.82}), claim)["C1"]
    assert swapped.verdict == "inconclusive"
    assert "not all arms stand in it" in swapped.note


def test_an_order_needs_every_step_and_not_a_trend_alone(court):
    rng = np.random.default_rng(5)
    noise = {arm: 0.02 * rng.normal(size=(1, 30, 1)) for arm in "abc"}
    tie = noise["b"] - noise["b"].mean() + noise["c"].mean() + 0.0001
    scores = {"a": 0.9 + noise["a"], "b": 0.8 + tie, "c": 0.8 + noise["c"]}
    claim = {"arms": ["a", "b", "c"], "test": "page", "direction": "order"}
    found = court(scores, claim)["C1"]
    step = stats.ttest_rel(scores["b"].ravel(), scores["c"].ravel()).pvalue
    assert found.verdict == "inconclusive"
    assert found.p == pytest.approx(step)


def test_a_tie_is_rarely_called_an_order(court, draw):
    claim = {"arms": ["a", "b", "c"], "test": "page", "direction": "order"}
    called = 0
    for _ in range(60):
        scores = draw({"a": 0.9, "b": 0.8, "c": 0.8}, n_seeds=1, n_clusters=30, n_cases=2)
        called += court(scores, claim)["C1"].verdict == "supported"
    assert called <= 6  # one side of 5 % of 60 is 1.5; 7 or more have probability below 0.001


def test_skewed_differences_are_warned_of_where_the_test_does_not_allow_for_them(court):
    rng = np.random.default_rng(6)
    even = rng.normal(size=(1, 50, 1))
    rare = np.where(np.arange(50) % 10 == 0, -9.0, 0.0).reshape(1, 50, 1) + 0.1 * even
    zero = np.zeros((1, 50, 1))
    claim = {"arms": ["a", "b"], "test": "t_clustered"}
    skewed = court({"a": rare, "b": zero}, claim)["C1"]
    assert any("skewed differences" in text for text in skewed.warnings)
    plain = court({"a": even, "b": zero}, claim)["C1"]
    assert not any("skewed differences" in text for text in plain.warnings)


def test_friedman_decides_that_arms_differ_and_nothing_else(court, draw):
    claim = {"arms": ["a", "b", "c"], "test": "friedman_clustered", "direction": "differ"}
    scores = draw({"a": 0.9, "b": 0.85, "c": 0.8})
    found = court(scores, claim, {**claim, "direction": "equivalent", "margin": 0.1})
    assert found["C1"].verdict == "supported"
    assert found["C1"].low is None
    assert found["C2"].verdict == "untested"
    assert "decides direction differ only" in found["C2"].note


def test_a_contrast_weighs_several_arms(court, draw):
    scores = draw({"a": 0.86, "b": 0.84, "c": 0.80, "d": 0.80})
    weights = {"a": 0.5, "b": 0.5, "c": -0.5, "d": -0.5}
    evidence = {"replication": {"contrast": weights}}
    found = court(scores, {"test": "crossed_t", "evidence": evidence})["C1"]
    expected = sum(weight * scores[arm].mean() for arm, weight in weights.items())
    assert found.effect == pytest.approx(expected)
    assert found.verdict == "supported"


def test_groups_are_compared_within_one_arm(court, draw):
    scores = draw({"a": 0.8}, n_clusters=30, sd_patient=0.02)
    scores["a"][:, ::3] -= 0.2
    group = np.array(["rare", "x", "y"])[np.arange(30) % 3]
    between = {"left": ["rare"], "right": ["x", "y"]}
    claim = {
        "arms": ["a"],
        "test": "welch_clustered",
        "direction": "less",
        "evidence": {"replication": {"between": between}},
    }
    assert court(scores, claim, group=group)["C1"].verdict == "supported"
    without = {**claim, "evidence": {"replication": {}}}
    assert court(scores, without, group=group)["C1"].verdict == "untested"


def test_holm_counts_the_tested_claims_of_one_family_only(court, draw):
    scores = draw({"a": 0.806, "b": 0.80})
    untested = {**CROSSED, "evidence": {"replication": {"untested": "Too costly."}}}
    families = {"main": {"method": "holm"}, "free": {"method": "none"}}
    found = court(
        scores, CROSSED, CROSSED, untested, {**CROSSED, "family": "free"}, families=families
    )
    assert found["C1"].p_adjusted == pytest.approx(min(1, 2 * found["C1"].p))
    assert found["C4"].p_adjusted == pytest.approx(found["C4"].p)
    assert (found["C3"].verdict, found["C3"].note) == ("untested", "Too costly.")


def test_a_quick_run_settles_nothing_and_says_so(court, draw):
    scores = draw({"a": 0.85, "b": 0.80})
    equal = {**CROSSED, "direction": "equivalent", "margin": 0.2}
    missing = {**CROSSED, "arms": ["a", "d"]}
    found = court(scores, CROSSED, equal, missing, profile="quick")
    assert [each.verdict for each in found.values()] == [
        "inconclusive", "inconclusive", "untested",
    ]  # fmt: skip
    assert "too small to settle a claim" in found["C1"].warnings[0]


def test_a_reanalysis_does_not_depend_on_the_profile_of_the_run(court, draw):
    claim = {**CROSSED, "evidence": {"reanalysis": {}}}
    found = court(draw({"a": 0.85, "b": 0.80}), claim, layer="reanalysis", profile="quick")
    assert found["C1"].verdict == "supported"


def test_few_clusters_one_seed_and_averaged_seeds_are_warned_of(court, draw):
    few = court(draw({"a": 0.85, "b": 0.80}, n_seeds=1, n_clusters=5),
                {**CROSSED, "test": "sign_flip_clustered"})["C1"]  # fmt: skip
    assert any("fewer than 10 clusters (5)" in text for text in few.warnings)
    assert any("one training seed" in text for text in few.warnings)
    assert any("p cannot fall below 0.062" in text for text in few.warnings)
    assert few.low is None
    averaged = court(draw({"a": 0.85, "b": 0.80}), {**CROSSED, "test": "t_clustered"})["C1"]
    assert any("seeds are averaged" in text for text in averaged.warnings)


def test_missing_arms_are_stated_and_not_hidden(court, draw):
    found = court(draw({"a": 0.85}), CROSSED)["C1"]
    assert found.verdict == "untested"
    assert "for arm b" in found.note


def test_non_finite_and_unpaired_cases_are_stated_in_the_verdict(court, draw, make_records):
    scores = draw({"a": 0.85, "b": 0.80}, n_cases=4)
    scores["a"][0, 0, 0] = np.nan
    records = make_records(scores)
    found = court(None, CROSSED, records=records)["C1"]
    assert "1 non-finite values left out" in found.note
    assert "cases not scored by every arm" in found.note


def test_an_arm_against_itself_is_no_effect(court, draw):
    scores = draw({"a": 0.85})
    scores["b"] = scores["a"].copy()
    found = court(scores, CROSSED)["C1"]
    assert (found.verdict, found.effect, found.p) == ("inconclusive", 0.0, 1.0)
    assert any("no spread" in text for text in found.warnings)


def test_arms_that_never_differ_are_shown_equal_only_by_enough_units(court, draw):
    same = {**CROSSED, "test": "t_clustered", "direction": "equivalent", "margin": 0.05}
    for n_clusters, verdict in ((50, "inconclusive"), (60, "supported")):
        scores = draw({"a": 0.85}, n_clusters=n_clusters).copy()
        scores["a"] = scores["a"].clip(0, 1)
        scores["b"] = scores["a"].copy()
        found = court(scores, same)["C1"]
        assert found.verdict == verdict
        assert found.p == pytest.approx(0.95**n_clusters)
        assert found.high == -found.low == pytest.approx(1 - 0.025 ** (1 / n_clusters))
        assert found.detectable is None


@pytest.mark.parametrize("direction", ["equivalent", "greater"])
def test_values_without_limits_that_never_vary_settle_nothing(court, draw, direction):
    scores = draw({"a": 0.85}, n_clusters=60)
    scores["a"] = 0 * scores["a"] + 7.0
    scores["b"] = scores["a"] - (0 if direction == "equivalent" else 3.0)
    claim = {**CROSSED, "test": "t_clustered", "direction": direction, "margin": 0.05}
    found = court(scores, claim)["C1"]
    assert (found.verdict, found.p, found.low) == ("inconclusive", 1.0, found.high)


def test_claims_of_another_source_or_layer_are_passed_over(court, draw):
    elsewhere = {**CROSSED, "evidence": {"replication": {"source": "open"}}}
    other = {**CROSSED, "evidence": {"reanalysis": {}}}
    assert court(draw({"a": 0.8, "b": 0.8}), elsewhere, other) == {}


def test_absent_claims_are_untested_with_their_reason(court, draw):
    claim = {"direction": "absent", "evidence": {"replication": {"untested": "Nobody ran it."}}}
    found = court(draw({"a": 0.8}), claim)["C1"]
    assert (found.verdict, found.note) == ("untested", "Nobody ran it.")


def test_an_unknown_test_is_refused_with_the_nearest_known_one(court, draw):
    with pytest.raises(ReplicateError, match="Did you mean 'crossed_t'"):
        court(draw({"a": 0.8, "b": 0.8}), {**CROSSED, "test": "crosed_t"})


def test_the_published_layer_has_a_judge_of_its_own(court, draw):
    with pytest.raises(ReplicateError, match="judge_published"):
        court(draw({"a": 0.8, "b": 0.8}), CROSSED, layer="published")


@pytest.mark.parametrize(
    "test",
    [
        "sign_flip_clustered", "cluster_bootstrap", "cluster_bootstrap_bca", "corrected_t",
        "wilcoxon_clustered", "two_level_bootstrap", "crossed_t", "crossed_bootstrap",
        "t_clustered", "mcnemar_clustered", "mcnemar_obuchowski", "mcnemar_durkalski",
        "signed_rank_clustered", "cluster_bootstrap_studentised", "corrected_t_clustered",
    ],
)  # fmt: skip
def test_every_named_test_turns_with_the_arms_and_finds_a_clear_effect(court, draw, test):
    scores = draw({"a": 0.9, "b": 0.8})
    one = court(scores, {**CROSSED, "test": test}, n_folds=5)["C1"]
    other = court(scores, {**CROSSED, "test": test, "arms": ["b", "a"]}, n_folds=5)["C1"]
    assert (one.verdict, other.verdict) == ("supported", "contradicted")
    assert one.effect == pytest.approx(-other.effect)
    assert one.low < one.effect < one.high


def test_the_same_generator_gives_the_same_verdicts(make_paper, make_records, draw):
    records = make_records(draw({"a": 0.81, "b": 0.80}))
    paper = make_paper({**CROSSED, "test": "cluster_bootstrap"})

    def run(seed):
        return to_json(
            judge(paper, records, layer="replication", source="phantom", profile="full",
                  rng=np.random.default_rng(seed))
        )  # fmt: skip

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(
    ("effect", "allowed"),
    [(0.0, {"equivalent", "inconclusive"}), (0.01, {"equivalent", "inconclusive", "supported"}),
     (0.06, {"supported", "inconclusive"})],
)  # fmt: skip
def test_planted_effects_are_rarely_judged_wrongly(court, draw, effect, allowed):
    claim = {**CROSSED, "margin": 0.03}
    wrong = 0
    for _ in range(60):
        scores = draw(
            {"a": 0.80 + effect, "b": 0.80}, n_seeds=5, n_clusters=24, n_cases=2, sd_seed=0.006
        )
        wrong += court(scores, claim)["C1"].verdict not in allowed
    assert wrong <= 7  # 5 % of 60 are 3; 8 or more have probability 0.01
