"""Images in memory: phantom patients in several settings, and the real X-rays where they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from common import manifests, splits
from common.datasets import shoulder_phantom, uci_shoulder_implants
from common.datasets.cases import Cases
from common.duplicates import near_duplicates
from common.errors import ReplicateError

# A setting is the phantom's dials; "main" is its default. Twice the share of repeat images and all
# that can be shared is the extreme of the leak, nothing shared its null.
SETTINGS: dict[str, dict[str, float]] = {
    "main": {},
    "shared": {"extra_images": 2.0, "patient_share": 1.0},
    "unshared": {"extra_images": 2.0, "patient_share": 0.0},
    "one-source": {"source_confound": 0.0},
    "no-cues": {"source_confound": 0.0, "cues": 0.0},
}
# Controls have so many times the images, since what they must show is that something is small.
TIMES = {"shared": 2, "unshared": 2, "no-cues": 2}
TASKS = ("seven", "depuy", "others")
_BATCH = 40  # images that one process renders at a time


@dataclass(frozen=True)
class Cohort:
    """Images of one setting or source.

    Args:
        name: of the setting, or ``open``.
        table: one row an image: case, cluster (the patient) and label, see
            :class:`common.datasets.cases.Cases`; the cluster of a real image is the group of
            near-duplicates that it belongs to.
        images (n, 1, S, S): grey values in [0, 1].
        classes: names of the labels.
        pairs: ``first, second``, names of real images that look alike.
    """

    name: str
    table: pd.DataFrame
    images: NDArray[np.float32]
    classes: tuple[str, ...]
    pairs: pd.DataFrame | None = None

    @property
    def label(self) -> NDArray[np.int64]:
        """Class of each image (n,)."""
        return np.asarray(self.table["label"], dtype=np.int64)

    @property
    def source(self) -> str:
        """Where the images come from, a word of :mod:`common.records`."""
        return "open" if self.name == "open" else "phantom"

    @property
    def maker(self) -> NDArray[np.str_]:
        """The manufacturer of each class (k,)."""
        makers = shoulder_phantom.MAKERS if self.source == "phantom" else self.classes
        return np.array(makers)


def task_classes(cohort: Cohort, task: str) -> NDArray[np.int64]:
    """List the classes of a task: all, DePuy's, or those of other manufacturers.

    Raises:
        ValueError: unknown task.
    """
    depuy = cohort.maker == "DePuy"
    chosen = {"depuy": depuy, "others": ~depuy}.get(task, np.ones(len(depuy), bool))
    if task not in (*TASKS, "makers"):
        raise ValueError(f"`task` must be one of {', '.join(TASKS)} or makers, got {task!r}.")
    return np.flatnonzero(chosen)


def phantom(setting: str, n_patients: int, seed: int, *, size: int, jobs: int = 1) -> Cohort:
    """Render the patients of a setting.

    Settings with more images of a patient have fewer patients, so that images stay about as many.

    Args:
        setting: name of :data:`SETTINGS`.
        n_patients: patients at the default of 1.9 images each; controls have more, see
            :data:`TIMES`.
        seed: of the phantom.
        size: side (pixels).
        jobs: processes.
    """
    dials = SETTINGS[setting]
    n = round(TIMES.get(setting, 1) * n_patients * 1.9 / (1 + dials.get("extra_images", 0.9)))
    cases = shoulder_phantom.phantom(n, seed, size=size, **dials)
    images = _stack(cases, jobs)
    return Cohort(setting, cases.table, images, shoulder_phantom.CLASSES)


def real(size: int, *, jobs: int = 1) -> Cohort:
    """Read the 597 X-rays of the UCI repository, grey and brought to one size.

    Args:
        size: side (pixels); the paper's is 224.
        jobs: processes.

    Raises:
        ReplicateError: the images are not on this machine; names the command that fetches them.
    """
    if not at_hand():
        raise ReplicateError(
            "the X-rays of the UCI repository are not on this machine. Fetch them with "
            "`replicate data fetch uci-shoulder-implants`, or run with -p open_images=False."
        )
    cases = uci_shoulder_implants.load(side_px=size)
    images = _stack(cases, jobs) / np.float32(255)
    pairs = near_duplicates(cases)
    table = cases.table.assign(cluster=alike(cases.table["case"], pairs))
    return Cohort("open", table, images, uci_shoulder_implants.CLASSES, pairs)


def lookalikes(cohort: Cohort) -> str:
    """Say how many images look alike, and how many such pairs have two classes.

    Args:
        cohort: of real images.
    """
    pairs = cohort.pairs if cohort.pairs is not None else pd.DataFrame(columns=["first", "second"])
    label = cohort.table.set_index("case")["label"]
    apart = (pairs["first"].map(label) != pairs["second"].map(label)).sum()
    return (
        f"{len(cohort.table)} images in {cohort.table['cluster'].nunique()} groups that look "
        f"alike; {len(pairs)} pairs look alike, {apart} of them of two manufacturers"
    )


def at_hand() -> bool:
    """Tell whether the real X-rays are on this machine."""
    return manifests.locate(uci_shoulder_implants.DATASET) is not None


def alike(case: "pd.Series[str]", pairs: pd.DataFrame) -> "pd.Series[str]":
    """Name for each image the group of near-duplicates that it belongs to, else itself.

    Args:
        case (n,): names.
        pairs: ``first, second``, names of images that look alike.

    Example:
        >>> pairs = pd.DataFrame({"first": ["a", "b"], "second": ["b", "d"]})
        >>> alike(pd.Series(list("abcd")), pairs).tolist()
        ['a', 'a', 'c', 'a']
    """
    group = {name: name for name in case}
    for first, second in zip(pairs["first"], pairs["second"], strict=True):
        one, other = sorted((group[first], group[second]))
        group = {name: one if own == other else own for name, own in group.items()}
    return case.map(group)


def _stack(cases: Cases, jobs: int) -> NDArray[np.float32]:
    pieces = max(1, len(cases) // _BATCH)
    place = np.arange(len(cases)) * pieces // max(1, len(cases))
    parts = Parallel(n_jobs=jobs)(
        delayed(_images)(cases.where(place == piece)) for piece in range(pieces)
    )
    found: NDArray[np.float32] = np.concatenate(parts)
    return found


def _images(cases: Cases) -> NDArray[np.float32]:
    images = [case.image for case in cases if case.image is not None]
    return np.stack([each.mean(axis=0, keepdims=True) for each in images]).astype(np.float32)


def deal(cohort: Cohort, n_folds: int, repeat: int, *, by_image: bool = False) -> NDArray[np.int64]:
    """Deal images to folds, classes in proportion.

    Args:
        cohort: what is dealt.
        n_folds: folds.
        repeat: another number, another deal.
        by_image: whether images of one patient may fall into different folds, as in the paper.

    Returns:
        Fold of each image (n,).
    """
    table = cohort.table
    if by_image:
        table = table.assign(cluster=table["case"])
    found = splits.folds(
        table, n_folds, name="shoulder-implant/folds", seed=repeat, stratify="label"
    )
    return np.asarray(found, dtype=np.int64)


def banner(*, open_images: bool) -> tuple[str, str]:
    """Say what a page rests on: the source of its cases, and a sentence about it."""
    if open_images:
        return (
            "open",
            "The 597 X-rays of the UCI repository are on this machine and used, with a phantom.",
        )
    here = (
        "are on this machine but not used in a quick run"
        if at_hand()
        else ("are not on this machine; `replicate data fetch uci-shoulder-implants` gets them")
    )
    return "phantom", f"All images that this run learns from are generated. 597 real X-rays {here}."


def census(cohort: Cohort) -> Mapping[str, Any]:
    """Count images, patients and classes of a cohort."""
    table = cohort.table
    return {
        "images": len(table),
        "patients": table["cluster"].nunique() if cohort.source == "phantom" else "not known",
        "classes": len(cohort.classes),
        "largest class": f"{table['label'].value_counts(normalize=True).max():.0%}",
    }
