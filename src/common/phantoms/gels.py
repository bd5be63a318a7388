"""Gel electrophoresis: lanes side by side, bands and smears along the direction of migration."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def profile(
    rows: int, centres: ArrayLike, sigmas: ArrayLike, strengths: ArrayLike
) -> NDArray[np.float32]:
    """Return the stain along one lane: a sum of Gaussian bands.

    Args:
        rows: height of the gel (px).
        centres: row of each band.
        sigmas: standard deviation of each band (px): 3 to 5 for a sharp band, 10 and more for a
            smear.
        strengths: height of each band (optical density).

    Returns:
        (rows,) float32, not negative for positive strengths.

    Raises:
        ValueError: the lists differ in length, or a sigma is not positive.

    Example:
        >>> [round(float(value), 2) for value in profile(3, [1], [1], [2.0])]
        [1.21, 2.0, 1.21]
    """
    at, sd, height = (np.asarray(given, dtype=float) for given in (centres, sigmas, strengths))
    if len({at.shape, sd.shape, height.shape}) != 1 or sd.min(initial=1) <= 0:
        raise ValueError(
            "`centres`, `sigmas` and `strengths` must be of one length and sigmas above 0, got "
            f"{at.tolist()}, {sd.tolist()}, {height.tolist()}."
        )
    row = np.arange(rows, dtype=np.float32)[:, None]
    bands = height * np.exp(-0.5 * ((row - at) / sd) ** 2)
    return bands.sum(axis=1).astype(np.float32)


def place(
    gel: NDArray[np.float32],
    stain: NDArray[np.floating],
    *,
    column: float,
    width: float,
    edge: float = 1.5,
    tilt: float = 0.0,
) -> None:
    """Add a lane to a gel, in place.

    Args:
        gel (rows, columns): optical density so far.
        stain (rows,): from :func:`profile`.
        column: centre of the lane (px).
        width: its full width (px).
        edge: softness of its sides (px).
        tilt: rows by which the right side of the lane lies lower than its left for each pixel.
    """
    columns = np.arange(gel.shape[1], dtype=np.float32)
    reach = width / 2 + 3 * edge
    near = np.flatnonzero(np.abs(columns - column) <= reach)
    if not len(near):
        return
    side = np.abs(columns[near] - column)
    cover = 1 / (1 + np.exp(np.clip((side - width / 2) / (edge / 2), -30, 30)))
    rows = np.arange(gel.shape[0], dtype=np.float32)
    if tilt == 0:
        lane = np.broadcast_to(stain[:, None], (len(rows), len(near)))
    else:
        shifts = tilt * (columns[near] - column)
        lane = np.stack([np.interp(rows - shift, rows, stain) for shift in shifts], axis=1)
    gel[:, near] += (lane * cover).astype(np.float32)
