import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from common.datasets.breast_ultrasound_phantom import CLASSES, DIALS, PARTS, phantom

SMOOTH = {"speckle": 0.0, "lobules": 0.0, "site_skew": 0.0, "site_gap": 0.0}


def of(cases, name, site="A"):
    """The cases of one class and site."""
    table = cases.table
    return cases.where((table["label"] == CLASSES.index(name)) & (table["site"] == site))


def test_the_default_is_the_allocation_that_the_paper_prints():
    table = phantom(1017, 0).table
    counts = table.pivot_table(
        index="part", columns="label", values="case", aggfunc="count", fill_value=0
    )
    expected = [[400, 0, 50], [0, 200, 50], [110, 53, 0], [97, 23, 34]]
    assert counts.loc[list(PARTS)].to_numpy().tolist() == expected
    sites = table.groupby("part")["site"].agg(lambda site: (site == "B").sum())
    assert sites[list(PARTS)].tolist() == [0, 0, 163, 27]
    assert table["cluster"].is_unique


def test_lesions_take_about_the_share_of_pixels_that_the_paper_implies():
    cases = phantom(1017, 0, size=32)
    server = cases.where(cases.table["part"] == "server")
    share = np.mean([case.target["mask"].mean() for case in server])
    # sensitivity, specificity and accuracy of rounds 2 to 6 imply 7.6 to 8.1 %
    assert share == pytest.approx(0.078, abs=0.012)
    table = cases.table
    median = table[table["site"] == "A"].groupby("label")["area"].median()
    assert median.tolist() == pytest.approx([0.06, 0.11, 0.0], rel=0.15)


def test_targets_are_mask_and_label_and_only_normal_images_have_an_empty_mask():
    for case in phantom(60, 1, size=48):
        assert set(case.target) == {"mask", "label"}
        assert case.target["mask"].dtype == bool
        assert case.target["mask"].shape == case.image.shape[1:] == (48, 48)
        assert case.target["mask"].any() == (CLASSES[case.target["label"]] != "normal")
        assert case.site in ("A", "B")


def test_benign_lesions_are_wide_and_malignant_ones_tall_or_round():
    def ratio(name):
        found = []
        for case in of(phantom(150, 2, size=64, spiculation=0.0), name):
            height, width = np.ptp(np.argwhere(case.target["mask"]), axis=0) + 1
            found.append(height / width)
        return np.median(found)

    assert ratio("benign") == pytest.approx(0.65, abs=0.08)
    assert ratio("malignant") == pytest.approx(1.08, abs=0.12)


@pytest.mark.parametrize(("dial", "column"), [("label_skew", "label"), ("site_skew", "site")])
def test_skew_parts_clients_and_its_null_makes_them_alike(dial, column):
    def distance(value):
        table = phantom(1017, 3, **{dial: value}).table
        table = table[table["part"] != "server"]
        shares = table.groupby("part")[column].value_counts(normalize=True).unstack(fill_value=0)
        return np.abs(shares - shares.mean()).sum(axis=1).mean()

    # whole images: shares agree to one in 163
    assert distance(0.0) < 0.02
    assert distance(0.0) < distance(0.5) < distance(1.0)


def test_quantity_skew_parts_the_sizes_of_clients():
    def sizes(value):
        count = phantom(1017, 4, quantity_skew=value).table["part"].value_counts()
        return count[list(PARTS[:3])].tolist()

    assert sizes(1.0) == [450, 250, 163]
    assert max(sizes(0.0)) - min(sizes(0.0)) <= 1
    assert sizes(2.0)[0] / sizes(2.0)[2] == pytest.approx((450 / 163) ** 2, rel=0.02)


def test_the_server_keeps_its_share():
    counts = phantom(275, 0, server=0.37).table["part"].value_counts()
    assert counts["server"] == 102
    with pytest.raises(ValueError, match="`server` must be in"):
        phantom(10, 0, server=1.0)


def test_site_gap_parts_the_scanners_and_its_null_makes_them_alike():
    def gap(value):
        cases = phantom(400, 5, size=32, site_gap=value, site_skew=0.0, label_skew=0.0)
        areas = cases.table.groupby(["label", "site"])["area"].median()
        bright = {
            site: np.mean([c.image.mean() for c in of(cases, "benign", site)[:30]])
            for site in ("A", "B")
        }
        return bright["A"] - bright["B"], areas[0, "B"] / areas[0, "A"]

    brightness, areas = zip(*(gap(value) for value in (0.0, 0.5, 1.0)), strict=True)
    # standard error of a mean brightness of 30 images: about 0.01
    assert brightness[0] == pytest.approx(0, abs=0.04)
    assert brightness[0] < brightness[1] < brightness[2]
    assert areas[0] / areas[2] == pytest.approx(1 / 0.6, rel=0.01)


def test_duplicates_share_scan_and_tissue_but_not_noise_and_the_null_has_none():
    def unique(value):
        return phantom(500, 6, duplicates=value).table["cluster"].nunique()

    assert unique(0.0) == 500
    assert unique(0.2) == pytest.approx(400, abs=35)
    cases = phantom(80, 6, size=48, duplicates=0.5)
    table = cases.table
    copy = int(np.flatnonzero(table["cluster"] != table["case"])[0])
    first = int(np.flatnonzero(table["case"] == table.loc[copy, "cluster"])[0])
    a, b = cases[first], cases[copy]
    np.testing.assert_array_equal(a.target["mask"], b.target["mask"])
    assert a.target["label"] == b.target["label"]
    assert (a.image != b.image).any()
    assert np.corrcoef(a.image.ravel(), b.image.ravel())[0, 1] > 0.5


def test_overlap_puts_images_of_clients_at_the_server_and_the_null_none():
    def leaked(value):
        cases = phantom(300, 7, overlap=value)
        table = cases.table
        server = table["part"] == "server"
        return table.loc[server, "cluster"].isin(table.loc[~server, "cluster"]).mean()

    assert leaked(0.0) == 0
    assert leaked(0.48) == pytest.approx(0.48, abs=0.02)
    assert leaked(1.0) == 1
    cases = phantom(60, 7, size=32, overlap=1.0)
    table = cases.table
    copy = int(np.flatnonzero(table["part"] == "server")[0])
    first = int(np.flatnonzero(table["case"] == table.loc[copy, "cluster"])[0])
    np.testing.assert_array_equal(cases[copy].image, cases[first].image)
    counts = table[table["part"] == "server"]["label"].value_counts().sort_index()
    assert (
        counts.tolist()
        == phantom(60, 7)
        .table.query("part == 'server'")["label"]
        .value_counts()
        .sort_index()
        .tolist()
    )


def rings(cases):
    """Grey level inside the lesion and around it."""
    found = []
    for case in cases:
        mask = case.target["mask"]
        ring = binary_dilation(mask, iterations=5) & ~binary_dilation(mask, iterations=2)
        found.append([case.image[0][binary_erosion(mask)].mean(), case.image[0][ring].mean()])
    return np.nanmedian(found, axis=0)


def test_lesions_are_as_dark_as_in_busi_and_a_null_contrast_leaves_no_trace():
    cases = phantom(160, 8, size=64)
    assert rings(of(cases, "benign")[:25]) == pytest.approx([0.233, 0.613], abs=0.09)
    assert rings(of(cases, "malignant")[:25]) == pytest.approx([0.277, 0.455], abs=0.09)

    def gap(value):
        inside, around = rings(of(phantom(100, 8, size=64, contrast=value), "benign")[:20])
        return around - inside

    assert gap(5.0) < gap(18.0) < gap(28.0)
    off = {"contrast": 0.0, "enhancement": 0.0, "shadow": 0.0}
    smooth = phantom(60, 8, size=48, spiculation=0.0, **off)
    spiked = phantom(60, 8, size=48, spiculation=0.4, **off)
    changed = 0
    for first, second in zip(of(smooth, "malignant"), of(spiked, "malignant"), strict=True):
        changed += (first.target["mask"] != second.target["mask"]).any()
        np.testing.assert_array_equal(first.image, second.image)
    assert changed > 5


def behind(cases):
    """Grey level behind the lesion to that beside it, median over cases."""
    found = []
    for case in cases:
        rows, columns = np.nonzero(case.target["mask"])
        low, left, right = rows.max() + 3, columns.min(), columns.max()
        width = (right - left) // 4
        image = case.image[0][low : low + 14]
        inner = image[:, left + width : right - width + 1]
        outer = np.hstack(
            [image[:, max(left - 14, 0) : max(left - 4, 0)], image[:, right + 5 : right + 15]]
        )
        if inner.size and outer.size:
            found.append(inner.mean() / outer.mean())
    return np.median(found)


def test_enhancement_and_shadow_show_behind_lesions_and_vanish_at_their_nulls():
    def ratio(name, **given):
        return behind(of(phantom(120, 9, size=64, **given, **SMOOTH), name)[:30])

    bright = [ratio("benign", enhancement=value) for value in (0.0, 0.35, 0.9)]
    dark = [ratio("malignant", shadow=value) for value in (0.0, 0.45, 0.8)]
    assert bright[0] == pytest.approx(1, abs=0.08)
    assert bright[0] < bright[1] < bright[2]
    assert dark[0] == pytest.approx(1, abs=0.12)
    assert dark[0] > dark[1] > dark[2]


def test_spiculation_roughens_malignant_outlines_only():
    def edge(name, value):
        found = []
        for case in of(phantom(90, 10, size=64, spiculation=value), name)[:25]:
            mask = case.target["mask"]
            steps = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
            found.append(steps / np.sqrt(mask.sum()))
        return np.mean(found)

    assert edge("malignant", 0.0) < edge("malignant", 0.18) < edge("malignant", 0.4)
    assert edge("benign", 0.0) == edge("benign", 0.4)


def test_lobules_add_dark_spots_and_speckle_adds_grain():
    def dark(value):
        given = {**SMOOTH, "lobules": value}
        cases = of(phantom(200, 11, size=64, **given), "normal")[:20]
        return np.mean([(case.image < 0.42).mean() for case in cases])

    assert dark(0.0) < dark(1.2) < dark(5.0)

    def grain(value):
        cases = of(phantom(100, 11, size=96, **{**SMOOTH, "speckle": value}), "normal")[:8]
        return np.mean([np.abs(np.diff(case.image[0], axis=0)).mean() for case in cases])

    assert grain(0.0) < 0.5 * grain(0.6) < 0.5 * grain(1.2)


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`size` must be at least 32"):
        phantom(1, 0, size=16)
