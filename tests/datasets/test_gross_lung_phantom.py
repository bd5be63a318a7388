"""The gross lung specimens: printed counts and shares, subtypes, necrosis, photography."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, binary_fill_holes, gaussian_filter

from common.datasets.gross_lung_phantom import phantom

CLEAN = {"blood": 0.0, "halo": 0.0, "necrosis": 0.0, "p_adeno": 0.0, "photography": "A"}


def some(n: int = 6, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **({"slices": 1, "size": 64} | settings)))


def contrast(case) -> float:
    """Distance of the median colours of living tumour and tissue."""
    mask, info = case.target["mask"], case.info
    inside = binary_erosion(mask, iterations=3) & ~info["necrosis"]
    around = binary_erosion(info["specimen"] & ~mask, iterations=3)
    medians = [np.median(case.image[:, where], axis=1) for where in (inside, around)]
    return float(np.linalg.norm(medians[0] - medians[1]))


def mean_contrast(**settings) -> float:
    return float(np.mean([contrast(case) for case in some(8, **settings)]))


def test_patients_and_images_have_the_printed_numbers() -> None:
    table = phantom(15, 0).table
    assert table.groupby("site").cluster.nunique().to_dict() == {"A": 9, "B": 6}
    assert table.site.value_counts().to_dict() == {"A": 64, "B": 52}
    adeno = table[table.subtype == "adenocarcinoma"]
    assert adeno.cluster.nunique() == 2
    assert set(phantom(15, 0, slices=3).table.groupby("cluster").size()) == {3}
    assert set(phantom(4, 0, site="B").table.site) == {"B"}


def test_tumours_fill_the_share_of_pixels_that_the_printed_scores_imply() -> None:
    cases = phantom(60, 0, slices=2, size=48)
    share = np.array([case.target["mask"].mean() for case in cases])
    site = cases.table.site
    assert share[site == "A"].mean() == pytest.approx(0.08, abs=0.015)
    assert share[site == "B"].mean() == pytest.approx(0.16, abs=0.03)
    assert share.min() > 0


def test_slices_of_a_patient_share_tissue_outline_and_tumour() -> None:
    cases = phantom(6, 0, site="A", slices=3, size=64)
    same = ["radius_mm", "delta", "tissue_0", "necrosis", "halo", "patient_seed"]
    assert (cases.table.groupby("cluster")[same].nunique() == 1).all(axis=None)

    def overlap(a, b) -> float:
        return (a & b).sum() / (a | b).sum()

    masks = np.array([case.info["specimen"] for case in cases]).reshape(6, 3, 64, 64)
    within = np.mean([overlap(m[0], m[1]) for m in masks])
    between = np.mean([overlap(masks[i, 0], masks[i + 1, 0]) for i in range(5)])
    assert within > between + 0.1
    assert cases.table.z.abs().max() < 1


def test_a_slice_through_the_middle_of_a_tumour_is_larger() -> None:
    cases = phantom(8, 0, site="A", slices=5, size=48)
    areas = np.array([case.target["mask"].sum() for case in cases])
    outer, inner = (areas[np.arange(40) % 5 == k].mean() for k in (0, 2))
    assert inner > 1.5 * outer


def test_the_tumour_lies_in_the_specimen_and_holds_its_necrosis() -> None:
    for case in some(8, necrosis=1):
        assert case.info["specimen"][case.target["mask"]].all()
        assert case.target["mask"][case.info["necrosis"]].all()
        assert case.target["mask"].shape == case.image.shape[1:]
        assert case.target["mask"].dtype == bool


def test_contrast_sets_the_distance_of_colours_and_0_hides_the_tumour() -> None:
    none, low, default, high = (mean_contrast(contrast=c, **CLEAN) for c in (0, 0.1, 0.25, 0.6))
    assert none < 0.05  # the tissue's own texture
    assert none < low < default < high
    assert default == pytest.approx(0.25, abs=0.05)
    assert low == pytest.approx(0.1, abs=0.03)


def test_a_tumour_without_contrast_keeps_the_texture_of_its_tissue() -> None:
    def grain(case, where) -> float:
        fine = case.image[1] - gaussian_filter(case.image[1], 2)
        return fine[where].std()

    found = [
        (grain(c, c.target["mask"]), grain(c, c.info["specimen"] & ~c.target["mask"]))
        for c in some(6, contrast=0, **CLEAN)
    ]
    inside, outside = np.mean(found, axis=0)
    assert inside == pytest.approx(outside, rel=0.35)


def test_adenocarcinomas_have_a_fifth_of_the_contrast() -> None:
    common, adeno = (mean_contrast(**(CLEAN | {"p_adeno": p})) for p in (0, 1))
    assert adeno < 0.4 * common
    assert adeno < 0.08


def test_p_adeno_is_the_share_of_patients_and_0_leaves_none() -> None:
    for share in (0, 2 / 15, 1):
        table = phantom(30, 0, slices=1, p_adeno=share).table
        assert (table.subtype == "adenocarcinoma").mean() == pytest.approx(share)


def test_necrosis_is_the_share_of_tumours_with_a_dark_core_and_0_leaves_none() -> None:
    for share in (0, 0.5, 1):
        table = phantom(40, 0, slices=1, necrosis=share).table
        assert (table.necrosis != "none").mean() == share
    for case in some(6, **(CLEAN | {"necrosis": 1})):
        living = case.target["mask"] & ~case.info["necrosis"]
        core = binary_erosion(case.info["necrosis"], iterations=2)
        assert case.image[:, core].mean() < case.image[:, living].mean() - 0.2
    assert not any(case.info["necrosis"].any() for case in some(4, necrosis=0))


def test_filling_holes_repairs_enclosed_necrosis_and_not_open_necrosis() -> None:
    def repaired(opened: float) -> list[float]:
        found = []
        for case in some(8, necrosis=1, necrosis_open=opened, site="A"):
            mask, dead = case.target["mask"], case.info["necrosis"]
            filled = binary_fill_holes(mask & ~dead)
            found.append((filled & dead).sum() / dead.sum())
        return found

    assert min(repaired(0)) == 1
    assert max(repaired(1)) < 0.2
    kinds = phantom(40, 0, slices=1).table.necrosis.value_counts()
    assert kinds.to_dict() == {"none": 20, "enclosed": 12, "open": 8}


def test_blood_has_the_colour_of_necrosis_and_0_leaves_none() -> None:
    def dark(blood: float) -> float:
        found = []
        for case in some(8, blood=blood, halo=0, site="A"):
            red, green, _ = case.image[:, case.info["specimen"] & ~case.target["mask"]]
            found.append(((red < 0.5) & (red > 0.28) & (green < 0.26)).mean())
        return float(np.mean(found))

    none, default, much = (dark(b) for b in (0, 1, 4))
    assert none < default < much
    assert much > 2 * none
    assert phantom(20, 0, blood=0).table.blood.eq(0).all()
    assert phantom(60, 0, blood=1).table.blood.mean() == pytest.approx(4, abs=0.4)


def test_the_halo_reddens_the_tissue_near_the_tumour_of_a_share_of_patients_and_0_of_none() -> None:
    def redness(halo: float) -> float:
        found = []
        for case in some(8, **(CLEAN | {"halo": halo}), site="A"):
            mask, tissue = case.target["mask"], case.info["specimen"]
            near = ~mask & (gaussian_filter(mask.astype(float), 3) > 0.1) & tissue
            far = ~mask & (gaussian_filter(mask.astype(float), 12) < 0.02) & tissue
            ratio = case.image[0] / case.image[1].clip(0.05)
            found.append(np.median(ratio[near]) - np.median(ratio[far]))
        return float(np.mean(found))

    assert abs(redness(0)) < 0.05
    assert redness(0) + 0.1 < redness(1)
    assert phantom(40, 0, slices=1, halo=0.6).table.halo.mean() == pytest.approx(0.6)


def test_disturbance_spoils_b_alone_and_0_leaves_even_light_without_glare() -> None:
    table = phantom(30, 0, slices=2).table
    a, b = (table[table.site == site] for site in "AB")
    for name in ("light", "glare", "blur_mm", "cast_0", "cast_2"):
        assert (a[name] == 0).all()
        assert (b[name] != 0).all()
    assert b.glare.between(20, 60).all()
    assert b.light.max() <= 0.3
    quiet = phantom(10, 0, site="B", disturbance=0).table
    assert (quiet[["light", "glare", "blur_mm", "cast_0"]] == 0).all(axis=None)
    assert quiet.field_mm.nunique() == 1

    def white(disturbance: float) -> float:
        cases = some(6, site="B", disturbance=disturbance)
        return float(np.mean([(c.image.min(0) > 0.9)[c.info["specimen"]].mean() for c in cases]))

    assert white(0) < 1e-4 < white(1)
    default, strong = (phantom(30, 0, site="B", slices=1, disturbance=d).table for d in (1, 2))
    for name in ("light", "glare", "blur_mm", "cast_0"):
        np.testing.assert_allclose(strong[name], 2 * default[name])


def test_swapping_the_photography_leaves_the_anatomy() -> None:
    own, swapped, all_a = (
        phantom(6, 0, slices=1, photography=p).table for p in ("own", "swapped", "A")
    )
    anatomy = ["site", "radius_mm", "delta", "necrosis", "z", "patient_seed"]
    assert own[anatomy].equals(swapped[anatomy])
    assert (own.photo != swapped.photo).all()
    assert (own.photo == own.site).all()
    assert set(all_a.photo) == {"A"}
    first, second = (phantom(6, 0, slices=1, photography=p, disturbance=0) for p in "AB")
    np.testing.assert_array_equal(first[0].target["mask"], second[0].target["mask"])
    assert not np.array_equal(first[0].image, second[0].image)


def test_agar_is_closer_to_tissue_than_a_bench_is() -> None:
    def distance(site: str) -> float:
        found = []
        for case in some(12, site=site, disturbance=0):
            tissue = case.info["specimen"] & ~case.target["mask"]
            medians = [
                np.median(case.image[:, w], axis=1) for w in (tissue, ~case.info["specimen"])
            ]
            found.append(np.linalg.norm(medians[0] - medians[1]))
        return float(np.mean(found))

    assert distance("A") < distance("B")


def test_tumour_size_scales_the_radius() -> None:
    small, default, large = (
        np.mean([c.target["mask"].mean() for c in some(10, site="A", tumour_size=t)])
        for t in (0.5, 1, 1.4)
    )
    assert default / small == pytest.approx(4, rel=0.15)
    assert default < large


def test_pixels_have_the_size_of_the_field() -> None:
    case = phantom(1, 0, site="A", size=116)[0]
    assert case.spacing_mm == (1.0, 1.0)
    assert case.site == "A"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"site": "C"}, "`site` must be one of both, A, B"),
        ({"photography": "night"}, "`photography` must be one of own, swapped"),
        ({"size": 32}, "`size` must be at least 48"),
        ({"slices": 0}, "`slices` 1, got 128 and 0"),
        ({"contrast": 1}, "`contrast` must be in"),
        ({"p_adeno": 2}, "`p_adeno` must be in"),
        ({"necrosis": -1}, "`necrosis` must be in"),
        ({"necrosis_open": 2}, "`necrosis_open` must be in"),
        ({"halo": 2}, "`halo` must be in"),
        ({"blood": 5}, "`blood` must be in"),
        ({"disturbance": 3}, "`disturbance` must be in"),
        ({"tumour_size": 2}, "`tumour_size` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
