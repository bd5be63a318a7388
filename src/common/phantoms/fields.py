"""Random fields: smooth and banded noise, fibres, bias fields, deformations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates, zoom

Field = NDArray[np.float32]


def smooth_noise(
    shape: Sequence[int], sigma: float | Sequence[float], rng: np.random.Generator
) -> Field:
    """Draw Gaussian noise of a given smoothness, mean 0 and standard deviation 1.

    Long correlations are drawn on a coarser grid and interpolated, which costs a fraction.

    Args:
        shape: sides (pixels).
        sigma: standard deviation of the smoothing kernel (px), one for all axes or one for each;
            0 for white noise.
        rng: source of randomness.

    Returns:
        float32 of the given shape; zeros if it has a single value.
    """
    scales = np.broadcast_to(np.asarray(sigma, dtype=float), len(shape))
    step = [max(1, int(s // 2)) for s in scales]
    coarse = [max(2, -(-n // k) + 4) if k > 1 else n for n, k in zip(shape, step, strict=True)]
    white = rng.standard_normal(coarse).astype(np.float32)
    drawn = gaussian_filter(white, [s / k for s, k in zip(scales, step, strict=True)], mode="wrap")
    if any(k > 1 for k in step):
        drawn = zoom(
            drawn, [k if k > 1 else 1 for k in step], order=1, mode="nearest", grid_mode=False
        )
        drawn = drawn[tuple(slice(0, n) for n in shape)]
    return _standardised(drawn)


def band_noise(shape: Sequence[int], fine: float, coarse: float, rng: np.random.Generator) -> Field:
    """Draw noise whose structures lie between two sizes: a difference of Gaussians of white noise.

    Args:
        shape: sides (pixels).
        fine: smoothing of the finer kernel (px).
        coarse: smoothing of the coarser kernel (px), above ``fine``.
        rng: source of randomness.

    Returns:
        float32, mean 0, standard deviation 1.

    Raises:
        ValueError: ``coarse`` is not above ``fine``.
    """
    if coarse <= fine:
        raise ValueError(f"`coarse` must be above `fine` {fine!r}, got {coarse!r}.")
    white = rng.standard_normal(tuple(shape)).astype(np.float32)
    return _standardised(
        gaussian_filter(white, fine, mode="wrap") - gaussian_filter(white, coarse, mode="wrap")
    )


def fibres(
    shape: Sequence[int], angle: float, length: float, width: float, rng: np.random.Generator
) -> Field:
    """Draw noise in the plane that is stretched along one direction, such as collagen or muscle.

    Args:
        shape: height and width (pixels).
        angle: direction of the fibres from the row axis (radians).
        length: standard deviation of the smoothing along them (px).
        width: standard deviation across them (px).
        rng: source of randomness.

    Returns:
        float32, mean 0, standard deviation 1.
    """
    height, width_px = shape
    side = int(np.ceil(np.hypot(height, width_px))) + 2
    drawn = rng.standard_normal((side, side)).astype(np.float32)
    drawn = gaussian_filter1d(drawn, length, axis=0, mode="wrap")
    drawn = gaussian_filter1d(drawn, width, axis=1, mode="wrap")
    y, x = np.meshgrid(
        np.arange(height) - (height - 1) / 2,
        np.arange(width_px) - (width_px - 1) / 2,
        indexing="ij",
    )
    c, s = np.cos(angle), np.sin(angle)
    centre = (side - 1) / 2
    turned = map_coordinates(
        drawn, [c * y + s * x + centre, c * x - s * y + centre], order=1, mode="wrap"
    )
    return _standardised(turned)


def _standardised(field: NDArray[np.floating]) -> Field:
    spread = float(field.std())
    if spread == 0:
        return np.zeros(field.shape, np.float32)
    return ((field - field.mean()) / spread).astype(np.float32)


def bias_field(
    shape: Sequence[int], strength: float, rng: np.random.Generator, *, scale: float = 0.3
) -> Field:
    """Draw a slow multiplicative field, such as the sensitivity of a coil.

    exp(strength z), z smooth with standard deviation 1, divided by its mean.

    Args:
        shape: sides (pixels).
        strength: standard deviation of the log; 0 gives ones.
        rng: source of randomness.
        scale: smoothing as a share of each side.

    Returns:
        float32, positive, mean 1.
    """
    drawn = smooth_noise(shape, [scale * n for n in shape], rng)
    field = np.exp(strength * drawn)
    return (field / field.mean()).astype(np.float32)


def displacement(
    shape: Sequence[int],
    amplitude: float,
    sigma: float,
    rng: np.random.Generator,
) -> Field:
    """Draw a smooth deformation.

    Args:
        shape: sides (pixels).
        amplitude: standard deviation of each component (px); 0 gives none.
        sigma: smoothness (px).
        rng: source of randomness.

    Returns:
        (axes, *shape) float32: where each pixel of the warped image is taken from, less its own
        place.
    """
    return np.stack([amplitude * smooth_noise(shape, sigma, rng) for _ in shape])


def warp(
    image: NDArray[np.generic], field: Field, *, order: int = 1, outside: float | None = None
) -> NDArray[np.generic]:
    """Deform an image or a label map.

    Args:
        image (*spatial): what is deformed.
        field (axes, *spatial): from :func:`displacement`; axes in the order of the image.
        order: degree of interpolation; 0 for labels.
        outside: value beyond the border; the border's own by default.

    Returns:
        The warped image, of the same type.

    Raises:
        ValueError: the field does not fit the image.
    """
    if field.shape != (image.ndim, *image.shape):
        wanted = (image.ndim, *image.shape)
        raise ValueError(f"`field` must have shape {wanted}, got {field.shape}. Draw it anew.")
    places = np.indices(image.shape, dtype=np.float32) + field
    mode, value = ("nearest", 0.0) if outside is None else ("constant", outside)
    source = image.astype(np.float32) if image.dtype == bool and order else image
    warped = map_coordinates(source, places, order=order, mode=mode, cval=value)
    return warped.astype(image.dtype) if order == 0 else np.asarray(warped)
