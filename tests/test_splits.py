import numpy as np
import pandas as pd
import pytest

from common.datasets.cases import Case, Cases
from common.errors import ReplicateError
from common.splits import check, divide, folds


def table(n_clusters: int = 60, per_cluster: int = 3) -> pd.DataFrame:
    """Clusters of equal size; a third of them of class 1."""
    cluster = np.repeat(np.arange(n_clusters), per_cluster)
    return pd.DataFrame(
        {
            "case": [f"c{i:04d}" for i in range(len(cluster))],
            "cluster": [f"p{number:03d}" for number in cluster],
            "label": (cluster % 3 == 0).astype(int),
        }
    )


def with_images(rows: pd.DataFrame, images: np.ndarray) -> Cases:
    place = {name: position for position, name in enumerate(rows["case"])}
    return Cases(
        rows, lambda row: Case(row["case"], row["cluster"], images[place[row["case"]]], {})
    )


def test_no_cluster_is_divided_and_shares_are_kept():
    rows = table()
    part = divide(rows, {"train": 0.7, "val": 0.1, "test": 0.2}, name="a", seed=0)
    assert rows.groupby(part)["cluster"].nunique().to_dict() == {"train": 42, "val": 6, "test": 12}
    assert rows.assign(part=part).groupby("cluster")["part"].nunique().max() == 1


def test_classes_are_kept_in_proportion_where_asked():
    rows = table()
    part = divide(rows, {"train": 2, "test": 1}, name="a", seed=3, stratify="label")
    share = rows.groupby(part)["label"].mean()
    assert share["train"] == pytest.approx(1 / 3, abs=0.02)
    assert share["test"] == pytest.approx(1 / 3, abs=0.02)


def test_many_small_strata_do_not_tilt_the_shares():
    """Each stratum has one cluster: rounding must not send all of them to the largest part."""
    rows = pd.DataFrame({"case": [f"c{i}" for i in range(90)], "label": range(90)})
    rows["cluster"] = rows["case"]
    part = divide(rows, {"train": 2, "test": 1}, name="a", seed=0, stratify="label")
    assert part.value_counts().to_dict() == {"train": 60, "test": 30}


def test_a_split_is_fixed_by_name_and_seed_and_not_by_the_order_of_rows():
    rows = table()
    shares = {"train": 1, "test": 1}
    first = divide(rows, shares, name="a", seed=0)
    assert first.equals(divide(rows, shares, name="a", seed=0))
    assert not first.equals(divide(rows, shares, name="a", seed=1))
    assert not first.equals(divide(rows, shares, name="b", seed=0))
    shuffled = rows.sample(frac=1, random_state=1)
    other = divide(shuffled, shares, name="a", seed=0)
    assert dict(zip(shuffled["cluster"], other, strict=True)) == dict(
        zip(rows["cluster"], first, strict=True)
    )


def test_folds_are_of_equal_size_and_hold_whole_clusters():
    rows = table(62)
    fold = folds(rows, 5, name="cv", seed=0, stratify="label")
    sizes = rows.groupby(fold)["cluster"].nunique()
    assert sorted(sizes) == [12, 12, 12, 13, 13]
    check(with_images(rows, np.zeros((len(rows), 1, 8, 8))), fold, compare_images=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: folds(table(), 1, name="a", seed=0), "`n` must be at least 2"),
        (lambda: folds(table(3), 4, name="a", seed=0), "at least 4 clusters, got 3"),
        (
            lambda: divide(table(), {"a": 1}, name="a", seed=0, stratify="sex"),
            "must have a column 'sex'",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_cluster_in_two_parts_is_refused_by_name():
    rows = table(4)
    part = ["train"] * 4 + ["test"] * 8
    with pytest.raises(ReplicateError, match="cluster 'p001' lies in the parts test and train"):
        check(with_images(rows, np.zeros((12, 1, 8, 8))), part, compare_images=False)


def test_copies_across_parts_are_found_and_copies_inside_a_part_are_not_reported(rng):
    from scipy.ndimage import gaussian_filter

    rows = table(12, 1)
    images = gaussian_filter(rng.random((12, 1, 64, 64)), (0, 0, 3, 3)).astype(np.float32)
    images[7] = images[0] + 0.002 * rng.standard_normal((1, 64, 64))  # train and test
    images[1] = 0.9 * images[2] + 0.02  # both in train
    part = ["train"] * 6 + ["test"] * 6
    found = check(with_images(rows, images), part)
    assert found.duplicates[["first", "second"]].to_numpy().tolist() == [["c0000", "c0007"]]
    assert found.n_clusters == {"train": 6, "test": 6}
    assert found.text == (
        "Clusters: test 6, train 6; none in more than one part; "
        "1 pair of near-duplicate images across parts."
    )


def test_each_case_needs_its_part():
    with pytest.raises(ValueError, match="must have 12 entries, got 2"):
        check(with_images(table(4), np.zeros((12, 1, 8, 8))), ["a", "b"])
