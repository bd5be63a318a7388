"""The pretext task: twelve shapes and textures, drawn at random, stand in for ImageNet.

ImageNet weights are not part of the book. A network that has learned to tell these pictures apart
knows edges, bars, corners and textures, and nothing of X-rays; what comes of it is called pretext
pretraining everywhere, never ImageNet.
"""

import numpy as np
from numpy.typing import NDArray

from common.phantoms.draws import stream

CLASSES = (
    "disc",
    "ring",
    "square",
    "frame",
    "triangle",
    "cross",
    "bar",
    "two bars",
    "stripes",
    "checks",
    "dots",
    "clouds",
)


def shapes(n: int, seed: int, *, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw pictures of the twelve classes in equal numbers.

    1. place N(0, 0.15), half-width U(0.35, 0.7) of the half picture, any rotation;
    2. a figure of one grey value on a ground of another, at least 0.25 apart, with soft edges;
    3. a slope of brightness across the picture, and noise of N(0, 0.05).

    Args:
        n: pictures.
        seed: of the draws.
        size: side (pixels).

    Returns:
        Pictures (n, 1, size, size) in [0, 1] and classes (n,), places in :data:`CLASSES`.

    Raises:
        ValueError: ``n`` is below 1.

    Example:
        >>> picture, label = shapes(24, 0, size=32)
        >>> picture.shape, np.bincount(label).tolist() == [2] * 12
        ((24, 1, 32, 32), True)
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Ask for some pictures.")
    rng = stream(seed, "shoulder-implant", "pretext")
    label = rng.permutation(np.arange(n) % len(CLASSES))
    return np.stack([_picture(int(each), size, rng) for each in label])[:, None], label


def _picture(kind: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    line = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(line, line, indexing="ij")
    (cy, cx), half = rng.normal(0, 0.15, 2), rng.uniform(0.35, 0.7)
    turn = rng.uniform(0, 2 * np.pi)
    u = (np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy)) / half
    v = (np.cos(turn) * (y - cy) - np.sin(turn) * (x - cx)) / half
    with np.errstate(over="ignore"):  # far outside a large picture's shape this is 0, as it should
        inside = 1 / (1 + np.exp(-_depth(kind, u, v, rng) * half * size / 2))
    first, second = rng.uniform(0, 1, 2)
    while abs(first - second) < 0.25:
        first, second = rng.uniform(0, 1, 2)
    slope = rng.uniform(-0.15, 0.15, 2)
    picture = second + (first - second) * inside + slope[0] * x + slope[1] * y
    picture += rng.normal(0, 0.05, picture.shape)
    return np.clip(picture, 0, 1).astype(np.float32)


def _depth(
    kind: int, u: NDArray[np.float32], v: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return how deep a point lies inside the figure, in half-widths; negative outside."""
    radius, square = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v))
    wave = rng.uniform(6, 10)
    if kind == 10:
        cell = (u * 2.5) % 1 - 0.5, (v * 2.5) % 1 - 0.5
        return np.asarray((0.3 - np.hypot(*cell)) / 2.5, dtype=np.float32)
    if kind == 11:
        angle = rng.uniform(0, 2 * np.pi, 6)
        phase = rng.uniform(0, 2 * np.pi, 6)
        terms = [
            np.sin(0.5 * wave * (np.cos(a) * u + np.sin(a) * v) + p)
            for a, p in zip(angle, phase, strict=True)
        ]
        return np.asarray(sum(terms) / 10, dtype=np.float32)
    figures = (
        lambda: 1 - radius,
        lambda: 0.2 - np.abs(radius - 0.8),
        lambda: 0.85 - square,
        lambda: 0.15 - np.abs(square - 0.75),
        lambda: np.minimum(0.5 + v, 0.5 - v / 2 - np.abs(u) * 0.866),
        lambda: np.maximum(
            np.minimum(0.25 - np.abs(u), 1 - np.abs(v)), np.minimum(0.25 - np.abs(v), 1 - np.abs(u))
        ),
        lambda: np.minimum(0.22 - np.abs(u), 1.1 - np.abs(v)),
        lambda: np.minimum(0.18 - np.abs(np.abs(u) - 0.5), 1 - np.abs(v)),
        lambda: np.sin(wave * u) / wave,
        lambda: np.sin(0.7 * wave * u) * np.sin(0.7 * wave * v) / wave,
    )
    found: NDArray[np.float32] = np.asarray(figures[kind](), dtype=np.float32)
    return found
