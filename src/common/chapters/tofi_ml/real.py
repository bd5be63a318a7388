"""Real photographs: which sets a reader has, and their fingerprints."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.chapters.tofi_ml.features import Fingerprints, extract, image_of
from common.chapters.tofi_ml.probes import as_bytes, probe
from common.datasets import registry
from common.datasets.cases import Cases
from common.models.tofi_ml_network import shrink

SETS = ("aptos2019", "adam-ichallenge-amd", "origa", "hrf", "retinamnist", "stare-fundus")
SMALL = "stare-fundus"
MISSING = "no reader: the layout of the official release is not known here"


def at_hand() -> pd.DataFrame:
    """List the real data sets of the chapter: how many images, how to get them, who has them.

    Returns:
        One row a set: ``images``, ``access``, ``here``.
    """
    readable = set(registry.readable())
    rows = {}
    for name in SETS:
        manifest = manifests.load(name)
        here = f"replicate data describe {name}" if name in readable else MISSING
        if name in readable and manifests.locate(name) is not None:
            here = "yes"
        rows[name] = {"images": manifest.images, "access": manifest.access, "here": here}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("data set")


def limited(image: NDArray[np.generic], side: int) -> NDArray[np.uint8]:
    """Bring an image whose longer side exceeds ``side`` to that size, by averaging; others stay.

    Args:
        image (3, height, width): bytes, or floats 0 to 1.
        side: pixels.
    """
    height, width = image.shape[1:]
    if max(height, width) <= side:
        return as_bytes(image)
    # the square shrink keeps no aspect, so pad to a square first
    longest = max(height, width)
    square = np.zeros((3, longest, longest), dtype=np.uint8)
    square[:, :height, :width] = as_bytes(image)
    small = shrink(square, side)
    return small[:, : round(height * side / longest), : round(width * side / longest)]


def _cases(name: str) -> Cases | None:
    """Read a set whose files and reader are there."""
    load = registry.reader(name)
    folder = manifests.locate(name)
    found = None if load is None or folder is None else load(folder)
    return found if isinstance(found, Cases) else None


def described(*, side: int, **options: Any) -> dict[str, Fingerprints]:
    """Compute the fingerprints of every real data set that is at hand.

    Args:
        side: longest side that is kept (pixels); larger photographs are averaged down to it.
        options: of :func:`common.chapters.tofi_ml.features.extract`.
    """
    change = partial(limited, side=side)
    sets = {name: _cases(name) for name in SETS}
    return {
        name: extract(cases, change=change, what=name, **options)
        for name, cases in sets.items()
        if cases is not None
    }


def probed(found: Iterable[str], *, side: int) -> pd.DataFrame:
    """Alter the photographs of the six STARE eyes, if they are among the sets at hand.

    Args:
        found: names of the sets at hand.
        side: longest side that is kept (pixels).

    Returns:
        Records of source ``open``, see :func:`common.chapters.tofi_ml.probes.probe`; empty
        without the files.
    """
    cases = _cases(SMALL) if SMALL in found else None
    if cases is None:
        return pd.DataFrame()
    change = partial(limited, side=side)
    smaller = cases.map(lambda case: replace(case, image=change(image_of(case))))
    return probe(smaller).assign(source="open")
