"""Near-duplicate images: found by perceptual hash, confirmed by correlation."""

from collections.abc import Sequence
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from common.datasets.cases import Case

_THUMBNAIL = (32, 32)


def thumbnail(image: NDArray[Any]) -> NDArray[np.float32]:
    """Reduce an image to 32 x 32 grey values in [0, 1].

    Args:
        image (C, height, width) or (C, depth, height, width): channels are averaged; of a volume
            the middle slice counts.

    Raises:
        ValueError: the image has another number of axes.
    """
    if image.ndim not in (3, 4):
        raise ValueError(f"`image` must be (C, [depth,] height, width), got {image.shape}.")
    plane = image.astype(np.float32).mean(axis=0)
    if plane.ndim == 3:
        plane = plane[len(plane) // 2]
    small = resize(plane, _THUMBNAIL, order=1, anti_aliasing=True)
    spread = float(np.ptp(small))
    return ((small - small.min()) / spread if spread else np.zeros(_THUMBNAIL)).astype(np.float32)


def perceptual_hash(small: NDArray[np.float32]) -> int:
    """Hash a thumbnail to 64 bits, alike for images that look alike.

    Args:
        small (height, width): values in [0, 1].

    Source:
        The DCT hash of the library imagehash (Zauner, 2010).
    """
    found = imagehash.phash(Image.fromarray(np.round(small * 255).astype(np.uint8)))
    return int("".join("1" if bit else "0" for bit in np.ravel(found.hash)), 2)


def near_duplicates(
    cases: Sequence[Case], *, max_distance: int = 6, min_correlation: float = 0.97
) -> pd.DataFrame:
    """List the pairs of images that show nearly the same.

    1. each image is reduced and hashed, see :func:`thumbnail` and :func:`perceptual_hash`;
    2. pairs whose hashes differ in at most ``max_distance`` of 64 bits are candidates;
    3. those whose thumbnails correlate by at least ``min_correlation`` are kept.

    Args:
        cases: read one after the other; cases without an image are passed over.
        max_distance: bits; 0 finds copies and re-encodings only.
        min_correlation: Pearson correlation of the thumbnails.

    Returns:
        One row a pair, nearest first: first, second (names of cases), first_cluster,
        second_cluster, distance (bits), correlation. Flipped and turned copies are not found.
    """
    seen = [
        (case.case, case.cluster, thumbnail(case.image)) for case in cases if case.image is not None
    ]
    columns = ["first", "second", "first_cluster", "second_cluster", "distance", "correlation"]
    if len(seen) < 2:
        return pd.DataFrame(columns=columns)
    hashes = np.array([perceptual_hash(small) for _, _, small in seen], dtype=np.uint64)
    flat = np.stack([small.ravel() for _, _, small in seen])
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    rows = []
    for i in range(len(seen) - 1):
        distance = np.bitwise_count(hashes[i + 1 :] ^ hashes[i])
        for step in np.flatnonzero(distance <= max_distance):
            j = i + 1 + int(step)
            correlation = float(flat[i] @ flat[j])
            if correlation >= min_correlation:
                rows.append((seen[i], seen[j], int(distance[step]), correlation))
    found = pd.DataFrame(
        [(a[0], b[0], a[1], b[1], distance, close) for a, b, distance, close in rows],
        columns=columns,
    )
    return found.sort_values(
        ["distance", "correlation"], ascending=[True, False], kind="stable", ignore_index=True
    )
