"""Weak liver masks: the true mask, damaged in a chosen way until it has a chosen Dice."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, map_coordinates

from common.datasets.abdomen_slice_phantom_anatomy import (
    AIR,
    FAT,
    KIDNEY,
    LIVER_REACH,
    SPLEEN,
    STOMACH,
    lobes,
)
from common.phantoms.fields import Field, displacement, smooth_noise
from common.phantoms.shapes import grid, shells

WEAK = ("elastic", "elastic_volume", "dilate", "erode", "leak", "dropout", "mixed")
Mask = NDArray[np.bool_]
_MIXED = ("elastic", "dilate", "erode", "leak")
_HEIGHTS = LIVER_REACH * np.array([-0.84, -0.42, 0.0, 0.42, 0.84])
_STEPS = 8


def weaken(mask: Mask, painted: NDArray[np.uint8], row: Mapping[str, Any], size: int) -> Mask:
    """Damage a true mask as the row says.

    1. ``elastic``: a smooth random displacement (standard deviation of the kernel 7 % of the
       side, a random shift and scaling added), its strength set by bisection;
    2. ``elastic_volume``: one displacement for all slices of a patient, its strength set on five
       heights together;
    3. ``dilate`` and ``erode``: the surface moved by one distance everywhere;
    4. ``leak``: a patch of neighbouring tissue added, organs first;
    5. ``dropout``: the whole mask lost with probability 1 - ``weak_dice``, else true;
    6. ``mixed``: one of elastic, dilate, erode, leak for each slice.

    Args:
        mask (size, size): the truth.
        painted (size, size): organ codes.
        row: parameters of the slice.
        size: height and width (px).

    Returns:
        (size, size) weak mask; empty where the truth is.
    """
    if row["weak_dice"] >= 1 or not mask.any():
        return mask.copy()
    rng = np.random.default_rng([row["seed"], 2])
    kind = _MIXED[rng.integers(len(_MIXED))] if row["weak"] == "mixed" else row["weak"]
    target = row["weak_target"]
    if kind == "dropout":
        return mask & (not row["dropped"])
    if kind == "leak":
        return _leak(mask, painted, target, rng)
    if kind == "elastic":
        field = _field(size, rng)
        return _warped(mask, field, strength([(mask, field)], target, size))
    if kind == "elastic_volume":
        field = _field(size, np.random.default_rng([row["patient_seed"], 2]))
        masks = [lobes({**row, "z": z}, size) > 0 for z in _HEIGHTS]
        pairs = [(other, field) for other in masks if other.any()]
        return _warped(mask, field, strength(pairs, row["weak_dice"], size))
    return _moved(mask, target, rng, grow_it=kind == "dilate")


def dice(first: Mask, second: Mask) -> float:
    """Return twice the overlap over the sum of both sizes; 1 where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def strength(pairs: list[tuple[Mask, Field]], target: float, size: int) -> float:
    """Find by how much to multiply displacements so that the mean Dice is the target.

    Args:
        pairs: masks, each with its displacement of about one pixel.
        target: mean Dice wanted.
        size: side of the image; a quarter of it is the largest factor tried.

    Returns:
        The factor; its Dice is within what one pixel can change.
    """
    low, high = 0.0, size / 4
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if np.mean([dice(mask, _warped(mask, field, middle)) for mask, field in pairs]) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _field(size: int, rng: np.random.Generator) -> Field:
    """Draw an elastic displacement with an affine part, of about one pixel."""
    elastic = displacement((size, size), 1.0, 0.07 * size, rng)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    a = 0.5 * rng.standard_normal((2, 3))
    affine = np.stack([a[i, 0] + a[i, 1] * y + a[i, 2] * x for i in range(2)])
    return (elastic + affine).astype(np.float32)


def _warped(mask: Mask, field: Field, factor: float) -> Mask:
    """Move a mask by a multiple of a displacement; only its neighbourhood is computed."""
    reach = int(np.ceil(factor * np.abs(field).max())) + 1
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    window = tuple(slice(max(0, i[0] - reach), i[-1] + reach + 1) for i in (rows, columns))
    moved = field[(slice(None), *window)]
    places = np.indices(moved.shape[1:], dtype=np.float32)
    places += factor * moved + np.array([[[w.start]] for w in window], np.float32)
    weak = np.zeros_like(mask)
    weak[window] = map_coordinates(mask.astype(np.float32), places, order=1) > 0.5
    return weak


def _moved(mask: Mask, target: float, rng: np.random.Generator, *, grow_it: bool) -> Mask:
    """Move the surface outward or inward by one distance.

    With L pixels in the mask the weak one has L (2 / target - 1) or L target / (2 - target) of
    them; equal distances are told apart by smooth noise below any difference between them.
    """
    depth = shells(mask) - shells(~mask) + 0.02 * smooth_noise(mask.shape, 3.0, rng)
    share = 2 / target - 1 if grow_it else target / (2 - target)
    n = min(max(1, round(mask.sum() * share)), mask.size)
    moved = np.zeros_like(mask)
    moved.flat[np.argpartition(-depth, n - 1, axis=None)[:n]] = True
    return moved


def _leak(mask: Mask, painted: NDArray[np.uint8], target: float, rng: np.random.Generator) -> Mask:
    """Add neighbouring tissue of 2 |mask| (1 / target - 1) pixels, organs before the rest."""
    rim = binary_dilation(mask) & ~mask & (painted != AIR)
    kinds = (np.isin(painted, (SPLEEN, KIDNEY, STOMACH)), painted != FAT, rim)
    places = next((found for kind in kinds if len(found := np.argwhere(rim & kind))), None)
    if places is None:
        return mask.copy()
    seed = places[rng.integers(len(places))]
    rows, columns = grid(mask.shape)
    reach = np.hypot(rows - seed[0], columns - seed[1])
    cost = reach * np.exp(0.15 * smooth_noise(mask.shape, 2.0, rng))
    cost[mask | (painted == AIR)] = np.inf
    n = min(max(1, round(2 * mask.sum() * (1 / target - 1))), int(np.isfinite(cost).sum()))
    weak = mask.copy()
    weak.flat[np.argpartition(cost, n - 1, axis=None)[:n]] = True
    return weak
