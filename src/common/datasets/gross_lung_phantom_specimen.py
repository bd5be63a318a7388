"""What a slice of the gross lung phantom shows: parenchyma, airways, blood, tumour, necrosis."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.datasets.gross_lung_phantom_photo import blend, colour
from common.phantoms.fields import Field, band_noise, smooth_noise
from common.phantoms.shapes import Depth, blob, ellipsoid, harmonics, soft

# side of the picture by site
FIELD_MM = {"A": 116.0, "B": 90.0}
BLOOD, _RED = (0.38, 0.17, 0.15), (0.68, 0.24, 0.24)
_PALE = np.array([0.60, 0.60, 0.53])  # direction from tissue to tumour, of length 1


def anatomy(
    row: Mapping[str, Any], size: int, patient: np.random.Generator, cut: np.random.Generator
) -> tuple[Depth, Depth, Depth]:
    """Place a slice's specimen, tumour and necrotic core.

    Args:
        row: with ``site``, ``field_mm``, ``radius_mm``, ``z`` and ``necrosis``.
        size: side (pixels).
        patient: source of what all slices of the patient share.
        cut: source of what is the slice's own.

    Returns:
        Depth (px) below the outline of each; the core may reach beyond the tumour, and is far
        below 0 everywhere where there is none.
    """
    shape, px_mm = (size, size), row["field_mm"] / size
    middle = (size - 1) / 2 + 0.01 * size * cut.standard_normal(2)
    lobe = 0.41 * FIELD_MM[str(row["site"])]
    wavy = np.array(harmonics(6, 0.14, patient, decay=1.2))
    wavy += 0.008 * cut.standard_normal(wavy.shape)
    angle, aspect = patient.uniform(0, np.pi), patient.uniform(1.0, 1.35)
    outline = blob(
        shape, middle, lobe / px_mm, cosines=wavy[0], sines=wavy[1], aspect=aspect, angle=angle
    )
    radius = float(row["radius_mm"] * np.sqrt(1 - row["z"] ** 2))
    toward = patient.uniform(0, 2 * np.pi)
    away = patient.uniform(0.1, 1.0) * max(lobe * 0.8 - row["radius_mm"], 0.0)
    centre = middle + away / px_mm * np.array([np.sin(toward), np.cos(toward)])
    bumps = np.array(harmonics(6, 0.1, patient)) + 0.015 * cut.standard_normal((2, 6))
    tumour = blob(shape, centre, radius / px_mm, cosines=bumps[0], sines=bumps[1])
    core = np.full(shape, -1e3, np.float32)
    lean, share = patient.uniform(0, 2 * np.pi), patient.uniform(0.45, 0.58)
    if row["necrosis"] != "none":
        shift = (0.12 if row["necrosis"] == "enclosed" else 0.72) * radius / px_mm
        bumps = np.array(harmonics(5, 0.08, patient))
        core = blob(
            shape,
            centre + shift * np.array([np.sin(lean), np.cos(lean)]),
            share * radius / px_mm,
            cosines=bumps[0],
            sines=bumps[1],
        )
    return outline, tumour, core


def parenchyma(
    row: Mapping[str, Any],
    size: int,
    outline: Depth,
    tumour: Depth,
    patient: np.random.Generator,
    rng: np.random.Generator,
) -> Field:
    """Paint the parenchyma: spongy texture, pleura, red halo, bronchi, vessels, blood, pigment.

    Args:
        row: with ``tissue_0`` to ``tissue_2``, ``halo``, ``blood`` and ``field_mm``.
        size: side (pixels).
        outline: from :func:`anatomy`.
        tumour: from :func:`anatomy`.
        patient: source of what all slices of the patient share.
        rng: source of what is the slice's own.

    Returns:
        (3, size, size) float32, everywhere and not only inside the outline.
    """
    shape, unit = (size, size), size / row["field_mm"]
    base = colour([row[f"tissue_{i}"] for i in range(3)])
    sponge = band_noise(shape, 0.5 * unit, 1.6 * unit, rng)
    image = base * (1 + 0.09 * sponge + 0.07 * smooth_noise(shape, 6 * unit, rng))
    image = image.astype(np.float32)
    blend(image, 0.35 * soft(2.0 * unit - outline, unit), colour((0.80, 0.66, 0.60)))
    width, sector = patient.uniform(4, 12) * unit, patient.uniform(0, 2 * np.pi)
    if row["halo"]:
        ring = np.clip(1 + tumour / width, 0, 1)
        wave = 0.55 + 0.45 * np.cos(sector + 1.3 * smooth_noise(shape, 10 * unit, rng))
        blend(image, 0.65 * ring * wave, colour(_RED))
    for _ in range(int(rng.integers(12, 20))):
        _stamp_airway(image, rng, unit)
    for _ in range(int(row["blood"])):
        centre, radius = rng.uniform(0.15, 0.85, 2) * size, rng.uniform(1.0, 4.5) * unit
        bumps = np.array(harmonics(5, 0.15, rng))
        spot = blob(shape, centre, radius, cosines=bumps[0], sines=bumps[1])
        blend(image, 0.85 * soft(spot, 1.5), colour(BLOOD))
    pigment = soft(band_noise(shape, 0.5 * unit, 1.5 * unit, rng) - 2.4, 0.5)
    blend(image, 0.6 * pigment, colour((0.13, 0.12, 0.12)))
    return image


def _stamp_airway(image: Field, rng: np.random.Generator, unit: float) -> None:
    """Stamp one bronchus (pale wall, dark lumen) or vessel (dark red), in place."""
    size = image.shape[-1]
    radius = unit * float(np.clip(rng.lognormal(0.3, 0.4), 0.6, 3.5))
    place = rng.uniform(0.12, 0.88, 2) * size
    reach = int(np.ceil(2.5 * radius)) + 2
    low = np.clip(place.astype(int) - reach, 0, size)
    part = image[:, low[0] : low[0] + 2 * reach + 1, low[1] : low[1] + 2 * reach + 1]
    radii = radius * np.exp([0.25, -0.25] * rng.standard_normal(2))
    depth = ellipsoid(part.shape[1:], place - low, radii)
    if rng.random() < 0.5:
        blend(part, 0.7 * soft(depth + 0.6 * unit), colour((0.84, 0.72, 0.64)))
        blend(part, soft(depth), colour((0.16, 0.09, 0.09)))
    else:
        blend(part, 0.8 * soft(depth), colour((0.30, 0.10, 0.11)))


def add_tumour(
    image: Field,
    row: Mapping[str, Any],
    specimen: Field,
    tumour: Depth,
    core: Depth,
    rng: np.random.Generator,
) -> None:
    """Lay tumour and necrosis over the tissue, in place; an adenocarcinoma keeps its texture.

    Args:
        image (3, size, size): changed.
        row: with ``tissue_*``, ``delta``, ``subtype`` and ``field_mm``.
        specimen (size, size): cover of the specimen.
        tumour: from :func:`anatomy`.
        core: from :func:`anatomy`.
        rng: source of randomness.
    """
    size = image.shape[-1]
    unit = size / row["field_mm"]
    tissue = np.array([row[f"tissue_{i}"] for i in range(3)])
    flesh = colour(np.clip(tissue + row["delta"] * _PALE, 0, 1))
    flesh = flesh * (1 + 0.03 * smooth_noise((size, size), 1.2 * unit, rng))
    edge = tumour + 2.5 * unit * smooth_noise((size, size), 1.5 * unit, rng)
    # a tumour of its tissue's colour is that tissue, or its smoothness would give it away
    if row["delta"] > 0 and row["subtype"] == "adenocarcinoma":
        # growth along the alveoli: no edge, and the sponge shows through
        blend(image, 0.6 * specimen * soft(edge, 8 * unit), flesh)
    elif row["delta"] > 0:
        blend(image, specimen * soft(tumour, 1 + 0.8 * unit), flesh)
    dead = specimen * soft(np.minimum(core, tumour), 1 + 0.6 * unit)
    blend(image, 0.9 * dead, colour(BLOOD) * (1 + 0.1 * smooth_noise((size, size), unit, rng)))
