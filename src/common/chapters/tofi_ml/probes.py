"""What happens to the fingerprint of one image when the image is altered."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import ndimage

from common.chapters.tofi_ml.features import image_of, processes
from common.chapters.tofi_ml.materials import NOISE_LEVELS, add_noise, stream
from common.datasets import fundus_phantom
from common.datasets.cases import Cases
from common.models import tofi_ml
from common.models.tofi_ml_network import shrink

Image = NDArray[np.generic]

_PROBES = 8  # number of the stream of images
ANGLES = (10, 30, 45)
_FRAME, _STEP = 8, (3, 5)  # black border and shift inside it (pixels)


def relative_change(first: NDArray[Any], second: NDArray[Any]) -> float:
    r"""Compute :math:`\sum_i |a_i - b_i| / \sum_i a_i` of two fingerprints.

    Example:
        >>> relative_change(np.array([3, 1]), np.array([2, 2]))
        0.5
    """
    return float(np.abs(first.astype(float) - second).sum() / first.sum())


def as_bytes(image: Image) -> NDArray[np.uint8]:
    """Turn an image of floats 0 to 1 into the bytes it was; bytes stay."""
    scale = 255 if image.dtype.kind == "f" else 1
    return np.rint(image * scale).astype(np.uint8)


def fingerprint(image: Image) -> NDArray[np.int32]:
    """Compute the 800 features of an image (3, height, width)."""
    return tofi_ml.on_grid(tofi_ml.betti_curves(image))


def on_lattice(image: Image) -> float:
    """Give the largest change that quarter turns, mirrors and a whole-pixel shift make.

    For the shift the image first gets a black border that is wide enough to keep all of it.

    Args:
        image (3, height, width).

    Returns:
        Relative change; 0 if none of them changes any count.
    """
    own = fingerprint(image)
    moved = [np.rot90(image, k, axes=(1, 2)) for k in (1, 2, 3)]
    moved += [np.flip(image, axis) for axis in (1, 2)]
    framed = np.pad(image, ((0, 0), (_FRAME, _FRAME), (_FRAME, _FRAME)))
    rolled = np.roll(framed, _STEP, axis=(1, 2))
    changes = [relative_change(own, fingerprint(each)) for each in moved]
    return max(*changes, relative_change(fingerprint(framed), fingerprint(rolled)))


def turned(image: Image, degrees: float) -> NDArray[np.uint8]:
    """Turn an image about its middle by linear interpolation; corners become black."""
    pixels = as_bytes(image).astype(np.float32)
    found = ndimage.rotate(pixels, degrees, axes=(1, 2), reshape=False, order=1, cval=0.0)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def shifted(image: Image, pixels: float) -> NDArray[np.uint8]:
    """Move an image down and to the right by linear interpolation."""
    moved = ndimage.shift(as_bytes(image).astype(np.float32), (0, pixels, pixels), order=1)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def halved(image: Image) -> NDArray[np.uint8]:
    """Bring an image to half its width by averaging."""
    return shrink(image, image.shape[-1] // 2)


def duality(image: Image) -> float:
    r"""Correlate :math:`\beta_1` of the sublevel with :math:`\beta_0` of the superlevel filtration.

    Args:
        image (3, height, width).

    Returns:
        Pearson's correlation over the levels of the grey channel.
    """
    gray = tofi_ml.channels(image)[0]
    holes = tofi_ml.betti(gray)[1]
    # {f > t} is {TOP - f <= TOP - 1 - t}
    bright = tofi_ml.betti(tofi_ml.TOP - gray)[0][: tofi_ml.TOP][::-1]
    return float(np.corrcoef(holes[: tofi_ml.TOP], bright)[0, 1])


ALTERATIONS: Mapping[str, Callable[[Image], Image]] = {
    **{f"turn-{angle}": partial(turned, degrees=angle) for angle in ANGLES},
    "half-pixel": partial(shifted, pixels=0.5),
    "half-size": halved,
    **{f"noise-{sd}": partial(add_noise, sd=sd) for sd in NOISE_LEVELS},
}


def phantom_cases(n: int, *, seed: int, size: int) -> tuple[Cases, dict[str, Cases]]:
    """Draw the eyes that are altered, and the same eyes seen by a turned camera.

    Args:
        n: eyes.
        seed: of the run.
        size: side (pixels).

    Returns:
        The eyes, and by the name of the arm the photographs at each of :data:`ANGLES`.
    """

    def seen(angle: float) -> Cases:
        own = stream(seed, _PROBES)
        return fundus_phantom.phantom(n, own, disease="dr", size=size, rotation=angle)

    return seen(0), {f"camera-{angle}": seen(angle) for angle in ANGLES}


def probe(
    cases: Cases, *, cameras: Mapping[str, Cases] | None = None, jobs: int = 2
) -> pd.DataFrame:
    """Alter every image in every way and measure the change of its fingerprint.

    Args:
        cases: images (3, height, width).
        cameras: the same eyes seen by a camera that was turned, by the name of the arm.
        jobs: processes.

    Returns:
        Records without ``paper, run, profile, source``: metric ``curve_change`` of every
        alteration, and ``duality``.
    """
    tasks = (delayed(_one)(cases, cameras or {}, i) for i in range(len(cases)))
    return pd.concat(Parallel(n_jobs=processes(jobs))(tasks), ignore_index=True)


def _one(cases: Cases, cameras: Mapping[str, Cases], place: int) -> pd.DataFrame:
    case, image = cases[place], image_of(cases[place])
    own = fingerprint(image)
    seen = {name: change(image) for name, change in ALTERATIONS.items()}
    seen |= {name: image_of(others[place]) for name, others in cameras.items()}
    changes = {name: relative_change(own, fingerprint(other)) for name, other in seen.items()}
    rows = [("lattice", "curve_change", on_lattice(image))]
    rows += [(name, "curve_change", value) for name, value in changes.items()]
    rows.append(("duality", "duality", duality(image)))
    table = pd.DataFrame(rows, columns=["arm", "metric", "value"])
    return table.assign(case=case.case, cluster=case.cluster, seed=0, fold="", group="")
