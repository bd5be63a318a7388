"""Matches of many scans as one list for the FROC curve and AP, and as records for claims.

``froc.Detections(*pool(matches))`` goes to :mod:`common.statistics.froc`, which has the curve, CPM
and their bootstrap over scans; :mod:`common.metrics.average_precision` takes the pool itself; and
the procedure ``cpm_bootstrap`` reads what :func:`score_records` writes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.metrics.detection import FALSE, Matches, Numbers, Values

_GROUPS = ("hit", "miss", "false", "none")  # as common.statistics.scored reads them


class Pooled(NamedTuple):
    """Candidates of many scans, in the order that ``froc.Detections`` takes them.

    Args:
        score (m,): higher means more suspicious.
        scan (m,): position of the scan.
        lesion (m,): number of the lesion inside the scan; -1 for a false positive.
        n_lesions (S,): lesions of each scan.
    """

    score: Values
    scan: Numbers
    lesion: Numbers
    n_lesions: Numbers


def pool(matches: Iterable[Matches]) -> Pooled:
    """Put the candidates of many scans into one list.

    Args:
        matches (S,): one for each scan, also for those without candidates or lesions.

    Returns:
        Candidates in the order of the scans.

    Example:
        >>> from common.metrics.detection import match_centres
        >>> one = match_centres([[0, 0]], [0.5], [[0, 0]], [2])
        >>> two = match_centres([[5, 5]], [0.4], [], [])
        >>> found = pool([one, two])
        >>> found.score.tolist(), found.scan.tolist(), found.lesion.tolist()
        ([0.5, 0.4], [0, 1], [0, -1])
    """
    scans = list(matches)
    empty = Matches(np.zeros(0), np.zeros(0, np.intp), 0)
    sizes = [len(each.score) for each in scans]
    return Pooled(
        np.concatenate([each.score for each in [*scans, empty]]),
        np.repeat(np.arange(len(scans)), sizes),
        np.concatenate([each.lesion for each in [*scans, empty]]).astype(np.intp),
        np.array([each.n_lesions for each in scans], dtype=np.intp),
    )


def join(matches: Iterable[Matches]) -> Matches:
    """Put the matches of several images of one case into one; lesions are numbered through.

    Args:
        matches: of the windows or patches of one case.

    Example:
        >>> from common.metrics.detection import match_centres
        >>> one = match_centres([[0, 0]], [0.5], [[0, 0]], [2])
        >>> join([one, one]).lesion.tolist()
        [0, 1]
    """
    images = list(matches)
    pooled = pool(images)
    first = np.cumsum(pooled.n_lesions) - pooled.n_lesions
    return Matches(
        pooled.score,
        np.where(pooled.lesion == FALSE, FALSE, pooled.lesion + first[pooled.scan]),
        int(pooled.n_lesions.sum()),
        sum(each.n_irrelevant for each in images),
    )


def trim(matches: Mapping[str, Matches], *, false_per_scan: float) -> dict[str, Matches]:
    """Leave out the candidates that no rate up to ``false_per_scan`` reaches.

    Sensitivities up to that rate stay as they are, those past it do not, nor does AP.  Twice the
    highest rate of a claim leaves room for a bootstrap, and keeps archives of records small.

    Args:
        matches: by scan.
        false_per_scan: false positives per scan, over all scans.

    Raises:
        ValueError: the rate is negative.

    Example:
        >>> many = {"a": Matches(np.array([3.0, 2.0, 1.0]), np.array([-1, 0, -1]), 1)}
        >>> trim(many, false_per_scan=0)["a"].score.tolist()
        [3.0]
    """
    if not false_per_scan >= 0:
        raise ValueError(f"`false_per_scan` must be >= 0, got {false_per_scan!r}. Give a rate.")
    pooled = pool(matches.values())
    false = np.sort(pooled.score[pooled.lesion == FALSE])[::-1]
    # the first false positive past the rate stays, since lines are drawn to its point
    past = int(np.floor(false_per_scan * len(matches)))
    if past >= len(false):
        return dict(matches)
    trimmed = {}
    for name, each in matches.items():
        kept = each.score >= false[past]
        trimmed[name] = replace(each, score=each.score[kept], lesion=each.lesion[kept])
    return trimmed


def score_records(matches: Mapping[str, Matches]) -> pd.DataFrame:
    """Write matches as the records that the procedure ``cpm_bootstrap`` reads.

    Args:
        matches: by the name of the scan; the order does not matter.

    Returns:
        Columns ``case, cluster, group, value`` for :meth:`common.records.Recorder.add`: ``hit``
        for each lesion with its best score, ``miss`` for each lesion without candidate, ``false``
        for each false positive, ``none`` for each scan with none of them.  The value of a miss and
        of an empty scan is 0 and means nothing.

    Example:
        >>> from common.metrics.detection import match_centres
        >>> found = {"s1": match_centres([[0], [9]], [0.5, 0.4], [[0]], [2]),
        ...          "s2": match_centres([], [], [], [])}
        >>> print(score_records(found).to_string(index=False, header=False))
           s1-lesion-0 s1   hit 0.5
        s1-candidate-0 s1 false 0.4
                    s2 s2  none 0.0
    """
    hit, miss, false, none = _GROUPS
    rows: list[tuple[str, str, str, float]] = []
    for scan, each in matches.items():
        best = np.full(each.n_lesions, -np.inf)
        struck = each.lesion != FALSE
        np.maximum.at(best, each.lesion[struck], each.score[struck])
        own = [
            (f"{scan}-lesion-{i}", scan, *((hit, score) if score > -np.inf else (miss, 0.0)))
            for i, score in enumerate(best.tolist())
        ]
        own += [
            (f"{scan}-candidate-{i}", scan, false, score)
            for i, score in enumerate(each.score[~struck].tolist())
        ]
        rows += own or [(scan, scan, none, 0.0)]
    return pd.DataFrame(rows, columns=["case", "cluster", "group", "value"])
