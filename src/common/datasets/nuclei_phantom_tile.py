"""Layout and rendering of one tile of the nuclei phantom: places, shapes and stains.

Lengths are in micrometres until a nucleus is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.phantoms import fields, noise, stains
from common.phantoms.shapes import grid, harmonics, soft

Plane = NDArray[np.float32]

CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
_NEOPLASTIC, _INFLAMMATORY, _CONNECTIVE, _DEAD, _EPITHELIAL = range(1, 6)


class Look(NamedTuple):
    """How nuclei of a class look.

    Attributes:
        radius: median radius of the circle of equal area (um).
        spread: standard deviation of its log.
        aspect: length over width.
        rough: standard deviation of the outline's relative radius.
        dark: amount of haematoxylin relative to the others.
        chromatin: contrast of the texture inside.
    """

    radius: float
    spread: float
    aspect: float
    rough: float
    dark: float
    chromatin: float


# median radius over all nuclei 2.6 um in two MoNuSeg tiles; the order of the classes is chosen
_LOOKS = {
    _NEOPLASTIC: Look(2.9, 0.15, 1.3, 0.06, 1.0, 0.3),
    _INFLAMMATORY: Look(1.9, 0.10, 1.1, 0.03, 1.35, 0.15),
    _CONNECTIVE: Look(2.1, 0.15, 3.2, 0.05, 1.0, 0.2),
    _DEAD: Look(1.6, 0.20, 1.2, 0.12, 1.7, 0.0),
    _EPITHELIAL: Look(2.9, 0.15, 1.3, 0.06, 1.0, 0.3),
}
_TUMOUR = Look(3.4, 0.25, 1.3, 0.15, 0.75, 0.5)
_GLAND = Look(2.6, 0.10, 1.3, 0.05, 1.05, 0.2)


@dataclass
class Nuclei:
    """Nuclei of a tile.

    Args:
        place (n, 2): centres (um).
        radius (n,): radius of the circle of equal area (um).
        angle (n,): direction of the long axis (radians from the row axis).
        code (n,): class.
        lumens (k, 3): centre and radius of the lumens (um).
    """

    place: NDArray[np.float64]
    radius: NDArray[np.float64]
    angle: NDArray[np.float64]
    code: NDArray[np.int64]
    lumens: NDArray[np.float64]


def look_of(code: int, looks: float) -> Look:
    """Return how a class looks.

    Args:
        code: class.
        looks: how far neoplastic and epithelial nuclei go from their common look to their own.
    """
    own = {_NEOPLASTIC: _TUMOUR, _EPITHELIAL: _GLAND}.get(code)
    common = _LOOKS[code]
    if own is None:
        return common
    return Look(*(looks * a + (1 - looks) * b for a, b in zip(own, common, strict=True)))


def arrange(row: Mapping[str, Any], side: float, rng: np.random.Generator) -> Nuclei:
    """Place the nuclei of a tile.

    1. number: Poisson(density (side / 64)^2), at least one; classes by the tissue's mix, where the
       tile's epithelial and neoplastic share goes to one of the two;
    2. epithelial nuclei stand on rings of up to 14 around a lumen, their long axes along the
       radius, with probability ``context``; all others lie anywhere;
    3. a place is drawn anew while the nucleus would touch an earlier one, unless it is one of the
       share ``touching``, which is put beside an earlier one.

    Args:
        row: parameters of the tile.
        side: of the tile (um).
        rng: source of randomness.
    """
    n = max(1, int(rng.poisson(row["density"] * (side / 64) ** 2)))
    shares = np.array([row[f"mix_{code}"] for code in range(1, 6)])
    code = rng.choice(np.arange(1, 6), n, p=shares / shares.sum())
    table = [look_of(int(c), row["looks"]) for c in code]
    radius = row["radius"] * np.array([look.radius for look in table])
    radius *= np.exp(np.array([look.spread for look in table]) * rng.standard_normal(n))
    angle = rng.uniform(0, np.pi, n)
    along = code == _CONNECTIVE
    angle[along] = row["fibre_angle"] + 0.2 * rng.standard_normal(int(along.sum()))
    wanted = np.full((n, 2), np.nan)
    lumens = _rings(code, radius, wanted, angle, side, row["context"], rng)
    place = _free_places(wanted, radius, side, row["touching"], rng)
    return Nuclei(place, radius, angle, code, lumens)


def _rings(
    code: NDArray[np.int64],
    radius: NDArray[np.float64],
    wanted: NDArray[np.float64],
    angle: NDArray[np.float64],
    side: float,
    context: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Give places on rings to epithelial nuclei, in place, and return the lumens."""
    members = np.flatnonzero(code == _EPITHELIAL)
    lumens = []
    for start in range(0, len(members), 14):
        group = members[start : start + 14]
        if len(group) < 4:
            break
        reach = max(1.15 * 2 * radius[group].sum() / (2 * np.pi), 5.0)
        centre = rng.uniform(0.25, 0.75, 2) * side
        lumens.append([*centre, 0.5 * reach])
        turn = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(len(group)) / len(group)
        turn += 0.08 * rng.standard_normal(len(group))
        spots = centre + reach * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        kept = rng.random(len(group)) < context
        wanted[group[kept]] = spots[kept]
        angle[group[kept]] = turn[kept]
    return np.array(lumens).reshape(-1, 3)


def _free_places(
    wanted: NDArray[np.float64],
    radius: NDArray[np.float64],
    side: float,
    touching: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a free place for each nucleus that has none."""
    n = len(radius)
    place = wanted.copy()
    done = np.isfinite(place[:, 0])
    beside = rng.random(n) < touching
    for k in np.flatnonzero(~done):
        others = np.flatnonzero(done)
        options = rng.uniform(0, side, (12, 2))
        turn = rng.uniform(0, 2 * np.pi)
        if len(others):
            if beside[k]:
                other = others[rng.integers(len(others))]
                step = 0.85 * (radius[k] + radius[other])
                place[k] = place[other] + step * np.array([np.cos(turn), np.sin(turn)])
                place[k] = np.clip(place[k], 0, side)
            else:
                gaps = options[:, None] - place[others]
                room = np.hypot(gaps[..., 0], gaps[..., 1]) - 1.15 * (radius[k] + radius[others])
                place[k] = options[np.argmax(np.minimum(room.min(axis=1), 0.5))]
        else:
            place[k] = options[0]
        done[k] = True
    return place


def stain(
    row: Mapping[str, Any], nuclei: Nuclei, *, size: int, um_per_px: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8]]:
    """Stain a tile.

    Args:
        row: parameters of the tile.
        nuclei: from :func:`arrange`.
        size: side (px).
        um_per_px: size of a pixel.
        rng: source of randomness.

    Returns:
        Amounts of haematoxylin and eosin (2, size, size), nucleus numbers from 1 and class codes
        (size, size).
    """
    amounts = _stroma(row, nuclei.lumens, size, um_per_px, rng)
    texture = fields.smooth_noise((size, size), max(0.35 / um_per_px, 0.5), rng)
    instances = np.zeros((size, size), np.int32)
    codes = np.zeros((size, size), np.uint8)
    width = 1 + 2 * row["halo"] / um_per_px
    for k in range(len(nuclei.code)):
        look = look_of(int(nuclei.code[k]), row["looks"])
        window, depth, rho = _outline(nuclei, k, look, um_per_px, size, rng)
        cover = soft(depth, width)
        rim = 0.25 * np.exp(-0.5 * ((depth - 1) / 1.2) ** 2)
        inner = look.dark * (1 + look.chromatin * texture[window] + rim)
        if nuclei.code[k] == _NEOPLASTIC and row["looks"] > 0:
            # a nucleolus in the middle
            inner = inner + 0.9 * row["looks"] * np.exp(-0.5 * (rho / 0.18) ** 2)
        if nuclei.code[k] == _DEAD:
            ring = np.exp(-0.5 * ((depth * um_per_px + 1.0) / 0.8) ** 2)
            amounts[1][window] *= 1 - 0.6 * ring
        shown = row["contrast"] * np.clip(inner, 0.2, 3)
        amounts[0][window] = np.maximum(amounts[0][window], cover * shown)
        free = (depth > 0) & (instances[window] == 0)
        instances[window][free] = k + 1
        codes[window][free] = nuclei.code[k]
    return amounts, instances, codes


def _outline(
    nuclei: Nuclei, k: int, look: Look, um_per_px: float, size: int, rng: np.random.Generator
) -> tuple[tuple[slice, slice], Plane, Plane]:
    """Give the window of one nucleus, the depth below its outline (px) and its relative radius."""
    cosines, sines = harmonics(4, look.rough, rng)
    radius = nuclei.radius[k] / um_per_px
    long = radius * np.sqrt(look.aspect) * (1 + 3 * look.rough) + 3
    cy, cx = nuclei.place[k] / um_per_px - 0.5
    top, left = max(0, int(cy - long)), max(0, int(cx - long))
    # a nucleus beyond the border has an empty window
    bottom, right = (max(a, min(size, int(c + long) + 2)) for a, c in ((top, cy), (left, cx)))
    window = (slice(top, bottom), slice(left, right))
    dy = (np.arange(top, bottom)[:, None] - cy).astype(np.float32)
    dx = (np.arange(left, right)[None] - cx).astype(np.float32)
    c, s, root = (
        np.float32(value)
        for value in (np.cos(nuclei.angle[k]), np.sin(nuclei.angle[k]), np.sqrt(look.aspect))
    )
    along, across = (c * dy + s * dx) / root, (c * dx - s * dy) * root
    reach = np.maximum(np.hypot(along, across), np.float32(1e-3))
    # a cos(m t) + b sin(m t) is the real part of (a - i b) z^m with z = exp(i t)
    z = (along + 1j * across) / reach
    edge, power = np.ones_like(reach), z
    for a, b in zip(cosines, sines, strict=True):
        power = power * z
        edge += np.float32(a) * power.real + np.float32(b) * power.imag
    # the relative radius grows slower along the long axis, by which depth is put right
    slope = np.hypot(along / root, across * root) / reach
    depth = (radius * edge - reach) / slope
    return window, depth.astype(np.float32), (reach / radius).astype(np.float32)


def _stroma(
    row: Mapping[str, Any],
    lumens: NDArray[np.float64],
    size: int,
    um_per_px: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Stain what lies between nuclei, and what looks like nuclei but is none."""
    shape = (size, size)
    strands = fields.fibres(shape, row["fibre_angle"], 5 / um_per_px, 0.6 / um_per_px, rng)
    cloud = fields.smooth_noise(shape, 5 / um_per_px, rng)
    eosin = 0.55 * np.exp(0.3 * row["stroma"] * strands + 0.2 * cloud)
    gaps = soft((fields.smooth_noise(shape, 4 / um_per_px, rng) - 1.5) * 6)
    y, x = grid(shape)
    for cy, cx, radius in lumens:
        apart = np.hypot(y * um_per_px - cy, x * um_per_px - cx)
        gaps = np.maximum(gaps, soft(radius - apart, 1.5))
    eosin *= 1 - 0.85 * gaps
    purple = np.clip(0.2 + 0.08 * cloud, 0, None) * (1 - 0.85 * gaps)
    area = (size * um_per_px / 64) ** 2
    n_blurred, n_specks = (rng.poisson(row[name] * area) for name in ("out_of_focus", "debris"))
    purple = np.maximum(purple, _discs(shape, n_blurred, (2.0, 3.0), 0.55, um_per_px, rng, 1.2))
    purple = np.maximum(purple, _discs(shape, n_specks, (0.35, 0.8), 1.1, um_per_px, rng, 0.0))
    return np.stack([purple, eosin]).astype(np.float32)


def _discs(
    shape: tuple[int, int],
    n: int,
    radii: tuple[float, float],
    amount: float,
    um_per_px: float,
    rng: np.random.Generator,
    blur: float,
) -> Plane:
    """Draw round patches of stain at random places, blurred by ``blur`` (um)."""
    plane = np.zeros(shape, np.float32)
    y, x = grid(shape)
    for _ in range(n):
        cy, cx = rng.uniform(0, shape[0], 2)
        radius = rng.uniform(*radii) / um_per_px
        np.maximum(plane, soft(radius - np.hypot(y - cy, x - cx), 1.0), out=plane)
    return amount * (noise.blur(plane, blur / um_per_px) if n and blur else plane)


def photograph(
    row: Mapping[str, Any],
    amounts: NDArray[np.float32],
    *,
    um_per_px: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Let light through the stained tile and record it: colours, blur, noise, compression.

    Args:
        row: parameters of the tile.
        amounts (2, S, S): haematoxylin and eosin.
        um_per_px: size of a pixel.
        rng: source of randomness.

    Returns:
        (3, S, S) float32 in [0, 1].
    """
    density = [[row[f"{dye}_{c}"] for c in "rgb"] for dye in ("haematoxylin", "eosin")]
    white = [row[f"white_{c}"] for c in "rgb"]
    image = stains.transmit(amounts, density, white)
    if row["blur"] > 0:
        image = noise.blur(image, (0, row["blur"] / um_per_px, row["blur"] / um_per_px))
    image = np.clip(noise.gaussian(image, row["noise"], rng), 0, 1)
    if row["compression"] > 0:
        image = noise.jpeg_blocks(image, 100 - row["compression"])
    return image.astype(np.float32)
