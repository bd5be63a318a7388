"""The section phantom: printed counts, where each antibody binds, what survives shrinking."""

import numpy as np
import pytest

from common.datasets.lks_phantom import CLASSES, COUNTS, DIALS, TRAIN, draw, phantom, shrink, tiles

STOMACH, KIDNEY, LIVER = 1, 2, 3
QUIET = {"debris": 0, "label_noise": 0, "diffuse": 0}


def of_class(code: int, n: int = 6, *, size: int = 256, **dials) -> list:
    cases = phantom(200, 5, size=size, **{**QUIET, **dials})
    chosen = np.flatnonzero(cases.table.true_label == code)[:n]
    return [cases[int(i)] for i in chosen]


def level(case, inside) -> float:
    """Mean brightness of a region relative to liver, which no antibody but SMA-V touches."""
    picture = case.image[0]
    return float(picture[inside].mean() / np.median(picture[case.info["tissue"] == LIVER]))


def muscle(case, factor: int = 1) -> float:
    """Contrast of the ring's inner edge with the stomach around it, at a shrunken size."""
    picture = shrink(case.image, factor)[0]
    line = shrink(case.info["line"][None].astype(float), factor)[0]
    stomach = shrink((case.info["tissue"] == STOMACH)[None].astype(float), factor)[0]
    edge, plain = (stomach > 0.5) & (line > 0.12), (stomach > 0.99) & (line == 0)
    return float(picture[edge].mean() / picture[plain].mean())


def test_classes_and_parts_are_the_printed_ones() -> None:
    table = draw(684, 0)
    assert np.bincount(table.label).tolist() == list(COUNTS)
    train = table[table.part == "train"]
    assert len(train) == 479
    assert np.bincount(train.label).tolist() == list(TRAIN)
    assert len(CLASSES) == 4
    quarter = np.bincount(draw(171, 1).label)
    assert np.abs(quarter - np.array(COUNTS) / 4).max() < 1


def test_the_section_is_a_ring_around_a_larger_kidney_and_a_smaller_liver() -> None:
    share = []
    for case in of_class(0, 12):
        tissue = case.info["tissue"]
        assert case.target == {"label": 0}
        assert set(np.unique(tissue)) == {0, STOMACH, KIDNEY, LIVER}
        radius = np.sqrt((tissue > 0).sum() / np.pi) / len(tissue)
        assert 0.32 < radius < 0.46
        share.append((tissue == KIDNEY).sum() / (tissue > 1).sum())
    assert np.mean(share) == pytest.approx(0.55, abs=0.03)


def test_each_antibody_stains_the_tissues_where_it_binds() -> None:
    for case in of_class(1):
        stain, tissue = case.info["stain"], case.info["tissue"]
        assert stain[tissue == LIVER].max() == 0
        assert min(stain[tissue == KIDNEY].mean(), stain[tissue == STOMACH].mean()) > 0.02
        seen = case.image[0][stain > 0.1].mean() / case.image[0][(stain == 0) & (tissue > 0)].mean()
        assert seen > 1.8
    for case in of_class(2, fine_only=0):
        stain, tissue = case.info["stain"], case.info["tissue"]
        line, stomach = case.info["line"], tissue == STOMACH
        assert stain[line].mean() > 10 * stain[stomach & ~line].mean()
        assert case.image[0][line].mean() > 1.2 * case.image[0][stomach & ~line].mean()
    assert all(case.info["stain"].max() == 0 for case in of_class(0))


def test_fine_only_takes_away_the_line_that_every_shrunken_slide_shows_at_null() -> None:
    cases = {share: of_class(2, 10, fine_only=share) for share in (0.0, 0.5, 1.0)}
    seen = {share: np.array([muscle(case, 8) for case in found]) for share, found in cases.items()}
    unstained = np.array([muscle(case, 8) for case in of_class(0, 10)])
    assert seen[0.0].min() > unstained.max()
    assert seen[0.0].mean() > seen[0.5].mean() > seen[1.0].mean()
    # without the line the two classes differ by the spread of ten slides at most
    assert seen[1.0].mean() == pytest.approx(
        unstained.mean(), abs=3 * unstained.std() / np.sqrt(10)
    )
    assert not any(
        case.info["needs_high"] for case in cases[0.0] if np.ptp(case.info["stain"]) > 0.3
    )
    assert all(case.info["needs_high"] for case in cases[1.0])


def test_fine_tubules_hide_sma_t_from_a_shrunken_image_but_not_from_a_full_one() -> None:
    def kidney(code: int, share: float) -> tuple[float, float]:
        """Mean level of the kidney in a shrunken image, and its fine contrast in the full one."""
        low, high = [], []
        for case in of_class(code, 8, fine_tubules=share, fine_only=0):
            inside = case.info["tissue"] == KIDNEY
            low.append(level(case, inside))
            picture = case.image[0]
            fine = picture - np.repeat(np.repeat(shrink(case.image, 4)[0], 4, 0), 4, 1)
            high.append(fine[inside].std() / np.median(picture[case.info["tissue"] == LIVER]))
        return float(np.mean(low)), float(np.mean(high))

    plain, fine, bright = kidney(2, 1), kidney(3, 1), kidney(3, 0)
    assert fine[0] == pytest.approx(plain[0], rel=0.06)
    assert bright[0] > 1.3 * plain[0]
    assert min(fine[1], bright[1]) > 1.15 * plain[1]
    shares = [
        draw(4_000, 0, fine_tubules=share).query("true_label == 3").fine.mean()
        for share in (0, 0.8, 1)
    ]
    assert shares == pytest.approx([0, 0.8, 1], abs=0.08)  # 222 slides: standard error 0.027


def test_titre_sets_the_contrast_and_at_null_no_class_is_stained() -> None:
    def contrast(titre: float) -> float:
        return float(
            np.mean(
                [level(case, case.info["tissue"] == KIDNEY) for case in of_class(1, titre=titre)]
            )
        )

    off, low, usual, high = (contrast(titre) for titre in (0, 0.5, 1, 2))
    assert off < low < usual < high
    assert usual > 1.3 * off
    for code in (1, 2, 3):
        assert all(case.info["stain"].max() == 0 for case in of_class(code, 2, titre=0))


def test_diffuse_brightens_whole_negative_sections_and_none_at_null() -> None:
    for share in (0.0, 0.15, 0.6):
        table = draw(2_000, 0, diffuse=share)
        # 1,000 negatives: standard error at most 0.016
        assert table.diffuse[table.true_label == 0].mean() == pytest.approx(share, abs=0.05)
        assert not table.diffuse[table.true_label > 0].any()

    def tissue_over_ground(case) -> float:
        picture, tissue = case.image[0], case.info["tissue"]
        return float(picture[tissue > 0].mean() / np.median(picture[tissue == 0]))

    bright = np.mean([tissue_over_ground(case) for case in of_class(0, diffuse=1)])
    usual = np.mean([tissue_over_ground(case) for case in of_class(0, diffuse=0)])
    assert bright > 1.5 * usual


def test_debris_adds_bright_threads_outside_the_tissue_too() -> None:
    def bright_ground(debris: float) -> float:
        found = []
        for case in of_class(0, 6, debris=debris):
            ground = case.image[0][case.info["tissue"] == 0]
            found.append((ground > 3 * np.median(ground)).mean())
        return float(np.mean(found))

    none, usual, much = (bright_ground(debris) for debris in (0, 6, 40))
    assert none < 0.002
    assert none < usual < much


def test_label_noise_swaps_only_the_two_kinds_of_sma() -> None:
    for share in (0.0, 0.02, 0.3):
        table = draw(6_840, 0, label_noise=share)
        assert np.bincount(table.label).tolist() == [10 * n for n in COUNTS]
        wrong = table.label != table.true_label
        assert (
            table.label[~table.label.isin([2, 3])] == table.true_label[~table.label.isin([2, 3])]
        ).all()
        # 1,910 slides: standard error at most 0.011
        assert wrong[table.label > 1].mean() == pytest.approx(share, abs=0.035)


def test_the_strongest_contrast_still_gives_an_image() -> None:
    for case in of_class(3, 3, titre=4, fine_tubules=1):
        assert np.isfinite(case.image).all()


def test_tiles_and_shrinking_agree_with_each_other() -> None:
    image = np.random.default_rng(0).random((1, 12, 8))
    cut = tiles(image, 4)
    assert cut.shape == (6, 1, 4, 4)
    np.testing.assert_array_equal(cut[3], image[:, 4:8, 4:8])
    np.testing.assert_allclose(shrink(image, 4).ravel(), cut.mean(axis=(1, 2, 3)), rtol=1e-6)
    with pytest.raises(ValueError, match="`side` must divide"):
        tiles(image, 5)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


def test_a_slide_too_small_for_its_tissues_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 128"):
        phantom(4, 0, size=64)
