"""The sets of images of the ToFi-ML chapter, drawn from the phantom and described once."""

import zlib
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.chapters.tofi_ml.arms import N_GRID
from common.chapters.tofi_ml.experiment import Study
from common.chapters.tofi_ml.features import Fingerprints, extract, feature_set
from common.datasets import fundus_phantom
from common.models import tofi_ml
from common.models.tofi_ml_network import shrink

NOISE_LEVELS = (2, 5, 10)  # standard deviation, grey levels
# each set of images comes from a stream of its own: seed of the run times this, plus its number
STREAMS = 100
_DR, _AMD, _GLAUCOMA, _CURVES, _SIZES = range(5)


def stream(seed: int, number: int) -> int:
    """Give the phantom's seed for one set of images of a run."""
    return STREAMS * seed + number


def add_noise(image: NDArray[np.generic], sd: float) -> NDArray[np.uint8]:
    """Add normal noise to every pixel and colour of an image, and round to bytes.

    Args:
        image (3, height, width): bytes, or floats 0 to 1 that were bytes.
        sd: standard deviation (grey levels).

    Returns:
        Bytes; the same image gets the same noise.
    """
    scale = 255 if image.dtype.kind == "f" else 1
    levels = np.rint(image * scale)
    rng = np.random.default_rng(zlib.crc32(levels.astype(np.uint8).tobytes()))
    noisy = levels + sd * rng.standard_normal(levels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def retinopathy(
    n: int, *, seed: int, size: int, strength: float, photo_side: int, **options: Any
) -> tuple[Study, Fingerprints]:
    """Draw eyes with and without retinopathy, with every feature matrix that an arm reads.

    Args:
        n: images.
        seed: of the run.
        size: side (pixels).
        strength: dial of the phantom.
        photo_side: side of the network's photographs (pixels).
        options: ``jobs`` and ``progress`` of :func:`common.chapters.tofi_ml.features.extract`.
    """
    own = stream(seed, _DR)
    cases = fundus_phantom.phantom(n, own, disease="dr", size=size, strength=strength)
    found = extract(
        cases,
        photo_side=photo_side,
        more=("superlevel", "own_grid"),
        what="retinopathy",
        **options,
    )
    x = {name: feature_set(found.curves, name) for name in ("gray1", "gray01", "rgb", "all")}
    x |= {f"n{number}": feature_set(found.curves, "all", number) for number in N_GRID}
    x["super"] = feature_set(found.more["superlevel"], "all")
    x["own_grid"] = found.more["own_grid"].astype(np.float32)
    return Study("dr", found.table, x, found.photos), found


def degeneration(
    n: int, *, seed: int, size: int, strength: float, photo_side: int, **options: Any
) -> Study:
    """Draw eyes with and without macular degeneration, and the same photographs with more noise.

    See :func:`retinopathy` for the arguments.
    """
    own = stream(seed, _AMD)
    cases = fundus_phantom.phantom(n, own, disease="amd", size=size, strength=strength)
    found = extract(
        cases,
        photo_side=photo_side,
        more=("luma",),
        alter={f"noise {level}": partial(add_noise, sd=level) for level in NOISE_LEVELS},
        what="degeneration",
        **options,
    )
    x = {name: feature_set(found.curves, name) for name in ("gray1", "gray01", "rgb", "all")}
    x["luma"] = x["all"].copy()
    gray = tofi_ml.on_grid(found.more["luma"][:, np.newaxis])
    x["luma"][:, : gray.shape[1]] = gray
    shifted = {
        name: (feature_set(noisy, "all"), photos) for name, (noisy, photos) in found.altered.items()
    }
    return Study("amd", found.table, x, found.photos, shifted)


def glaucoma(
    n: int, *, seed: int, size: int, strength: float, photo_side: int, **options: Any
) -> Study:
    """Draw eyes with and without glaucoma; see :func:`retinopathy` for the arguments."""
    own = stream(seed, _GLAUCOMA)
    cases = fundus_phantom.phantom(n, own, disease="glaucoma", size=size, strength=strength)
    found = extract(cases, photo_side=photo_side, what="glaucoma", **options)
    x = {name: feature_set(found.curves, name) for name in ("gray1", "gray01", "rgb", "all")}
    return Study("glaucoma", found.table, x, found.photos)


def curve_sets(n: int, *, seed: int, size: int, **options: Any) -> dict[str, Fingerprints]:
    """Draw the images behind the median curves: both diseases, and eyes that only bear the label.

    Args:
        n: images of each set.
        seed: of the run.
        size: side (pixels).
        options: ``jobs`` and ``progress``.

    Returns:
        ``dr`` and ``glaucoma`` at the strength that was fitted to the printed curves, ``dr-null``
        and ``glaucoma-null`` at strength 0, ``amd`` at full strength.
    """
    return {
        name: curve_set(name, n, seed=seed, size=size, **options)
        for name in ("dr", "glaucoma", "amd", "dr-null", "glaucoma-null")
    }


def curve_set(name: str, n: int, *, seed: int, size: int, **options: Any) -> Fingerprints:
    """Draw one of the sets of :func:`curve_sets`, at any size."""
    cases = fundus_phantom.phantom(
        n,
        stream(seed, _CURVES),
        disease=name.removesuffix("-null"),
        size=size,
        strength=0.0 if name.endswith("-null") else 1.0,
    )
    return extract(cases, what=f"curves, {name}", **options)


SIZE_FOLLOWS = 0.9  # share of eyes whose image size follows the class, where it does


def size_sets(n: int, *, seed: int, size: int, strength: float, **options: Any) -> dict[str, Study]:
    """Draw the same eyes at one size, at two sizes by chance, and at two sizes by class.

    Args:
        n: images of each set.
        seed: of the run.
        size: side of large images (pixels); small ones have half of it.
        strength: dial of the phantom where there is disease.
        options: ``jobs`` and ``progress``.

    Returns:
        ``single`` and ``mixed`` with retinopathy; ``null``, ``confounded`` and ``normalised`` (the
        confounded images, all brought to the smaller size) without any.
    """
    small = max(48, size // 2)
    dials: dict[str, dict[str, Any]] = {
        "single": {"strength": strength},
        "mixed": {"strength": strength, "small_size": small},
        "null": {"strength": 0.0, "small_size": small},
        "confounded": {"strength": 0.0, "small_size": small, "size_corr": SIZE_FOLLOWS},
    }
    one_size = {"normalised": partial(shrink, side=small)}
    studies = {}
    for name, dial in dials.items():
        cases = fundus_phantom.phantom(n, stream(seed, _SIZES), disease="dr", size=size, **dial)
        alter = one_size if name == "confounded" else {}
        found = extract(cases, alter=alter, what=f"sizes, {name}", **options)
        # without disease a grade says nothing but the class
        table = found.table.assign(grade=found.table["label"])
        side = found.table[["side"]].to_numpy(dtype=np.float32)
        x = {"all": feature_set(found.curves, "all"), "side": side}
        studies[name] = Study(name, table, x, found.photos)
        for other, (brought, _) in found.altered.items():
            studies[other] = Study(other, table, {"all": feature_set(brought, "all")}, found.photos)
    return studies


def window(low: float, high: float) -> slice:
    """Choose the levels of a window of grey values, both ends included.

    Example:
        >>> window(100, 150)
        slice(300, 451, None)
    """
    return slice(int(3 * low), int(3 * high) + 1)


LOOPS = (100, 150)  # Section 4.2, retinopathy, grey Betti-1
COMPONENTS = (80, 130)  # Section 4.2, glaucoma, grey Betti-0


def mean_counts(found: Fingerprints, dimension: int, levels: tuple[float, float]) -> NDArray[Any]:
    """Average the grey Betti curve of each image over a window of grey values (n,)."""
    return found.curves[:, 0, dimension, window(*levels)].mean(axis=1)


GRAY_LEVELS = tofi_ml.TOP // 3
