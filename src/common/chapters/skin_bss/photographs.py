"""Real photographs through the same steps, scored by what needs no truth."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.chapters.skin_bss.cohorts import Options, blind, single_threaded
from common.chapters.skin_bss.experiment import in_order
from common.chapters.skin_bss.pictures import Row, maps
from common.datasets import mednode_complete, mednode_two
from common.datasets.cases import Case, Cases
from common.display import Shown, describe, number
from common.errors import UsageError
from common.models import skin_bss

Array = NDArray[np.float64]
_SHORT = ("oxy", "deoxy", "melanin")
DATASETS = {each.DATASET: each for each in (mednode_complete, mednode_two)}


@dataclass(frozen=True)
class Separated:
    """One photograph and what was found in it.

    Args:
        case: its name.
        label: 1 for melanoma.
        image (3, height, width): red, green, blue.
        X (3, N): absorbances.
        mask (N,): the lesion.
        A: mixing matrices (3, 3) by method.
        S: sources (3, N) by method.
    """

    case: str
    label: int
    image: NDArray[np.generic]
    X: Array
    mask: NDArray[np.bool_]
    A: dict[str, Array]
    S: dict[str, Array]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.image.shape[1:]
        return height, width


def find(factor: int = 1) -> tuple[str, Cases] | None:
    """Return the largest set of MED-NODE photographs at hand, with its name; None without any.

    Args:
        factor: how much smaller they are made, see :func:`shrink`.
    """

    def smaller(case: Case) -> Case:
        return replace(case, image=shrink(np.asarray(case.image), factor))

    for name, reader in DATASETS.items():
        if manifests.locate(name) is not None:
            return name, reader.load().map(smaller)
    return None


def shrink(image: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Average square blocks of pixels; what does not fill a block at the right and below is lost.

    Args:
        image (3, height, width): bytes or fractions.
        factor: side of a block (pixels).

    Returns:
        (3, height // factor, width // factor), of the same kind.

    Raises:
        UsageError: the factor is below 1 or larger than the image.
    """
    height, width = (length // factor if factor >= 1 else 0 for length in image.shape[1:])
    if min(height, width) < 1:
        raise UsageError(f"`factor` must be from 1 to the image's side, got {factor!r}.")
    cut = image[:, : height * factor, : width * factor].astype(np.float64)
    mean = cut.reshape(3, height, factor, width, factor).mean(axis=(2, 4))
    return (np.rint(mean) if image.dtype == np.uint8 else mean).astype(image.dtype)


@single_threaded
def separate(case: Case, options: Options) -> Separated:
    """Separate one photograph by the paper's method and by the classical inverse.

    Args:
        case: with image (3, height, width) and ``label``.
        options: see :class:`common.chapters.skin_bss.cohorts.Options`.
    """
    image = np.asarray(case.image)
    X = skin_bss.absorbance(image, srgb=options.srgb)
    shape = (image.shape[1], image.shape[2])
    found = blind(X[None], options)
    A = {name: pair[0][0] for name, pair in found.items()}
    S = {name: pair[1][0] for name, pair in found.items()}
    A["classical"], S["classical"] = options.reference, skin_bss.invert(X, options.reference)
    return Separated(
        case=case.case,
        label=int(case.target["label"]),
        image=image,
        X=X,
        mask=skin_bss.lesion_mask(X, shape),
        A=A,
        S=S,
    )


@single_threaded
def records(cases: Cases, options: Options) -> pd.DataFrame:
    """Score every photograph.

    Args:
        cases: photographs with labels.
        options: see :class:`common.chapters.skin_bss.cohorts.Options`.

    Returns:
        Records without ``paper, run, profile``: metrics ``photo_negative_share``,
        ``photo_identification`` and ``photo_in_order``; group is the class.
    """
    rows = []
    for case in cases:
        each = separate(case, options)
        melanin = {}
        for name in ("sca-nmf", "classical"):
            share = float((each.S[name][1] < 0).mean())
            rows.append(_row(each, name, "photo_negative_share", share))
            found = skin_bss.contributions(each.A[name], each.S[name], each.mask).sum(axis=0)
            melanin[name] = found[2]
            rows.append(_row(each, name, "photo_in_order", float(in_order(found[None])[0])))
        melanin |= dict(zip(skin_bss.BANDS, skin_bss.band_means(each.X, each.mask), strict=True))
        rows += [_row(each, arm, "photo_identification", value) for arm, value in melanin.items()]
    return pd.DataFrame(rows)


def _row(each: Separated, arm: str, metric: str, value: float) -> dict[str, object]:
    group = mednode_two.CLASSES[each.label]
    where = {"arm": arm, "case": each.case, "cluster": each.case, "group": group}
    value = float(np.float32(value))
    return {**where, "metric": metric, "value": value, "source": "open", "seed": 0, "fold": ""}


def banner(at_hand: tuple[str, Cases] | None) -> tuple[str, str]:
    """Say where the cases of the page come from, for :func:`common.chapterpage.source_banner`."""
    text = (
        "The numbers of this page come from generated lesions whose chromophores are known; they "
        "speak of the mechanism and never of patients. "
    )
    if at_hand is None:
        return "phantom", text + (
            "No photograph is at hand: `replicate data fetch mednode-two` brings two, and "
            "`replicate data describe mednode-complete` says how to get all 170."
        )
    name, cases = at_hand
    text += f"{len(cases)} photographs of MED-NODE (`{name}`) go through the same steps."
    if name == mednode_two.DATASET:
        text += " `replicate data describe mednode-complete` says how to get all 170."
    return "phantom", text


def pair(at_hand: tuple[str, Cases] | None, options: Options) -> list[Separated]:
    """Separate the first photograph of each class; empty if none is at hand."""
    if at_hand is None:
        return []
    cases = at_hand[1]
    first = [cases.where(cases.table["label"] == code)[0] for code in (1, 0)]
    return [separate(case, options) for case in first]


def show(photos: list[Separated]) -> Shown:
    """Show the maps of photographs by the paper's method and by the classical inverse."""
    if not photos:
        return Shown(plain="No photograph is at hand; see the note at the top of the page.")
    rows = []
    for each in photos:
        rows.append(
            Row(f"{each.case}:\nSCA, NMF", each.S["sca-nmf"], each.shape, each.image, each.mask)
        )
        rows.append(Row("classical", each.S["classical"], each.shape))
    return describe(
        maps(rows),
        alt="Maps of three chromophores of two real photographs, a melanoma and a naevus, by SCA "
        "and NMF and by the classical inverse.",
        caption="The layout of Figs. 4 and 5. Orange is positive, purple negative, each map on its "
        "own scale; the outline is Otsu's. No truth is known here.",
    )


def summaries(photos: list[Separated]) -> pd.DataFrame:
    """Describe photographs: negative pixels, and mean contributions in the lesion."""
    found = {each.case: summary(each) for each in photos}
    return pd.DataFrame(found).T.rename_axis("photograph")


def summary(each: Separated) -> dict[str, float]:
    """Describe one photograph for a table: negative pixels, contributions, position in the cone."""
    found = skin_bss.contributions(each.A["sca-nmf"], each.S["sca-nmf"], each.mask).sum(axis=0)
    dominant = (each.X[1:] <= each.X[0]).all(axis=0)
    return {
        "negative (%)": 100 * float((each.S["classical"][1] < 0).mean()),
        "blue most (%)": 100 * float(dominant.mean()),
        **{name: float(value) for name, value in zip(_SHORT, found, strict=True)},
    }


def orders(at_hand: tuple[str, Cases] | None, options: Options) -> pd.DataFrame:
    """Try what the paper leaves open on two photographs.

    Args:
        at_hand: see :func:`find`.
        options: a quarter of its slice length and a threshold of 0.15 are tried as well.

    Returns:
        One row for each scale of grey values, slice length and threshold; for each photograph the
        chromophores by rising contribution, and the pixels with negative deoxyhaemoglobin under
        the classical inverse.
    """
    rows = []
    lengths = (options.slice_length // 4, options.slice_length)
    for srgb, length, least in product((True, False), lengths, (0.15, options.threshold)):
        trial = replace(options, srgb=srgb, slice_length=length, threshold=least)
        row: dict[str, Any] = {
            "grey": "linear" if srgb else "stored",
            "slice": length,
            "τ": f"{least:g}",
        }
        negative = []
        for each in pair(at_hand, trial):
            found = skin_bss.contributions(each.A["sca-nmf"], each.S["sca-nmf"], each.mask)
            row[each.case] = " < ".join(_SHORT[j] for j in np.argsort(found.sum(axis=0)))
            negative.append(100 * float((each.S["classical"][1] < 0).mean()))
        row["negative (%)"] = number(min(negative, default=float("nan")), digits=1)
        rows.append(row)
    return pd.DataFrame(rows)
