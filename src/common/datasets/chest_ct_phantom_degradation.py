"""Degradation of sharp slices into low-resolution ones, a quarter of the side.

Presets: ``paper`` (probabilities that the paper prints), ``released`` (what its code does, with
scaling by the extremes after every step), ``bicubic_blur`` (the simple comparator) and ``heldout``
(parameters that training never sees).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.signal import fftconvolve
from scipy.special import j1

from common.phantoms.fields import Field
from common.phantoms.noise import jpeg_blocks

SIDES = tuple(range(7, 22, 2))  # of blur kernels (px)
_ISOTROPIC_SHARE = 0.7
_RESIZE_SHARES = (0.6, 0.2, 0.2)
# weights of four neighbours for half a side: cubic convolution (a = -1/2); linear and area agree
_HALVING = {
    "bicubic": np.array([-1, 9, 9, -1]) / 16,
    "bilinear": np.array([0, 1, 1, 0]) / 2,
    "area": np.array([0, 1, 1, 0]) / 2,
}


@dataclass(frozen=True)
class Preset:
    """What a degradation draws.

    Args:
        sigma: smallest and largest width of the blur (px).
        sides: sides of the kernel to choose from (px).
        plateau: whether kernels may be flat in the middle.
        gaussian_sd: smallest and largest standard deviation of Gaussian noise.
        blur: passes with blur and noise, of two.
        gaussian: probability of Gaussian noise.
        poisson: probability of Poisson noise; ``None`` for one of the two kinds of noise.
        jpeg: probability of JPEG in a pass.
        quality: smallest and largest quality of JPEG.
        sinc: probability of a sinc filter in a pass; ``None`` for one filter at the end.
        resize: shares of bicubic, bilinear and area.
        renormalise: whether every step ends with scaling to [0, 1] by the extremes.
    """

    sigma: tuple[float, float] = (0.6, 5.0)
    sides: Sequence[int] = SIDES
    plateau: bool = False
    gaussian_sd: tuple[float, float] = (0.0, 1 / 255)
    blur: int = 2
    gaussian: float = 0.5
    poisson: float | None = 0.5
    jpeg: float = 0.3
    quality: tuple[float, float] = (90.0, 100.0)
    sinc: float | None = 0.3
    resize: tuple[float, float, float] = _RESIZE_SHARES
    renormalise: bool = False


PRESETS = {
    "paper": Preset(),
    "released": Preset(
        sides=(21,),
        plateau=True,
        blur=1,
        gaussian=0.5,
        poisson=None,
        jpeg=0.5,
        quality=(75.0, 75.0),  # a common default of codecs; the code passes none
        sinc=None,
        renormalise=True,
    ),
    "bicubic_blur": Preset(
        blur=1, gaussian=0.0, poisson=0.0, jpeg=0.0, sinc=0.0, resize=(1.0, 0.0, 0.0)
    ),
    "heldout": Preset(sigma=(5.0, 7.0), gaussian_sd=(2 / 255, 4 / 255), quality=(60.0, 80.0)),
}


def degrade(
    image: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    preset: str = "paper",
    renormalise: bool | None = None,
) -> Field:
    """Make a low-resolution slice: twice blur, halve, add noise, compress and filter.

    Args:
        image (height, width): sharp slice in [0, 1]; sides are multiples of 4.
        rng: source of randomness.
        preset: a name of :data:`PRESETS`.
        renormalise: whether every step ends with scaling by the extremes, which puts an unknown
            gain and offset between the two slices; as the preset says by default.

    Returns:
        (height / 4, width / 4) float32 in [0, 1].

    Raises:
        ValueError: the preset is unknown, or a side is no multiple of 4.

    Source:
        The paper, Section 4.1 (probabilities and kernel sides), and the authors'
        code (ranges, and all of ``released``).
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {preset!r}.")
    if image.ndim != 2 or any(side % 4 for side in image.shape):
        raise ValueError(f"`image` must have two sides divisible by 4, got {image.shape}. Crop it.")
    chosen = PRESETS[preset]
    stretch = chosen.renormalise if renormalise is None else renormalise
    found = image.astype(np.float32)
    for turn in range(2):
        if turn < chosen.blur:
            found = _ended(_filtered(found, _blur_kernel(chosen, rng)), stretch)
        found = _ended(halve(found, str(rng.choice(list(_HALVING), p=chosen.resize))), stretch)
        if turn < chosen.blur:
            found = _ended(_noisy(found, chosen, rng), stretch)
        quality = rng.uniform(*chosen.quality)
        if rng.random() < chosen.jpeg:
            found = _ended(jpeg_blocks(found, quality), stretch)
        if chosen.sinc is not None and rng.random() < chosen.sinc:
            found = _ended(_filtered(found, _random_sinc(rng)), stretch)
    if chosen.sinc is None:
        found = _ended(_filtered(found, _random_sinc(rng)), stretch)
    return found


def _ended(image: NDArray[np.floating], stretch: bool) -> Field:
    """End a step: clip to [0, 1], or scale by the extremes."""
    if stretch and np.ptp(image) > 0:
        image = (image - image.min()) / np.ptp(image)
    return np.clip(image, 0, 1).astype(np.float32)


def halve(image: NDArray[np.floating], kind: str) -> Field:
    """Halve both sides.

    Args:
        image (height, width): sides are even.
        kind: ``bicubic``, ``bilinear`` or ``area``.

    Returns:
        (height / 2, width / 2) float32.

    Example:
        >>> halve(np.array([[0.0, 2.0], [4.0, 6.0]]), "area").tolist()
        [[3.0]]
    """
    for axis in range(2):
        # the origin puts the kernel's four weights around the middle of each pair
        image = correlate1d(image, _HALVING[kind], axis=axis, origin=-1, mode="nearest")
        image = image[:, 0::2] if axis else image[0::2]
    return image.astype(np.float32)


def kernel(
    side: int, sigma: tuple[float, float], angle: float, *, plateau: float | None = None
) -> NDArray[np.float64]:
    """Make a blur kernel of sum 1.

    K = exp(-q / 2) with q = d^T S^-1 d, or 1 / (1 + q^beta) with a plateau.

    Args:
        side: odd (px).
        sigma: width along both of its axes (px).
        angle: of the first axis (radians).
        plateau: exponent beta; larger is flatter and steeper; ``None`` for a Gaussian.

    Returns:
        (side, side), symmetric about its middle.

    Example:
        >>> k = kernel(7, (1.0, 1.0), 0.0)
        >>> round(float(k[3, 4] / k[3, 3]), 4)  # exp(-1 / 2)
        0.6065
    """
    y, x = np.mgrid[:side, :side] - side // 2
    c, s = np.cos(angle), np.sin(angle)
    q = ((c * y + s * x) / sigma[0]) ** 2 + ((c * x - s * y) / sigma[1]) ** 2
    weights: NDArray[np.float64] = np.exp(-q / 2) if plateau is None else 1 / (1 + q**plateau)
    return weights / weights.sum()


def sinc(cutoff: float, side: int = 11) -> NDArray[np.float64]:
    """Make the kernel of an ideal round low-pass, of sum 1.

    k(r) = w J1(w r) / (2 pi r), w^2 / (4 pi) in the middle.

    Args:
        cutoff: w (radians a pixel), pi for all that a grid can hold along its axes.
        side: odd (px).

    Returns:
        (side, side).
    """
    y, x = np.mgrid[:side, :side] - side // 2
    r = np.hypot(y, x)
    r[side // 2, side // 2] = 1.0
    weights: NDArray[np.float64] = cutoff * j1(cutoff * r) / (2 * np.pi * r)
    weights[side // 2, side // 2] = cutoff**2 / (4 * np.pi)
    return weights / weights.sum()


def _random_sinc(rng: np.random.Generator) -> NDArray[np.float64]:
    return sinc(rng.uniform(np.pi / 3, np.pi))


def _blur_kernel(preset: Preset, rng: np.random.Generator) -> NDArray[np.float64]:
    first, second = rng.uniform(*preset.sigma, 2)
    if rng.random() < _ISOTROPIC_SHARE:
        second = first
    beta = rng.uniform(0.5, 1) if rng.random() < 0.5 else rng.uniform(1, 8)
    return kernel(
        int(rng.choice(preset.sides)),
        (first, second),
        rng.uniform(-np.pi, np.pi),
        plateau=beta if preset.plateau else None,
    )


def _filtered(image: NDArray[np.floating], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    pad = len(weights) // 2
    padded = np.pad(image, pad, mode="reflect" if min(image.shape) > pad else "edge")
    found: NDArray[np.float64] = fftconvolve(padded, weights, mode="valid")
    return found


def _noisy(image: Field, preset: Preset, rng: np.random.Generator) -> Field:
    """Add Gaussian noise, and Poisson noise of 256 counts at most times a random factor."""
    sd, share = rng.uniform(*preset.gaussian_sd), rng.random()
    gaussian = rng.random() < preset.gaussian
    poisson = not gaussian if preset.poisson is None else rng.random() < preset.poisson
    found = image.astype(np.float64)
    if gaussian:
        found += sd * rng.standard_normal(image.shape)
    if poisson:
        found += share * (rng.poisson(256 * np.clip(image, 0, 1)) / 256 - image)
    return found.astype(np.float32)
