"""Parts of an endoscopic frame: mucosa with folds and vessels, lighting, glints, camera.

Shared by the phantoms of polyps and of instruments. Lengths are shares of the frame's side, so
that a frame looks the same at every size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.phantoms import fields, noise, vessels
from common.phantoms.shapes import grid, soft, tube

Plane = NDArray[np.float32]

# mean colour of the frames of Kvasir-SEG outside polyps and black borders (250 images measured)
MUCOSA = (0.61, 0.35, 0.26)
# a foreshortened bump at right angles to the light keeps this share of it
_AMBIENT = 0.45


@dataclass(frozen=True)
class Scene:
    """What is seen before the camera.

    Args:
        albedo (3, S, S): colour under full light.
        height (S, S): elevation towards the camera (px).
        light (S, S): share of the light that reaches each place.
    """

    albedo: NDArray[np.float32]
    height: Plane
    light: Plane


def mucosa(size: int, colour: ArrayLike, n_folds: int, rng: np.random.Generator) -> Scene:
    """Draw the wall of the bowel around its lumen.

    1. the lumen lies 0.2 to 0.9 sides from the centre, so that it is seen in half of the frames;
       light grows with the distance r from it, as the wall comes nearer;
    2. fold k is a ridge along a wavy part of the circle r = r_k, with a bright crest and a shadow
       on the lumen's side;
    3. albedo = colour (1 + smooth texture of sd 0.04), less green and blue along vessels.

    Args:
        size: side (px).
        colour (3,): mean albedo.
        n_folds: number of ridges.
        rng: source of randomness.
    """
    side, shape = float(size), (size, size)
    y, x = grid(shape)
    turn, away = rng.uniform(0, 2 * np.pi), side * rng.uniform(0.2, 0.9)
    dy, dx = y - side / 2 - away * np.sin(turn), x - side / 2 - away * np.cos(turn)
    r = np.hypot(dy, dx) + 0.05 * side * fields.smooth_noise(shape, 0.12 * side, rng)
    angle = np.arctan2(dy, dx)
    height = 0.012 * side * fields.smooth_noise(shape, 0.08 * side, rng)
    shadow = np.zeros(shape, np.float32)
    for k in range(n_folds):
        radius = side * (0.22 + (k + rng.uniform(0.2, 0.8)) * 0.9 / n_folds)
        width = side * rng.uniform(0.025, 0.05)
        middle = turn + np.pi + rng.uniform(-0.8, 0.8)
        part = np.clip(1.6 * np.cos((angle - middle) / 2) ** 2 - 0.3, 0, 1)
        t = (r - radius) / width
        height += 1.0 * width * part * np.exp(-0.5 * t**2)
        shadow += 0.4 * part * np.exp(-0.5 * ((t + 1.8) / 0.9) ** 2)
        shadow -= 0.25 * part * np.exp(-0.5 * (t / 0.8) ** 2)
    near = np.clip(r / (0.5 * side), 0, 1)
    light = (0.2 + 0.95 * near**2 * (3 - 2 * near)) * (1 - np.clip(shadow, -0.3, 0.7))
    return Scene(_albedo(shape, colour, rng), height.astype(np.float32), light.astype(np.float32))


def _albedo(shape: tuple[int, int], colour: ArrayLike, rng: np.random.Generator) -> Plane:
    side = float(shape[0])
    patches = fields.smooth_noise(shape, 0.1 * side, rng)
    grain = fields.smooth_noise(shape, 0.012 * side, rng)
    start = side * rng.uniform(0.1, 0.9, 2)
    reach = vessels.tree(
        start,
        rng.standard_normal(2),
        rng=rng,
        length=0.4 * side,
        radius=0.008 * side,
        levels=3,
        step=0.1 * side,
    )
    # a vessel that leaves the frame runs along its border, where it is hardly seen
    depth = np.maximum.reduce([tube(shape, np.clip(v.points, 0, side), v.radii) for v in reach])
    blood = 0.15 * soft(depth, 0.02 * side)
    red = 1 + 0.03 * patches + 0.03 * grain
    other = 1 + 0.06 * patches + 0.03 * grain - blood
    base = np.asarray(colour, dtype=np.float32)[:, None, None]
    return (base * np.stack([red, other, other])).astype(np.float32)


def expose(scene: Scene, *, vignette: float) -> NDArray[np.float32]:
    """Light the scene from the camera and from above, with less light towards the corners.

    n = (-dz/dy, -dz/dx, 1) normalised; I = albedo light (a + (1 - a) n . l) (1 - v d^2), with a
    the ambient share and d the distance from the centre, 1 at the corners.

    Args:
        scene: what is lit.
        vignette: share v of the light that the corners lack.
    """
    size = scene.height.shape[0]
    slope_y, slope_x = np.gradient(scene.height)
    facing = (1 + 0.35 * slope_y) / np.sqrt(1 + slope_y**2 + slope_x**2)
    shade = _AMBIENT + (1 - _AMBIENT) * np.clip(facing, 0, 1.3)
    y, x = grid((size, size))
    middle = (size - 1) / 2
    off = ((y - middle) ** 2 + (x - middle) ** 2) / (2 * middle**2)
    return (scene.albedo * (scene.light * shade * (1.15 - vignette * off))).astype(np.float32)


def stamp_glint(image: NDArray[np.float32], centre: ArrayLike, radii: ArrayLike) -> None:
    """Blend one white reflection into an image (3, S, S), in place; only its surroundings change.

    Args:
        image: what is changed.
        centre (2,): row and column (px).
        radii (2,): semi-axes along rows and columns (px).
    """
    cy, cx = np.asarray(centre, float)
    ry, rx = np.maximum(np.asarray(radii, float), 0.5)
    top, left = max(0, int(cy - 2 * ry - 1)), max(0, int(cx - 2 * rx - 1))
    y = np.arange(top, min(image.shape[1], int(cy + 2 * ry + 2)))[:, None]
    x = np.arange(left, min(image.shape[2], int(cx + 2 * rx + 2)))[None, :]
    r2 = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2
    cover = np.exp(-(r2**1.5)).astype(np.float32)
    window = image[:, top : top + len(y), left : left + x.size]
    window += cover * (0.97 - window)


def add_glints(image: NDArray[np.float32], n: int, rng: np.random.Generator) -> None:
    """Blend white reflections at random places into an image (3, S, S), in place.

    Args:
        image: what is changed.
        n: number of reflections; each has semi-axes of 0.004 to 0.03 sides.
        rng: source of randomness.
    """
    size = image.shape[-1]
    for _ in range(n):
        radii = size * rng.uniform(0.004, 0.015, 2) * rng.choice([1.0, 1.0, 2.0])
        stamp_glint(image, size * rng.uniform(0.08, 0.92, 2), radii)


def field_of_view(size: int, *, corners: bool, box: bool) -> NDArray[np.bool_]:
    """Return which pixels show tissue: an octagon, less the box of the position display.

    Args:
        size: side (px).
        corners: black corners, as endoscopes have them; else every pixel is seen.
        box: a black square of 0.32 sides in the lower left corner.
    """
    seen = np.ones((size, size), bool)
    y, x = grid((size, size))
    if corners:
        middle = (size - 1) / 2
        seen &= np.abs(y - middle) + np.abs(x - middle) < 0.74 * size
        seen &= np.maximum(np.abs(y - middle), np.abs(x - middle)) < 0.485 * size
    if box:
        seen[size - round(0.32 * size) :, : round(0.32 * size)] = False
    return seen


def record(
    image: NDArray[np.float32],
    seen: NDArray[np.bool_],
    *,
    sd: float,
    interlaced: bool,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Record a frame: motion between the two fields, sensor noise, black where nothing is seen.

    Args:
        image (3, S, S): light.
        seen (S, S): field of view.
        sd: standard deviation of the noise.
        interlaced: the odd rows are taken later, when the scene has moved 0.02 sides.
        rng: source of randomness.

    Returns:
        (3, S, S) float32 in [0, 1].
    """
    frame = image.copy()
    if interlaced:
        frame[:, 1::2] = np.roll(image[:, 1::2], max(1, round(0.02 * image.shape[-1])), axis=-1)
    frame = noise.gaussian(frame, sd, rng) * seen
    return np.clip(frame, 0, 1).astype(np.float32)
