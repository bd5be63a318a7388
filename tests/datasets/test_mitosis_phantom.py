"""The mitosis phantom: counts of the annotations, figures where the boxes are, dials that act."""

import numpy as np
import pytest

from common.datasets.mitosis_phantom import (
    CLASSES,
    DIALS,
    FIGURES,
    LOOK_ALIKES,
    SCANNERS,
    draw,
    phantom,
)

SMALL = {"size": 64, "box": 24, "share": 0.1}


def density(case) -> np.ndarray:
    """Optical density, mean over the channels."""
    return -np.log(np.clip(case.image, 0.02, 1)).mean(0)


def cases_of(kind: str, n: int, **dials) -> list:
    cases = phantom(30, 0, **{**SMALL, **dials})
    return [cases[int(i)] for i in np.flatnonzero(cases.table.kind == kind)[:n]]


def test_slides_have_the_annotated_numbers_of_figures_and_look_alikes() -> None:
    table = draw(3_000, 0)
    for site, figures, others in zip(SCANNERS, FIGURES, LOOK_ALIKES, strict=True):
        own = table[table.site == site]
        # 1,000 slides: standard error 4 % for figures, 3 % for look-alikes
        assert (own.kind == "figure").sum() / 1_000 == pytest.approx(figures / 50, rel=0.12)
        assert (own.kind == "look-alike").sum() / 1_000 == pytest.approx(others / 50, rel=0.09)
        assert own.cluster.nunique() == 1_000
    marked = (table.kind != "empty").sum()
    assert (table.kind == "empty").sum() == pytest.approx(marked, rel=0.02)


def test_the_five_richest_of_fifty_slides_hold_a_third_to_a_half_of_the_figures() -> None:
    shares = []
    for seed in range(12):
        table = draw(150, seed, empty=0)
        counts = table[table.site == "B"].groupby("cluster").n_slide.first().sort_values()
        shares.append(counts.iloc[-5:].sum() / counts.sum())
    assert 0.30 < np.mean(shares) < 0.50


def test_the_annotations_have_these_numbers(mirror) -> None:
    from common.datasets import midogpp_annotations

    table = midogpp_annotations.load(mirror("midogpp-annotations"))
    labels = [table[i].target["labels"] for i in range(150)]
    figures = [sum((own == 1).sum() for own in labels[k : k + 50]) for k in (0, 50, 100)]
    others = [sum((own == 2).sum() for own in labels[k : k + 50]) for k in (0, 50, 100)]
    assert tuple(figures) == FIGURES
    assert tuple(others) == LOOK_ALIKES


def test_boxes_are_square_of_the_size_asked_for_and_coded_like_the_annotations() -> None:
    for kind, code in (("figure", 1), ("look-alike", 2), ("empty", None)):
        for case in cases_of(kind, 5):
            boxes, labels = case.target["boxes"], case.target["labels"]
            assert boxes.shape == (len(labels), 4)
            np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 24)
            assert set(labels) == ({code} if code else set())
            assert set(labels) <= set(CLASSES)
            assert case.site in SCANNERS
            assert case.cluster.startswith(case.site)


def test_figures_are_dark_inside_a_clear_halo_at_the_centre_of_their_box() -> None:
    for case in cases_of("figure", 15, shift=0):
        picture = density(case)
        grid = np.moveaxis(np.indices(picture.shape), 0, -1)
        for centre in case.info["centres"]:
            distance = np.linalg.norm(grid - centre, axis=-1)
            core = np.quantile(picture[distance < 6], 0.9)
            halo = np.median(picture[(distance > 7) & (distance < 8.5)])
            assert core > 0.6
            assert halo < 0.35 * core


def test_nests_hold_more_nuclei() -> None:
    inside, outside = [], []
    for case in cases_of("empty", 25, size=128, shift=0, stain_jitter=0):
        dark = density(case) > 0.55
        nest = case.info["nest"]
        inside.append((dark & nest).sum() / max(nest.sum(), 1))
        outside.append((dark & ~nest).sum() / max((~nest).sum(), 1))
    assert np.mean(inside) > 1.3 * np.mean(outside)


def test_shift_sets_the_colours_of_the_scanners_apart_and_at_null_they_are_alike() -> None:
    def colours(shift: float) -> dict[str, np.ndarray]:
        found = {site: [] for site in SCANNERS}
        cases = phantom(30, 0, shift=shift, stain_jitter=0, **SMALL)
        for site in SCANNERS:
            for i in np.flatnonzero(cases.table.site == site)[:25]:
                found[site].append(cases[int(i)].image.mean((1, 2)))
        return {site: np.array(values) for site, values in found.items()}

    def apart(found: dict[str, np.ndarray]) -> float:
        return float(np.linalg.norm(found["A"].mean(0) - found["C"].mean(0)))

    off, half, usual, far = (colours(shift) for shift in (0.0, 0.5, 1.0, 2.0))
    chance = np.linalg.norm(off["A"].std(0) + off["C"].std(0)) / np.sqrt(25)
    assert apart(off) < 3 * chance
    assert apart(off) < apart(half) < apart(usual) < apart(far)
    assert apart(usual) > 3 * chance
    np.testing.assert_array_equal(off["A"], far["A"])


def test_context_draws_figures_into_nests_and_at_null_leaves_them_anywhere() -> None:
    def preference(context: float) -> float:
        """Odds of figures to lie in a nest, over those of its area."""
        hit, area = [], []
        for case in cases_of("figure", 60, context=context, size=96, box=20):
            hit.append(
                np.mean([case.info["nest"][tuple(at)] for at in case.info["centres"].astype(int)])
            )
            area.append(case.info["nest"][12:-12, 12:-12].mean())
        odds = [np.mean(values) / (1 - np.mean(values)) for values in (hit, area)]
        return odds[0] / odds[1]

    off, usual, strong = (preference(context) for context in (1.0, 3.0, 20.0))
    assert 0.5 < off < 1.6  # 60 figures: log odds have a standard error of about 0.25
    assert off < usual < strong


def test_jitter_scatters_the_boxes_about_the_figures_and_at_null_centres_them() -> None:
    def scatter(jitter: float) -> float:
        off = []
        for case in cases_of("figure", 40, jitter=jitter):
            boxes = case.target["boxes"]
            off.append(((boxes[:, 2:] + boxes[:, :2]) / 2 - 0.5 - case.info["centres"]).ravel())
        return float(np.sqrt(np.mean(np.concatenate(off) ** 2)))

    assert scatter(0.0) == pytest.approx(0, abs=1e-9)
    assert scatter(3.2) == pytest.approx(3.2 * 24 / 50, rel=0.25)
    assert scatter(10.0) == pytest.approx(10.0 * 24 / 50, rel=0.25)


def test_stain_jitter_varies_colour_between_slides_not_within_them() -> None:
    def hue(case) -> float:
        absorbed = -np.log(np.clip(case.image, 0.02, 1)).mean((1, 2))
        return float(absorbed[0] / absorbed[1])

    def spread(jitter: float) -> tuple[float, float]:
        cases = phantom(24, 1, shift=0, stain_jitter=jitter, **SMALL)
        table = cases.table
        chosen = table[table.kind == "empty"].groupby("cluster").head(2)
        values = (
            chosen.assign(hue=[hue(cases[int(i)]) for i in chosen.index]).groupby("cluster").hue
        )
        return float(values.mean().std()), float(values.std().mean())

    (none, within), (usual, _), (strong, within_strong) = (spread(sd) for sd in (0.0, 0.05, 0.3))
    assert none < usual < strong
    assert strong > 2 * none
    assert within_strong < 2.5 * within


def test_look_alikes_scales_their_number_and_leaves_the_figures() -> None:
    for factor in (0.0, 0.5, 1.0, 2.0):
        table = draw(600, 0, look_alikes=factor)
        per_slide = (table.kind == "look-alike").sum() / 600
        assert per_slide == pytest.approx(factor * sum(LOOK_ALIKES) / 150, rel=0.15)
        assert (table.kind == "figure").sum() / 600 == pytest.approx(sum(FIGURES) / 150, rel=0.2)


def test_clustering_spreads_the_slides_and_at_null_only_chance_is_left() -> None:
    def dispersion(clustering: float) -> float:
        table = draw(3_000, 0, clustering=clustering, empty=0)
        counts = table[table.site == "A"].groupby("cluster").n_slide.first()
        return float(counts.var() / counts.mean())

    off, low, usual, high = (dispersion(value) for value in (0.0, 0.5, 1.4, 4.0))
    assert off == pytest.approx(1.0, abs=0.15)  # Poisson: standard error sqrt(2 / 1,000)
    assert off < low < usual < high
    assert usual == pytest.approx(1 + 1.4 * 9.02, rel=0.3)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("share", {"share": 0}),
        ("share", {"share": 1.1}),
        ("empty", {"empty": -1}),
        ("size", {"size": 40, "box": 24}),
        ("size", {"size": 96, "box": 4}),
    ],
)
def test_settings_that_make_no_patch_are_refused(name: str, settings: dict) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        phantom(4, 0, **settings)
