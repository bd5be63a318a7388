"""The label maps: families, printed overlaps, predicted segmentations."""

from itertools import combinations

import numpy as np
import pytest

from common.datasets.label_map_phantom import CLASSES, phantom
from common.datasets.label_map_phantom_anatomy import FAMILIES, SHARED, resized

SMALL = (32, 24, 32)


def dice(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Dice of each label in percent, nan where both are empty."""
    found = np.full(n, np.nan)
    for code in range(1, n + 1):
        a, b = first == code, second == code
        if a.any() or b.any():
            found[code - 1] = 200 * (a & b).sum() / (a.sum() + b.sum())
    return found


def between(n: int = 6, *, seed: int = 0, size=SMALL, **settings) -> np.ndarray:
    """Dice of every pair of patients, one row a pair."""
    cases = list(phantom(n, seed, size=size, **settings))
    labels = cases[0].image.shape[0] - 1
    maps = [case.target["mask"] for case in cases]
    return np.array([dice(a, b, labels) for a, b in combinations(maps, 2)])


def predicted(n: int = 5, *, size=SMALL, **settings) -> np.ndarray:
    """Dice of predicted and true map, one row a patient."""
    cases = phantom(n, 0, size=size, **settings)
    return np.array(
        [dice(c.target["mask"], c.info["predicted"], c.image.shape[0] - 1) for c in cases]
    )


@pytest.mark.parametrize(("family", "printed"), [("abdomen-ct", 25.1), ("abdomen-mr", 31.6)])
def test_two_patients_overlap_as_little_as_printed_after_affine_alignment(family, printed):
    found = between(10, size=(48, 36, 48), family=family)
    assert len(found) == 45
    assert np.nanmean(found) == pytest.approx(printed, abs=5)


def test_the_liver_overlaps_well_and_the_adrenals_hardly() -> None:
    mean = dict(zip(CLASSES["abdomen-ct"], np.nanmean(between(10), axis=0), strict=True))
    assert mean["liver"] == pytest.approx(62, abs=6)
    assert mean["spleen"] == pytest.approx(42, abs=10)
    assert max(mean["right adrenal"], mean["left adrenal"], mean["gallbladder"]) < 20
    assert mean["liver"] == max(mean.values())


@pytest.mark.parametrize(
    ("family", "labels"), [("abdomen-ct", 13), ("abdomen-mr", 13), ("skeletal", 28), ("thorax", 9)]
)
def test_families_have_the_printed_numbers_of_labels_and_each_label_is_seen(family, labels):
    case = phantom(1, 0, family=family, prediction_error=0, dropout=0)[0]
    mask = case.target["mask"]
    assert len(CLASSES[family]) == labels
    assert case.image.shape == (labels + 1, 64, 48, 64)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == set(range(labels + 1))


def test_training_and_test_anatomy_share_two_vessels_alone() -> None:
    test = set(CLASSES["abdomen-ct"]) | set(CLASSES["abdomen-mr"])
    assert not test & set(CLASSES["skeletal"])
    assert test & set(CLASSES["thorax"]) == set(SHARED)
    assert set(CLASSES["abdomen-ct"]) ^ set(CLASSES["abdomen-mr"]) == {
        "portal and splenic vein",
        "duodenum",
    }


def test_organs_lie_where_anatomists_expect_them() -> None:
    mask = phantom(1, 0, deformation=0)[0].target["mask"]
    at = {n: np.argwhere(mask == i + 1).mean(0) for i, n in enumerate(CLASSES["abdomen-ct"])}
    assert at["liver"][0] < at["stomach"][0] < at["spleen"][0]  # right to left
    assert at["stomach"][1] < at["left kidney"][1]  # front to back
    assert at["left kidney"][2] < at["spleen"][2] < at["oesophagus"][2]  # feet to head
    assert at["inferior vena cava"][0] < at["aorta"][0]


def test_one_hot_channels_are_the_predicted_codes_with_the_background_first() -> None:
    case = phantom(1, 3, size=SMALL)[0]
    np.testing.assert_array_equal(case.image.sum(0), 1)
    np.testing.assert_array_equal(case.image.argmax(0), case.info["predicted"])


def test_deformation_lowers_the_overlap_and_0_gives_all_patients_one_anatomy() -> None:
    means = [np.nanmean(between(deformation=value)) for value in (0, 0.5, 1, 2)]
    assert means[0] == 100
    assert means[0] > means[1] + 20 > means[2] + 30 > means[3] + 35


def test_size_spread_orders_volumes_and_0_gives_all_structures_one_volume() -> None:
    def spread(value: float) -> float:
        return float(
            np.std(np.log([s.volume for s in resized(FAMILIES["abdomen-ct"], value)])),
        )

    assert spread(0) == pytest.approx(0, abs=1e-12)
    assert spread(0.5) == pytest.approx(spread(1) / 2)
    assert spread(1.2) == pytest.approx(1.2 * spread(1))

    def largest(value: float) -> float:
        case = phantom(1, 0, size_spread=value, deformation=0)[0]
        voxels = np.bincount(case.target["mask"].ravel(), minlength=14)[1:]
        return voxels.max() / np.median(voxels)

    assert largest(0) < 2 < 10 < largest(1)


def test_predicted_maps_have_the_printed_dice() -> None:
    found = predicted(size=(64, 48, 64), dropout=0).mean(0)
    names = CLASSES["abdomen-ct"]
    assert found.mean() == pytest.approx(82, abs=2)
    assert found[names.index("liver")] > 90
    small = [found[names.index(name)] for name in ("right adrenal", "left adrenal")]
    assert 60 < np.mean(small) < found.mean() - 5


def test_prediction_error_lowers_the_dice_on_fine_and_coarse_grids_and_0_gives_the_truth() -> None:
    means = [np.nanmean(predicted(prediction_error=value, dropout=0)) for value in (0, 0.45, 1.5)]
    assert means[0] == 100
    assert means[1] == pytest.approx(83, abs=4)
    assert means[2] < 60


def test_dropout_loses_that_share_of_the_predicted_structures_and_0_none() -> None:
    for value in (0, 0.02, 0.3):
        cases = list(phantom(30, 0, family="skeletal", size=(16, 16, 16), dropout=value))
        lost = np.mean([len(case.info["dropped"]) / 28 for case in cases])
        assert lost == pytest.approx(value, abs=0.04 if value else 0)
        for case in cases[:3]:
            assert not np.isin(case.info["predicted"], case.info["dropped"]).any()


def test_shared_vessels_can_be_taken_out_and_leave_everything_else() -> None:
    whole, without = (
        phantom(1, 0, family="thorax", size=SMALL, shared_vessels=s)[0] for s in (1, 0)
    )
    mask = without.target["mask"]
    assert set(np.unique(mask)) == {0, *range(3, 10)}
    keep = whole.target["mask"] > 2
    np.testing.assert_array_equal(mask[keep], whole.target["mask"][keep])
    assert without.image.shape == whole.image.shape


def test_fewer_labels_can_be_asked_for() -> None:
    assert phantom(1, 0, size=SMALL, n_labels=4)[0].target["mask"].max() == 4


def test_lobes_of_one_lung_move_together() -> None:
    names = CLASSES["thorax"]
    centres = {name: [] for name in names}
    for case in phantom(12, 0, family="thorax", size=SMALL):
        for i, name in enumerate(names):
            centres[name].append(np.argwhere(case.target["mask"] == i + 1).mean(0)[0])
    same = np.corrcoef(centres["left upper lobe"], centres["left lower lobe"])[0, 1]
    other = np.corrcoef(centres["left upper lobe"], centres["right lower lobe"])[0, 1]
    assert same > 0.6
    assert same > other


def test_families_draw_patients_of_their_own() -> None:
    first, second = (phantom(4, 0, family=f).table for f in ("abdomen-ct", "abdomen-mr"))
    assert not set(first.seed) & set(second.seed)
    assert not set(first["case"]) & set(second["case"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"family": "knee"}, "`family` must be one of abdomen-ct"),
        ({"n_labels": 14}, "`n_labels` must be in 1-13"),
        ({"size": (8, 64, 64)}, "`size` must be at least 16"),
        ({"deformation": 3}, "`deformation` must be in"),
        ({"size_spread": -0.1}, "`size_spread` must be in"),
        ({"prediction_error": 2}, "`prediction_error` must be in"),
        ({"dropout": 0.6}, "`dropout` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
