"""Chromophores of the skin from one colour photograph: the optical model, a first estimate of its
mixing matrix from sparse zones, and the criterion that the paper computes from both.

Bands stand in the order blue, green, red, chromophores in the order oxyhaemoglobin,
deoxyhaemoglobin, melanin. An image of N pixels is a matrix (3, N) of absorbances, pixels column by
column; functions with leading axes (...) work on many images at once.
"""

from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import black_tophat, disk

from common.errors import UsageError

Array = NDArray[np.float64]

BANDS = ("blue", "green", "red")
CHROMOPHORES = ("oxyhaemoglobin", "deoxyhaemoglobin", "melanin")
_ORDERS = np.array(list(permutations(range(3))))


def absorbance(image: NDArray[np.generic], *, srgb: bool) -> Array:
    """Turn a photograph into absorbances b = -ln(reflectance), one row a band.

    A dark pixel counts as grey value 1 of 255, so that its logarithm exists.

    Args:
        image (3, height, width): red, green, blue; bytes, or fractions of full scale.
        srgb: whether grey values follow the curve of sRGB, as in JPEG files, which is then undone;
            a phantom's grey values are proportional to light.

    Returns:
        (3, height * width), rows blue, green, red; pixels column by column (equation 2).

    Raises:
        UsageError: the image has not three channels.

    Source:
        Equations 1 and 2; IEC 61966-2-1 for the curve.

    Example:
        >>> absorbance(np.full((3, 1, 1), 255, np.uint8), srgb=True).ravel().tolist()
        [0.0, 0.0, 0.0]
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise UsageError(f"`image` must have shape (3, height, width), got {image.shape}.")
    full = 255.0 if image.dtype == np.uint8 else 1.0
    light = np.maximum(image.astype(np.float64) / full, 1 / 255)
    if srgb:
        light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    # + 0.0: the absorbance of white is 0 and not -0
    return -np.log(light[::-1]).transpose(0, 2, 1).reshape(3, -1) + 0.0


def as_maps(rows: ArrayLike, shape: tuple[int, int]) -> NDArray[np.generic]:
    """Lay vectors of pixels out as images again, the inverse of the paper's operator f.

    Args:
        rows (..., height * width): pixels column by column.
        shape: height and width.

    Returns:
        (..., height, width).

    Example:
        >>> as_maps([1, 2, 3, 4, 5, 6], (2, 3)).tolist()
        [[1, 3, 5], [2, 4, 6]]
    """
    flat = np.asarray(rows)
    height, width = shape
    return flat.reshape(*flat.shape[:-1], width, height).swapaxes(-1, -2)


def invert(X: Array, M: ArrayLike) -> Array:
    """Estimate chromophores the classical way, C = M^-1 X, with a matrix known beforehand.

    Args:
        X (..., 3, N): absorbances.
        M (..., 3, 3): mixing matrix, rows bands, columns chromophores.

    Returns:
        (..., 3, N), negative where no mixture of the columns gives the colour.

    Source:
        Section 3.1, after Spigulis and Oshina (2015).
    """
    return np.asarray(np.linalg.solve(np.asarray(M, dtype=np.float64), X))


def slice_ratios(X: Array, *, length: int, step: int = 1) -> tuple[Array, Array, Array]:
    """Cut the pixels into slices and describe the ratios b2/b1 and b3/b1 in each of them.

    In a zone of a single chromophore j both ratios are constant, m_ij / m_1j.

    Args:
        X (..., 3, N): absorbances.
        length: pixels of a slice (L in the paper).
        step: pixels from the start of a slice to that of the next.

    Returns:
        Means (..., 2, K) and variances (..., 2, K) of the ratios, and the mean absorbance in blue
        (..., K).

    Raises:
        UsageError: a slice is shorter than 2 pixels or longer than the image.

    Source:
        Equations 4, 5 and 9 to 11.
    """
    if not 2 <= length <= X.shape[-1]:
        raise UsageError(
            f"`length` must be between 2 and the {X.shape[-1]} pixels of an image, got {length!r}."
        )
    blue = X[..., :1, :]
    ratio = X[..., 1:, :] / np.maximum(blue, 1e-9)
    mean = _moving_mean(ratio, length, step)
    # shifted before squaring: the ratios of a pure zone differ in the third digit only
    shift = ratio.mean(axis=-1, keepdims=True)
    centred = ratio - shift
    variance = _moving_mean(centred**2, length, step) - (mean - shift) ** 2
    return mean, np.maximum(variance, 0.0), _moving_mean(blue, length, step)[..., 0, :]


def _moving_mean(values: Array, length: int, step: int) -> Array:
    total = np.cumsum(values, axis=-1)
    sums = total[..., length - 1 :].copy()
    sums[..., 1:] -= total[..., :-length]
    return sums[..., ::step] / length


def sparse_columns(
    X: Array, *, length: int, step: int = 1, threshold: float, dark: float = 0.05
) -> Array:
    """Estimate the mixing matrix from zones that hold a single chromophore.

    Slices are sorted by the variance of their ratios. The first gives column 1; each next slice
    whose ratios lie further than the threshold from those accepted gives another. Where fewer than
    three are found, the threshold is halved.

    Args:
        X (..., 3, N): absorbances.
        length: pixels of a slice.
        step: pixels from slice to slice; 1 lets a slice begin anywhere.
        threshold: least distance of two columns in the plane of the two ratios.
        dark: slices with a smaller mean absorbance in blue are left out; their ratios explode.

    Returns:
        (..., 3, 3), first row ones, columns in the order in which they were found.

    Raises:
        UsageError: the threshold is not positive, or no slice is left.

    Source:
        Section 2.1, equations 9 to 14, after Abrard and Deville (2005).
    """
    if not threshold > 0:
        raise UsageError(f"`threshold` must be positive, got {threshold!r}.")
    mean, variance, blue = slice_ratios(X, length=length, step=step)
    spread = np.where(blue < dark, np.inf, variance.sum(axis=-2))
    if not np.isfinite(spread).any(axis=-1).all():
        raise UsageError(
            f"no slice has a mean absorbance in blue of at least {dark:g}. Lower `dark`."
        )
    flat_mean, flat_spread = mean.reshape(-1, *mean.shape[-2:]), spread.reshape(-1, mean.shape[-1])
    found = [_greedy(m, s, threshold) for m, s in zip(flat_mean, flat_spread, strict=True)]
    ratios = np.stack(found).reshape(*mean.shape[:-1], 3)
    return np.concatenate([np.ones_like(ratios[..., :1, :]), ratios], axis=-2)


def _greedy(mean: Array, spread: Array, threshold: float) -> Array:
    """Pick three columns of ``mean`` (2, K) by rising spread; returns (2, 3)."""
    usable = np.isfinite(spread)
    points = mean[:, usable][:, np.argsort(spread[usable], kind="stable")].T
    while True:
        chosen, open_ = [points[0]], np.linalg.norm(points - points[0], axis=1) > threshold
        while len(chosen) < 3 and open_.any():
            chosen.append(points[int(np.argmax(open_))])
            open_ &= np.linalg.norm(points - chosen[-1], axis=1) > threshold
        if len(chosen) == 3 or threshold < 1e-12:
            # an image of one colour has a single column to give
            return np.stack((chosen * 3)[:3], axis=1)
        threshold /= 2


def normalise(A: Array, S: Array) -> tuple[Array, Array]:
    """Divide each column of A by its first coefficient and multiply the row of S by it.

    Columns without absorbance in the first band are left as they are.

    Args:
        A (..., 3, 3): mixing matrix.
        S (..., 3, N): sources.

    Returns:
        Both, with the same product.

    Source:
        Section 2.1, after equation 21.
    """
    first = np.where(A[..., :1, :] > 0, A[..., :1, :], 1.0)
    return A / first, S * first.swapaxes(-1, -2)


def assign(A: Array, reference: ArrayLike) -> NDArray[np.int64]:
    """Find which estimated column belongs to which chromophore.

    Columns are compared by the angles arctan(a_2j / a_1j) and arctan(a_3j / a_1j), since the ratios
    themselves have no upper bound; of the six orders the one with the least sum of squares is
    taken.

    Args:
        A (..., 3, 3): estimated mixing matrix, scale of the columns free.
        reference (3, 3): matrix whose columns are named, here from absorption spectra.

    Returns:
        (..., 3): for each chromophore the column of A.

    Source:
        Section 2.1, last paragraph; the distance is a choice of this book.

    Example:
        >>> M = np.array([[1.0, 1.0, 1.0], [2.0, 1.3, 0.6], [0.1, 0.6, 0.3]])
        >>> assign(5 * M[:, [2, 0, 1]], M).tolist()
        [1, 2, 0]
    """
    own, named = _angles(np.asarray(A)), _angles(np.asarray(reference, dtype=np.float64))
    # (..., chromophore, column)
    cost = ((named[:, :, None] - own[..., :, None, :]) ** 2).sum(axis=-3)
    totals = cost[..., np.arange(3), _ORDERS].sum(axis=-1)
    return np.asarray(_ORDERS[np.argmin(totals, axis=-1)], dtype=np.int64)


def _angles(A: Array) -> Array:
    return np.asarray(np.arctan2(A[..., 1:, :], A[..., :1, :]))


def reorder(A: Array, S: Array, order: NDArray[np.int64]) -> tuple[Array, Array]:
    """Put columns of A and rows of S into the order of the chromophores; see :func:`assign`."""
    columns = np.take_along_axis(A, order[..., None, :], axis=-1)
    return columns, np.take_along_axis(S, order[..., :, None], axis=-2)


def lesion_mask(X: Array, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Outline the lesion: Otsu's threshold on the mean absorbance, largest piece, holes filled.

    Args:
        X (3, N): absorbances.
        shape: height and width.

    Returns:
        (N,), in the order of the pixels of X.

    Raises:
        UsageError: the image has one absorbance everywhere.

    Source:
        Section 3.2 names Otsu (1979); channel and clean-up are choices of this book.
    """
    grey = as_maps(X.mean(axis=0), shape)
    if np.ptp(grey) == 0:
        raise UsageError("`X` must have more than one absorbance, got a flat image. No lesion.")
    pieces = label(grey > threshold_otsu(grey), connectivity=1)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    lesion = ndimage.binary_fill_holes(pieces == np.argmax(sizes))
    return np.asarray(lesion, dtype=bool).T.ravel()


def hair_score(image: NDArray[np.generic], *, radius: int = 3) -> float:
    """Measure how much of a photograph are thin dark structures, as in DullRazor.

    Args:
        image (3, height, width): red, green, blue, as fractions of full scale.
        radius: structures up to about twice as wide count (pixels).

    Returns:
        Mean of the black top-hat of the grey image; 0 where nothing thin is dark.

    Source:
        Lee et al., Comput Biol Med 27:533 (1997), for the closing; the score is this book's.
    """
    return float(black_tophat(image.mean(axis=0, dtype=np.float64), disk(radius)).mean())


def contributions(A: Array, S: Array, mask: NDArray[np.bool_]) -> Array:
    """Average what each chromophore adds to each band inside the lesion.

    Args:
        A (..., 3, 3): mixing matrix.
        S (..., 3, N): sources.
        mask (..., N): the lesion R.

    Returns:
        (..., 3, 3): mean over R of a_ij s_j, rows bands i, columns chromophores j. The sum of a
        column is the paper's criterion C_j; if X = A S, the sum of a row is the classical
        criterion B_i. Neither depends on the scale of columns and rows.

    Raises:
        UsageError: a lesion has no pixel.

    Source:
        Equation 22.
    """
    return np.asarray(A * _masked_mean(S, mask)[..., None, :])


def band_means(X: Array, mask: NDArray[np.bool_]) -> Array:
    """Compute the classical criterion: the mean absorbance of the lesion in each band.

    Args:
        X (..., 3, N): absorbances.
        mask (..., N): the lesion R.

    Returns:
        (..., 3): B_i.

    Raises:
        UsageError: a lesion has no pixel.

    Source:
        Equation 24.
    """
    return _masked_mean(X, mask)


def _masked_mean(rows: Array, mask: NDArray[np.bool_]) -> Array:
    inside = mask.sum(axis=-1)
    if not np.all(inside):
        raise UsageError("`mask` must have at least one pixel in each image, got an empty lesion.")
    total = np.einsum("...jn,...n->...j", rows, mask.astype(np.float64))
    return np.asarray(total / inside[..., None])
