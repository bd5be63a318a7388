"""Topological fingerprints of colour images: Betti curves of sublevel cubical filtrations.

Pixels are the squares of the complex, so dark pixels that touch at a corner are connected and a
hole is a bright region closed in by them. Nothing here builds the complex: components come from
one union-find over the pixels in the order of their values, holes from the Euler characteristic.

Source: Ahmed and Coskunuzer, ToFi-ML, 2023, Sections 3 and 4.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Levels = NDArray[np.int32]
Gray = Literal["mean", "luma"]

CHANNELS = ("gray", "red", "green", "blue")
# Values are counted in thirds of a grey level, so that the mean of three bytes is a whole number.
TOP = 3 * 255
N_LEVELS = TOP + 1
N_THRESHOLDS = 100


def channels(image: ArrayLike, *, gray: Gray = "mean") -> Levels:
    """Take the four scalar fields of a colour image.

    Args:
        image (3, height, width): bytes 0 to 255, or floats 0 to 1 that were bytes.
        gray: ``mean`` of the three colours (Section 4.1), or ``luma``, the weights 0.299, 0.587,
            0.114 of the released code, rounded to a byte.

    Returns:
        (4, height, width) in the order of :data:`CHANNELS`, in thirds of a grey level, 0 to 765.

    Raises:
        ValueError: another shape, another grey, or values outside the range.

    Example:
        >>> channels(np.array([[[10]], [[20]], [[31]]], np.uint8)).ravel().tolist()
        [61, 30, 60, 93]
    """
    rgb = np.asarray(image)
    if rgb.ndim != 3 or rgb.shape[0] != 3 or 0 in rgb.shape:
        raise ValueError(
            f"`image` must have shape (3, height, width), got {rgb.shape!r}. Give colours first."
        )
    scale = 255 if rgb.dtype.kind == "f" else 1
    if not (rgb.min() >= 0 and rgb.max() * scale <= 255):
        raise ValueError(
            f"`image` must hold bytes or floats 0 to 1, got {rgb.min()!r} to {rgb.max()!r}. "
            "Scale it before."
        )
    colours = np.rint(rgb * scale).astype(np.int32)
    if gray == "mean":
        first = colours.sum(axis=0)
    elif gray == "luma":
        red, green, blue = colours
        # the integer weights of PIL, sixteen bits behind the point
        first = 3 * ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)
    else:
        raise ValueError(f"`gray` must be mean or luma, got {gray!r}. Choose one of them.")
    return np.concatenate([first[np.newaxis], 3 * colours])


def thresholds(n: int = N_THRESHOLDS) -> NDArray[np.int64]:
    """Give the fixed grid: pixel f is active at step k if ``f <= 255 k / n`` grey levels.

    Args:
        n: number of steps N.

    Returns:
        (n,) largest active value of each step, in thirds of a grey level.

    Raises:
        ValueError: ``n`` is below 1.

    Source: Section 4.1, ``[0, 255]`` renormalised to ``[0, 100]``.

    Example:
        >>> thresholds(5).tolist()
        [153, 306, 459, 612, 765]
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    return TOP * np.arange(1, n + 1) // n


@njit(cache=True)
def merge(
    value: Levels,
    order: NDArray[np.int64],
    steps: NDArray[np.int64],
    parent: Levels,
    birth: Levels,
    death: Levels,
) -> int:
    """Add cells in order and join each to its neighbours that are there; return the merges.

    ``parent`` holds -1 where a cell is not there yet. The younger of two components ends (elder
    rule); its birth and the value at which it ends go into the next free place.
    """
    n = 0
    for k in range(order.size):
        cell = order[k]
        root = cell
        parent[cell] = cell
        for step in steps:
            other = cell + step
            if parent[other] < 0:
                continue
            while parent[other] != other:
                parent[other] = parent[parent[other]]
                other = parent[other]
            if other == root:
                continue
            elder, younger = (other, root) if value[other] <= value[root] else (root, other)
            if value[younger] < value[cell]:
                birth[n] = value[younger]
                death[n] = value[cell]
                n += 1
            parent[younger] = elder
            root = elder
    return n


def _pairs(padded: NDArray[np.int32], inside: NDArray[np.int64], steps: Sequence[int]) -> Levels:
    """Run the union-find over the cells ``inside``; cells below 0 are there from the start."""
    flat = padded.ravel()
    parent = np.full(flat.size, -1, dtype=np.int32)
    outside = np.flatnonzero(flat < 0)
    parent[outside] = outside[0] if len(outside) else -1
    # sixteen bits, for which a stable sort counts instead of comparing
    order = inside[np.argsort(flat[inside].astype(np.uint16), kind="stable")]
    ends = np.empty((2, inside.size), dtype=np.int32)
    n = merge(flat, order, np.array(steps), parent, ends[0], ends[1])
    return ends[:, :n]


def _inside(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number the pixels of an image inside its frame of one pixel."""
    height, width = shape
    row, column = np.arange(1, height + 1), np.arange(1, width + 1)
    return (row[:, None] * (width + 2) + column).ravel()


def _checked(field: ArrayLike) -> Levels:
    values = np.asarray(field)
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "iu":
        raise ValueError(
            f"`field` must be a matrix of whole numbers, got {values.dtype} {values.shape!r}. "
            "Take it from channels()."
        )
    if values.min() < 0 or values.max() > TOP:
        raise ValueError(
            f"`field` must lie in [0, {TOP}], got {values.min()} to {values.max()}. "
            "Count in thirds of a grey level."
        )
    return np.ascontiguousarray(values, dtype=np.int32)


def components(field: ArrayLike) -> Levels:
    r"""Compute :math:`PD_0` without the one component that never dies.

    Args:
        field (height, width): whole numbers 0 to 765.

    Returns:
        (2, n) births and deaths; components that die where they were born are left out.

    Raises:
        ValueError: not such a field.

    Example:
        Two dark pixels, joined when the brighter one between them is added:

        >>> components([[1, 5, 2]]).T.tolist()
        [[2, 5]]
    """
    values = _checked(field)
    wide = values.shape[1] + 2
    steps = (-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1)
    # the frame is never there: its value is not below 0 and it is not in the order
    return _pairs(np.pad(values, 1, constant_values=TOP), _inside(values.shape), steps)


def holes(field: ArrayLike) -> Levels:
    r"""Compute :math:`PD_1` by duality.

    A hole of ``{f <= t}`` is a component of ``{f > t}``, joined by edges only, that does not reach
    the outside of the image. Followed from bright to dark it is born where the hole is filled and
    ends, by the elder rule, where the hole came to be closed.

    Args:
        field (height, width): whole numbers 0 to 765.

    Returns:
        (2, n) births and deaths of holes.

    Raises:
        ValueError: not such a field.

    Source: Alexander duality, Section 3.

    Example:
        >>> holes([[1, 1, 1], [1, 9, 2], [1, 1, 1]]).T.tolist()
        [[2, 9]]
    """
    values = _checked(field)
    wide = values.shape[1] + 2
    bright = np.pad(TOP - values, 1, constant_values=-1)
    filled, closed = _pairs(bright, _inside(values.shape), (-wide, -1, 1, wide))
    return np.stack([TOP - closed, TOP - filled])


def _cumulated(values: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.bincount(values.ravel(), minlength=N_LEVELS).cumsum()


def euler_characteristic(field: ArrayLike) -> NDArray[np.int64]:
    r"""Count :math:`\chi(t) = V(t) - E(t) + F(t)` of every sublevel set with one histogram each.

    A vertex or an edge of the complex enters with the darkest pixel that it belongs to.

    Args:
        field (height, width): whole numbers 0 to 765.

    Returns:
        (766,) for t = 0 to 765.

    Example:
        A ring of eight pixels has one component and one hole:

        >>> euler_characteristic([[1, 1, 1], [1, 9, 1], [1, 1, 1]])[[0, 1, 9]].tolist()
        [0, 0, 1]
    """
    values = _checked(field)
    framed = np.pad(values, 1, constant_values=TOP)  # the frame is brighter than any edge needs
    rows = np.minimum(framed[1:], framed[:-1])
    columns = np.minimum(framed[:, 1:], framed[:, :-1])
    corners = np.minimum(rows[:, 1:], rows[:, :-1])
    edges = _cumulated(rows[:, 1:-1]) + _cumulated(columns[1:-1])
    return _cumulated(corners) - edges + _cumulated(values)


def betti(field: ArrayLike, *, joined: Levels | None = None) -> Levels:
    r"""Compute :math:`\beta_0(t)` and :math:`\beta_1(t) = \beta_0(t) - \chi(t)` for every t.

    Args:
        field (height, width): whole numbers 0 to 765.
        joined: the field's :func:`components` where they are known; saves their computation.

    Returns:
        (2, 766) counts of components and of holes of ``{f <= t}``, t = 0 to 765.

    Raises:
        ValueError: not such a field.

    Example:
        >>> betti([[1, 1, 1], [1, 9, 1], [1, 1, 1]])[:, [0, 1, 9]].tolist()
        [[0, 1, 1], [0, 1, 0]]
    """
    values = _checked(field)
    born, died = components(values) if joined is None else joined
    beta_0 = _cumulated(born) - _cumulated(died)
    beta_0[values.min() :] += 1
    return np.stack([beta_0, beta_0 - euler_characteristic(values)]).astype(np.int32)


def betti_curves(image: ArrayLike, *, gray: Gray = "mean") -> Levels:
    """Compute the Betti curves of the four channels of a colour image at every level.

    Args:
        image (3, height, width): see :func:`channels`.
        gray: see :func:`channels`.

    Returns:
        (4, 2, 766): channel, dimension, threshold in thirds of a grey level.
    """
    return np.stack([betti(field) for field in channels(image, gray=gray)])


def on_grid(curves: NDArray[np.integer], n: int = N_THRESHOLDS) -> Levels:
    """Read curves at the fixed grid, as a feature vector.

    Args:
        curves (..., channels, dimensions, 766): of one image or of many.
        n: see :func:`thresholds`.

    Returns:
        (..., channels * dimensions * n); 800 features for four channels and N = 100.

    Example:
        >>> on_grid(np.zeros((5, 4, 2, 766), np.int32)).shape
        (5, 800)
    """
    chosen = np.asarray(curves)[..., thresholds(n)]
    return chosen.reshape(*chosen.shape[:-3], -1)


def own_grid(field: ArrayLike, n: int = N_THRESHOLDS, *, joined: Levels | None = None) -> Levels:
    """Compute Betti curves on the grid that the released code fits to each image.

    Its n points run from the first birth to the last death of the image's own diagram, so that one
    entry means another grey level in each image; the component that never dies is not counted.

    Args:
        field (height, width): whole numbers 0 to 765.
        n: number of points.
        joined: the field's :func:`components` where they are known.

    Returns:
        (2, n) counts; zeros where a diagram is empty.

    Source: released code (``BettiCurve().fit_transform`` per image, reduced homology).

    Example:
        >>> own_grid([[1, 1, 1], [1, 9, 2], [1, 1, 1]], 3)[1].tolist()
        [1, 1, 0]
    """
    curves = np.zeros((2, n), dtype=np.int32)
    first = components(field) if joined is None else joined
    for curve, (born, died) in zip(curves, (first, holes(field)), strict=True):
        if born.size:
            points = np.linspace(born.min(), died.max(), n)
            alive = np.searchsorted(np.sort(born), points, "right")
            curve[:] = alive - np.searchsorted(np.sort(died), points, "right")
    return curves
