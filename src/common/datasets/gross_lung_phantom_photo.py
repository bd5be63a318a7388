"""How the two laboratories of the gross lung phantom prepare and photograph a slice.

A: cut in agar under even light. B: on a board or perforated metal, with a ruler, glare, uneven
and tinted light, and blur.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.phantoms import noise as camera
from common.phantoms.fields import Field, band_noise, smooth_noise
from common.phantoms.shapes import ellipsoid, grid, soft

AGAR = (0.70, 0.55, 0.44)
_METAL, _HOLE = (0.62, 0.64, 0.66), (0.12, 0.12, 0.13)
_BOARDS = ((0.86, 0.87, 0.85), (0.35, 0.55, 0.62), (0.63, 0.50, 0.34))


def colour(rgb: Any) -> NDArray[np.float32]:
    """Give a colour the shape that broadcasts over a picture."""
    return np.asarray(rgb, np.float32)[:, None, None]


def blend(image: Field, cover: NDArray[np.floating], rgb: NDArray[np.floating]) -> None:
    """Lay a colour over a picture, in place."""
    image += cover * (rgb - image)


def ground(row: Mapping[str, Any], size: int, rng: np.random.Generator) -> Field:
    """Paint what the slice lies in or on.

    Args:
        row: with ``photo`` (A or B), ``bench`` (0 metal, 1 to 3 a board), ``ruler`` and
            ``field_mm`` (side of the picture).
        size: side (pixels).
        rng: source of randomness.

    Returns:
        (3, size, size) float32.
    """
    shape, px_mm = (size, size), row["field_mm"] / size
    if row["photo"] == "A":
        clouds = smooth_noise(shape, 0.08 * size, rng)
        return (colour(AGAR) * (1 + 0.03 * clouds)).astype(np.float32)
    y, x = (axis * px_mm for axis in grid(shape))
    if row["bench"] == 0:
        image = np.broadcast_to(colour(_METAL), (3, *shape)).astype(np.float32)
        pitch, radius = 9.0, 2.6
        phase = rng.uniform(0, pitch, 2)
        away = [
            np.abs((axis + p) % pitch - pitch / 2) for axis, p in zip((y, x), phase, strict=True)
        ]
        holes = soft((radius - np.hypot(*away)) / px_mm)
        blend(image, holes, colour(_HOLE))
    else:
        grain = band_noise(shape, 0.6, 2.0, rng)
        image = (colour(_BOARDS[int(row["bench"]) - 1]) * (1 + 0.015 * grain)).astype(np.float32)
    if row["ruler"]:
        _ruler(image, y, x, px_mm)
    return image


def _ruler(image: Field, y: NDArray[np.float32], x: NDArray[np.float32], px_mm: float) -> None:
    """Lay a ruler with marks of millimetres and centimetres along the upper edge, in place."""
    body = soft((9.0 - y) / px_mm) * np.ones_like(x)
    blend(image, body, colour((0.93, 0.92, 0.86)))
    for step, length in ((2.0, 3.0), (10.0, 6.0)):
        near = np.abs((x + step / 2) % step - step / 2)
        marks = soft((0.3 - near) / px_mm) * soft((length - y) / px_mm)
        blend(image, marks, colour((0.1, 0.1, 0.1)))


def lakes(row: Mapping[str, Any], specimen: Field, rng: np.random.Generator) -> Field:
    """Cover of the agar inside the outline of a specimen that was inflated with it; A alone."""
    if row["photo"] != "A":
        return np.zeros_like(specimen)
    size = specimen.shape[0]
    level = smooth_noise(specimen.shape, 0.03 * size, rng)
    return specimen * soft(level - 1.9, 0.4)


def expose(
    image: Field, row: Mapping[str, Any], specimen: Field, rng: np.random.Generator
) -> Field:
    """Add light, tint, glare on the wet specimen, blur and noise.

    Args:
        image (3, size, size): the scene in even white light.
        row: with ``light_angle`` (radians), ``light``, ``cast_0`` to ``cast_2``, ``glare``
            (number of spots) and ``blur_mm``; all 0 in A.
        specimen (size, size): cover of the specimen.
        rng: source of randomness.

    Returns:
        (3, size, size) float32 in [0, 1].
    """
    size = image.shape[-1]
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    slope = np.cos(row["light_angle"]) * axis[:, None] + np.sin(row["light_angle"]) * axis
    image = image * (1 + row["light"] * slope / np.sqrt(2)).astype(np.float32)
    image = image * (1 + colour([row[f"cast_{i}"] for i in range(3)]))
    places = np.argwhere(specimen > 0.9)
    if row["glare"] and len(places):
        _glare(image, places[rng.integers(len(places), size=int(row["glare"]))], row, rng)
    sigma = row["blur_mm"] * size / row["field_mm"]
    image = camera.blur(image, (0, sigma, sigma))
    return np.clip(camera.gaussian(image, 0.008, rng), 0, 1).astype(np.float32)


def _glare(
    image: Field, places: NDArray[np.int64], row: Mapping[str, Any], rng: np.random.Generator
) -> None:
    """Saturate small blobs, in place."""
    size = image.shape[-1]
    px_mm = row["field_mm"] / size
    for place in places:
        radii = np.maximum(rng.uniform(0.4, 1.6, 2) / px_mm, 0.4)
        reach = int(np.ceil(radii.max())) + 2
        low = np.maximum(place - reach, 0)
        window = tuple(slice(a, a + 2 * reach + 1) for a in low)
        part = image[(slice(None), *window)]
        blend(part, soft(ellipsoid(part.shape[1:], place - low, radii)), colour((1.0, 1.0, 0.99)))
