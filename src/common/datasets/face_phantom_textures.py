"""Pictures without a face, for mixing faces with another domain."""

import numpy as np
from numpy.typing import NDArray

from common.phantoms.draws import stream
from common.phantoms.fields import Field, smooth_noise
from common.phantoms.shapes import blob, grid, soft


def textures(n: int, seed: int, *, size: int = 64) -> NDArray[np.float32]:
    """Make pictures of no face, which stand in for ImageNet in mixing across domains.

    A third each: two crossing sinusoids, clouds of smooth noise, and overlapping blobs.

    Args:
        n: number of pictures.
        seed: seed of the phantom.
        size: side (pixels).

    Returns:
        (n, 3, size, size) float32 in [0, 1].
    """
    rng = stream(seed, "face-phantom", "textures")
    return np.array([_texture(i % 3, size, rng) for i in range(n)]).reshape(n, 3, size, size)


def _texture(kind: int, size: int, rng: np.random.Generator) -> Field:
    colours = rng.random((6, 3)).astype(np.float32)[:, :, None, None]
    image = np.broadcast_to(colours[0], (3, size, size)).copy()
    y, x = grid((size, size))
    for colour in colours[1:3] if kind < 2 else colours[1:]:
        if kind == 0:
            angle, period = rng.uniform(0, np.pi), rng.uniform(0.08, 0.4) * size
            wave = 2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period
            cover = 0.5 + 0.5 * np.sin(wave)
        elif kind == 1:
            cover = soft(smooth_noise((size, size), rng.uniform(0.03, 0.15) * size, rng), 0.8)
        else:
            bumps = 0.15 * rng.standard_normal((2, 4))
            centre, radius = rng.uniform(0, size, 2), rng.uniform(0.1, 0.35) * size
            cover = soft(blob((size, size), centre, radius, cosines=bumps[0], sines=bumps[1]))
        image += cover * (colour - image)
    return image
