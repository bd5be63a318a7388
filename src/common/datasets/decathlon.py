"""The layout of the Medical Segmentation Decathlon: one folder of NIfTI pairs for each task.

The published archives hold ``dataset.json``, ``imagesTr``, ``labelsTr`` and, without labels,
``imagesTs``; some copies hold ``images`` and ``labels`` only. Both are read. The archives also
contain ``._*`` files that the packing computer left behind; they are no images.

No patient ids are published: a case is its own cluster, and scans of one patient, if there are
any, cannot be told apart.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.files import Volume, read_json, read_nifti
from common.errors import ReplicateError

Part = Literal["training", "test"]


@dataclass(frozen=True)
class Task:
    """What is known of a task before a file is read.

    Args:
        dataset: name of its manifest.
        name: name of its folder, such as ``Task02_Heart``.
        channels: the image's channels, in the order of the file's fourth axis.
        classes: name of each label code, from 0.
    """

    dataset: str
    name: str
    channels: tuple[str, ...]
    classes: tuple[str, ...]


def load_task(task: Task, folder: Path, *, part: Part = "training") -> Cases:
    """List the cases of a task; a case is read when it is asked for.

    Args:
        task: which one.
        folder: the task's folder, or the one that holds it.
        part: ``training`` (labelled) or ``test`` (images only).

    Returns:
        Cases with the columns ``case, cluster, part, image, mask``; the last two are paths inside
        the task's folder, ``mask`` empty in the test part. A case has the image
        (C, x, y, z) as stored, ``mask`` (x, y, z) uint8 codes of ``task.classes``, and spacing.

    Raises:
        ReplicateError: there is no such folder, ``dataset.json`` describes another task, or a
            listed file or the partner of a file is absent. When a case is read: its image
            and mask differ in shape or spacing, or a label code is unknown.
        ValueError: unknown part.
    """
    if part not in ("training", "test"):
        raise ValueError(f"`part` must be training or test, got {part!r}. Choose one of them.")
    root = _root(task, folder)
    described = root / "dataset.json"
    pairs = _described_pairs(task, described, part) if described.is_file() else _pairs(root, part)
    require_present(root, [name for pair in pairs for name in pair if name], dataset=task.dataset)
    if not pairs:
        raise ReplicateError(
            f"{root} must hold cases of the {part} part, got none. "
            f"Run `replicate data describe {task.dataset}` to see what belongs there."
        )
    names = [Path(image).name.removesuffix(".gz").removesuffix(".nii") for image, _ in pairs]
    columns = dict(zip(("image", "mask"), zip(*pairs, strict=True), strict=True))
    table = pd.DataFrame({"case": names, "cluster": names, "part": part} | columns)
    return Cases(table, partial(_read, task, root))


def label_map(path: Path, array: NDArray[Any], codes: Collection[int]) -> NDArray[np.uint8]:
    """Turn stored label values into codes, refusing any value that has no meaning.

    Args:
        path: the file they came from, for the message.
        array (*spatial): stored values, of any type.
        codes: the codes that have a meaning, 0 to 255.

    Returns:
        (*spatial) the same values as uint8.

    Raises:
        ReplicateError: a value is not among the codes.

    Example:
        >>> label_map(Path("a.nii"), np.array([0.0, 2.0]), range(3)).tolist()
        [0, 2]
    """
    # slab by slab, so that a scan of hundreds of megabytes is not copied to be sorted
    found: set[float] = set().union(*(np.unique(slab).tolist() for slab in array))
    if unknown := found - set(codes):
        raise ReplicateError(
            f"{path} must hold label codes among {_span(codes)}, got {min(unknown):g}. "
            "It is a file of another release or task; fetch or copy it again."
        )
    return array.astype(np.uint8)


def require_same_grid(path: Path, mask: Volume, image_path: Path, image: Volume) -> None:
    """Check that a mask lies on the voxels of its image.

    Args:
        path: file of the mask.
        mask: (x, y, z) label volume.
        image_path: file of the image.
        image: (x, y, z) or (x, y, z, C) volume.

    Raises:
        ReplicateError: sides or spacing differ.
    """
    sides = image.array.shape[:3]
    if mask.array.shape != sides:
        raise ReplicateError(
            f"{path} must have the shape {sides} of {image_path.name}, got {mask.array.shape}. "
            "Fetch or copy both again."
        )
    if not np.allclose(mask.spacing_mm, image.spacing_mm, rtol=1e-3):
        raise ReplicateError(
            f"{path} must have the spacing {image.spacing_mm} mm of {image_path.name}, got "
            f"{mask.spacing_mm}. Fetch or copy both again."
        )


def require_present(folder: Path, names: Iterable[str], *, dataset: str) -> None:
    """Check that every listed file is there.

    Args:
        folder: where the files are.
        names: paths inside the folder.
        dataset: name of the data set, for the remedy.

    Raises:
        ReplicateError: a file is absent; names the first.
    """
    for name in names:
        if not (folder / name).is_file():
            raise ReplicateError(
                f"{folder / name} must exist, got none. "
                f"Run `replicate data verify {dataset}` to find all absent files."
            )


def _span(codes: Collection[int]) -> str:
    listed = sorted(codes)
    whole = listed == list(range(listed[0], listed[-1] + 1))
    return f"{listed[0]} to {listed[-1]}" if whole else ", ".join(map(str, listed))


def _root(task: Task, folder: Path) -> Path:
    """Find the task's folder; an unpacked archive holds one folder of its own name."""
    for root in (folder, folder / task.name, folder / task.name / task.name):
        if any((root / name).is_dir() for name in ("imagesTr", "images")):
            return root
    raise ReplicateError(
        f"{folder} must hold {task.name} with its folder imagesTr (or images), got none. "
        f"Run `replicate data describe {task.dataset}` to see what belongs there."
    )


def _described_pairs(task: Task, path: Path, part: Part) -> list[tuple[str, str]]:
    """List the pairs that ``dataset.json`` names, after checking that it is the task's."""
    found = read_json(path)
    try:
        channels, codes = len(found["modality"]), sorted(int(code) for code in found["labels"])
        if part == "training":
            named = [(str(entry["image"]), str(entry["label"])) for entry in found["training"]]
        else:
            named = [(str(image), "") for image in found["test"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ReplicateError(
            f"{path} must describe modality, labels, training and test as the Decathlon does, got "
            f"a problem with {error}. Fetch or copy it again."
        ) from None
    if channels != len(task.channels) or codes != list(range(len(task.classes))):
        raise ReplicateError(
            f"{path} must describe {len(task.channels)} channels and label codes 0 to "
            f"{len(task.classes) - 1}, got {channels} and {codes}. "
            f"It belongs to another task than {task.name}."
        )
    return sorted((_inside(path, image), _inside(path, mask)) for image, mask in named)


def _inside(path: Path, name: str) -> str:
    """Return a listed path without ``./``, refusing one that leads out of the folder."""
    listed = Path(name)
    if listed.is_absolute() or ".." in listed.parts:
        raise ReplicateError(
            f"{path} must list files inside its folder, got {name!r}. Fetch or copy it again."
        )
    return listed.as_posix() if name else ""


def _pairs(root: Path, part: Part) -> list[tuple[str, str]]:
    """Pair the files of a copy without ``dataset.json`` by their names."""
    published = (root / "imagesTr").is_dir()
    if part == "test":
        return [(f"imagesTs/{name}", "") for name in sorted(_names(root / "imagesTs"))]
    images, masks = ("imagesTr", "labelsTr") if published else ("images", "labels")
    listed, labelled = _names(root / images), _names(root / masks)
    if alone := sorted(listed ^ labelled):
        present, absent = (images, masks) if alone[0] in listed else (masks, images)
        raise ReplicateError(
            f"{root / present / alone[0]} must have a partner in {absent}, got none. "
            "Fetch or copy the missing file."
        )
    return [(f"{images}/{name}", f"{masks}/{name}") for name in sorted(listed)]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.nii.gz") if not path.name.startswith(".")}


def _read(task: Task, root: Path, row: Mapping[str, Any]) -> Case:
    path = root / row["image"]
    image = read_nifti(path)
    array = image.array[..., np.newaxis] if image.array.ndim == 3 else image.array
    if array.ndim != 4 or array.shape[3] != len(task.channels):
        raise ReplicateError(
            f"{path} must have 3 axes and {len(task.channels)} channels, got shape "
            f"{image.array.shape}. It belongs to another task than {task.name}."
        )
    target = {}
    if row["mask"]:
        mask = read_nifti(root / row["mask"], scaled=False)
        require_same_grid(root / row["mask"], mask, path, image)
        target["mask"] = label_map(root / row["mask"], mask.array, range(len(task.classes)))
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.ascontiguousarray(np.moveaxis(array, 3, 0)),
        target=target,
        spacing_mm=image.spacing_mm,
    )
