import numpy as np
import pytest
from scipy import stats

from common.errors import ReplicateError
from common.statistics.design import pair, sample
from common.statistics.paired import corrected_t, crossed_t, sign_flip
from common.statistics.procedures import PROCEDURES, procedure, welch_clustered
from common.statistics.proportions import mcnemar
from common.statistics.results import DesignError

ESTIMATES = [name for name, each in PROCEDURES.items() if each.estimate is not None]


@pytest.fixture
def difference(make_records, draw):
    def make(**options):
        records = make_records(draw({"a": 0.82, "b": 0.8}, **options), n_folds=5)
        return sample(pair(records, metric="score", arms=("a", "b")), {"a": 1, "b": -1})

    return make


@pytest.mark.parametrize("name", [name for name in ESTIMATES if name != "mcnemar"])
def test_every_test_gives_effect_interval_and_one_sided_p_that_agree(difference, rng, name):
    inference = procedure(name).estimate(difference(), rng)
    interval = inference.interval(0.95)
    assert interval.low < inference.effect < interval.high
    assert inference.p() == pytest.approx(
        min(1, 2 * min(inference.p_greater(), inference.p_less())), abs=0.01
    )
    assert inference.p_greater(interval.low) == pytest.approx(0.025, abs=0.012)
    assert inference.p_less(interval.high) == pytest.approx(0.025, abs=0.012)
    assert inference.p_greater(-1) <= inference.p_greater(0) <= inference.p_greater(1)
    assert inference.se > 0
    assert inference.df > 0


def test_named_tests_are_the_functions_they_stand_for(difference, rng):
    one = difference(n_seeds=1)
    flip = sign_flip(one.value, cluster=one.cluster, rng=np.random.default_rng(1)).p
    named = procedure("sign_flip_clustered").estimate(one, np.random.default_rng(1)).p()
    assert named == flip
    assert procedure("corrected_t").estimate(one, rng).p() == pytest.approx(
        corrected_t(one.fold_means(), test_train_ratio=0.25).p
    )
    three = difference(n_seeds=3)
    assert procedure("crossed_t").estimate(three, rng).p() == pytest.approx(
        crossed_t(three.crossed()[0]).p
    )


def test_one_seed_leaves_the_crossed_t_with_the_patients_alone(difference, rng):
    one = difference(n_seeds=1)
    expected = stats.ttest_1samp(one.cluster_means(), 0).pvalue
    assert procedure("crossed_t").estimate(one, rng).p() == pytest.approx(expected)


def test_plain_mcnemar_takes_one_seed_of_right_and_wrong_only(make_records, rng):
    right = {arm: (rng.random((1, 20, 3)) < 0.7).astype(float) for arm in "ab"}
    one = sample(pair(make_records(right), metric="score", arms=("a", "b")), {"a": 1, "b": -1})
    assert procedure("mcnemar").estimate(one, rng).p() == pytest.approx(
        mcnemar(right["a"].ravel(), right["b"].ravel()).p
    )
    two = {arm: np.concatenate([values, values]) for arm, values in right.items()}
    both = sample(pair(make_records(two), metric="score", arms=("a", "b")), {"a": 1, "b": -1})
    with pytest.raises(DesignError, match="mcnemar needs"):
        procedure("mcnemar").estimate(both, rng)


def test_groups_of_clusters_are_compared_by_their_means(make_records, draw):
    scores = draw({"a": 0.8}, n_seeds=1, n_clusters=12)
    group = np.array(["x", "y", "z"])[np.arange(12) % 3]
    paired = pair(make_records(scores, group=group), metric="score", arms=("a",))
    found = welch_clustered(sample(paired, {"a": 1}), paired, ("x",), ("y", "z"))
    means = scores["a"][0].mean(axis=1)
    expected = stats.ttest_ind(means[group == "x"], means[group != "x"], equal_var=False)
    assert found.p() == pytest.approx(expected.pvalue)
    with pytest.raises(DesignError, match="no case lies in the groups w"):
        welch_clustered(sample(paired, {"a": 1}), paired, ("w",), ("y",))


def test_folds_are_compared_by_the_means_of_their_patients(make_records, draw):
    scores = draw({"a": 0.8}, n_seeds=1, n_clusters=15)
    paired = pair(make_records(scores, n_folds=3), metric="score", arms=("a",))
    means = scores["a"][0].mean(axis=1)
    expected = stats.kruskal(*(means[fold::3] for fold in range(3))).pvalue
    assert procedure("kruskal_folds").joint(paired, ("a",)).p == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [("corrected_t", "at least 2 folds"), ("two_level_bootstrap", "at least 2 folds")],
)
def test_tests_over_folds_refuse_data_without_folds(make_records, draw, rng, name, message):
    paired = pair(make_records(draw({"a": 0.8})), metric="score", arms=("a",))
    with pytest.raises(DesignError, match=message):
        procedure(name).estimate(sample(paired, {"a": 1}), rng)


def test_an_unknown_test_is_refused_with_the_nearest_known_one():
    with pytest.raises(ReplicateError, match="Did you mean 'sign_flip_clustered'"):
        procedure("signflip_clusterd")


def test_every_test_states_its_unit_and_whether_it_gives_an_interval():
    assert all(each.unit and each.hypothesis for each in PROCEDURES.values())
    assert not PROCEDURES["friedman"].interval
    assert PROCEDURES["crossed_t"].interval
