"""Colours of stained tissue by the law of Beer and Lambert."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.phantoms.shapes import rotation

# optical density per unit of stain in red, green and blue: Ruifrok and Johnston,
# Analytical and Quantitative Cytology and Histology 23, 2001
HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)


def transmit(
    amounts: NDArray[np.floating], densities: ArrayLike, white: ArrayLike = (1.0, 1.0, 1.0)
) -> NDArray[np.float32]:
    """Compute the light that passes stained tissue: I_c = W_c exp(-sum_s a_s D_sc).

    Args:
        amounts (S, height, width): amount of each stain, not negative.
        densities (S, C): optical density (natural log) of each stain in each channel.
        white (C,): light without tissue.

    Returns:
        (C, height, width) float32, at most ``white``.

    Raises:
        ValueError: there is not one row of densities for each stain.

    Example:
        >>> transmit(np.zeros((1, 1, 1)), [[1, 1, 1]]).ravel().tolist()
        [1.0, 1.0, 1.0]
    """
    table, light = np.asarray(densities, dtype=float), np.asarray(white, dtype=float)
    if table.ndim != 2 or len(table) != len(amounts):
        raise ValueError(
            f"`densities` must have one row for each of {len(amounts)} stains, got {table.shape}."
        )
    density = np.einsum("shw,sc->chw", np.maximum(amounts, 0), table)
    return (light[:, None, None] * np.exp(-density)).astype(np.float32)


def jitter(
    densities: ArrayLike, sd: float, rng: np.random.Generator, *, turn: float = 0.0
) -> NDArray[np.float64]:
    """Vary stain vectors between laboratories.

    Args:
        densities (S, 3): optical densities.
        sd: standard deviation of a relative change of each entry.
        rng: source of randomness.
        turn: rotation of all vectors about the grey axis (radians), such as another scanner's.

    Returns:
        (S, 3), not negative, each row of its old length.
    """
    table = np.asarray(densities, dtype=float)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    changed = table * (1 + sd * rng.standard_normal(table.shape))
    if turn:
        changed = changed @ _about_grey(turn).T
    changed = np.maximum(changed, 1e-3)
    return changed / np.linalg.norm(changed, axis=1, keepdims=True) * length


def _about_grey(angle: float) -> NDArray[np.float64]:
    """Rotate about (1, 1, 1): grey stays grey."""
    grey = np.ones(3) / np.sqrt(3)
    first = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    basis = np.stack([grey, first, np.cross(grey, first)])
    turn = np.eye(3)
    turn[1:, 1:] = rotation(angle)
    matrix: NDArray[np.float64] = basis.T @ turn @ basis
    return matrix
