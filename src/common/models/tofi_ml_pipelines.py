"""From fingerprints to probabilities: selection, balancing and classifiers of ToFi-ML.

Each step can be placed inside the training data, where it belongs, or before the split, where it
leaks.

Source: Ahmed and Coskunuzer, ToFi-ML, 2023, Section 5.2, and its released code where noted.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Kind = Literal["xgboost", "forest", "knn", "knn_test"]
Balance = Literal["none", "smote", "under", "over"]

# odd numbers as in the released scan from 1 to 129, thinned
NEIGHBOURS = (1, 3, 5, 7, 9, 13, 17, 23, 31, 41, 55, 75, 99, 129)


@dataclass(frozen=True)
class Pipeline:
    """How fingerprints become probabilities.

    Args:
        kind: ``xgboost`` with default parameters, ``forest`` with those of the released code,
            ``knn`` on standardised features with k by inner cross-validation, or ``knn_test``
            with k by the error on the test images, as the released code chooses it.
        n_selected: features that the selection keeps; 0 for all.
        balance: what is done to the training images.
    """

    kind: Kind = "xgboost"
    n_selected: int = 0
    balance: Balance = "none"


def classifier(kind: Kind, *, seed: int) -> Any:
    """Make an untrained XGBoost or random forest of one thread, whatever the machine has.

    Raises:
        ValueError: another kind.
    """
    if kind == "xgboost":
        return XGBClassifier(n_jobs=1, random_state=seed)
    if kind == "forest":
        return RandomForestClassifier(
            300, criterion="entropy", min_samples_split=10, n_jobs=1, random_state=seed
        )
    raise ValueError(f"`kind` must be xgboost or forest, got {kind!r}. k-NN has its own function.")


def select(fitted: Any, n_selected: int) -> Ints:
    """Choose the features with the largest importances of a trained model.

    Args:
        fitted: a classifier with ``feature_importances_`` (p,).
        n_selected: how many to keep, at most p are kept.

    Returns:
        (n_selected,) places of the features, ascending.

    Raises:
        ValueError: ``n_selected`` is below 1.

    Source: Section 5.2, ``SelectFromModel``; 159 features of APTOS, 58 of IChallenge-AMD.
    """
    if n_selected < 1:
        raise ValueError(f"`n_selected` must be at least 1, got {n_selected!r}. Raise it.")
    kept = min(n_selected, len(fitted.feature_importances_))
    choice = SelectFromModel(fitted, threshold=-np.inf, max_features=kept, prefit=True)
    return np.flatnonzero(choice.get_support())


def _rare(y: Ints) -> tuple[Ints, Ints, int]:
    """Return the places of the rarer and of the commoner class, and how many the rarer lacks."""
    ones, zeros = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    if len(ones) + len(zeros) != len(y) or not (len(ones) and len(zeros)):
        raise ValueError(
            f"`y` must hold both classes 0 and 1 and no other, got {np.unique(y).tolist()}."
        )
    rare, common = (ones, zeros) if len(ones) <= len(zeros) else (zeros, ones)
    return rare, common, len(common) - len(rare)


def smote(x: Floats, y: Ints, *, rng: np.random.Generator, k: int = 5) -> tuple[Floats, Ints]:
    r"""Add made-up cases of the rarer class until both are equally frequent.

    A new case lies on the line from a case to one of its k nearest neighbours of the same class,
    :math:`x_i + u (x_j - x_i)` with u uniform on [0, 1].

    Args:
        x (n, p): features.
        y (n,): classes 0 and 1.
        rng: source of cases, neighbours and u.
        k: neighbours; fewer where the class is smaller.

    Returns:
        ``x`` and ``y`` with the new cases behind the old ones.

    Raises:
        ValueError: not two classes, or the rarer one has a single case.

    Source: Chawla et al., JAIR 16, 2002.
    """
    rare, _, missing = _rare(y)
    if len(rare) < 2:
        raise ValueError("`y` must hold 2 cases of the rarer class, got 1. Take more cases.")
    own = x[rare].astype(np.float64)
    near = NearestNeighbors(n_neighbors=min(k, len(own) - 1) + 1).fit(own)
    neighbours = near.kneighbors(own, return_distance=False)[:, 1:]
    start = rng.integers(len(own), size=missing)
    other = neighbours[start, rng.integers(neighbours.shape[1], size=missing)]
    made = own[start] + rng.random((missing, 1)) * (own[other] - own[start])
    label = np.full(missing, y[rare[0]], dtype=y.dtype)
    return np.concatenate([x, made.astype(x.dtype)]), np.concatenate([y, label])


def undersample(y: Ints, *, rng: np.random.Generator) -> Ints:
    """Draw as many cases of the commoner class as the rarer one has.

    Args:
        y (n,): classes 0 and 1.
        rng: source of the draw.

    Returns:
        Places of the cases that stay, ascending.

    Source: Section 5.2, ORIGA, 168 of each class.
    """
    rare, common, _ = _rare(y)
    return np.sort(np.concatenate([rare, rng.choice(common, len(rare), replace=False)]))


def oversample(y: Ints, *, rng: np.random.Generator) -> Ints:
    """Repeat cases of the rarer class until both are equally frequent.

    Args:
        y (n,): classes 0 and 1.
        rng: chooses which cases are repeated once more than others.

    Returns:
        Places (n + missing,): every case once, in order, then the repeats.
    """
    rare, _, missing = _rare(y)
    rounds = [rng.permutation(rare) for _ in range(-(-missing // len(rare)))]
    repeats = np.concatenate([np.empty(0, dtype=np.int64), *rounds])[:missing]
    return np.concatenate([np.arange(len(y)), repeats])


def balanced(
    x: Floats, y: Ints, balance: Balance, *, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Balance two classes by one of the ways above; ``none`` leaves them as they are.

    Raises:
        ValueError: another way.
    """
    if balance == "none":
        return x, y
    if balance == "smote":
        return smote(x, y, rng=rng)
    if balance not in ("under", "over"):
        raise ValueError(f"`balance` must be none, smote, under or over, got {balance!r}.")
    kept = undersample(y, rng=rng) if balance == "under" else oversample(y, rng=rng)
    return x[kept], y[kept]


def votes(x: Floats, y: Ints, new: Floats) -> NDArray[np.float64]:
    """Let the nearest neighbours vote, for every k of :data:`NEIGHBOURS` at once.

    Args:
        x (n, p): features of cases whose class is known; they set mean and spread.
        y (n,): classes 0 and 1.
        new (m, p): features of the others.

    Returns:
        (len(NEIGHBOURS), m): share of votes for class 1; for k above n all n vote.
    """
    scale = StandardScaler().fit(x)
    largest = min(NEIGHBOURS[-1], len(y))
    fitted = KNeighborsClassifier(largest, algorithm="brute").fit(scale.transform(x), y)
    place = fitted.kneighbors(scale.transform(new), return_distance=False)
    share = (y[place] == 1).cumsum(axis=1) / np.arange(1, largest + 1)
    return np.stack([share[:, min(k, largest) - 1] for k in NEIGHBOURS])


def best_k(x: Floats, y: Ints, *, seed: int, n_folds: int = 5) -> int:
    """Choose the number of neighbours by cross-validation inside the training images.

    Args:
        x (n, p): training features.
        y (n,): classes 0 and 1.
        seed: deals the inner folds.
        n_folds: inner folds; fewer where a class is smaller.

    Returns:
        Place in :data:`NEIGHBOURS` of the smallest error, of ties the largest k.
    """
    parts = min(n_folds, int(np.bincount(y).min()))
    errors = np.zeros(len(NEIGHBOURS))
    deal = StratifiedKFold(parts, shuffle=True, random_state=seed)
    for train, test in deal.split(x, y):
        share = votes(x[train], y[train], x[test])
        errors += ((share > 0.5) != (y[test] == 1)).sum(axis=1)
    return int(np.flatnonzero(errors == errors.min())[-1])


def knn(
    x: Floats, y: Ints, new: Floats, *, seed: int, peek: Ints | None = None
) -> NDArray[np.float64]:
    """Classify by the nearest neighbours.

    Args:
        x (n, p): training features.
        y (n,): classes 0 and 1.
        new (m, p): test features.
        seed: of the inner cross-validation that chooses k.
        peek (m,): classes of the test images; where given, k is the one with the smallest error on
            them, which the released code does and an honest evaluation must not.

    Returns:
        (m, 2) shares of votes.
    """
    share = votes(x, y, new)
    if peek is None:
        chosen = best_k(x, y, seed=seed)
    else:
        chosen = int(((share > 0.5) != (peek == 1)).sum(axis=1).argmin())
    return np.stack([1 - share[chosen], share[chosen]], axis=1)


def fit_predict(
    pipeline: Pipeline,
    x: Floats,
    y: Ints,
    new: Floats,
    *,
    seed: int,
    ranked: Any = None,
    peek: Ints | None = None,
) -> tuple[NDArray[np.float64], Any]:
    """Select, balance and train on one set of images, and predict another.

    Args:
        pipeline: what to do.
        x (n, p): training features.
        y (n,): training classes, 0 to the number of classes less 1.
        new (m, p): test features.
        seed: of every draw.
        ranked: a model trained on ``x``, whose importances rank the features; XGBoost is trained
            for it if left out.
        peek (m,): test classes, for ``knn_test`` only.

    Returns:
        Probabilities (m, classes), and the trained classifier (None for k-NN).
    """
    if pipeline.n_selected:
        if ranked is None:
            ranked = classifier("xgboost", seed=seed).fit(x, y)
        kept = select(ranked, pipeline.n_selected)
        x, new = x[:, kept], new[:, kept]
    rng = np.random.default_rng([seed, 1])
    x, y = balanced(x, y, pipeline.balance, rng=rng)
    if pipeline.kind in ("knn", "knn_test"):
        seen = peek if pipeline.kind == "knn_test" else None
        return knn(x, y, new, seed=seed, peek=seen), None
    fitted = classifier(pipeline.kind, seed=seed).fit(x, y)
    return np.asarray(fitted.predict_proba(new), dtype=np.float64), fitted
