import numpy as np
import pytest

from common.statistics.bootstrap import cluster_bootstrap
from common.statistics.equivalence import equivalence, non_inferiority
from common.statistics.paired import paired_t_inference, tost
from common.statistics.permutation import sign_flip_inference
from common.statistics.proportions import clustered_score
from common.statistics.results import DesignError, Student
from common.statistics.signed_rank import signed_rank_inference
from common.statistics.signed_rank_clustered import signed_rank_clustered_inference

CLUSTER = np.repeat(np.arange(12), 3)


def _inferences(d, rng):
    return {
        "paired t": paired_t_inference(d),
        "signed rank": signed_rank_inference(d),
        "cluster t": paired_t_inference(d.reshape(12, 3).mean(axis=1)),
        "sign flip": sign_flip_inference(d, cluster=CLUSTER, rng=rng),
        "clustered signed rank": signed_rank_clustered_inference(d, CLUSTER, rng=rng),
        "score": clustered_score(d, CLUSTER),
        "bootstrap": cluster_bootstrap(d, cluster=CLUSTER, rng=rng),
    }


@pytest.mark.parametrize("alpha", [0.05, 0.025])
@pytest.mark.parametrize("seed", range(3))
def test_every_clustered_form_passes_exactly_where_its_interval_lies_inside(seed, alpha):
    rng = np.random.default_rng(seed)
    d = rng.normal(0.05, 0.3, 12)[CLUSTER] + rng.normal(0, 0.2, 36)
    for name, inference in _inferences(d, rng).items():
        interval = inference.interval(1 - 2 * alpha)
        for margin in (0.05, 0.1, 0.2, 0.3, 0.5):
            found = equivalence(inference, margin, alpha=alpha)
            assert (found.low, found.high) == (interval.low, interval.high), name
            assert (found.p <= alpha) == interval.inside(-margin, margin), name
            higher = non_inferiority(inference, margin, alpha=alpha)
            assert (higher.p <= alpha) == (interval.low > -margin), name
            lower = non_inferiority(inference, margin, alpha=alpha, better="lower")
            assert (lower.p <= alpha) == (interval.high < margin), name


def test_equivalence_is_non_inferiority_both_ways(rng):
    inference = paired_t_inference(rng.normal(0.1, 1, 30))
    both = [non_inferiority(inference, 0.4, better=better).p for better in ("higher", "lower")]
    assert equivalence(inference, 0.4).p == pytest.approx(max(both))


def test_a_margin_can_be_a_pair_of_bounds():
    found = equivalence(Student(1.1, 0.1, 20), (0.8, 1.25), n_cases=40, n_clusters=21)
    assert found.p == pytest.approx(Student(1.1, 0.1, 20).p_less(1.25))
    assert found.hypothesis == "effect <= 0.8 or effect >= 1.25"
    assert (found.n_cases, found.n_clusters) == (40, 21)


def test_results_say_what_was_tested():
    student = Student(0.0, 1.0, 4)
    assert equivalence(student, 2.0).hypothesis == "|effect| >= 2"
    assert equivalence(student, 2.0, alpha=0.025).note == "95 % interval"
    assert non_inferiority(student, 2.0, quantity="Dice difference").hypothesis == (
        "Dice difference <= -2"
    )
    assert non_inferiority(student, 2.0, better="lower").note.startswith("lower is better")


def test_tost_is_equivalence_of_the_paired_t(rng):
    d = rng.normal(0, 1, 20)
    one, other = tost(d, margin=0.7), equivalence(paired_t_inference(d), 0.7)
    assert (one.p, one.low, one.high) == (other.p, other.low, other.high)


def test_at_the_margin_itself_equivalence_is_found_at_its_level_only(rng):
    studies = rng.normal(0.5, 1, (2000, 25))
    found = np.mean([equivalence(paired_t_inference(d), 0.5).p <= 0.05 for d in studies])
    assert found == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: equivalence(s, 0.0), "`margin` must be > 0"),
        (lambda s: equivalence(s, -1.0), "`margin` must be > 0"),
        (lambda s: equivalence(s, (1.0, 0.5)), "a lower and a higher bound"),
        (lambda s: equivalence(s, float("nan")), "`margin` must be > 0"),
        (lambda s: equivalence(s, 1.0, alpha=0.5), "`alpha` must lie in"),
        (lambda s: non_inferiority(s, 0.0), "`margin` must be > 0"),
        (lambda s: non_inferiority(s, 1.0, alpha=0.0), "`alpha` must lie in"),
        (lambda s: non_inferiority(s, 1.0, better="up"), "'higher' or 'lower', got 'up'"),
    ],
)
def test_margins_and_levels_without_sense_are_refused(call, message):
    with pytest.raises(DesignError, match=message):
        call(Student(0.0, 1.0, 4))
