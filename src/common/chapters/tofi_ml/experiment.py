"""Cross-validation of all arms: one task a split, so that arms share what they can share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split
from tqdm import tqdm

from common.chapters.tofi_ml.arms import N_SELECTED, PLAIN, Arm, Before
from common.chapters.tofi_ml.features import processes
from common.chapters.tofi_ml.scores import per_image, per_split
from common.models import tofi_ml_network, tofi_ml_pipelines
from common.models.tofi_ml_network import Photos
from common.models.tofi_ml_pipelines import Pipeline

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

SINGLE = "single"


@dataclass(frozen=True)
class Study:
    """One set of images with everything that its arms read.

    Args:
        name: of the set.
        table: case, cluster, label and grade of each image.
        x: feature matrices (n, p) by name.
        photos (n, 3, side, side): small photographs; may be empty.
        shifted: features and photographs of the same images, altered, by the name of the change.
    """

    name: str
    table: pd.DataFrame
    x: Mapping[str, Floats]
    photos: Photos
    shifted: Mapping[str, tuple[Floats, Photos]] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """The images of a study after what was done before the split.

    Args:
        origin (m,): place of each image in the study.
        made (m,): true for images that were made up or repeated.
        features: the matrix, where it is no row-wise choice of the study's (SMOTE, selection).
        label (m,): classes.
    """

    origin: Ints
    made: NDArray[np.bool_]
    label: Ints
    features: Floats | None = None


def view(study: Study, before: Before, *, seed: int) -> View:
    """Do to all images what an arm does before the split.

    Raises:
        ValueError: an unknown step.
    """
    label = study.table["label"].to_numpy(dtype=np.int64)
    every, real = np.arange(len(label)), np.zeros(len(label), dtype=bool)
    rng = np.random.default_rng([seed, 2])
    if before == "":
        return View(every, real, label)
    if before == "under":
        kept = tofi_ml_pipelines.undersample(label, rng=rng)
        return View(kept, real[kept], label[kept])
    if before == "over":
        kept = tofi_ml_pipelines.oversample(label, rng=rng)
        return View(kept, np.arange(len(kept)) >= len(label), label[kept])
    if before == "smote":
        x, y = tofi_ml_pipelines.smote(study.x["all"], label, rng=rng)
        new = len(y) - len(label)
        origin = np.concatenate([every, np.full(new, -1)])
        return View(origin, origin < 0, y, x)
    if before == "select":
        ranked = tofi_ml_pipelines.classifier("xgboost", seed=seed).fit(study.x["all"], label)
        kept = tofi_ml_pipelines.select(ranked, N_SELECTED["amd"])
        return View(every, real, label, study.x["all"][:, kept])
    raise ValueError(f"`before` must be one of '', under, over, smote, select, got {before!r}.")


def deal(label: Ints, *, n_folds: int, seed: int) -> Ints:
    """Deal images to folds, classes in equal shares.

    Args:
        label (n,): classes or grades.
        n_folds: folds.
        seed: another seed, another deal.

    Returns:
        (n,) fold of each image, 0 to ``n_folds - 1``.
    """
    fold = np.empty(len(label), dtype=np.int64)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(folds.split(label, label)):
        fold[test] = number
    return fold


def one_split(label: Ints) -> NDArray[np.bool_]:
    """Draw the paper's one test set: 20 % of the images, not stratified.

    Args:
        label (n,): classes; images are listed normal ones first, as folders list them.

    Returns:
        (n,) true for test images.

    Source: released code, ``train_test_split(..., test_size=0.2, random_state=0)``.

    Example:
        The 14 diseased test images that the printed rates of IChallenge-AMD give:

        >>> label = np.repeat([0, 1], [311, 89])
        >>> int(label[one_split(label)].sum())
        14
    """
    listed = np.argsort(label, kind="stable")
    _, test = train_test_split(listed, test_size=0.2, random_state=0)
    chosen = np.zeros(len(label), dtype=bool)
    chosen[test] = True
    return chosen


@dataclass(frozen=True)
class Options:
    """What all arms share: folds, and the size of the network's training."""

    n_folds: int = 5
    epochs: int = 8


def run(
    plan: Sequence[tuple[Study, tuple[Arm, ...], Iterable[int]]],
    options: Options,
    *,
    single: bool = True,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Run every arm of every study on every fold of every seed.

    Args:
        plan: studies with their arms and their seeds; each seed deals the folds anew.
        options: see :class:`Options`.
        single: also run the paper's one split, with the arms that ask for it.
        jobs: processes; each task uses one thread, so that the records do not depend on it.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``; see :mod:`common.chapters.tofi_ml.scores`.
    """
    tasks = [
        delayed(_split)(study, arms, seed, str(fold), options)
        for study, arms, seeds in plan
        for seed in seeds
        for fold in range(options.n_folds)
    ]
    if single:
        for study, arms, _ in plan:
            asked = tuple(arm for arm in arms if arm.single)
            if asked:
                tasks.append(delayed(_split)(study, asked, 0, SINGLE, options))
    done = Parallel(n_jobs=processes(jobs), return_as="generator")(tasks)
    parts = list(tqdm(done, total=len(tasks), desc="splits", disable=not progress, leave=False))
    return pd.concat(parts, ignore_index=True).assign(source="phantom")


def _split(
    study: Study, arms: tuple[Arm, ...], seed: int, fold: str, options: Options
) -> pd.DataFrame:
    """Train and test all arms on one split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shared: dict[Any, Any] = {}
        parts = [_arm(study, arm, seed, fold, options, shared) for arm in arms]
    finally:
        torch.set_num_threads(threads)
    return pd.concat(parts, ignore_index=True)


def _test_of(seen: View, study: Study, arm: Arm, seed: int, fold: str, n_folds: int) -> Any:
    if fold == SINGLE:
        return one_split(seen.label)
    strata = seen.label
    if arm.before == "":  # grades too in equal shares; without grades they are the labels
        strata = study.table["grade"].to_numpy(dtype=np.int64)
    return deal(strata, n_folds=n_folds, seed=seed) == int(fold)


def _arm(
    study: Study, arm: Arm, seed: int, fold: str, options: Options, shared: dict[Any, Any]
) -> pd.DataFrame:
    key = ("view", arm.before)
    if key not in shared:
        shared[key] = view(study, arm.before, seed=seed)
    seen: View = shared[key]
    test = _test_of(seen, study, arm, seed, fold, options.n_folds)
    grade = study.table["grade"].to_numpy(dtype=np.int64)
    truth = seen.label if arm.target == "label" else grade[seen.origin]
    predict = _network if arm.x == "photos" else _classifier
    prob, shifted = predict(study, arm, seen, test, seed, options, shared)
    named = f"{seed}.{fold}"
    parts = [per_split(prob, truth[test], split=named, single=fold == SINGLE)]
    if arm.per_image and fold != SINGLE:
        real = ~seen.made[test]
        table = study.table.iloc[seen.origin[test][real]]
        parts.append(per_image(prob[real], truth[test][real], table))
    if fold != SINGLE:
        clean = parts[0].query("metric == 'auc'")
        for name, other in shifted.items():
            found = per_split(other, truth[test], split=named).query("metric == 'auc'")
            drop = clean["value"].to_numpy() - found["value"].to_numpy()
            parts.append(clean.assign(metric="auc_drop", value=drop, group=name))
    records = pd.concat(parts, ignore_index=True)
    return records.assign(arm=arm.name, seed=seed, fold=named)


def _classifier(
    study: Study,
    arm: Arm,
    seen: View,
    test: NDArray[np.bool_],
    seed: int,
    options: Options,
    shared: dict[Any, Any],
) -> tuple[Floats, dict[str, Floats]]:
    """Train a classifier on features; the model of all features also ranks them for selection."""
    x = seen.features if seen.features is not None else study.x[arm.x][seen.origin]
    y = seen.label
    if arm.target == "grade":
        y = study.table["grade"].to_numpy(dtype=np.int64)[seen.origin]
    key = ("ranked", arm.before)
    if arm.pipeline.n_selected and key not in shared:
        model = tofi_ml_pipelines.classifier("xgboost", seed=seed)
        shared[key] = model.fit(x[~test], seen.label[~test])
    tested = [x[test]]
    if arm.shifted:
        tested += [features[seen.origin[test]] for features, _ in study.shifted.values()]
    prob, fitted = tofi_ml_pipelines.fit_predict(
        arm.pipeline,
        x[~test],
        y[~test],
        np.concatenate(tested),
        seed=seed,
        ranked=shared.get(key),
        peek=y[test] if arm.pipeline.kind == "knn_test" else None,
    )
    if (arm.x, arm.pipeline, arm.target) == ("all", PLAIN, "label"):
        shared[key] = fitted
    first, *rest = np.split(prob, len(tested))
    return first, dict(zip(study.shifted, rest, strict=bool(rest)))


def _network(
    study: Study,
    arm: Arm,
    seen: View,
    test: NDArray[np.bool_],
    seed: int,
    options: Options,
    shared: dict[Any, Any],
) -> tuple[Floats, dict[str, Floats]]:
    """Train the network on the grades once a split; disease is any grade above 0."""
    key = ("network", arm.before)
    if key not in shared:
        grade = study.table["grade"].to_numpy(dtype=np.int64)
        train = seen.origin[~test]
        shared[key] = tofi_ml_network.fit(
            study.photos[train],
            grade[train],
            epochs=options.epochs,
            seed=seed,
            n_classes=int(grade.max()) + 1,
        )
    places = seen.origin[test]
    named = {"": study.photos}
    if arm.shifted:
        named |= {name: photos for name, (_, photos) in study.shifted.items()}
    prob: dict[str, Floats] = {
        name: tofi_ml_network.probabilities(shared[key], photos[places])
        for name, photos in named.items()
    }
    if arm.target == "label":
        prob = {name: np.stack([p[:, 0], 1 - p[:, 0]], axis=1) for name, p in prob.items()}
    return prob.pop(""), prob


def null_runs(
    studies: Iterable[Study], seeds: Iterable[int], options: Options, *, jobs: int = 2
) -> pd.DataFrame:
    """Run arms on shuffled labels, where nothing can be learnt; each seed shuffles anew.

    Args:
        studies: those named in :data:`NULL_ARMS`, whose arms are run.
        seeds: of the shuffles.
        options: see :class:`Options`.
        jobs: processes.

    Returns:
        Records of the metric ``auc_null``, the mean over folds; arms are named ``null-`` and the
        arm, and the independent unit is the shuffle.
    """
    tasks = [
        delayed(_null)(study, arm, seed, options)
        for study in studies
        for seed in seeds
        for arm in NULL_ARMS[study.name]
    ]
    parts = Parallel(n_jobs=processes(jobs))(tasks)
    return pd.concat(parts, ignore_index=True).assign(source="phantom")


NULL_ARMS = {
    "glaucoma": (
        Arm("knn", pipeline=Pipeline("knn")),
        Arm("leak", pipeline=Pipeline("knn"), before="over"),
    ),
    "amd": (
        Arm("select", pipeline=Pipeline(n_selected=N_SELECTED["amd"])),
        Arm("select-leak", before="select"),
    ),
}


def _null(study: Study, arm: Arm, seed: int, options: Options) -> pd.DataFrame:
    order = np.random.default_rng([seed, 3]).permutation(len(study.table))
    label = study.table["label"].to_numpy()[order]
    shuffled = Study(
        study.name, study.table.assign(label=label, grade=label), study.x, study.photos
    )
    parts = [_split(shuffled, (arm,), seed, str(fold), options) for fold in range(options.n_folds)]
    found = pd.concat(parts)
    value = found.loc[found["metric"] == "auc", "value"].mean()
    name = f"shuffle-{seed}"
    row = {"arm": f"null-{arm.name}", "seed": seed, "fold": "", "case": name, "cluster": name}
    return pd.DataFrame([{**row, "group": "", "metric": "auc_null", "value": value}])
