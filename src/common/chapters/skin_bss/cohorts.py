"""Cohorts of the phantom, the settings of its dials, and the methods that separate their images.

A cohort has the classes and size of the study in the paper. A setting is the same cohorts with
some dials of the phantom turned, so that images of two settings can be compared one by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from common.datasets import skin_lesion_phantom as phantom
from common.models import skin_bss, skin_bss_nmf

Array = NDArray[np.float64]
Found = tuple[Array, Array]
P = ParamSpec("P")
T = TypeVar("T")

# the phantom's matrix in the order of this chapter: rows blue, green, red
TRUE_MIXING = np.ascontiguousarray(phantom.MIXING[::-1])


@dataclass(frozen=True)
class Setting:
    """A turn of the phantom's dials.

    Args:
        id: its name in records; empty for the main setting.
        label: what it does, for a table.
        dials: values that differ from the phantom's defaults.
        restarts: whether random starts are run, too.
    """

    id: str
    label: str
    dials: Mapping[str, float] = field(default_factory=dict)
    restarts: bool = False


SETTINGS = (
    Setting("", "main: the paper's assumptions hold", restarts=True),
    Setting("gap 0", "no difference between the classes", {"gap": 0.0}, restarts=True),
    Setting("zones 0", "no zone of a single chromophore", {"zones": 0.0}, restarts=True),
    Setting("floor 0.5", "half of the others left in each zone", {"floor": 0.5}, restarts=True),
    Setting("mis 0.1", "a matrix of its own for each image", {"mis": 0.1}, restarts=True),
    Setting("illum 0.1", "a light of its own for each image", {"illum": 0.1}),
    Setting("hair 6", "about six hairs on each image", {"hair": 6.0}),
)
MAIN, HAIR = SETTINGS[0], SETTINGS[-1]


@dataclass(frozen=True)
class Options:
    """What the paper leaves open.

    Args:
        slice_length: pixels of a slice.
        threshold: least distance of two columns.
        max_iter: most rounds of alternating least squares.
        reference: matrix that names the columns, from absorption spectra.
        srgb: whether grey values follow the curve of sRGB.
    """

    slice_length: int
    threshold: float
    max_iter: int
    reference: Array
    srgb: bool = False


@dataclass(frozen=True)
class Cohort:
    """Images of one size as matrices, with the truth where it is known.

    Args:
        X (n, 3, N): absorbances.
        mask (n, N): lesions by Otsu's threshold.
        label (n,): 1 for melanoma.
        case: names.
        sources (n, 3, N): true amounts.
        mixing (n, 3, 3): true matrices.
        hair (n,): hair scores.
    """

    X: Array
    mask: NDArray[np.bool_]
    label: NDArray[np.int64]
    case: tuple[str, ...]
    sources: Array
    mixing: Array
    hair: Array


def draw(n: int, seed: int, *, size: int, **dials: float) -> Cohort:
    """Render a cohort of the phantom and turn it into matrices."""
    cases = list(phantom.phantom(n, seed, size=size, **dials))
    images = [np.asarray(case.image) for case in cases]
    X = np.stack([skin_bss.absorbance(image, srgb=False) for image in images])
    sources = np.stack([case.info["sources"] for case in cases]).astype(np.float64)
    return Cohort(
        X=X,
        mask=np.stack([skin_bss.lesion_mask(each, (size, size)) for each in X]),
        label=np.array([case.target["label"] for case in cases], dtype=np.int64),
        case=tuple(case.case for case in cases),
        sources=sources.swapaxes(-1, -2).reshape(n, 3, -1),
        mixing=np.stack([case.info["mixing"][::-1] for case in cases]),
        hair=np.array([skin_bss.hair_score(image) for image in images]),
    )


def single_threaded(task: Callable[P, T]) -> Callable[P, T]:
    """Let a function use one thread: its sums are made in one order on every machine.

    Threads would gain nothing either, since the matrices are small.
    """

    @wraps(task)
    def wrapped(*args: P.args, **named: P.kwargs) -> T:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                return task(*args, **named)
        finally:
            torch.set_num_threads(before)

    return wrapped


def named(A: Array, S: Array, options: Options) -> Found:
    """Put the columns of A and rows of S into the order of the chromophores."""
    return skin_bss.reorder(A, S, skin_bss.assign(A, options.reference))


def sparse_start(X: Array, options: Options) -> Array:
    """Estimate the mixing matrices (n, 3, 3) from sparse zones."""
    return skin_bss.sparse_columns(X, length=options.slice_length, threshold=options.threshold)


@single_threaded
def blind(X: Array, options: Options) -> dict[str, Found]:
    """Separate images by the paper's method, and by its first step alone.

    Args:
        X (n, 3, N): absorbances.
        options: see :class:`Options`.

    Returns:
        Matrices (n, 3, 3) and sources (n, 3, N) of ``sca-nmf`` and ``sca``, named.
    """
    start = sparse_start(X, options)
    first = named(start, skin_bss.invert(X, start), options)
    return {"sca-nmf": factorise(X, start, options)[0], "sca": first}


@single_threaded
def factorise(X: Array, start: Array, options: Options) -> tuple[Found, Array]:
    """Run the NMF from given matrices.

    Args:
        X (n, 3, N): absorbances.
        start (n, 3, 3): first mixing matrices.
        options: see :class:`Options`.

    Returns:
        Named matrices and sources, and the cost of each image as a share of its power (n,).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = skin_bss_nmf.als(X, start, max_iter=options.max_iter, device=device)
    power = (X**2).sum(axis=(1, 2)) / 2
    return named(found.A, found.S, options), found.cost / power


def known(X: Array, matrix: Array) -> Found:
    """Invert a matrix that is known beforehand; its columns carry their names."""
    return np.broadcast_to(matrix, (len(X), 3, 3)), skin_bss.invert(X, matrix)


def in_parallel(todo: list[Any], *, jobs: int, progress: bool) -> list[pd.DataFrame]:
    """Run tasks side by side and keep their order."""
    n_jobs = cpu_count() if torch.cuda.is_available() else jobs
    pool = Parallel(n_jobs=n_jobs, return_as="generator")
    # a bar that is left behind would stand at 0 on a static page
    bar = tqdm(total=len(todo), desc="cohorts", disable=not progress, leave=False)
    done = []
    with bar:
        for each in pool(todo):
            done.append(each)
            bar.update()
    return done


def cohort_seed(seed: int, number: int) -> int:
    """Return the seed of the phantom for one cohort."""
    return 1000 * seed + number
