"""Cross-validated studies without a true difference: a model of overlap, and real learners."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.statistics.results import Array
from common.validation.simulate import Study

FoldModel = Literal["overlap", "learners"]


@dataclass(frozen=True)
class Folds:
    """A kind of cross-validated study in which two methods are equally good.

    Args:
        model: ``overlap`` for normal fold differences that correlate by 1 / k, as the corrected t
            assumes; ``learners`` for two trained classifiers.
        n_clusters: patients, dealt to folds in turn.
        n_folds: folds.
        repeats: cross-validations, each with its own folds (learners only).
        training_share: share of a fold's own variance that comes from its training and not from
            its patients (``overlap`` only).
        n_features: features of each learner.
    """

    model: FoldModel
    n_clusters: int
    n_folds: int
    repeats: int = 1
    training_share: float = 0.5
    n_features: int = 20

    @property
    def effect(self) -> float:
        """The true difference: none."""
        return 0.0

    def columns(self) -> dict[str, Any]:
        """Describe the study in the columns of the archive."""
        own = {"outcome": self.model, "n_folds": self.n_folds, "n_seeds": self.repeats}
        return own | ({"run_share": self.training_share} if self.model == "overlap" else {})


def draw_overlap(folds: Folds, rng: np.random.Generator) -> Study:
    """Draw fold differences that correlate by 1 / k, one case a patient.

    1. Each patient's difference is normal, so that a fold's mean has 1 - ``training_share`` of the
       fold's own variance of 1; its training adds the rest.
    2. All folds share a normal number of variance 1 / (k - 1), what overlapping training sets have
       in common after Nadeau and Bengio.
    """
    k, n = folds.n_folds, folds.n_clusters
    fold = np.arange(n) % k
    patients = np.sqrt((1 - folds.training_share) * n / k) * rng.normal(size=n)
    training = np.sqrt(folds.training_share) * rng.normal(size=k)
    shared = np.sqrt(1 / (k - 1)) * rng.normal()
    scores = np.zeros((1, n, 2))
    scores[0, :, 0] = patients + training[fold] + shared
    return Study(scores, np.arange(n), np.char.add("f", fold.astype(str)))


def draw_learners(folds: Folds, rng: np.random.Generator) -> Study:
    """Train two ridge classifiers by cross-validation over patients and score every case.

    1. Every patient has a class and three cases.  A case has two sets of features, one for each
       learner, of one law: the class times 0.15, the patient's own part, and the case's.
    2. Each learner is a ridge regression on the classes -1 and 1, trained on the other folds.
    3. A case is scored 1 if the sign is right.  The two learners see exchangeable features, so
       that their expected accuracies are equal, whatever the training set.
    """
    n, per_patient, p = folds.n_clusters, 3, folds.n_features
    label = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[rng.permutation(n)]
    patient = np.sqrt(0.3) * rng.normal(size=(2, n, 1, p))
    features = 0.15 * label[:, None, None] + patient
    features = (features + np.sqrt(0.7) * rng.normal(size=(2, n, per_patient, p))).reshape(2, -1, p)
    target = np.repeat(label, per_patient)
    cluster = np.repeat(np.arange(n), per_patient)
    scores, names = [], []
    for _ in range(folds.repeats):
        fold = (np.argsort(rng.permutation(n)) % folds.n_folds)[cluster]
        scores.append(np.stack([_right(each, target, fold) for each in features], axis=1))
        names.append(np.char.add("f", fold.astype(str)))
    return Study(np.stack(scores), cluster, np.stack(names) if folds.repeats > 1 else names[0])


def _right(features: Array, target: Array, fold: NDArray[np.intp]) -> Array:
    """Tell which cases a ridge classifier trained without their fold gets right (n,)."""
    gram, moment = features.T @ features, features.T @ target
    penalty = np.eye(features.shape[1])
    right = np.empty(len(target))
    for number in range(int(fold.max()) + 1):
        mine = fold == number
        own = features[mine]
        weights = np.linalg.solve(gram - own.T @ own + penalty, moment - own.T @ target[mine])
        right[mine] = (own @ weights) * target[mine] > 0
    return right


def draw_folds(folds: Folds, rng: np.random.Generator) -> Study:
    """Draw one cross-validated study."""
    return draw_overlap(folds, rng) if folds.model == "overlap" else draw_learners(folds, rng)
