import subprocess
import sys

import numpy as np
import pytest

from common.phantoms import draws


def test_streams_of_other_names_and_seeds_are_others():
    firsts = {
        draws.stream(seed, *names).random()
        for seed in (0, 1)
        for names in (("a",), ("b",), ("a", 1), ("a", 2), ("a1",))
    }
    assert len(firsts) == 10


def test_a_stream_is_the_same_in_another_process_whatever_the_hash_seed():
    code = "from common.phantoms.draws import stream; print(stream(7, 'x', 3).random())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(salt), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in (1, 2)
    }
    assert found == {f"{draws.stream(7, 'x', 3).random()}\n"}


def test_streams_leave_the_global_generator_alone():
    np.random.seed(3)  # noqa: NPY002 - the global state is what is watched
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draws.stream(0, "a").random(10)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="`seed` must be 0 or more, got -1"):
        draws.stream(-1)


@pytest.mark.parametrize("n", [0, 1, 7, 100, 2908])
def test_counts_sum_up_and_are_within_one_of_the_share(n):
    shares = [10355, 63, 440, 1950, 2240]
    counts = draws.allocate(n, shares)
    assert counts.sum() == n
    assert np.abs(counts - n * np.array(shares) / sum(shares)).max() < 1


@pytest.mark.parametrize("shares", [[0, 0], [-1, 2]])
def test_shares_that_mean_nothing_are_refused(shares):
    with pytest.raises(ValueError, match="`shares` must not be negative and not all zero"):
        draws.allocate(3, shares)


def test_classes_come_in_exact_proportion_and_random_order(rng):
    codes = draws.classes(100, [3, 1], rng)
    assert np.bincount(codes).tolist() == [75, 25]
    assert np.count_nonzero(np.diff(codes)) > 20


def test_each_case_has_a_seed_of_its_own(rng):
    seeds = draws.case_seeds(1000, rng)
    assert len(set(seeds.tolist())) == 1000
    assert seeds.min() >= 0
