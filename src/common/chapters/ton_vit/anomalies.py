"""Shortcuts and mistakes: the rule of two representations on videos whose kind is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from common.chapters.ton_vit.recognition import whole
from common.chapters.ton_vit.videos import Labels, Videos, cohort
from common.models.ton_vit import Array, edges_of, ordinals, unit
from common.models.ton_vit_classify import (
    N_COMPONENTS,
    Clusters,
    call,
    chi_square_radius,
    conformal_radius,
)

N_FOLDS = 5
RULES = ("chi-square", "conformal")
KINDS = ("normal", "shortcut", "mistake")
# at this ridge the chi-square radius keeps its 2.5 % on the normal videos of eight trial cohorts
RIDGE = 1e-3
HELD_OUT = 3  # a third of the training videos gives the conformal radii


@dataclass(frozen=True)
class Judged:
    """What the rule says of videos that it was not fitted with.

    Args:
        kind (n,): true kind, place in :data:`KINDS`.
        called: for each of :data:`RULES`, the call of every video (n,), see
            :func:`common.models.ton_vit_classify.call`.
        nearest: for ``merged`` and ``multi``, the distance to the nearest cluster over its
            chi-square radius (n,).
    """

    kind: Labels
    called: dict[str, Labels]
    nearest: dict[str, Array]


def _features(videos: Videos, train: NDArray[np.bool_], *, counted: bool) -> Array:
    """Represent all videos by the edges of the training videos."""
    graphs = videos.graphs(counted=counted)
    edges = edges_of([graphs[i] for i in np.flatnonzero(train)])
    return unit(ordinals(graphs, edges))


def _member(
    features: Array, label: Labels, train: NDArray[np.bool_], test: NDArray[np.bool_]
) -> dict[str, NDArray[np.bool_]]:
    """Say whether test videos lie in any cluster, by both radii, and how near they are."""
    own = np.flatnonzero(train)
    clusters = Clusters.fit(features[own], label[own], ridge=RIDGE)
    away = clusters.distances(features[test])
    radius = chi_square_radius(N_COMPONENTS)
    # every third of each procedure
    held = own[np.argsort(label[own], kind="stable")][::HELD_OUT]
    fitted = np.setdiff1d(own, held)
    part = Clusters.fit(features[fitted], label[fitted], ridge=RIDGE)
    new = part.distances(features[held])[np.arange(len(held)), label[held]]
    radii = np.array([conformal_radius(new[label[held] == c]) for c in range(len(part.means))])
    return {
        "chi-square": (away <= radius).any(axis=1),
        "conformal": (part.distances(features[test]) <= radii).any(axis=1),
        "nearest": away.min(axis=1) / radius,
    }


def judge(videos: Videos) -> Judged:
    """Call every video by clusters that were fitted to normal videos of other sequences.

    Args:
        videos: normal ones, and anomalies that name the normal video they were made of; an anomaly
            is judged where that video is left out.
    """
    place = {name: i for i, name in enumerate(videos.name)}
    origin = np.array([place[name] for name in videos.origin])
    # copies, and what was made of them, share a group
    group = videos.twins[origin]
    normal = videos.kind == 0
    called = {rule: np.full(len(videos), -1, dtype=np.int64) for rule in RULES}
    nearest = {form: np.full(len(videos), np.nan) for form in ("merged", "multi")}
    folds = GroupKFold(N_FOLDS).split(group[normal], groups=group[normal])
    for _, held in folds:
        test = np.isin(group, group[normal][held])
        train = normal & ~test
        inside = {
            form: _member(
                _features(videos, train, counted=form == "multi"), videos.label, train, test
            )
            for form in ("merged", "multi")
        }
        for rule in RULES:
            called[rule][test] = call(inside["merged"][rule], inside["multi"][rule])
        for form, each in nearest.items():
            each[test] = inside[form]["nearest"]
    return Judged(videos.kind, called, nearest)


def rates(kind: Labels, called: Labels) -> dict[str, float]:
    """Summarise calls.

    Args:
        kind (n,): true kinds.
        called (n,): calls; the fourth counts as normal.

    Returns:
        ``balanced`` (mean share called right over the kinds), ``false_alarm`` (share of normal
        videos called anything else), and for shortcuts and mistakes how much more often they are
        called so than normal videos are.

    Example:
        >>> found = rates(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 3, 1, 0, 2, 2]))
        >>> {name: round(value, 2) for name, value in found.items()}
        {'balanced': 0.83, 'false_alarm': 0.0, 'shortcut_gain': 0.5, 'mistake_gain': 1.0}
    """
    plain = np.where(called == 3, 0, called)
    share = {
        (true, said): float((plain[kind == true] == said).mean())
        for true in range(3)
        for said in range(3)
    }
    return {
        "balanced": float(np.mean([share[k, k] for k in range(3)])),
        "false_alarm": 1 - share[0, 0],
        "shortcut_gain": share[1, 1] - share[0, 1],
        "mistake_gain": share[2, 2] - share[0, 2],
    }


def one_cohort(seed: int, *, n: int, n_anomalies: int) -> pd.DataFrame:
    """Judge one cohort of the phantom, and one whose anomalies are none.

    Returns:
        Records of the rates of :func:`rates` for ``chi-square`` and ``conformal``, one a cohort; of
        the calls by kind, metric ``called``, group ``kind as call``; and of ``relabelled``: normal
        videos of which some are named shortcuts and mistakes at random.
    """
    videos = cohort(seed, n=n, anomalies=n_anomalies)
    found = judge(videos)
    parts = [
        whole(value, rule, name, videos)
        for rule, calls in found.called.items()
        for name, value in rates(found.kind, calls).items()
    ]
    for rule, calls in found.called.items():
        for k, kind in enumerate(KINDS):
            for said, word in enumerate((*KINDS, "warning")):
                share = float((calls[found.kind == k] == said).mean())
                parts.append(whole(share, rule, "called", videos, group=f"{kind} as {word}"))
    normal = found.kind == 0
    named = np.random.default_rng([seed, 4]).permutation(np.arange(int(normal.sum())) % 3)
    null = rates(named, found.called["chi-square"][normal])
    parts += [
        whole(null[name], "relabelled", name, videos) for name in ("shortcut_gain", "mistake_gain")
    ]
    return pd.concat(parts, ignore_index=True)
