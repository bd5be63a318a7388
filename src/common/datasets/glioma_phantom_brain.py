"""A brain without skull as a function of place, shared by the phantoms of brain scans.

Everything is given in mm around the centre of the brain, axes from bottom to top (z), from front
to back (y) and from the patient's right to left (x), and can be asked for on a slice or a volume
of any resolution: the same patient is the same brain everywhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OUTSIDE, CSF, GREY, WHITE = range(4)
SEMI_AXES_MM = (60.0, 85.0, 70.0)
Points = Sequence[NDArray[np.floating]]
_N_WAVES = 12


class Brain(NamedTuple):
    """A brain on a grid.

    Attributes:
        tissue: (*spatial) uint8 codes OUTSIDE, CSF, GREY, WHITE.
        depth_mm: (*spatial) depth below the surface, negative outside.
        ventricle: (*spatial) bool, the inner part of CSF.
    """

    tissue: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]
    ventricle: NDArray[np.bool_]


def waves(
    points: Points, wavelength_mm: float, rng: np.random.Generator, *, n: int = _N_WAVES
) -> NDArray[np.float32]:
    """Sum plane waves of random direction and phase: a smooth field that exists everywhere.

    f(p) = sqrt(2 / n) sum_k cos(q_k p + phase_k), |q_k| = 2 pi / wavelength up to ± 30 %.

    Args:
        points: coordinates along each axis (mm), open arrays that broadcast to the grid.
        wavelength_mm: length of a period.
        rng: source of randomness; always the same amount is drawn.
        n: number of waves.

    Returns:
        float32 of the grid's shape; mean 0 and standard deviation 1 over many waves.

    Example:
        >>> line = [np.zeros((1, 1)), np.zeros((1, 1)), np.arange(8.0)[None]]
        >>> waves(line, 10, np.random.default_rng(0)).shape
        (1, 8)
    """
    direction = rng.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    rate = 2 * np.pi / wavelength_mm * rng.uniform(0.7, 1.3, n)
    phase = rng.uniform(0, 2 * np.pi, n)
    total = np.float32(0)
    for q, start in zip(direction * rate[:, None], phase, strict=True):
        z, y, x = (np.exp(1j * a * p).astype(np.complex64) for a, p in zip(q, points, strict=True))
        total = total + ((np.exp(1j * start) * z * y) * x).real
    return (np.sqrt(2 / n) * total).astype(np.float32)


def brain(
    points: Points,
    seed: int,
    *,
    semi_axes_mm: Sequence[float] = SEMI_AXES_MM,
    ventricle_scale: float = 1.0,
) -> Brain:
    """Build the brain of a patient on a grid.

    1. Surface: r = |p / semi-axes| (1 + 0.025 f) with waves f of 60 mm; depth = (1 - r) times the
       geometric mean of the semi-axes.
    2. Ribbon: sulci with CSF where |g| < 0.13 down to 13 mm, waves g of 26 mm; grey matter beside
       them where |g| < 0.75 down to 17 mm, and all along the surface to 3.5 mm; a cleft between
       the hemispheres.
    3. Inside: two curved ventricles and two deep grey nuclei; the rest is white matter.

    Args:
        points: coordinates along the three axes (mm) that broadcast to the grid.
        seed: of the patient.
        semi_axes_mm: half height, length and width.
        ventricle_scale: size of the ventricles relative to the usual.

    Returns:
        Tissues, depth and ventricles on the grid.
    """
    rng = np.random.default_rng([seed, 11])
    z, y, x = points
    high, long, wide = semi_axes_mm
    reach = np.sqrt((z / high) ** 2 + (y / long) ** 2 + (x / wide) ** 2)
    reach = reach * (1 + 0.025 * waves(points, 60.0, rng))
    depth = ((1 - reach) * float(np.cbrt(high * long * wide))).astype(np.float32)
    folds = waves(points, 26.0, rng)
    cleft = (np.abs(x) < 1.6) & (reach > 0.62) & (z > -0.4 * high)
    tissue = np.full(depth.shape, WHITE, np.uint8)
    tissue[(depth < 3.5) | ((np.abs(folds) < 0.75) & (depth < 17))] = GREY
    tissue[(np.abs(x) < 4.0 + 1.5 * folds) & (reach > 0.6) & (z > -0.4 * high)] = GREY
    inner = _ventricles(points, ventricle_scale)
    tissue[_nuclei(points)] = GREY
    tissue[((np.abs(folds) < 0.13) & (depth < 13)) | (depth < 0.8) | cleft | inner] = CSF
    tissue[depth <= 0] = OUTSIDE
    return Brain(tissue, depth, inner & (depth > 0))


def _ventricles(points: Points, scale: float) -> NDArray[np.bool_]:
    """Two crescents beside the midline that spread apart towards the back."""
    z, y, x = points
    side = np.abs(x) - 9 - 0.006 * (y + 18) ** 2 - 0.18 * np.maximum(y, 0)
    inside: NDArray[np.bool_] = (
        (side / (5 * scale)) ** 2 + (y / 36) ** 2 + ((z - 8 + 0.006 * y**2) / (9 * scale)) ** 2
    ) < 1
    return inside


def _nuclei(points: Points) -> NDArray[np.bool_]:
    """Thalamus and basal ganglia, one ellipsoid on each side."""
    z, y, x = points
    inside: NDArray[np.bool_] = (
        ((np.abs(x) - 22) / 9) ** 2 + ((y + 6) / 22) ** 2 + ((z + 4) / 12) ** 2
    ) < 1
    return inside
