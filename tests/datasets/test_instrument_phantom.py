import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter, label

from common.datasets.instrument_phantom import DIALS, MATERIALS, phantom

BARE = {"noise": 0.0, "glints": 0.0, "frame": 0.0, "folds": 0.0, "cast": 0.0}


def gap(value, material):
    """Mean colour inside the mask less that around it, first instrument of one material."""
    found = []
    for case in phantom(40, 0, size=64, contrast=value, second=0.0, **BARE):
        mask = case.target["mask"]
        ring = binary_dilation(mask, iterations=4) & ~binary_dilation(mask)
        if case.info["materials"] == (material,):
            found.append(case.image[:, mask].mean(axis=1) - case.image[:, ring].mean(axis=1))
    return np.mean(found, axis=0)


def test_each_frame_is_its_own_cluster_and_half_of_the_instruments_are_steel():
    table = phantom(200, 0).table
    assert (table["case"] == table["cluster"]).all()
    counts = table["material_1"].value_counts().sort_index().tolist()
    assert counts == [100, 50, 30, 20]


def test_every_frame_has_an_instrument_that_is_long_and_reaches_the_border_of_the_view():
    for case in phantom(30, 1, size=64):
        mask, seen = case.target["mask"], case.info["seen"]
        assert mask.dtype == bool
        assert mask.shape == (64, 64)
        assert mask.sum() > 20
        assert seen[mask].all()
        assert (mask & binary_dilation(~np.pad(seen, 1))[1:-1, 1:-1]).any()
        assert np.linalg.eigvalsh(np.cov(np.argwhere(mask).T))[1] > 16


def test_contrast_brings_out_the_material_and_its_null_hides_the_instrument():
    low, high = gap(0.4, "steel"), gap(1.0, "steel")
    assert np.linalg.norm(high) > 1.8 * np.linalg.norm(low) > 0.2
    blue = gap(1.0, "blue")
    assert blue[2] > 0.15 > blue[0]
    thin = phantom(5, 2, size=64, contrast=0.0)
    thick = phantom(5, 2, size=64, contrast=0.0, width=0.2)
    for first, second in zip(thin, thick, strict=True):
        assert second.target["mask"].sum() > 1.3 * first.target["mask"].sum()
        np.testing.assert_array_equal(first.image, second.image)


def test_second_and_width_and_jaws_shape_the_mask():
    def area(**given):
        return np.mean([c.target["mask"].mean() for c in phantom(40, 3, size=64, **given)])

    assert area(second=0.0) < area(second=0.3) < area(second=1.0)
    assert 1.5 * area(width=0.04) < area(width=0.08) < area(width=0.16) / 1.5
    assert area(jaws=0.0, second=0.0) < area(jaws=0.6, second=0.0) < area(jaws=1.0, second=0.0)
    assert {len(c.info["materials"]) for c in phantom(30, 3, size=32, second=0.0)} == {1}
    materials = [m for c in phantom(30, 3, size=32, second=1.0) for m in c.info["materials"]]
    assert len(materials) == 60
    assert set(materials) <= set(MATERIALS)


def test_folds_add_relief_and_glints_white_spots():
    def relief(value):
        cases = phantom(25, 4, size=64, contrast=0.0, **{**BARE, "folds": value})
        grey = [case.image.mean(axis=0) for case in cases]
        return np.mean([(image - gaussian_filter(image, 6)).std() for image in grey])

    assert relief(0.0) < relief(2.0) < relief(6.0)

    def spots(value):
        cases = phantom(15, 4, size=128, contrast=0.0, **{**BARE, "glints": value})
        return np.mean([label(case.image.min(axis=0) > 0.75)[1] for case in cases])

    assert spots(0.0) == 0
    assert 3 < spots(8.0) < 10
    assert spots(30.0) > 2 * spots(8.0)


def test_cast_parts_frames_and_its_null_makes_them_alike():
    def between(value):
        return np.log(phantom(200, 5, cast=value).table["mucosa_r"]).std()

    assert between(0.0) == pytest.approx(0, abs=1e-12)
    assert between(0.17) == pytest.approx(0.17, rel=0.2)
    assert between(0.4) > 1.5 * between(0.17)


def test_vignette_frame_and_noise_are_those_of_the_camera():
    def corner(value):
        cases = phantom(30, 6, size=64, vignette=value, contrast=0.0, **BARE)
        return np.median([c.image[:, ::60, ::60].mean() / c.image.mean() for c in cases])

    assert corner(0.0) > corner(0.35) > corner(0.8)
    framed = [not c.info["seen"][0, 0] for c in phantom(60, 6, size=32, frame=0.5)]
    assert np.mean(framed) == pytest.approx(0.5, abs=0.15)
    assert all(c.info["seen"].all() for c in phantom(10, 6, size=32, frame=0.0))
    clean = phantom(5, 6, size=64, **BARE)
    for sd in (0.03, 0.08):
        noisy = phantom(5, 6, size=64, **{**BARE, "noise": sd})
        change = [(a.image - b.image)[:, 16:48, 16:48] for a, b in zip(noisy, clean, strict=True)]
        assert np.std(change) == pytest.approx(sd, rel=0.15)


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`size` must be at least 32"):
        phantom(1, 0, size=16)
