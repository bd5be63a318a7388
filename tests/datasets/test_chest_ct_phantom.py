"""The chest CT slices: Hounsfield units, vessels, patients, and every dial."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from common.datasets.chest_ct_phantom import phantom


def slices(n: int = 6, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **({"slices": 2, "size": 96} | settings)))


def tissue(case) -> np.ndarray:
    """Hounsfield units of lung away from vessels, nodule and wall."""
    inside = binary_erosion(case.info["lungs"], iterations=2)
    near = binary_dilation(case.info["vessels"] | case.info["nodule"], iterations=2)
    return case.info["hu"][inside & ~near]


def detail(case) -> float:
    """Standard deviation, inside the lungs, of what a quarter of the resolution loses."""
    inside = binary_erosion(case.info["lungs"], iterations=3)
    return float((case.image[0] - gaussian_filter(case.image[0], 2))[inside].std())


def mean(found) -> float:
    return float(np.mean(list(found)))


def test_each_patient_has_the_slices_asked_for_from_top_to_base() -> None:
    table = phantom(5, 0, slices=4).table
    assert (table.groupby("cluster").size() == 4).all()
    assert table.groupby("cluster")["level"].apply(lambda z: z.is_monotonic_increasing).all()
    assert table["level"].between(0, 1).all()


def test_the_picture_is_the_printed_window_of_hounsfield_units() -> None:
    case = slices(1)[0]
    expected = (np.clip(case.info["hu"], -1024, 1024) + 1024) / 2048
    np.testing.assert_allclose(case.image[0], expected, atol=1e-6)
    assert case.image.shape == (1, 96, 96)
    assert case.spacing_mm == (3.75, 3.75)
    assert case.target == {}


def test_tissues_have_their_hounsfield_units() -> None:
    cases = slices(8, vessels=0, nodules=0, noise=0, patient=0)
    assert mean(np.median(tissue(case)) for case in cases) == pytest.approx(-860, abs=15)
    for case in cases:
        hu = case.info["hu"]
        assert hu[:8, :8].mean() == pytest.approx(-1000, abs=5)  # air around the patient
        assert 300 < np.percentile(hu, 99) < 720  # bone
        assert ((hu > 20) & (hu < 90)).mean() > 0.08  # muscle and blood


def test_vessels_lie_in_the_lungs_and_are_bright() -> None:
    for case in slices(4, noise=0):
        vessels, lungs = case.info["vessels"], case.info["lungs"]
        assert lungs[vessels].all()
        only = vessels & ~case.info["nodule"]
        assert np.median(case.info["hu"][only]) > np.median(tissue(case)) + 400


def test_the_heart_lies_on_the_patients_left_and_both_lungs_are_seen() -> None:
    for case in slices(5):
        left, right = (case.info["lungs"][:, half].sum() for half in (slice(48), slice(48, None)))
        assert left > right > 0.3 * left
        assert 0.08 < case.info["lungs"].mean() < 0.3


def test_vessels_add_detail_and_0_leaves_none() -> None:
    quiet = {"noise": 0, "texture": 0, "nodules": 0}
    none, half, default, much = (
        mean(map(detail, slices(vessels=v, **quiet))) for v in (0, 0.5, 1, 2.5)
    )
    assert none < default / 4  # the edges of the lungs alone
    assert none < half < default < much
    assert not any(case.info["vessels"].any() for case in slices(3, vessels=0))


def test_calibre_widens_the_vessels() -> None:
    def share(calibre: float) -> float:
        cases = slices(calibre=calibre, size=128)
        return mean(case.info["vessels"].sum() / case.info["lungs"].sum() for case in cases)

    narrow, default, wide = (share(c) for c in (0.5, 1, 2.5))
    assert narrow < 0.75 * default < default < 0.75 * wide


def test_texture_is_the_spread_of_lung_tissue_and_0_leaves_it_flat() -> None:
    quiet = {"noise": 0, "vessels": 0, "nodules": 0, "patient": 0}
    for texture in (0, 25, 80):
        found = mean(tissue(case).std() for case in slices(4, texture=texture, **quiet))
        assert found == pytest.approx(texture, rel=0.1, abs=0.5)


def test_noise_has_8_to_25_hu_by_patient_and_0_leaves_none() -> None:
    table = phantom(200, 0, slices=1).table
    assert 7.9 < table.noise.min() < 9
    assert 22 < table.noise.max() < 25.1
    for noise in (0, 1, 4):
        found = mean(c.info["hu"][:8].std() for c in slices(4, noise=noise, patient=0))
        assert found == pytest.approx(14.1 * noise, rel=0.1, abs=0.01)


def test_nodules_are_in_that_share_of_slices_and_0_leaves_none() -> None:
    for share in (0, 0.5, 1):
        cases = slices(30, nodules=share, size=48)
        assert mean(c.info["nodule"].any() for c in cases) == pytest.approx(share, abs=0.15)
    for case in slices(4, nodules=1, size=128, noise=0):
        nodule = case.info["nodule"]
        assert case.info["lungs"][nodule].mean() > 0.6
        core = binary_erosion(nodule) if binary_erosion(nodule).any() else nodule
        assert -320 < np.median(case.info["hu"][core]) < 80


def test_specks_set_the_maximum_of_that_share_of_slices_and_0_leaves_none() -> None:
    for share in (0, 0.7, 1):
        cases = slices(20, specks=share, noise=0, slices=1)
        bright = [case.info["hu"].max() > 760 for case in cases]
        assert mean(bright) == pytest.approx(share, abs=0.2 if share == 0.7 else 0.1)
    values = phantom(100, 0, slices=1).table.speck_hu
    assert 800 <= values.min() < 900
    assert 2400 < values.max() <= 2500


def test_patients_differ_and_at_0_slices_of_two_are_as_alike_as_those_of_one() -> None:
    def ratio(patient: float) -> float:
        """Variance of patient means of the body's area over that within patients."""
        cases = phantom(8, 0, slices=3, size=48, patient=patient)
        area = np.array([(case.info["hu"] > -300).mean() for case in cases]).reshape(8, 3)
        return float(area.mean(1).var(ddof=1) / (area.var(axis=1, ddof=1).mean() / 3))

    assert ratio(0) < 3
    assert ratio(0) < ratio(1)
    assert ratio(1) > 5
    constant = ["body_wide", "parenchyma", "noise", "vessels", "calibre", "tilt"]
    assert (phantom(4, 0, slices=1, patient=0).table[constant].nunique() == 1).all()
    assert (phantom(4, 0).table.groupby("cluster")[constant].nunique() == 1).all(axis=None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 32}, "`size` must be at least 48"),
        ({"slices": 0}, "`slices` 1, got 128 and 0"),
        ({"vessels": 3}, "`vessels` must be in"),
        ({"calibre": 0.1}, "`calibre` must be in"),
        ({"texture": 90}, "`texture` must be in"),
        ({"noise": 5}, "`noise` must be in"),
        ({"nodules": 2}, "`nodules` must be in"),
        ({"specks": -1}, "`specks` must be in"),
        ({"patient": 3}, "`patient` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
