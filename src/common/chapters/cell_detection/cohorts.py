"""Slides of the mitosis phantom, each seen by every scanner, with labels as readers give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from common.datasets import mitosis_phantom
from common.datasets.cases import Case
from common.phantoms.draws import stream

SCANNERS = mitosis_phantom.SCANNERS
MOST = 2  # mitotic figures of one patch, at the most
FIGURE, LOOK_ALIKE = 1, 2


@dataclass(frozen=True)
class Patches:
    """Patches of one scanner.

    Attributes:
        table: one row a patch: ``case, cluster`` (slide), ``kind`` and the drawn parameters.
        image (n, 3, size, size): uint8, as a scanner stores it.
        boxes (n, 2, 4): boxes labelled as mitotic figures, zeros where there are fewer.
    """

    table: pd.DataFrame
    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which patches hold a box."""
        return np.asarray((self.boxes[:, :, 2] > self.boxes[:, :, 0]).any(axis=1))

    def reference(self) -> list[NDArray[np.float64]]:
        """Return the boxes (k, 4) of each patch, without the absent ones."""
        return [each[each[:, 2] > each[:, 0]] for each in self.boxes]


@dataclass(frozen=True)
class Slides:
    """How slides are drawn and cut.

    Attributes:
        size: side of a patch (pixels).
        box: side of a box (pixels).
        share: share of each slide's area that is cut into patches.
        empty: patches with nothing in them for each that has a figure or a look-alike.
        reader_error: chance that one reader takes a figure for a look-alike or the reverse; two
            readers and, where they differ, a third decide.
    """

    size: int = 64
    box: int = 16
    share: float = 0.2
    empty: float = 1.0
    reader_error: float = 0.118


def majority_error(reader_error: float) -> float:
    """Compute how often two readers, and a third where they differ, settle on the wrong class.

    ``e^2 + 2 e (1 - e) e``: both are wrong, or they differ and the third is wrong.

    Example:
        >>> round(majority_error(0.1), 6)
        0.028
    """
    e = reader_error
    return e**2 * (3 - 2 * e)


def disputed_share(reader_error: float) -> float:
    """Compute how often two readers differ: ``2 e (1 - e)``; :func:`implied_error` is its inverse.

    Example:
        >>> round(disputed_share(0.1), 6)
        0.18
    """
    return 2 * reader_error * (1 - reader_error)


def implied_error(disputed: float) -> float:
    """Compute the error of one reader from how often two differ, if both err independently.

    Args:
        disputed: share of cells that needed a third vote, 0 to 0.5.

    Raises:
        ValueError: more than half of the cells.

    Example:
        >>> round(implied_error(0.18), 6)
        0.1
    """
    if not 0 <= disputed <= 0.5:
        raise ValueError(f"`disputed` must lie in [0, 0.5], got {disputed!r}. It is a share.")
    return float((1 - np.sqrt(1 - 2 * disputed)) / 2)


def draw(n_slides: int, seed: int, slides: Slides, *, scanner: str | None = None) -> pd.DataFrame:
    """Draw slides, a third of them with the counts of each scanner.

    Args:
        n_slides: slides in all.
        seed: seed of the phantom.
        slides: how they are cut.
        scanner: keep the slides of this scanner only.

    Returns:
        One row a patch, as :func:`common.datasets.mitosis_phantom.draw`.
    """
    table = mitosis_phantom.phantom(
        n_slides, seed, size=slides.size, box=slides.box, share=slides.share, empty=slides.empty
    ).table
    return table if scanner is None else table[table["site"] == scanner].reset_index(drop=True)


def scan(
    table: pd.DataFrame, scanner: str, *, shift: float, slides: Slides, jobs: int = 1
) -> Patches:
    """Put slides under a scanner; the tissue and the readers' labels do not depend on it.

    Args:
        table: of :func:`draw`.
        scanner: A, B or C; every row is seen by it, whatever its site.
        shift: distance of B and C from A, see the dials of the phantom.
        slides: how the slides are cut.
        jobs: processes.
    """
    seen = table.assign(site=scanner, shift=shift)
    rows = seen.to_dict("records")
    read = partial(_read, slides=slides)
    parts = np.array_split(np.arange(len(rows)), max(1, min(4 * jobs, len(rows))))
    done = Parallel(n_jobs=jobs)(delayed(_each)(read, [rows[i] for i in part]) for part in parts)
    image, boxes = zip(*(pair for part in done for pair in part), strict=True)
    return Patches(seen, np.stack(image), np.stack(boxes))


def _each(read: Any, rows: Sequence[dict[Any, Any]]) -> list[tuple[Any, Any]]:
    return [read(row) for row in rows]


def _read(row: dict[str, Any], *, slides: Slides) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    case = mitosis_phantom.render(row, size=slides.size, box=slides.box)
    assert case.image is not None  # a phantom always renders one
    boxes = np.zeros((MOST, 4))
    found = _labelled(case, slides.reader_error, seed=int(row["seed"]))
    boxes[: len(found)] = found
    return np.rint(255 * case.image).astype(np.uint8), boxes


def _labelled(case: Case, error: float, *, seed: int) -> NDArray[np.float64]:
    """Return the boxes that readers call mitotic figures."""
    labels = np.asarray(case.target["labels"])
    wrong = stream(seed, "readers").random(len(labels)) < majority_error(error)
    called = np.where(wrong, FIGURE + LOOK_ALIKE - labels, labels)
    boxes: NDArray[np.float64] = np.asarray(case.target["boxes"])[called == FIGURE]
    return boxes
