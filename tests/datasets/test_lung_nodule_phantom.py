"""The nodule phantom: counts and sizes as annotated, boxes where nodules are, dials that act."""

import numpy as np
import pandas as pd
import pytest

from common.datasets.lung_nodule_phantom import DIALS, KINDS, draw, nodules_of, phantom


def nodules(n: int = 24, seed: int = 2, **dials) -> list[dict]:
    """Measure every nodule: its brightness above the median of the scan, and its kind."""
    quiet = {"vessels": 0, "noise": 0.0, "attached": 0, **dials}
    found = []
    for case in phantom(n, seed, size=32, **quiet):
        ground = np.median(case.image)
        for centre, diameter, kind in zip(
            case.info["centres"], case.target["diameters_mm"], case.info["kinds"], strict=True
        ):
            z, y, x = np.rint(centre).astype(int)
            core = case.image[0, z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].mean()
            found.append({"bright": core - ground, "diameter": diameter, "kind": int(kind)})
    return found


def brightness(**dials) -> float:
    return float(np.mean([one["bright"] for one in nodules(**dials)]))


def drawn(n: int, **dials) -> pd.DataFrame:
    """All nodules of some scans, without rendering them."""
    return pd.concat([nodules_of(row) for row in draw(n, 0, **dials).to_dict("records")])


def test_numbers_and_diameters_are_those_annotated_in_luna16() -> None:
    table = draw(888, 0)
    # 888 scans: standard error of the mean 0.05, of the share without nodule 0.016
    assert table.n_nodules.mean() == pytest.approx(1_186 / 888, abs=0.12)
    assert (table.n_nodules == 0).mean() == pytest.approx(287 / 888, abs=0.06)
    assert table.n_nodules.var() == pytest.approx(2.34, abs=0.7)
    sizes = drawn(888).diameter_mm.to_numpy()
    assert np.median(sizes) == pytest.approx(6.43, abs=0.4)
    quartiles = np.quantile(sizes, [0.25, 0.75])
    np.testing.assert_allclose(quartiles, [5.1, 9.7], rtol=0.12)
    assert (sizes.min(), sizes.max()) >= (3.25, 15.0)
    assert sizes.max() <= 20.0


def test_luna16_itself_has_these_numbers(mirror) -> None:
    rows = (mirror("luna16") / "annotations.csv").read_text().splitlines()[1:]
    diameters = np.array([float(row.split(",")[4]) for row in rows])
    assert len(diameters) == 1_186
    assert np.median(diameters) == pytest.approx(6.43, abs=0.01)
    assert np.log(diameters).std() == pytest.approx(0.473, abs=0.001)


def test_boxes_enclose_the_nodules_and_stay_inside_the_cube() -> None:
    for case in phantom(40, 1, size=32):
        boxes, wide = case.target["boxes"], case.target["diameters_mm"]
        assert boxes.shape == (len(wide), 6)
        np.testing.assert_allclose(
            boxes[:, 3:] - boxes[:, :3], np.tile(wide[:, None], 3), rtol=1e-5
        )
        np.testing.assert_allclose(
            (boxes[:, 3:] + boxes[:, :3]) / 2, case.target["centres_mm"], rtol=1e-5
        )
        assert (boxes >= 0).all()
        assert (boxes <= 31).all()
        assert case.spacing_mm == (1.0, 1.0, 1.0)


def test_a_nodule_is_bright_inside_its_sphere_and_not_around_it() -> None:
    for case in phantom(12, 3, size=40, vessels=0, attached=0, subsolid=0, noise=0.0):
        grid = np.moveaxis(np.indices((40, 40, 40)), 0, -1)
        for centre, wide in zip(case.info["centres"], case.target["diameters_mm"], strict=True):
            distance = np.linalg.norm(grid - centre, axis=-1) / (wide / 2)
            shell = (distance > 1.4) & (distance < 2.2)
            inside = case.image[0][distance < 0.6]
            assert inside.min() > 1.5 * np.median(case.image[0][shell])


def test_contrast_orders_the_brightness_and_at_null_hides_every_nodule() -> None:
    off, low, usual, high = (brightness(contrast=value) for value in (0.0, 0.4, 0.8, 1.2))
    assert abs(off) < 0.03  # lung texture alone has a standard deviation of 0.05
    assert off + 0.1 < low < usual < high


def test_nodules_sets_the_mean_number_in_a_scan() -> None:
    means = [draw(2_000, 0, nodules=value).n_nodules.mean() for value in (0.0, 0.5, 1.34, 5.0)]
    assert means == pytest.approx([0.0, 0.5, 1.34, 5.0], rel=0.12)
    empty = phantom(3, 0, size=32, nodules=0)[0]
    assert empty.target["boxes"].shape == (0, 6)
    assert empty.target["centres_mm"].shape == (0, 3)


def test_subsolid_nodules_are_fainter_and_absent_at_null() -> None:
    assert {one["kind"] for one in nodules(subsolid=0)} == {0}
    for share in (0.2, 0.7):
        kinds = drawn(1_000, subsolid=share).kind
        # about 1,340 nodules: standard error at most 0.014
        assert (kinds > 0).mean() == pytest.approx(share, abs=0.05)
    found = nodules(40, subsolid=0.6)
    by_kind = [[one["bright"] for one in found if one["kind"] == code] for code in range(3)]
    assert len(KINDS) == len(by_kind)
    solid, part, glass = (np.mean(values) for values in by_kind)
    assert glass < 0.5 * solid
    assert glass < part


def test_attached_nodules_touch_a_vessel_or_the_pleura() -> None:
    def near(share: float) -> float:
        """Share of nodules with bright voxels of something else at their rim."""
        touching = []
        for case in phantom(20, 4, size=32, attached=share, vessels=5):
            grid = np.moveaxis(np.indices((32, 32, 32)), 0, -1)
            plain = phantom_without_nodules[case.case]
            for centre, wide in zip(case.info["centres"], case.target["diameters_mm"], strict=True):
                distance = np.linalg.norm(grid - centre, axis=-1)
                touching.append((plain[distance < wide / 2 + 1] > 0.4).mean() > 0.01)
        return float(np.mean(touching))

    bare = phantom(20, 4, size=32, contrast=0, vessels=5)
    phantom_without_nodules = {case.case: case.image[0] for case in bare}
    none, half, every = near(0.0), near(0.5), near(1.0)
    assert none < half < every
    assert every > 0.8
    assert not drawn(200, attached=0).attached.any()


def test_vessels_fill_more_of_the_cube_and_nothing_at_null() -> None:
    def filled(trees: float) -> float:
        return float(
            np.mean([case.info["vessels"].mean() for case in phantom(8, 0, size=32, vessels=trees)])
        )

    none, few, usual, many = (filled(trees) for trees in (0, 1, 3, 8))
    assert none == 0
    assert few < usual < many
    for case in phantom(8, 0, size=32, noise=0.0, nodules=0):
        if case.info["vessels"].any():
            assert case.image[0][case.info["vessels"]].mean() > 2 * np.median(case.image)


def test_noise_adds_its_standard_deviation_and_nothing_at_null() -> None:
    quiet = phantom(4, 0, size=48, noise=0.0)
    for level in (0.02, 0.05):
        for loud, calm in zip(phantom(4, 0, size=48, noise=level), quiet, strict=True):
            inner = (calm.image > 0.1) & (calm.image < 0.5)
            assert (loud.image - calm.image)[inner].std() == pytest.approx(level, rel=0.1)


def test_shift_is_noisier_and_darker_and_nothing_at_null() -> None:
    def seen(shift: float) -> tuple[float, float]:
        table = draw(2, 0, shift=shift)
        bright = np.mean([case.image.mean() for case in phantom(8, 0, size=32, shift=shift)])
        return float(table.noise[0]), float(bright)

    (noise, bright), (noise_1, bright_1), (noise_2, bright_2) = (seen(shift) for shift in (0, 1, 2))
    assert (noise, noise_1, noise_2) == pytest.approx((0.03, 0.051, 0.072))
    assert bright > bright_1 > bright_2
    assert bright_1 == pytest.approx(0.9 * bright, rel=0.03)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


def test_a_cube_too_small_for_nodules_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 24"):
        phantom(4, 0, size=16)
