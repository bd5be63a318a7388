"""Volumes that lie beside each other, one file for each sequence or mask of a case.

Most three-dimensional sets have this layout. A table holds the paths relative to the data set's
folder, a column for each file; all files of a case must have one grid. Axes are those of the file:
x, y, z for NIfTI, z, y, x for MetaImage.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.cases import Case
from common.datasets.decathlon import label_map, require_same_grid
from common.datasets.files import Volume, read_metaimage, read_nifti, require_files
from common.datasets.image_pairs import misfit, natural
from common.errors import ReplicateError

_SUFFIX = re.compile(r"\.(nii|nii\.gz|mha|mhd|nrrd)$")


def stem(path: Path) -> str:
    """Return the name of a volume without its suffix, ``.nii.gz`` among them.

    Example:
        >>> stem(Path("scans/a.b_ct.nii.gz"))
        'a.b_ct'
    """
    return _SUFFIX.sub("", path.name)


def read_volume(path: Path, *, scaled: bool = True) -> Volume:
    """Read a NIfTI file or a MetaImage, whichever the suffix says.

    Args:
        path: the file.
        scaled: apply the slope and intercept of a NIfTI header; label maps are read with ``False``.

    Returns:
        The volume, axes x, y, z (NIfTI) or z, y, x (MetaImage).

    Raises:
        ReplicateError: the file is absent or damaged.
    """
    if path.suffix in (".mha", ".mhd"):
        return read_metaimage(path)
    return read_nifti(path, scaled=scaled)


def case_folders(folder: Path, pattern: str, *, dataset: str) -> list[Path]:
    """List the folders of cases, ordered by the numbers in their names.

    Args:
        folder: the data set's folder.
        pattern: glob of the cases' folders.
        dataset: the data set's name, for the error.

    Raises:
        ReplicateError: there is none.
    """
    found = [path for path in folder.glob(pattern) if path.is_dir()]
    if not found:
        raise ReplicateError(
            f"{folder} must hold folders named {pattern}, got none. "
            f"Run `replicate data describe {dataset}` to see what belongs there."
        )
    return sorted(found, key=lambda path: natural(path.relative_to(folder).as_posix()))


def one_file(case: Path, pattern: str, *, folder: Path, dataset: str) -> str:
    """Find the only file of a case that fits a pattern.

    Args:
        case: the case's folder.
        pattern: glob inside it.
        folder: the data set's folder.
        dataset: the data set's name, for the error.

    Returns:
        Its path relative to the data set's folder.

    Raises:
        ReplicateError: there is none, or there are two.
    """
    found = sorted(path for path in case.glob(pattern) if path.is_file())
    if len(found) != 1:
        got = f"{len(found)} files"
        raise misfit(case, f"hold one file named {pattern}", got, dataset=dataset)
    return found[0].relative_to(folder).as_posix()


def by_key(folder: Path, pattern: str, form: str, *, dataset: str) -> dict[str, str]:
    """List volumes by the part of their names that tells the case.

    Args:
        folder: the data set's folder.
        pattern: glob of the files.
        form: regular expression of a name without suffix; its first group is the key.
        dataset: the data set's name, for the errors.

    Returns:
        Paths relative to the folder by key, ordered by the numbers in the keys.

    Raises:
        ReplicateError: no file fits the pattern, a name does not fit the form, or two have one key.
    """
    found: dict[str, str] = {}
    for path in require_files(folder, pattern, dataset=dataset):
        match = re.fullmatch(form, stem(path))
        if match is None:
            raise misfit(path, f"be named like {form}", path.name, dataset=dataset)
        if match[1] in found:
            raise misfit(path, "have a name of its own", f"{found[match[1]]} too", dataset=dataset)
        found[match[1]] = path.relative_to(folder).as_posix()
    return {key: found[key] for key in sorted(found, key=natural)}


def require_partners(
    folder: Path, first: Mapping[str, str], second: Mapping[str, str], *, dataset: str
) -> None:
    """Check that two kinds of files belong to the same cases.

    Args:
        folder: the data set's folder.
        first: paths by case, as :func:`by_key` lists them.
        second: the same of the other kind.
        dataset: the data set's name, for the error.

    Raises:
        ReplicateError: a file of either kind has no partner; names the first.
    """
    for these, others in ((first, second), (second, first)):
        for key, name in these.items():
            if key not in others:
                like = next(iter(others.values()))
                rule = f"have a partner of its number beside {like}"
                raise misfit(folder / name, rule, "none", dataset=dataset)


def read_case(
    row: Mapping[str, Any],
    *,
    folder: Path,
    images: tuple[str, ...],
    masks: Mapping[str, Collection[int]],
    volumes: tuple[str, ...] = (),
) -> Case:
    """Read the files of a row: images as channels, masks and further volumes as targets.

    Args:
        row: ``case``, ``cluster`` and a path for every named column; an empty path is passed
            over if it is that of a mask. ``site`` and ``label`` where they are known.
        folder: the data set's folder.
        images: columns of the channels, in their order.
        masks: column of each mask and the codes that it may hold; codes 0 and 1 give bool.
        volumes: columns of volumes that are to be predicted.

    Returns:
        image (C, *spatial) in the files' common type; each mask (*spatial), bool or uint8; each
        further volume (*spatial) as stored; spacing.

    Raises:
        ReplicateError: a file is absent or damaged, two differ in shape or spacing, a volume has
            not three axes, or a mask holds an unknown code.
    """
    path = folder / row[images[0]]
    first = read_volume(path)
    _require_three_axes(path, first)
    channels = [first.array, *(_beside(path, first, folder / row[name]) for name in images[1:])]
    target: dict[str, Any] = {"label": int(row["label"])} if "label" in row else {}
    for name, codes in masks.items():
        if row[name]:
            where = folder / row[name]
            stored = _beside(path, first, where, scaled=False)
            coded = label_map(where, stored, codes)
            target[name] = coded.astype(bool) if set(codes) == {0, 1} else coded
    for name in volumes:
        target[name] = _beside(path, first, folder / row[name])
    return Case(
        row["case"],
        row["cluster"],
        np.stack(channels),
        target,
        spacing_mm=first.spacing_mm,
        site=row.get("site"),
    )


def _require_three_axes(path: Path, volume: Volume) -> None:
    if volume.array.ndim != 3:
        raise ReplicateError(
            f"{path} must have 3 axes, got shape {volume.array.shape}. "
            "It is a file of another kind; fetch or copy it again."
        )


def _beside(path: Path, first: Volume, other: Path, *, scaled: bool = True) -> np.ndarray:
    """Read another file of a case and hold its grid against the first one's."""
    volume = read_volume(other, scaled=scaled)
    _require_three_axes(other, volume)
    require_same_grid(other, volume, path, first)
    return volume.array
