"""What cameras and scanners add: noise, speckle, blur, specks, compression, quantisation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, uniform_filter1d

from common.phantoms.fields import Field

# luminance table of JPEG (ITU-T T.81, Annex K), quality 50
_JPEG_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float32,
)


def gaussian(image: NDArray[np.floating], sd: float, rng: np.random.Generator) -> Field:
    """Add white Gaussian noise of a standard deviation in the image's unit."""
    return (image + sd * rng.standard_normal(image.shape)).astype(np.float32)


def rician(image: NDArray[np.floating], sd: float, rng: np.random.Generator) -> Field:
    """Take the magnitude of a signal with complex Gaussian noise, as magnetic resonance does.

    sqrt((S + n1)^2 + n2^2); where there is no signal the mean is sd sqrt(pi / 2).

    Args:
        image: signal, not negative.
        sd: standard deviation of each part of the noise, in the image's unit.
        rng: source of randomness.

    Returns:
        float32, not negative.

    Source:
        Gudbjartsson and Patz, Magnetic Resonance in Medicine 34, 1995.
    """
    real, imaginary = sd * rng.standard_normal((2, *image.shape))
    return np.hypot(image + real, imaginary).astype(np.float32)


def poisson(image: NDArray[np.floating], counts: float, rng: np.random.Generator) -> Field:
    """Count photons: the value 1 stands for ``counts`` of them on average.

    Args:
        image: values; negative ones count as 0.
        counts: photons at value 1; more give less noise.
        rng: source of randomness.

    Returns:
        float32 with the mean of the image and variance image / counts.

    Raises:
        ValueError: ``counts`` is not positive.
    """
    if counts <= 0:
        raise ValueError(f"`counts` must be above 0, got {counts!r}. Raise it.")
    return (rng.poisson(np.maximum(image, 0) * counts) / counts).astype(np.float32)


def speckle(
    image: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    grain: float | Sequence[float] = 0.8,
    looks: float = 1.0,
) -> Field:
    """Multiply by ultrasound speckle: the envelope of a filtered complex Gaussian field.

    Args:
        image: echogenicity, not negative.
        rng: source of randomness.
        grain: size of the grains (px), one for both axes or axial and lateral.
        looks: number of independent fields whose power is averaged; more give less speckle.

    Returns:
        float32, not negative; with one look the factor is Rayleigh distributed with mean square 1.
    """
    n = max(1, round(looks))
    power = np.zeros(image.shape, np.float32)
    for _ in range(2 * n):
        part = gaussian_filter(rng.standard_normal(image.shape), grain, mode="wrap")
        power += (part / part.std()).astype(np.float32) ** 2
    return (image * np.sqrt(power / (2 * n))).astype(np.float32)


def log_compress(envelope: NDArray[np.floating], *, range_db: float = 50.0) -> Field:
    """Compress an envelope to the grey levels that ultrasound shows.

    Args:
        envelope: not negative.
        range_db: dynamic range below the maximum.

    Returns:
        float32 in [0, 1]; the maximum is 1, anything ``range_db`` below it 0.
    """
    top = float(envelope.max())
    if top <= 0:
        return np.zeros(envelope.shape, np.float32)
    level = 20 * np.log10(np.maximum(envelope / top, 1e-12))
    return np.clip(1 + level / range_db, 0, 1).astype(np.float32)


def blur(image: NDArray[np.floating], sigma: float | Sequence[float]) -> Field:
    """Blur the spatial axes of an image, given alone or with channels first.

    Args:
        image (*spatial) or (C, *spatial): give one ``sigma`` for each axis to leave channels alone.
        sigma: standard deviation (px).
    """
    return gaussian_filter(image.astype(np.float32), sigma, mode="nearest")


def slice_profile(image: NDArray[np.floating], thickness: int, *, axis: int = 0) -> Field:
    """Average over the thickness of a slice with a box profile, keeping the grid.

    Args:
        image: values on a grid finer than the slices.
        thickness: in pixels of that grid, at least 1.
        axis: direction of the slices.
    """
    return uniform_filter1d(image.astype(np.float32), max(1, thickness), axis=axis, mode="nearest")


def specks(
    image: NDArray[np.floating],
    n: int,
    value: float,
    rng: np.random.Generator,
    *,
    radius: float = 0.7,
) -> Field:
    """Blend in small round specks at random places, such as dust or specular highlights.

    Args:
        image (height, width) or (C, height, width).
        n: number of specks.
        value: their value.
        rng: source of randomness.
        radius: standard deviation of a speck (px).
    """
    shape = image.shape[-2:]
    at = np.zeros(shape, np.float32)
    np.add.at(at, tuple(rng.integers(0, side, n) for side in shape), 1.0)
    cover = np.clip(2 * np.pi * radius**2 * gaussian_filter(at, radius), 0, 1)
    return (image * (1 - cover) + value * cover).astype(np.float32)


def jpeg_blocks(image: NDArray[np.floating], quality: float) -> Field:
    """Quantise the cosine transform of 8 x 8 blocks, as JPEG does with luminance.

    Args:
        image (..., height, width): values in [0, 1].
        quality: 1 to 100, as in the reference implementation; lower gives coarser blocks.

    Returns:
        float32 in [0, 1], same shape.

    Raises:
        ValueError: ``quality`` is not in 1-100.

    Source:
        ITU-T T.81, Annex K.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be in 1-100, got {quality!r}. Change it.")
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    table = np.clip(np.floor(_JPEG_TABLE * scale + 0.5), 1, 255) / 255
    height, width = image.shape[-2:]
    pad = [(0, 0)] * (image.ndim - 2) + [(0, -height % 8), (0, -width % 8)]
    padded = np.pad(image.astype(np.float32), pad, mode="edge")
    lead = padded.shape[:-2]
    blocks = padded.reshape(*lead, padded.shape[-2] // 8, 8, padded.shape[-1] // 8, 8)
    blocks = np.moveaxis(blocks, -3, -2)
    middle = 128 / 255
    spectrum = dctn(blocks - middle, axes=(-2, -1), norm="ortho")
    rounded = idctn(np.round(spectrum / table) * table, axes=(-2, -1), norm="ortho") + middle
    restored = np.moveaxis(rounded, -2, -3).reshape(padded.shape)
    return np.clip(restored[..., :height, :width], 0, 1).astype(np.float32)


def quantise(image: NDArray[np.floating], levels: int = 256) -> Field:
    """Round to equally spaced levels of [0, 1], as a sensor of that depth does."""
    return (np.round(np.clip(image, 0, 1) * (levels - 1)) / (levels - 1)).astype(np.float32)
