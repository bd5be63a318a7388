"""The HEp-2 report's lists of patches: which patient is in which fold, with which labels.

The lists have no header; a line is ``image,mask,pattern,intensity``, such as
``00013_p0_patch0.tif,00013_p0_patch0_Mask.tif,homogeneous ,intermediate``. A patient has four
specimen images of fifteen patches each.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.downloads import integrity_error
from common.errors import ReplicateError

DATASET = "hep2-author-results"
PATTERNS = ("homogeneous", "speckled", "nucleolar", "centromere", "golgi", "numem", "mitsp")
INTENSITIES = ("intermediate", "positive")
FOLDS = ("A", "B", "C", "D", "E")
N_SPECIMENS = 4
N_PATCHES = 15


def list_path(folder: Path, fold: str, part: str) -> Path:
    """Path of a fold's list, part ``test`` or ``train``."""
    return folder / "source/dataset/crossValidationTables" / part / f"fold{fold}_{part}.csv"


def damage(path: Path, *, expected: str, got: str, cause: str) -> ReplicateError:
    """Word what is wrong with a file of the release; see :func:`integrity_error`."""
    return integrity_error(
        f"reading {path}",
        expected=expected,
        got=got,
        done="nothing was loaded",
        cause=f"{cause}; find damaged files with `replicate data verify {DATASET}`, delete them, "
        f"and run `replicate data fetch {DATASET}`",
    )


def read_csv(path: Path, *, names: list[str] | None = None) -> pd.DataFrame:
    """Read a table whose every cell must be filled.

    Args:
        path: the file.
        names: column names of a file without a header.

    Raises:
        ReplicateError: not a table, or a line with more or fewer cells than the others.
    """
    try:
        table = pd.read_csv(path, header=None if names else 0, names=names)
    except (OSError, ValueError) as error:
        raise damage(
            path, expected="a comma-separated table", got=str(error), cause="a damaged file"
        ) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise damage(
            path,
            expected=f"{table.shape[1]} columns",
            got="rows with more cells than that",
            cause="a column was inserted",
        )
    holes = table.isna().any(axis=1).to_numpy()
    if holes.any():
        line = int(holes.argmax()) + (1 if names else 2)
        raise damage(
            path,
            expected=f"{table.shape[1]} cells in every line",
            got=f"fewer in line {line}",
            cause="the file was cut off in the middle of a line",
        )
    return table


def _codes(names: pd.Series, known: tuple[str, ...]) -> np.ndarray:
    """Return the place of each name among the known ones, -1 for an unknown one."""
    return pd.Index(known).get_indexer(pd.Index(names.str.strip())).astype(np.int8)


def _patch_list(path: Path) -> pd.DataFrame:
    """Read a list of patches (no header) with patient, specimen and codes of the labels."""
    raw = read_csv(path, names=["image", "mask", "label", "intensity"]).astype(str)
    parts = raw["image"].str.extract(r"^(?P<patch>(?P<specimen>(?P<patient>\d{5})_p\d)_patch\d+)\.")
    table = parts.assign(
        label=_codes(raw["label"], PATTERNS),
        intensity=_codes(raw["intensity"], INTENSITIES),
    )
    strange = (parts["patch"].isna() | (table[["label", "intensity"]] < 0).any(axis=1)).to_numpy()
    if strange.any():
        line = int(strange.argmax())
        raise damage(
            path,
            expected="<patient>_p<specimen>_patch<number>.tif, its mask, a pattern, an intensity",
            got=f"{','.join(raw.iloc[line])!r} in line {line + 1}",
            cause="a line was cut off or edited",
        )
    labels = table.groupby("patient")[["label", "intensity"]].nunique().max(axis=1)
    if (labels > 1).any():
        raise damage(
            path,
            expected="one pattern and one intensity for each patient",
            got=f"two for patient {labels.idxmax()}",
            cause="an edited list",
        )
    sizes = table.groupby("patient").size()
    wrong = sizes[sizes != N_SPECIMENS * N_PATCHES]
    if len(wrong):
        raise damage(
            path,
            expected=f"{N_SPECIMENS * N_PATCHES} patches for each patient",
            got=f"{wrong.iloc[0]} for patient {wrong.index[0]}",
            cause="a list that was cut off, or a line that stands twice",
        )
    return table


def _require_nesting(path: Path, table: pd.DataFrame) -> None:
    """Check that each patient's rows are together, specimen by specimen, patch by patch."""
    wanted = [
        f"{patient}_p{specimen}_patch{patch}"
        for patient in table["patient"].iloc[:: N_SPECIMENS * N_PATCHES]
        for specimen in range(N_SPECIMENS)
        for patch in range(N_PATCHES)
    ]
    differs = table["patch"].to_numpy() != np.array(wanted, dtype=object)
    if differs.any():
        line = int(differs.argmax())
        raise damage(
            path,
            expected=f"patch {wanted[line]} in line {line + 1}",
            got=f"{table['patch'].iloc[line]}",
            cause="a list that was sorted or edited",
        )


def _places(path: Path, table: pd.DataFrame, every: pd.DataFrame) -> np.ndarray:
    """Find each row of a list in the list of all patches, which must have the same labels."""
    places = pd.Index(every["patch"]).get_indexer(table["patch"])
    codes = every[["label", "intensity"]].to_numpy()[places]
    same = (places >= 0) & (codes == table[["label", "intensity"]].to_numpy()).all(axis=1)
    if not same.all():
        raise damage(
            path,
            expected="patches of final_patches.csv, with the labels that they have there",
            got=f"{table['patch'].iloc[int((~same).argmax())]}, unknown or with other labels",
            cause="lists of different releases, or an edited list",
        )
    return places


def _require_each_once(path: Path, places: list[np.ndarray], every: pd.DataFrame) -> None:
    """Check that lists share out all patches."""
    seen = np.bincount(np.concatenate(places), minlength=len(every))
    if (seen != 1).any():
        odd = int((seen != 1).argmax())
        raise damage(
            path,
            expected=f"each of the {len(every)} patches of final_patches.csv once",
            got=f"{every['patch'].iloc[odd]} {seen[odd]} times",
            cause="lists of different splits",
        )


def read_fold_lists(folder: Path) -> pd.DataFrame:
    """Read the test lists of all folds, and check them against the train lists.

    Args:
        folder: a copy of the release.

    Returns:
        One row per patch, fold by fold in the order of the lists: ``patch, specimen, patient``
        (text), ``label, intensity`` (int8 places in :data:`PATTERNS`, :data:`INTENSITIES`),
        ``fold``.

    Raises:
        ReplicateError: a line is damaged; a patient has two labels, not 60 patches, or is in both
            train and test; the lists of the folds do not share out all patches.
    """
    every = _patch_list(folder / "source/dataset/final_patches.csv")
    tests, tested = [], []
    for fold in FOLDS:
        test_path, train_path = (list_path(folder, fold, part) for part in ("test", "train"))
        test, train = _patch_list(test_path), _patch_list(train_path)
        _require_nesting(test_path, test)
        shared = sorted(set(test["patient"]) & set(train["patient"]))
        if shared:
            raise damage(
                train_path,
                expected=f"no patient of the test list of fold {fold}",
                got=f"{len(shared)} of them, the first: {shared[0]}",
                cause="lists of different splits",
            )
        tested.append(_places(test_path, test, every))
        _require_each_once(train_path, [tested[-1], _places(train_path, train, every)], every)
        tests.append(test.assign(fold=fold))
    _require_each_once(list_path(folder, "A", "test").parent, tested, every)
    return pd.concat(tests, ignore_index=True)
