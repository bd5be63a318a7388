import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from common.datasets import nuclei_phantom_tile as tile
from common.datasets.nuclei_phantom import CLASSES, DIALS, NUCLEI, PATCHES, phantom, tissue_table

CLEAN = {
    "debris": 0.0,
    "out_of_focus": 0.0,
    "noise": 0.0,
    "blur": 0.0,
    "halo": 0.0,
    "slide_sd": 0.0,
}


def grey(case):
    return case.image.mean(axis=0)


def test_slides_have_three_or_four_tiles_of_one_tissue_stain_and_scanner():
    table = phantom(60, 0).table
    assert set(table.groupby("cluster").size()) == {3, 4}
    shared = ["tissue", "contrast", "haematoxylin_r", "eosin_g", "white_b", "blur"]
    assert (table.groupby("cluster")[shared].nunique() == 1).all(axis=None)
    assert (phantom(5, 0, tiles=(1, 1)).table.groupby("cluster").size() == 1).all()


def test_tissues_are_in_the_proportions_of_pannuke():
    assert sum(PATCHES.values()) == 7901
    slides = phantom(790, 0).table.groupby("cluster")["tissue"].first().value_counts()
    for tissue, patches in PATCHES.items():
        assert slides[tissue] == pytest.approx(patches / 10, abs=1)


def test_classes_of_nuclei_are_in_the_proportions_of_pannuke():
    counts = np.zeros(6)
    cases = phantom(36, 1, size=128, mix_spread=0.0)
    n_tiles = len(cases)
    for case in cases:
        ids, first = np.unique(case.target["instances"], return_index=True)
        codes = case.target["mask"].ravel()[first][ids > 0]
        counts += np.bincount(codes, minlength=6)
    # about 3,000 nuclei in 126 tiles whose parenchyma is of one class: sd of a share about 0.02
    assert counts[1:] / counts.sum() == pytest.approx(np.array(NUCLEI) / sum(NUCLEI), abs=0.05)
    # a few nuclei are hidden by others
    assert counts.sum() / n_tiles == pytest.approx(24, rel=0.1)


def test_instances_and_classes_agree_and_a_nucleus_has_one_class():
    for case in phantom(4, 2, size=96):
        instances, mask = case.target["instances"], case.target["mask"]
        assert instances.dtype == np.int32
        assert mask.dtype == np.uint8
        assert instances.shape == mask.shape == case.image.shape[1:]
        assert ((instances > 0) == (mask > 0)).all()
        assert mask.max() < len(CLASSES)
        for number in np.unique(instances[instances > 0]):
            assert len(np.unique(mask[instances == number])) == 1


def test_sizes_and_optical_densities_are_near_those_of_real_tiles():
    radii, inside, outside = [], [], []
    for case in phantom(8, 3, size=256, um_per_px=0.25, tiles=(1, 1)):
        sizes = np.bincount(case.target["instances"].ravel())[1:]
        radii += np.sqrt(sizes[sizes > 20] / np.pi).tolist()
        density = -np.log(np.maximum(case.image, 1 / 255))
        nuclei = case.target["mask"] > 0
        inside.append(density[:, nuclei].mean(axis=1))
        outside.append(density[:, ~nuclei].mean(axis=1))
    # two MoNuSeg tiles: median 10.5 px; densities in red and green 0.92 and 1.37, 1.36 and 2.36
    # inside, 0.20 and 0.50, 0.44 and 1.17 outside
    assert np.median(radii) == pytest.approx(10.5, rel=0.15)
    red, green, _ = np.mean(inside, axis=0)
    assert 0.7 < red < 1.4
    assert 1.2 < green < 2.4
    red, green, _ = np.mean(outside, axis=0)
    assert 0.15 < red < 0.5
    assert 0.44 < green < 1.2


def test_haematoxylin_is_where_the_nuclei_are():
    for case in phantom(3, 4, size=96, **CLEAN):
        purple, nuclei = case.info["amounts"][0], case.target["mask"] > 0
        assert purple[nuclei].mean() > 2.5 * purple[~nuclei].mean()
        darker = grey(case)[~nuclei].mean() - grey(case)[nuclei].mean()
        assert darker > 0.1


def test_a_field_holds_as_much_tissue_at_every_pixel_size():
    coarse = phantom(10, 5, size=64, um_per_px=1.0)
    fine = phantom(10, 5, size=128, um_per_px=0.5)
    counts = [np.mean([len(np.unique(c.target["instances"])) for c in cs]) for cs in (coarse, fine)]
    assert counts[0] == pytest.approx(counts[1], rel=0.05)
    assert fine[0].spacing_mm == (0.0005, 0.0005)


def test_small_tiles_may_cut_rings_and_nuclei_at_their_border():
    for case in phantom(40, 5, size=32, um_per_px=0.25, density=60.0, tiles=(1, 1)):
        assert case.target["instances"].shape == (32, 32)
        assert np.isfinite(case.image).all()


def on_rings(cases):
    """Share of epithelial nuclei whose distance from a lumen's centre is twice its radius."""
    found = []
    for case in cases.where(cases.table["gland"]):
        instances, lumens = case.target["instances"], case.info["lumens"]
        codes = case.target["mask"] == CLASSES.index("epithelial")
        for number in np.unique(instances[codes]):
            at = 0.5 * (np.argwhere(instances == number).mean(axis=0) + 0.5)
            distance = np.hypot(*(lumens[:, :2] - at).T)
            found.append((np.abs(distance - 2 * lumens[:, 2]) < 0.6).any())
    return np.mean(found)


def test_context_puts_epithelial_nuclei_on_rings_and_its_null_anywhere():
    given = {"touching": 0.0, "density": 30.0, "tiles": (2, 2)}
    share = [on_rings(phantom(30, 6, context=value, **given)) for value in (0.0, 0.5, 1.0)]
    # by chance: the ring's band is 3 % of the field for each gland
    assert share[0] < 0.15
    assert share[1] == pytest.approx((share[0] + share[2]) / 2, abs=0.12)
    assert share[2] > 0.7


def parenchyma(value, n=40):
    """Median area and darkness of the nuclei of tumour and of gland tiles, touching none."""
    found = {True: [], False: []}
    given = {**CLEAN, "context": 0.0, "contrast_spread": 0.0, "mix_spread": 0.0, "touching": 0.0}
    for case in phantom(n, 7, size=96, looks=value, stain_jitter=0.0, **given):
        code = CLASSES.index("epithelial" if case.info["gland"] else "neoplastic")
        for number in np.unique(case.target["instances"][case.target["mask"] == code]):
            where = case.target["instances"] == number
            if not (where[0].any() or where[-1].any() or where[:, 0].any() or where[:, -1].any()):
                found[case.info["gland"]].append([where.sum(), grey(case)[where].mean()])
    return [np.median(found[key], axis=0) for key in (False, True)]


def test_looks_part_neoplastic_and_epithelial_nuclei_and_their_null_does_not():
    tumour, gland = parenchyma(0.0)
    # some 700 and 200 nuclei: standard error of an area about 3 %
    assert tumour == pytest.approx(gland, rel=0.1)
    ratio = [tumour[0] / gland[0]]
    for value in (0.5, 1.0):
        tumour, gland = parenchyma(value, n=15)
        ratio.append(tumour[0] / gland[0])
    assert ratio[0] < ratio[1] < ratio[2]
    assert ratio[2] > 1.5
    assert tumour[1] > gland[1] + 0.02


def test_tissues_differ_as_asked_for_and_are_the_same_for_every_seed():
    def table(**given):
        return tissue_table(
            19, **{"contrast_spread": 0.25, "mix_spread": 0.3, "stain_jitter": 0.03, **given}
        )

    for dial, column in (
        ("contrast_spread", "contrast"),
        ("mix_spread", "mix_3"),
        ("stain_jitter", "eosin_r"),
    ):
        spread = [np.log(table(**{dial: value})[column]).std() for value in (0.0, 0.1, 0.3)]
        assert spread[0] == pytest.approx(0, abs=1e-12)
        assert spread[0] < spread[1] < spread[2]
    mixes = table()[[f"mix_{code}" for code in range(1, 6)]]
    assert mixes.sum(axis=1).to_numpy() == pytest.approx(np.ones(19))
    first, second = (
        phantom(100, seed).table.groupby("tissue")["contrast"].first() for seed in (1, 2)
    )
    both = first.index.intersection(second.index)
    assert (first[both] == second[both]).all()


def test_contrast_of_a_tissue_shows_in_its_image():
    given = {**CLEAN, "contrast_spread": 0.6, "tissue_balance": 1.0, "stain_jitter": 0.0}
    gaps, contrasts = [], []
    cases = phantom(38, 8, size=64, tiles=(1, 1), **given)
    for contrast, case in zip(cases.table["contrast"], cases, strict=True):
        nuclei = case.target["mask"] > 0
        gaps.append(grey(case)[~nuclei].mean() - grey(case)[nuclei].mean())
        contrasts.append(contrast)
    assert np.corrcoef(np.log(contrasts), gaps)[0, 1] > 0.7


def test_tissue_balance_makes_tissues_equal():
    def largest(value):
        return phantom(190, 9, tissue_balance=value, tiles=(1, 1)).table["tissue"].value_counts()

    assert largest(1.0).tolist() == [10] * 19
    assert largest(0.0).max() > largest(0.5).max() > 10


def test_slide_sd_parts_slides_and_its_null_makes_them_alike():
    def spread(value):
        table = phantom(150, 10, slide_sd=value, stain_jitter=0.0).table
        return np.log(table.groupby("cluster")["eosin_g"].first()).std()

    assert spread(0.0) == pytest.approx(0, abs=1e-12)
    assert spread(0.12) == pytest.approx(0.12, rel=0.2)
    assert spread(0.3) == pytest.approx(0.3, rel=0.2)


def test_density_and_touching_change_the_nuclei():
    def count(value):
        cases = phantom(8, 11, size=64, density=value)
        return np.mean([len(np.unique(c.target["instances"])) - 1 for c in cases])

    assert count(8.0) < 0.6 * count(24.0) < 0.6 * count(60.0)

    def touching(value):
        found = []
        for case in phantom(12, 11, size=64, touching=value, context=0.0, density=15.0):
            numbers = case.target["instances"]
            pairs = [(numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])]
            found.append(
                sum(((a != b) & (a > 0) & (b > 0)).sum() for a, b in pairs) / numbers.max()
            )
        return np.mean(found)

    assert touching(0.0) < 0.3 * touching(0.15)
    assert touching(0.15) < touching(0.6)


def purple_outside(**given):
    """Share of pixels well outside nuclei with much haematoxylin."""
    found = []
    for case in phantom(4, 12, size=96, **{**CLEAN, "contrast_spread": 0.0, **given}):
        away = ~binary_dilation(case.target["mask"] > 0, iterations=2)
        found.append((case.info["amounts"][0][away] > 0.45).mean())
    return np.mean(found)


def test_debris_and_nuclei_out_of_focus_are_purple_and_have_no_label():
    assert purple_outside() < 0.005
    for dial, values in (("debris", (0.0, 4.0, 30.0)), ("out_of_focus", (0.0, 3.0, 20.0))):
        low, middle, high = (purple_outside(**{dial: value}) for value in values)
        assert low < middle < high


def test_stroma_adds_fibres():
    def strength(value):
        cases = phantom(6, 13, size=96, stroma=value, **CLEAN)
        return np.mean([c.info["amounts"][1][c.target["mask"] == 0].std() for c in cases])

    assert strength(0.0) < strength(1.0) < strength(2.5)


def sharpness(**given):
    found = []
    for case in phantom(4, 14, size=96, **{**CLEAN, **given}):
        steps = np.abs(np.diff(grey(case), axis=1))
        nuclei = case.target["mask"] > 0
        found.append(steps[nuclei[:, 1:] != nuclei[:, :-1]].mean())
    return np.mean(found)


@pytest.mark.parametrize(("dial", "values"), [("halo", (0.0, 0.3, 1.0)), ("blur", (0.0, 0.3, 1.0))])
def test_halo_and_blur_flatten_borders(dial, values):
    sharp = [sharpness(**{dial: value}) for value in values]
    assert sharp[0] > sharp[1] > sharp[2]


def test_noise_is_that_asked_for():
    clean = phantom(1, 15, size=96, **CLEAN)[0].image
    middle = (clean > 0.3) & (clean < 0.7)
    for sd in (0.01, 0.05, 0.1):
        noisy = phantom(1, 15, size=96, **{**CLEAN, "noise": sd})[0].image
        assert (noisy - clean)[middle].std() == pytest.approx(sd, rel=0.05)


def test_compression_adds_steps_between_blocks_of_eight():
    def blocks(value):
        found = []
        for case in phantom(4, 16, size=96, compression=value, **CLEAN):
            steps = np.abs(np.diff(gaussian_filter(grey(case), (2, 0)), axis=1)).mean(axis=0)
            found.append(steps[7::8].mean() / np.delete(steps, np.s_[7::8]).mean())
        return np.mean(found)

    assert blocks(0.0) == pytest.approx(1, abs=0.15)
    assert blocks(0.0) < blocks(70.0) < blocks(93.0)


def test_looks_run_from_common_to_own():
    both = [tile.look_of(CLASSES.index(name), 0.0) for name in ("neoplastic", "epithelial")]
    assert both[0] == both[1]
    half = tile.look_of(1, 0.5)
    assert half.radius == pytest.approx((2.9 + 3.4) / 2)
    assert tile.look_of(2, 1.0) == tile.look_of(2, 0.0)


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    for given, message in (
        ({"n": 0}, "`n` must be at least 1"),
        ({"tiles": (2, 1)}, "`tiles` must be"),
        ({"n_tissues": 20}, "`n_tissues` must be in 1-19"),
        ({"size": 16}, "`size` must be at least 32"),
        ({"um_per_px": 2.0}, r"`um_per_px` in \[0.1, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            phantom(**{"n": 2, "seed": 0, **given})
