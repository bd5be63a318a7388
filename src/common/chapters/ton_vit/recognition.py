"""Recognition of the procedure: every arm on every video, distances of pairs, and wrong actions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from tqdm.auto import tqdm

from common.chapters.ton_vit.videos import Labels, Videos, cohort
from common.models.ton_vit import Action, Array, distances, edges_of, generate, ordinals, unit
from common.models.ton_vit_classify import (
    Clusters,
    bag,
    cross_validate,
    left_out,
    nearest,
    one_hot,
)
from common.statistics.areas import auc

ACCURACIES = (1.0, 0.8, 0.6, 0.5, 0.35, 0.2)
N_FOLDS = 5
Rows = list[dict[str, Any]]


def _where(videos: Videos) -> dict[str, Any]:
    """Name real videos and their clusters, the first video of the same sequence."""
    twins = videos.twins
    first = {int(t): videos.name[i] for i, t in reversed(list(enumerate(twins)))}
    return {"case": list(videos.name), "cluster": [first[int(t)] for t in twins]}


def table(values: Any, arm: str, metric: str, videos: Videos, source: str) -> pd.DataFrame:
    """Make records of one value a video, or of their mean in a cohort of the phantom."""
    if source == "phantom":
        return whole(float(np.mean(values)), arm, metric, videos)
    return pd.DataFrame(_where(videos)).assign(
        arm=arm,
        metric=metric,
        value=np.asarray(values, dtype=np.float64),
        seed=videos.seed,
        source=source,
        fold="",
        group="",
    )


def whole(value: float, arm: str, metric: str, videos: Videos, *, group: str = "") -> pd.DataFrame:
    """Make the record of one value of a whole cohort of the phantom."""
    where = f"cohort-{videos.seed}"
    row = {"case": where, "cluster": where, "arm": arm, "metric": metric, "value": float(value)}
    row |= {"seed": videos.seed, "source": "phantom", "fold": "", "group": group}
    return pd.DataFrame([row])


def mahalanobis(features: Array, label: Labels, splits: Sequence[tuple[Labels, Labels]]) -> Labels:
    """Give every video the class of the nearest cluster, fitted without it."""
    found = np.full(len(label), -1, dtype=np.int64)
    for train, test in splits:
        fitted = Clusters.fit(features[train], label[train])
        found[test] = fitted.distances(features[test]).argmin(axis=1)
    return found


def predictions(videos: Videos, *, seed: int = 0) -> dict[str, Labels]:
    """Predict the procedure of every video by every arm, leaving one video out.

    Args:
        videos: normal ones.
        seed: of the shuffled labels.

    Returns:
        Classes (n,) by arm.
    """
    q, label = videos.ordinals(), videos.label
    u, alone = unit(q), left_out(np.arange(len(videos)))
    apart = left_out(videos.twins)
    counts = unit(bag(videos.actions))
    shuffled = np.random.default_rng([seed, 1]).permutation(label)
    length = np.array([[float(len(each))] for each in videos.actions])
    return {
        "ton": cross_validate(u, label, alone),
        "ton-apart": cross_validate(u, label, apart),
        "ton-raw": cross_validate(q, label, alone),
        "adjacency": cross_validate((q > 0).astype(float), label, alone),
        "merged": cross_validate(unit(videos.ordinals(counted=False)), label, alone),
        "ton-nearest": nearest(distances(q), label, alone),
        "ton-mahalanobis": mahalanobis(u, label, alone),
        "bag": cross_validate(counts, label, alone),
        "bag-raw": cross_validate(bag(videos.actions), label, alone),
        "bag-apart": cross_validate(counts, label, apart),
        "last-action": cross_validate(one_hot([each[-1] for each in videos.actions]), label, alone),
        "first-action": cross_validate(one_hot([each[0] for each in videos.actions]), label, alone),
        "length": cross_validate(length, label, alone),
        "ton-null": np.where(cross_validate(u, shuffled, alone) == shuffled, label, -1),
    }


def recognise(videos: Videos, found: dict[str, Labels], *, source: str) -> pd.DataFrame:
    """Record for every arm and video whether the procedure was recognised, metric ``correct``.

    Args:
        videos: normal ones.
        found: from :func:`predictions`.
        source: of the videos.
    """
    parts = [table(p == videos.label, arm, "correct", videos, source) for arm, p in found.items()]
    return pd.concat(parts, ignore_index=True)


def pairs(between: Array, label: Labels) -> tuple[Array, Array]:
    """Part the distances of all pairs of videos into those within and between procedures."""
    upper = np.triu_indices(len(between), 1)
    same = (label[:, None] == label)[upper]
    return between[upper][same], between[upper][~same]


def gaps(between: Array, label: Labels) -> Array:
    """Subtract, for every video, its farthest relative from its nearest stranger.

    Args:
        between (n, n): distances.
        label (n,): procedures.

    Returns:
        (n,); all are positive if one threshold parts all pairs.
    """
    same = label[:, None] == label
    strangers = np.where(same, np.inf, between).min(axis=1)
    return np.asarray(strangers - np.where(same, between, 0.0).max(axis=1))


def pair_area(between: Array, label: Labels) -> float:
    """Compute the chance that a pair between procedures lies farther apart than one within."""
    within, outside = pairs(between, label)
    scores = np.concatenate([within, outside])
    return float(auc(scores, np.repeat([0, 1], [len(within), len(outside)])))


def separate(videos: Videos, *, source: str, arm: str = "distance") -> pd.DataFrame:
    """Record how far a threshold on distances parts the procedures."""
    between = distances(videos.ordinals())
    apart = gaps(between, videos.label) > 0
    records = [table(apart, arm, "separated", videos, source)]
    if source == "phantom":
        within, outside = pairs(between, videos.label)
        found = {
            "threshold_gap": outside.min() - within.max(),
            "pair_area": pair_area(between, videos.label),
        }
        records += [whole(value, arm, name, videos) for name, value in found.items()]
    return pd.concat(records, ignore_index=True)


def pair_area_interval(
    between: Array, label: Labels, twins: Labels, *, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Bootstrap the area of pairs over distinct sequences, without pairs of copies of one draw.

    Args:
        between (n, n): distances.
        label (n,): procedures.
        twins (n,): number of the sequence of each video.
        n_resamples: draws.
        rng: source of randomness.

    Returns:
        The area and the ends of its 95 % percentile interval.
    """
    members = [np.flatnonzero(twins == t) for t in np.unique(twins)]
    drawn = []
    for _ in range(n_resamples):
        chosen = rng.integers(len(members), size=len(members))
        index = np.concatenate([members[t] for t in chosen])
        copy = np.repeat(chosen, [len(members[t]) for t in chosen])
        upper = np.triu_indices(len(index), 1)
        apart = (copy[:, None] != copy)[upper]
        same = (label[index][:, None] == label[index])[upper][apart]
        values = between[np.ix_(index, index)][upper][apart]
        drawn.append(float(auc(values, (~same).astype(int))))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return pair_area(between, label), float(low), float(high)


def disturb(
    actions: Sequence[Sequence[Action]], accuracy: float, rng: np.random.Generator
) -> list[tuple[Action, ...]]:
    """Replace actions by random ones, frequent ones more often, as a poor recogniser might.

    Args:
        actions: of each video.
        accuracy: chance that an action stays; a random one may be right again.
        rng: source of randomness.
    """
    pool = [action for each in actions for action in each]
    return [
        tuple(a if rng.random() < accuracy else pool[int(rng.integers(len(pool)))] for a in each)
        for each in actions
    ]


def confuse(videos: Videos, accuracy: float, *, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Recognise procedures from disturbed test videos, trained on the videos as they are.

    Args:
        videos: normal ones.
        accuracy: see :func:`disturb`.
        seed: of the replaced actions and of the five folds, which may part copies.

    Returns:
        Whether each video was recognised (n,), by arm: ``ton-noisy`` and ``bag-noisy``.
    """
    rng = np.random.default_rng([seed, 2, round(1000 * accuracy)])
    heard = disturb(videos.actions, accuracy, rng)
    graphs = videos.graphs()
    edges = edges_of(graphs)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    splits = [(a, b) for a, b in folds.split(np.zeros(len(videos)), videos.label)]
    noisy = unit(ordinals([generate(each) for each in heard], edges))
    trained = unit(ordinals(graphs, edges))
    both = unit(bag([*videos.actions, *heard]))
    clean, wrong = both[: len(videos)], both[len(videos) :]
    return {
        "ton-noisy": cross_validate(trained, videos.label, splits, tested=noisy) == videos.label,
        "bag-noisy": cross_validate(clean, videos.label, splits, tested=wrong) == videos.label,
    }


def sensitivity(videos: Videos, *, source: str, repeats: int = 1) -> pd.DataFrame:
    """Record the accuracy of the procedure at several accuracies of the actions.

    Args:
        videos: normal ones.
        source: ``open`` records one value a video and repeat, ``phantom`` one a cohort.
        repeats: draws of wrong actions.

    Returns:
        Records of metric ``correct``, group the accuracy of actions.
    """
    parts = []
    for accuracy in ACCURACIES:
        for repeat in range(repeats):
            found = confuse(videos, accuracy, seed=videos.seed + repeat)
            for arm, right in found.items():
                part = table(right, arm, "correct", videos, source)
                parts.append(part.assign(group=f"{accuracy:g}", seed=videos.seed + repeat))
    return pd.concat(parts, ignore_index=True)


def order_task(videos: Videos) -> pd.DataFrame:
    """Tell each video from a copy of itself whose steps are shuffled; actions and counts are equal.

    Returns:
        Records of metric ``order_correct``, one a cohort, for the arms ``ton`` and ``bag``. A
        video, its shuffled copy and all its twins are left out together.
    """
    rng = np.random.default_rng([videos.seed, 3])
    shuffled = [tuple(each[i] for i in rng.permutation(len(each))) for each in videos.actions]
    both = [*videos.actions, *shuffled]
    graphs = [generate(each) for each in both]
    label = np.repeat([0, 1], len(videos))
    splits = left_out(np.tile(videos.twins, 2))
    features = {"ton": unit(ordinals(graphs, edges_of(graphs))), "bag": unit(bag(both))}
    rows = [
        whole((cross_validate(x, label, splits) == label).mean(), arm, "order_correct", videos)
        for arm, x in features.items()
    ]
    return pd.concat(rows, ignore_index=True)


def one_cohort(seed: int, *, n: int) -> pd.DataFrame:
    """Run everything of this module on one cohort of the phantom, and on a scripted one."""
    videos = cohort(seed, n=n)
    scripted = cohort(seed, n=n, variability=0.05, concurrency=0.0)
    parts = [
        recognise(videos, predictions(videos, seed=seed), source="phantom"),
        separate(videos, source="phantom"),
        separate(scripted, source="phantom", arm="scripted"),
        sensitivity(videos, source="phantom"),
        order_task(videos),
    ]
    return pd.concat(parts, ignore_index=True)


def over(
    task: Callable[..., pd.DataFrame],
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    progress: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Run a task on several cohorts, side by side.

    Args:
        task: takes the seed first.
        seeds: of the cohorts.
        jobs: processes; the records do not depend on it.
        progress: show a bar.
        options: handed to the task.
    """
    pool = Parallel(n_jobs=jobs, return_as="generator")
    todo = (delayed(task)(seed, **options) for seed in seeds)
    bar = tqdm(pool(todo), total=len(seeds), disable=not progress, leave=False)
    return pd.concat(list(bar), ignore_index=True)
