"""The scans of the FocalMix chapter: what is annotated, what is unlabelled, what is tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from torch import Tensor

from common import manifests
from common.datasets import luna16, lung_nodule_phantom
from common.datasets.cases import Case, Cases
from common.errors import ReplicateError

BANNER = (
    "All scans on this page are generated. LUNA16's scans (120 GB) are open and are read by the "
    "same reader, `common.datasets.luna16`; training on them needs a GPU and days. Only the "
    "official annotations, where they were fetched, enter this page."
)
TEST_SEED, POOL_SEED, SITE_SEED = 1, 2, 3  # kinds of scans; each has draws of its own
OTHER_SITE_NODULES = 0.5  # of the rate in LUNA16, which kept scans of thin slices
NODULES = next(dial.default for dial in lung_nodule_phantom.DIALS if dial.name == "nodules")
USUAL: Mapping[str, float] = MappingProxyType({})  # dials at their defaults
BUDGETS = {"25": 1, "50": 2, "100": 4}  # times n_labelled


@dataclass(frozen=True)
class Volumes:
    """Volumes of one size with what is known of them; arrays, so that processes share them.

    Args:
        case (n,): names.
        image (n, 1, z, y, x): float32.
        boxes: for each volume (k, 6), between voxel centres as the data set gives them.
        centres_mm: for each volume (k, 3).
        diameters_mm: for each volume (k,).
    """

    case: tuple[str, ...]
    image: NDArray[np.float32]
    boxes: tuple[NDArray[np.float32], ...]
    centres_mm: tuple[NDArray[np.float32], ...]
    diameters_mm: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.case)

    @property
    def n_nodules(self) -> int:
        """Nodules in all volumes."""
        return sum(map(len, self.boxes))

    def anchor_boxes(self, index: Sequence[int]) -> list[Tensor]:
        """Return boxes in the frame of the anchors, where voxel i reaches from i to i + 1."""
        return [torch.as_tensor(self.boxes[i]) + 0.5 for i in index]


def read(cases: Cases, *, jobs: int = 1) -> Volumes:
    """Read all volumes into memory.

    Args:
        cases: of equal size, with the targets boxes, centres_mm and diameters_mm.
        jobs: processes; the result does not depend on their number.
    """
    found: list[Case] = list(
        Parallel(n_jobs=jobs)(delayed(cases.__getitem__)(i) for i in range(len(cases)))
    )
    targets = ("boxes", "centres_mm", "diameters_mm")
    parts = (tuple(np.asarray(case.target[name]) for case in found) for name in targets)
    image = np.stack([np.asarray(case.image, dtype=np.float32) for case in found])
    return Volumes(tuple(case.case for case in found), image, *parts)


@dataclass(frozen=True)
class Material:
    """What one draw of the study trains on, and the test scans that all draws share.

    Args:
        draw: number of the draw.
        pool: the training part, all of it annotated; FocalMix is shown the annotations of its
            first scans and the images of the last.
        other_site: unlabelled scans of another site, if any are needed.
        test: test scans.
        n_labelled: annotated scans of the smallest budget.
        n_unlabelled: unlabelled scans.
    """

    draw: int
    pool: Volumes
    other_site: Volumes | None
    test: Volumes
    n_labelled: int
    n_unlabelled: int

    def labelled(self, budget: str) -> range:
        """Return the places of the annotated scans in the pool; budgets are nested."""
        return range(len(self.pool) if budget == "all" else BUDGETS[budget] * self.n_labelled)

    def unlabelled(self, share: float) -> range:
        """Return the places of a share of the unlabelled scans; shares are nested."""
        first = max(BUDGETS.values()) * self.n_labelled
        return range(first, first + round(share * self.n_unlabelled))


def held_out(
    n: int, *, seed: int, size: int, jobs: int = 1, dials: Mapping[str, float] = USUAL
) -> Volumes:
    """Make the test scans of a study.

    Args:
        n: number of scans.
        seed: of the study.
        size: side of a cube (voxels of 1 mm).
        jobs: processes.
        dials: of the phantom.
    """
    number = _number(seed, TEST_SEED, 0)
    return read(lung_nodule_phantom.phantom(n, number, size=size, **dict(dials)), jobs=jobs)


def material(
    draw: int,
    test: Volumes,
    *,
    seed: int,
    size: int,
    n_train: int,
    n_labelled: int,
    n_unlabelled: int,
    shift: float | None = None,
    jobs: int = 1,
    dials: Mapping[str, float] = USUAL,
) -> Material:
    """Draw a training part of its own, so that draws are independent of each other.

    Args:
        draw: number of the draw.
        test: see :func:`held_out`.
        seed: of the study.
        size: side of a cube (voxels of 1 mm).
        n_train: scans of the training part.
        n_labelled: annotated scans of the smallest budget.
        n_unlabelled: unlabelled scans, disjoint from the annotated ones of every budget.
        shift: dial of the phantom that makes another site of the other unlabelled scans; None
            leaves them out.
        jobs: processes.
        dials: of the phantom, for both sites.

    Raises:
        ReplicateError: the training part is too small for both kinds.
    """
    needed = max(BUDGETS.values()) * n_labelled + n_unlabelled
    if n_train < needed:
        raise ReplicateError(
            f"`n_train` must be at least {needed} (four times `n_labelled`, and `n_unlabelled`), "
            f"got {n_train!r}. Raise it or lower one of them."
        )
    own = dict(dials)
    here = lung_nodule_phantom.phantom(n_train, _number(seed, POOL_SEED, draw), size=size, **own)
    pool = read(here, jobs=jobs)
    if shift is None:
        return Material(draw, pool, None, test, n_labelled, n_unlabelled)
    own |= {"shift": shift, "nodules": OTHER_SITE_NODULES * own.get("nodules", NODULES)}
    away = lung_nodule_phantom.phantom(
        n_unlabelled, _number(seed, SITE_SEED, draw), size=size, **own
    )
    return Material(draw, pool, read(away, jobs=jobs), test, n_labelled, n_unlabelled)


def _number(seed: int, kind: int, draw: int) -> int:
    """Turn a study's seed, a kind of scans and a draw into one seed for the phantom."""
    return int(np.random.SeedSequence([seed, kind, draw]).generate_state(1)[0])


def split(material: Material) -> tuple[Cases, list[str]]:
    """Name the scans of a draw and the part that each lies in, to be checked for leaks.

    Returns:
        Cases with images, and for each ``annotated`` (largest budget), ``unlabelled``,
        ``other site`` or ``test``.
    """
    chosen = {
        "annotated": (material.pool, material.labelled("100")),
        "unlabelled": (material.pool, material.unlabelled(1.0)),
        "test": (material.test, range(len(material.test))),
    }
    if material.other_site is not None:
        chosen["other site"] = (material.other_site, range(len(material.other_site)))
    names, parts, images = [], [], []
    for part, (volumes, places) in chosen.items():
        names += [f"{part} {volumes.case[i]}" for i in places]
        parts += [part] * len(places)
        images.append(volumes.image[list(places)])
    table = pd.DataFrame({"case": names, "cluster": names})
    return Cases.of(table, np.concatenate(images)), parts


def official(n: int = 888, *, seed: int = 0) -> pd.DataFrame:
    """Count the nodules of LUNA16 and of the phantom.

    Args:
        n: scans of the phantom whose parameters are drawn; nothing is rendered.
        seed: of the phantom.

    Returns:
        A row for each: ``scans``, ``nodules``, ``a scan`` (nodules), ``without any (%)`` (scans)
        and ``median (mm)`` (diameter). Without the annotation files the first row has what the
        manifest of LUNA16 counts, and no diameter.
    """
    drawn = lung_nodule_phantom.draw(n, seed)
    own = [
        lung_nodule_phantom.nodules_of({str(name): value for name, value in row.items()})
        for row in drawn.to_dict("records")
    ]
    rows = {
        "LUNA16": _official(),
        "phantom": ([len(each) for each in own], pd.concat(own)["diameter_mm"].to_numpy()),
    }
    table = pd.DataFrame(
        {
            name: {
                "scans": len(count),
                "nodules": int(np.sum(count)),
                "a scan": float(np.mean(count)),
                "without any (%)": 100 * float(np.mean(np.equal(count, 0))),
                "median (mm)": float(np.median(diameters)) if len(diameters) else np.nan,
            }
            for name, (count, diameters) in rows.items()
        }
    ).T.astype({"scans": int, "nodules": int})
    return table.rename_axis("source")


def _official() -> tuple[Sequence[int], NDArray[np.float64]]:
    """Read how many nodules each scan of LUNA16 has, and their diameters where files are found."""
    folder = manifests.locate(luna16.DATASET)
    if folder is not None:
        cases = luna16.load(folder)
        diameters = np.concatenate([case.target["diameters_mm"] for case in cases])
        return cases.table["n_nodules"].tolist(), diameters
    known = manifests.load(luna16.DATASET)
    scans, some = known.counts["scans"], known.counts["scans with a nodule"]
    nodules = known.classes["nodule"] or 0
    # how they are spread over scans is not known without the files; only sums are used
    spread = [nodules - some + 1, *[1] * (some - 1), *[0] * (scans - some)]
    return spread, np.zeros(0)
