"""The abdominal slices: anatomy, modality gap, scanner, nodules and weak masks."""

from itertools import pairwise

import numpy as np
import pytest

from common.datasets.abdomen_slice_phantom import LEVELS, phantom
from common.datasets.abdomen_slice_phantom_anatomy import FAT, KIDNEY, LIVER, SPLEEN
from common.datasets.abdomen_slice_phantom_weak import WEAK, dice


def with_liver(n: int = 6, seed: int = 0, **settings) -> list:
    cases = phantom(n, seed, **{"slices": 7, "size": 40, "weak": "dropout"} | settings)
    return [case for case in cases if case.target["mask"].any()]


def level(case, organ: int) -> float:
    return float(np.median(case.image[0][case.info["organs"] == organ]))


def contrast(cases: list, organ: int) -> float:
    """Liver less another organ, mean over the slices that hold 10 pixels of both."""
    both = [c for c in cases if min((c.info["organs"] == o).sum() for o in (LIVER, organ)) >= 10]
    return float(np.mean([level(case, LIVER) - level(case, organ) for case in both]))


def agreement(cases: list) -> np.ndarray:
    return np.array([dice(case.target["mask"], case.target["weak_mask"]) for case in cases])


def test_the_liver_fills_four_percent_of_the_pixels_and_no_end_slice() -> None:
    cases = phantom(12, 0, slices=16, weak="dropout")
    share = np.array([case.target["mask"].mean() for case in cases]).reshape(12, 16)
    assert share.mean() == pytest.approx(0.04, abs=0.008)
    assert 0.09 < share.max(1).mean() < 0.15  # the largest of 78 real slices: 0.133
    assert not share[:, [0, 1, 14, 15]].any()
    assert (share[:, 5:11] > 0).all()


def test_a_patient_keeps_anatomy_and_sequence_over_the_slices() -> None:
    table = phantom(6, 0, domain="chaos", slices=5).table
    constant = ["sequence", "body_width", "body_height", "fat", "right_lobe", "patient_seed"]
    assert (table.groupby("cluster")[constant].nunique() == 1).all(axis=None)
    assert table.groupby("cluster").z.apply(lambda z: (z.diff().dropna() > 0).all()).all()
    assert table.groupby("cluster").size().eq(5).all()


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("ct", {"CT": 6}),
        ("chaos", {"T1": 3, "T2": 3}),
        ("chaos-t2", {"T2": 6}),
        ("dlds", {"T1": 2, "T2": 2, "T1c": 2}),
    ],
)
def test_sequences_are_dealt_in_equal_parts(domain: str, expected: dict) -> None:
    table = phantom(6, 0, domain=domain, slices=1).table
    assert table.sequence.value_counts().to_dict() == expected
    assert set(table.site) == {domain}


def test_domains_have_patients_of_their_own() -> None:
    ct, mr = (phantom(5, 0, domain=domain, slices=1).table for domain in ("ct", "chaos"))
    assert not set(ct.patient_seed) & set(mr.patient_seed)
    assert not set(ct["case"]) & set(mr["case"])


def test_hidden_organs_agree_with_image_and_mask() -> None:
    case = max(with_liver(noise=0), key=lambda case: case.target["mask"].sum())
    organs, mask = case.info["organs"], case.target["mask"]
    assert (mask[organs == LIVER]).all()
    assert not mask[organs == SPLEEN].any()
    columns = np.nonzero(mask)[1]
    assert columns.mean() < 20  # the patient's right side is at the left
    assert level(case, LIVER) > level(case, FAT) + 0.1
    assert case.spacing_mm == (372 / 40, 372 / 40)


def test_the_modality_gap_turns_the_contrast_of_the_liver_around_and_0_leaves_that_of_ct() -> None:
    found = {
        gap: contrast(with_liver(domain="chaos-t2", bias=0, modality_gap=gap), KIDNEY)
        for gap in (0, 0.5, 1)
    }
    assert found[1] < found[0.5] - 0.1 < found[0] - 0.2
    assert contrast(with_liver(domain="ct"), KIDNEY) == pytest.approx(found[0], abs=0.06)
    assert LEVELS["T2"][LIVER] < LEVELS["T2"][SPLEEN] < LEVELS["T2"][KIDNEY]


def test_the_gap_does_nothing_to_ct() -> None:
    near, far = (phantom(2, 0, slices=4, modality_gap=gap)[2].image for gap in (0, 1))
    np.testing.assert_array_equal(near, far)


def test_the_anatomy_shift_moves_liver_from_the_right_lobe_to_the_left_in_mr_only() -> None:
    def left_share(domain: str, shift: float) -> float:
        masks = [c.target["mask"] for c in with_liver(domain=domain, anatomy_shift=shift)]
        return sum(m[:, 19:].sum() for m in masks) / sum(m.sum() for m in masks)

    shares = [left_share("chaos", shift) for shift in (0, 0.5, 1)]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 1.4 * shares[0]
    assert left_share("ct", 1) == left_share("ct", 0)


@pytest.mark.parametrize("domain", ["ct", "chaos-t2"])
def test_noise_grows_with_its_dial_and_0_leaves_clean_air(domain: str) -> None:
    def air(noise: float) -> float:
        cases = with_liver(n=4, domain=domain, noise=noise)
        return float(np.mean([case.image[0][:4].std() for case in cases]))

    assert air(0) < 1e-4 < air(0.5) < air(1) < air(2)


def test_the_coil_field_spreads_fat_and_0_leaves_it_flat() -> None:
    def spread(bias: float) -> float:
        cases = with_liver(domain="chaos", bias=bias, noise=0)
        fat = [case.image[0][case.info["organs"] == FAT] for case in cases]
        return float(
            np.mean([np.subtract(*np.percentile(f, [75, 25])) / np.median(f) for f in fat])
        )

    low, default, high = (spread(bias) for bias in (0, 0.25, 0.6))
    assert low < default < high
    assert phantom(2, 0, bias=0.6).table.bias.eq(0).all()  # no coil in CT
    duke, chaos = (phantom(2, 0, domain=d).table.bias.iloc[0] for d in ("dlds", "chaos"))
    assert duke == pytest.approx(1.4 * chaos)


def test_nodules_roughen_the_liver_of_a_share_of_duke_patients_and_0_of_none() -> None:
    def shares(nodules: float, domain: str = "dlds") -> float:
        return phantom(200, 0, domain=domain, slices=1, nodules=nodules).table.nodular.mean()

    assert shares(0) == 0
    assert shares(0.5) == pytest.approx(0.5, abs=0.1)
    assert shares(1) == 1
    assert shares(1, "chaos") == 0

    def roughness(nodules: float) -> float:
        cases = with_liver(domain="dlds", nodules=nodules, noise=0, bias=0, size=64)
        inside = [case.image[0][case.info["organs"] == LIVER] for case in cases]
        return float(np.mean([x.std() / x.mean() for x in inside if x.size > 50]))

    assert roughness(1) > 1.2 * roughness(0)


@pytest.mark.parametrize("weak", WEAK)
def test_weak_masks_have_the_printed_mean_dice_however_they_err(weak: str) -> None:
    cases = with_liver(n=6, weak=weak, domain="chaos-t2", size=64)
    found = agreement([case for case in cases if case.target["mask"].sum() >= 60])
    tolerance = 0.1 if weak == "dropout" else 0.02
    assert found.mean() == pytest.approx(0.875, abs=tolerance)
    if weak == "elastic":
        assert found.std() == pytest.approx(0.05, abs=0.015)


def test_weak_dice_orders_the_agreement_and_1_gives_the_truth() -> None:
    low, middle, high = (
        agreement(with_liver(weak="elastic", weak_dice=d)).mean() for d in (0.65, 0.8, 0.95)
    )
    assert low < middle - 0.1 < high - 0.2
    assert low == pytest.approx(0.65, abs=0.04)
    for weak in WEAK:
        assert (agreement(with_liver(n=2, weak=weak, weak_dice=1.0)) == 1).all()


def test_systematic_errors_have_one_sign_and_elastic_ones_have_none() -> None:
    def growth(weak: str) -> np.ndarray:
        masks = [t for c in with_liver(n=8, weak=weak) if (t := c.target)["mask"].sum() >= 30]
        return np.array([t["weak_mask"].sum() / t["mask"].sum() - 1 for t in masks])

    assert (growth("dilate") > 0).all()
    assert (growth("leak") > 0).all()
    assert (growth("erode") < 0).all()
    elastic = growth("elastic")
    assert abs(elastic.mean()) < 0.1
    assert 0.2 < (elastic > 0).mean() < 0.8


def test_dilated_masks_hold_the_truth_and_eroded_ones_lie_inside() -> None:
    for case in with_liver(n=3, weak="dilate"):
        assert (case.target["weak_mask"] >= case.target["mask"]).all()
    for case in with_liver(n=3, weak="erode"):
        assert (case.target["weak_mask"] <= case.target["mask"]).all()


def test_one_field_a_patient_moves_all_slices_the_same_way() -> None:
    def agreement_of_neighbours(weak: str) -> float:
        """Correlation of the signed error's centre between neighbouring slices of a patient."""
        cases = with_liver(n=10, weak=weak, slices=12)
        shifts = {}
        for case in cases:
            truth, wrong = case.target["mask"], case.target["weak_mask"]
            if truth.sum() > 60:
                shift = np.argwhere(wrong).mean(0) - np.argwhere(truth).mean(0)
                shifts.setdefault(case.cluster, []).append(shift)
        pairs = [(a, b) for s in shifts.values() for a, b in pairwise(s)]
        first, second = np.array(pairs).transpose(1, 0, 2).reshape(2, -1)
        return float(np.corrcoef(first, second)[0, 1])

    assert agreement_of_neighbours("elastic_volume") > 0.8
    assert abs(agreement_of_neighbours("elastic")) < 0.4


def test_leaks_reach_into_organs_and_dropouts_lose_whole_slices() -> None:
    cases = with_liver(n=10, weak="leak", size=64)
    added = [c.info["organs"][c.target["weak_mask"] & ~c.target["mask"]] for c in cases]
    organ = np.isin(np.concatenate(added), (SPLEEN, KIDNEY, 7)).mean()
    assert organ > 0.25
    found = agreement(with_liver(n=12, weak="dropout"))
    assert set(found) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"domain": "pet"}, "`domain` must be one of ct, chaos"),
        ({"weak": "scribble"}, "`weak` must be one of elastic"),
        ({"modality_gap": 1.1}, "`modality_gap` must be in"),
        ({"anatomy_shift": -0.1}, "`anatomy_shift` must be in"),
        ({"noise": 5}, "`noise` must be in"),
        ({"bias": 1}, "`bias` must be in"),
        ({"nodules": 2}, "`nodules` must be in"),
        ({"weak_dice": 0.5}, "`weak_dice` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
