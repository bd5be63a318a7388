"""The results that the authors of the HEp-2 report released: predictions, training, fold lists.

Six configurations (segmentation loss, epochs, GradNorm's alpha) were each trained on five folds.
Every test file keeps the row order of its fold's list of patches, so that predictions of different
configurations pair exactly. What the files call ``dice_score`` is pixel accuracy: every value is a
multiple of 1 / 384**2.

The ``_training_report.txt`` files (times of the epochs) are not read; one of the thirty ends in its
first epoch.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from common.datasets.hep2_fold_lists import (
    FOLDS,
    INTENSITIES,
    N_PATCHES,
    N_SPECIMENS,
    PATTERNS,
    damage,
    list_path,
    read_csv,
    read_fold_lists,
)
from common.errors import ReplicateError

Endpoint = Literal["label", "intensity", "both"]

_PREDICTION_COLUMNS = ["label_true", "label_predicted", "intensity_true", "intensity_predicted"]
_TRAINING_METRICS = [
    f"{task}_{kind}" for task in ("mask", "label", "intensity") for kind in ("loss", "accuracy")
]
_NUMBER = r"\s*([0-9.eE+-]+)"
_REPORT = {
    "n": r"^(\d+) samples in the test set",
    "pixel_accuracy_min": rf"^dice score min value:{_NUMBER}",
    "pixel_accuracy_mean": rf"^dice score mean value:{_NUMBER}",
    "pixel_accuracy_max": rf"^dice score max value:{_NUMBER}",
    "label_accuracy": rf"^ label classification accuracy %:{_NUMBER}",
    "intensity_accuracy": rf"^ intensity classification accuracy %:{_NUMBER}",
}


@dataclass(frozen=True)
class Configuration:
    """One of the six trainings; ``series`` is the number in its file names.

    Example:
        >>> first = Configuration("Dice", 30, "0.06", 1)
        >>> first.id, first.folder, first.stem("A")
        ('dice-30-0.06', 'results/Dice/30epochs_alpha0,06', 'Train1_Dice_foldA')
    """

    loss: str
    epochs: int
    alpha: str
    series: int

    @property
    def id(self) -> str:
        """The arm's name in records."""
        return f"{self.loss.lower()}-{self.epochs}-{self.alpha}"

    @property
    def folder(self) -> str:
        """The folder in the release; the authors write alpha with a decimal comma."""
        return f"results/{self.loss}/{self.epochs}epochs_alpha{self.alpha.replace('.', ',')}"

    def stem(self, fold: str) -> str:
        """The first part of the names of a fold's files."""
        return f"Train{self.series}_{self.loss}_fold{fold}"

    def file(self, root: Path, fold: str, ending: str) -> Path:
        """Path of a fold's file, such as ``test_history.csv``."""
        return root / self.folder / f"fold{fold}" / f"{self.stem(fold)}_{ending}"

    def matrix(self, root: Path, fold: str, endpoint: str) -> Path:
        """Path of a fold's confusion matrix, endpoint ``label`` or ``intensity``."""
        arrays = root / self.folder / "confusion matrix" / "numpy arrays"
        return arrays / f"{self.stem(fold)}_{endpoint}Matrix.npy"


# In the order of the report's Figs 4, 6, 8, 10, 12, 14.
CONFIGURATIONS = (
    Configuration("Dice", 30, "0.06", 1),
    Configuration("BCE", 30, "0.06", 1),
    Configuration("Dice", 35, "0.06", 2),
    Configuration("BCE", 35, "0.06", 2),
    Configuration("Dice", 30, "0.12", 3),
    Configuration("BCE", 30, "0.12", 3),
)
CONFIGS = tuple(configuration.id for configuration in CONFIGURATIONS)


@dataclass(frozen=True)
class Results:
    """The release as tables; codes are places in :data:`PATTERNS` and :data:`INTENSITIES`.

    Args:
        patches: one row per configuration and patch, in the order of :data:`CONFIGS`, folds and
            fold lists: ``config, fold, patch, specimen, patient`` (categories), ``label_true,
            label_predicted, intensity_true, intensity_predicted`` (int8 codes) and
            ``pixel_accuracy`` (fraction; NaN where the authors stored none).
        patients: ``patient, fold, label, intensity``, one row each, in the order of the patches.
        training: ``config, fold, epoch`` (from 1), ``metric, value``, as logged in training.
        reports: per configuration and fold ``n``, the summary of pixel accuracy (min, mean, max)
            and ``label_accuracy, intensity_accuracy`` (fractions).
        confusion: counts by (configuration, fold, ``label`` or ``intensity``), rows true.
    """

    patches: pd.DataFrame
    patients: pd.DataFrame
    training: pd.DataFrame
    reports: pd.DataFrame
    confusion: dict[tuple[str, str, str], np.ndarray]


def load(folder: Path) -> Results:
    """Read the release and check that its parts agree with each other.

    Args:
        folder: a copy of the repository's ``results`` and ``source`` folders, as
            ``common.manifests.locate`` returns it.

    Returns:
        All tables; 6 x 15,120 rows of patches for the published release.

    Raises:
        ReplicateError: a file is missing, cut off or has unknown columns; true codes differ from
            the fold list; a patient has two labels, not 60 patches, or is in both train and test.
    """
    _require_files(folder)
    listed = read_fold_lists(folder)
    predictions, training, reports, confusion = [], [], [], {}
    for configuration in CONFIGURATIONS:
        for fold in FOLDS:
            key = {"config": configuration.id, "fold": fold}
            path = configuration.file(folder, fold, "test_history.csv")
            predictions.append(_predictions(path, listed[listed["fold"] == fold]))
            path = configuration.file(folder, fold, "training_history.csv")
            training.append(_training(path, configuration.epochs).assign(**key))
            path = configuration.file(folder, fold, "test_report.txt")
            reports.append(key | _report(path))
            for endpoint, names in (("label", PATTERNS), ("intensity", INTENSITIES)):
                path = configuration.matrix(folder, fold, endpoint)
                confusion[configuration.id, fold, endpoint] = _matrix(path, len(names))
    keys = ["config", "fold", "epoch"]
    patients = listed.iloc[:: N_SPECIMENS * N_PATCHES].reset_index(drop=True)
    return Results(
        patches=_patch_table(listed, pd.concat(predictions, ignore_index=True)),
        patients=patients[["patient", "fold", "label", "intensity"]],
        training=pd.concat(training).melt(id_vars=keys, var_name="metric", value_name="value"),
        reports=pd.DataFrame(reports).astype({"n": "int64"}),
        confusion=confusion,
    )


def outcome(results: Results, endpoint: Endpoint) -> np.ndarray:
    """Arrange right and wrong decisions by their nesting, ready for patient-level statistics.

    Args:
        results: see :func:`load`.
        endpoint: ``label`` (pattern), ``intensity``, or ``both`` right at once.

    Returns:
        (6, n_patients, 4, 15) float64 array of 1 (right) and 0 (wrong): configurations as in
        :data:`CONFIGS`, patients as in ``results.patients``, specimen images, patches.

    Raises:
        ReplicateError: unknown endpoint.
    """
    if endpoint not in ("label", "intensity", "both"):
        raise ReplicateError(
            f"`endpoint` must be label, intensity or both, got {endpoint!r}. Choose one of them."
        )
    table = results.patches
    right = np.ones(len(table), dtype=bool)
    for task in ("label", "intensity") if endpoint == "both" else (endpoint,):
        right &= (table[f"{task}_true"] == table[f"{task}_predicted"]).to_numpy()
    shape = (len(CONFIGS), len(results.patients), N_SPECIMENS, N_PATCHES)
    return right.reshape(shape).astype(np.float64)


def to_records(results: Results, *, run: str, profile: str) -> pd.DataFrame:
    """Turn the predictions into records, one per configuration, patch and metric.

    Args:
        results: see :func:`load`.
        run: id of the run that reads them.
        profile: name of the profile of that run.

    Returns:
        A table in the shape of ``common.records``: source ``authors``, arm = configuration,
        case = patch, cluster = patient, group = true pattern; metrics ``label_correct``,
        ``intensity_correct``, ``both_correct`` (0 or 1) and, where it was stored,
        ``pixel_accuracy`` (fraction).
    """
    table = results.patches
    values = {
        f"{endpoint}_correct": outcome(results, endpoint).ravel()
        for endpoint in ("label", "intensity", "both")
    }
    values["pixel_accuracy"] = table["pixel_accuracy"].to_numpy()
    kept = [np.flatnonzero(~np.isnan(value)) for value in values.values()]
    metric = np.repeat(np.arange(len(values)), [len(rows) for rows in kept])
    rows = np.concatenate(kept)
    long = table.iloc[rows].reset_index(drop=True)

    def constant(text: str) -> "pd.Categorical[str]":
        return pd.Categorical.from_codes(np.zeros(len(rows), dtype=np.int8), pd.Index([text]))

    return pd.DataFrame(
        {
            "paper": constant("hep2"),
            "run": constant(run),
            "profile": constant(profile),
            "source": constant("authors"),
            "arm": long["config"],
            "seed": np.zeros(len(rows), dtype=np.int64),
            "fold": long["fold"],
            "case": long["patch"],
            "cluster": long["patient"],
            "group": pd.Categorical.from_codes(long["label_true"].to_numpy(), pd.Index(PATTERNS)),
            "metric": pd.Categorical.from_codes(metric, pd.Index(list(values))),
            "value": np.stack(list(values.values()))[metric, rows],
        }
    )


def _require_files(folder: Path) -> None:
    """Check that every file that is read exists."""
    wanted = [folder / "source/dataset/final_patches.csv"]
    for fold in FOLDS:
        wanted += [list_path(folder, fold, part) for part in ("test", "train")]
        for configuration in CONFIGURATIONS:
            for ending in ("test_history.csv", "test_report.txt", "training_history.csv"):
                wanted.append(configuration.file(folder, fold, ending))
            for endpoint in ("label", "intensity"):
                wanted.append(configuration.matrix(folder, fold, endpoint))
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        raise damage(
            folder,
            expected=f"{len(wanted)} files of the release",
            got=f"{len(missing)} missing, the first: "
            + ", ".join(path.relative_to(folder).as_posix() for path in missing[:3]),
            cause="an incomplete copy, or the wrong folder",
        )


def _predictions(path: Path, listed: pd.DataFrame) -> pd.DataFrame:
    """Read one test file, in the row order of its fold's list."""
    table = read_csv(path)
    if list(table.columns) not in (_PREDICTION_COLUMNS, ["dice_score", *_PREDICTION_COLUMNS]):
        raise damage(
            path,
            expected=f"columns {', '.join(_PREDICTION_COLUMNS)}, with or without dice_score first",
            got=", ".join(map(str, table.columns)),
            cause="a file of another kind or release",
        )
    if len(table) != len(listed):
        raise damage(
            path,
            expected=f"{len(listed)} rows, as in the list of the fold",
            got=f"{len(table)} rows",
            cause="the file was cut off",
        )
    for column in table.columns:
        _require_range(path, table[column])
    for task in ("label", "intensity"):
        differs = table[f"{task}_true"].to_numpy() != listed[task].to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise damage(
                path,
                expected=f"{task}_true {listed[task].iloc[row]} in line {row + 2}, as for patch "
                f"{listed['patch'].iloc[row]} in the list of the fold",
                got=f"{table[f'{task}_true'].iloc[row]}; {int(differs.sum())} lines differ",
                cause="the file of another fold, or sorted rows",
            )
    scores = table.get("dice_score", np.nan)
    return table[_PREDICTION_COLUMNS].astype(np.int8).assign(pixel_accuracy=scores)


def _require_range(path: Path, column: pd.Series) -> None:
    """Check that scores are fractions and codes are places in their tuple of names."""
    n_names = len(PATTERNS) if str(column.name).startswith("label") else len(INTENSITIES)
    score = column.name == "dice_score"
    kinds, high = ("iuf", 1) if score else ("iu", n_names - 1)
    if column.dtype.kind not in kinds or not column.between(0, high).all():
        raise damage(
            path,
            expected=f"{column.name}: {'fractions' if score else 'codes'} from 0 to {high}",
            got=f"{column.min()} to {column.max()} ({column.dtype})",
            cause="an edited file",
        )


def _training(path: Path, epochs: int) -> pd.DataFrame:
    """Read one training history, a row for each epoch."""
    table = read_csv(path)
    columns = list(table.columns)
    if columns[1:] != _TRAINING_METRICS or table.iloc[:, 0].tolist() != list(range(epochs)):
        raise damage(
            path,
            expected=f"epochs 0 to {epochs - 1} with {', '.join(_TRAINING_METRICS)}",
            got=f"{len(table)} rows with {', '.join(map(str, columns[1:]))}",
            cause="the file was cut off, or is one of another training",
        )
    table = table.rename(columns={columns[0]: "epoch"})
    return table.assign(epoch=table["epoch"] + 1)


def _report(path: Path) -> dict[str, float]:
    """Read the numbers of one test report."""
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {name: re.search(rule, text, flags=re.MULTILINE) for name, rule in _REPORT.items()}
    numbers = {name: float(match[1]) for name, match in found.items() if match}
    if len(numbers) < len(_REPORT):
        raise damage(
            path,
            expected=f"{', '.join(_REPORT)}",
            got=f"only {', '.join(numbers) or 'none'}",
            cause="the file was cut off",
        )
    return numbers


def _matrix(path: Path, n_names: int) -> np.ndarray:
    """Read one confusion matrix of counts."""
    try:
        counts = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damage(
            path, expected="an array of counts", got=str(error), cause="a damaged file"
        ) from None
    if counts.shape != (n_names, n_names) or counts.dtype.kind not in "iu":
        raise damage(
            path,
            expected=f"{n_names} x {n_names} integers",
            got=f"shape {counts.shape}, {counts.dtype}",
            cause="a file of another kind",
        )
    return counts.astype(np.int64)


def _patch_table(listed: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Put names beside predictions; the names repeat for every configuration."""
    n = len(listed)

    def repeated(names: pd.Series) -> pd.Categorical:
        codes, categories = pd.factorize(names)
        return pd.Categorical.from_codes(np.tile(codes, len(CONFIGS)), categories)

    config = pd.Categorical.from_codes(np.repeat(np.arange(len(CONFIGS)), n), pd.Index(CONFIGS))
    keys = {name: repeated(listed[name]) for name in ("fold", "patch", "specimen", "patient")}
    return pd.concat([pd.DataFrame({"config": config, **keys}), predictions], axis=1)
