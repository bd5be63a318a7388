"""The gels of the chapter: training gels for each seed, test gels for all, at each dial's stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from common import splits
from common.datasets import ife_phantom
from common.datasets.cases import Cases

# The stands of the phantom's dials that the chapter trains on; all else is as measured.
STANDS: dict[str, dict[str, float]] = {
    "main": {},
    "offset": {"offset": 20.0},
    "balanced": {"imbalance": 0.0},
    "unfactored": {"factored": 0.0},
}
PARTS = ("train", "validation")
VALIDATION = 0.1  # share of the training gels that is kept apart
_PLACE = {"train": 0, "validation": 1, "test": 2, "fresh": 3}


@dataclass(frozen=True)
class Gels:
    """A set of gels in memory.

    Attributes:
        table: one row a gel: case, cluster, label, and the drawn parameters.
        image (n, 3, H, W): grey levels 0 to 255, as a scanner stores them.
        label (n,): nine-way class; ``heavy`` and ``light`` (n,): its parts.
        band_row (n,): row of the band in the ELP lane (pixels), -1 where there is none.
        lanes (n, 6): columns of the lanes (pixels).
    """

    table: pd.DataFrame
    image: NDArray[np.uint8]
    label: NDArray[np.int64]
    heavy: NDArray[np.int64]
    light: NDArray[np.int64]
    band_row: NDArray[np.float64]
    lanes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def codes(self) -> dict[str, NDArray[np.int64]]:
        """Classes by task, of the nine-way task and of whether there is an M-protein at all."""
        return {
            "label": self.label,
            "heavy": self.heavy,
            "light": self.light,
            "positive": (self.label > 0).astype(np.int64),
        }

    def where(self, keep: NDArray[np.bool_]) -> "Gels":
        """Keep the gels whose entry is true."""
        arrays = ("image", "label", "heavy", "light", "band_row", "lanes")
        return replace(
            self,
            table=self.table[keep].reset_index(drop=True),
            **{name: getattr(self, name)[keep] for name in arrays},
        )


def make(
    n: int, *, seed: int, part: str, size: tuple[int, int], dials: Mapping[str, float] | None = None
) -> Gels:
    """Draw and render gels of one part.

    The same seed and part give the same gels whatever the offset, so that a shifted test set holds
    the gels of the plain one.

    Args:
        n: number of gels.
        seed: number of the draw, not negative.
        part: ``train``, ``validation``, ``test`` or ``fresh``; parts never share a gel.
        size: height and width (pixels).
        dials: see :data:`common.datasets.ife_phantom.DIALS`.

    Returns:
        Gels whose names carry part and seed.

    Raises:
        ValueError: unknown part, or what :func:`common.datasets.ife_phantom.phantom` refuses.
    """
    if part not in _PLACE:
        raise ValueError(f"`part` must be one of {', '.join(_PLACE)}, got {part!r}.")
    own = seed * len(_PLACE) + _PLACE[part]
    cases = ife_phantom.phantom(n, own, size=size, **(dials or {}))
    found = list(cases)
    names = [f"{part}-{seed}-{case.case}" for case in found]
    return Gels(
        table=cases.table.assign(case=names, cluster=names),
        image=np.stack([_levels(case.image) for case in found]),
        **{
            name: np.array([case.target[name] for case in found], dtype=np.int64)
            for name in ("label", "heavy", "light")
        },
        band_row=np.array([case.info["band_row"] for case in found], dtype=np.float64),
        lanes=np.array([case.info["lanes"] for case in found], dtype=np.float64),
    )


def _levels(image: NDArray[Any] | None) -> NDArray[np.uint8]:
    assert image is not None  # the phantom always renders one
    return np.round(255 * image).astype(np.uint8)


@dataclass(frozen=True)
class Sets:
    """Everything that the experiment trains and tests on.

    Attributes:
        train: by stand of the dials and seed: the training gels.
        validation: the same; gels that only choose an epoch.
        test: by stand: one test set for all seeds.
        fresh: more test gels, which nothing was ever chosen on.
    """

    train: Mapping[tuple[str, int], Gels]
    validation: Mapping[tuple[str, int], Gels]
    test: Mapping[str, Gels]
    fresh: Gels


def make_sets(
    *,
    seeds: Iterable[int],
    n_train: int,
    n_test: int,
    size: tuple[int, int],
    base: int = 0,
    stands: Iterable[str] = tuple(STANDS),
    jobs: int = 2,
) -> Sets:
    """Make all sets; each seed has training gels of its own, and all share the test gels.

    Args:
        seeds: training seeds.
        n_train: gels of a training set; a tenth as many more choose the epoch.
        n_test: gels of each test set.
        size: height and width (pixels).
        base: number of the draw of the test gels.
        stands: keys of :data:`STANDS`.
        jobs: processes; the gels do not depend on their number.

    Returns:
        The sets.
    """
    n_validation = max(1, round(VALIDATION * n_train))
    wanted = [(stand, part, seed) for stand in stands for seed in seeds for part in PARTS]
    wanted += [(stand, "test", base) for stand in stands] + [("main", "fresh", base)]
    sizes = {"train": n_train, "validation": n_validation, "test": n_test, "fresh": n_test}
    made = Parallel(n_jobs=jobs)(
        delayed(make)(sizes[part], seed=seed, part=part, size=size, dials=STANDS[stand])
        for stand, part, seed in wanted
    )
    found = dict(zip(wanted, made, strict=True))
    chosen = {
        part: {(stand, seed): gels for (stand, own, seed), gels in found.items() if own == part}
        for part in _PLACE
    }
    return Sets(
        train=chosen["train"],
        validation=chosen["validation"],
        test={stand: gels for (stand, _), gels in chosen["test"].items()},
        fresh=chosen["fresh"]["main", base],
    )


def leakage(parts: Mapping[str, Gels]) -> str:
    """Say whether a gel lies in two parts, or is a near copy of one in another part.

    Args:
        parts: sets of one size by name.

    Raises:
        ValueError: a gel lies in two parts.
    """
    tables = [gels.table[["case", "cluster"]] for gels in parts.values()]
    image = np.concatenate([gels.image for gels in parts.values()]).astype(np.float32) / 255
    cases = Cases.of(pd.concat(tables, ignore_index=True), image)
    return splits.check(
        cases, [name for name, gels in parts.items() for _ in range(len(gels))]
    ).text
