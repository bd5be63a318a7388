"""Galleries of phantoms: some cases, and one case at several settings of the main dial."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from common import paths
from common.datasets import registry
from common.datasets.cases import Case, Cases
from common.phantoms.dials import Dial
from common.plotstyle import canvas, style
from common.runs import keys
from common.runs.files import digest, sha256, storage, write_text

_COLUMNS = 6
_SIDE_PX = 118
_TRACES = 6
_MOST_DIALS = 4
# mean difference of two pictures, as a share of their range, that an eye notices
_VISIBLE = 0.004


@dataclass(frozen=True)
class Gallery:
    """One figure for the page of a data set.

    Args:
        png: the figure.
        caption: what is seen and how to read it.
        alt: the same for who cannot see it.
    """

    png: bytes
    caption: str
    alt: str


def gallery(dataset: str) -> Gallery:
    """Draw the gallery of a phantom, or take it from the last build if its code is unchanged.

    Args:
        dataset: a generated data set.

    Returns:
        Six cases of the quick size, one of each class first; below them one case with up to four
        dials at their null or low end, their default and their high end. Dials that change which
        cases there are, and not how one looks, are left out.

    Raises:
        ReplicateError: the data set is no phantom, or the folder of the build cannot be written.
    """
    module = registry.phantom_module(dataset)
    stored = _stored(dataset, module)
    if not stored.is_file():
        png, named = _draw(module)
        write_text(stored.with_suffix(".txt"), "\n".join(named))
        with storage(stored):
            stored.write_bytes(png)
    names = stored.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    dials = [dial for dial in module.DIALS if dial.name in names]
    told = " ".join(f"{dial.name} ({dial.unit}): {dial.effect}" for dial in dials)
    caption = (
        f"Above: cases of the size of a quick run. Below: one case at settings of its dials. {told}"
    )
    alt = f"Generated cases of {dataset}, and one of them at settings of {', '.join(names)}."
    return Gallery(stored.read_bytes(), caption.strip(), alt)


def _stored(dataset: str, module: ModuleType) -> Path:
    names = {module.__name__, __name__, "common.plotstyle"}
    hashes = keys.module_hashes(names)
    key = digest([hashes, sha256(Path(__file__).read_bytes()), keys.versions()])[:16]
    return paths.build_dir() / "galleries" / f"{dataset}-{key}.png"


def _settings(dial: Dial) -> list[float]:
    low = dial.low if dial.null is None else dial.null
    return sorted({float(low), float(dial.default), float(dial.high)})


def _draw(module: ModuleType) -> tuple[bytes, list[str]]:
    """Return the figure and the names of the dials that it shows."""
    quick = {**module.QUICK, "n": min(module.QUICK["n"], 24)}
    cases: Cases = module.phantom(seed=0, **quick)
    chosen = [cases[position] for position in _of_each_class(cases)]
    found = list(_turned(module, quick))
    rows = [[_picture(case, module) for case in chosen], *(pictures for _, pictures in found)]
    titles = [
        [_title(case, module) for case in chosen],
        *([f"{dial.name} {value:g}" for value in _settings(dial)] for dial, _ in found),
    ]
    return _figure(rows, titles), [dial.name for dial, _ in found]


def _turned(
    module: ModuleType, quick: Mapping[str, Any]
) -> Iterator[tuple[Dial, list[NDArray[Any]]]]:
    """Yield the dials whose settings can be seen, each with its pictures."""
    few = {**quick, "n": min(quick["n"], 4)}
    shown = 0
    for dial in module.DIALS:
        if shown == _MOST_DIALS:
            return
        pictures = [
            _picture(_first(module.phantom(seed=0, **{**few, dial.name: value})), module)
            for value in _settings(dial)
        ]
        if _differ(pictures):
            shown += 1
            yield dial, pictures


def _differ(pictures: Sequence[NDArray[Any]]) -> bool:
    """Say whether the last picture differs visibly from the first."""
    first, last = pictures[0], pictures[-1]
    if first.shape != last.shape:
        return True
    spread = max(float(np.ptp(first)), float(np.ptp(last)), 1e-6)
    return float(np.abs(first - last).mean()) > _VISIBLE * spread


def _first(cases: Cases) -> Case:
    """Take a case of the last class, which tends to show what the dial changes."""
    table = cases.table
    return cases[int(table["label"].to_numpy().argmax()) if "label" in table else 0]


def _of_each_class(cases: Cases) -> list[int]:
    """Choose cases of different classes first, then of different clusters."""
    table = cases.table
    by = ["label", "cluster"] if "label" in table else ["cluster"]
    order: list[int] = []
    for column in by:
        order += table.drop_duplicates(column).index.tolist()
    return sorted(list(dict.fromkeys([*order, *range(len(table))]))[:_COLUMNS])


def _title(case: Case, module: ModuleType) -> str:
    label, names = case.target.get("label"), getattr(module, "CLASSES", ())
    if isinstance(label, int | np.integer) and 0 <= label < len(names):
        return str(names[int(label)])[:18]
    return case.cluster[:18]


def _picture(case: Case, module: ModuleType) -> NDArray[Any]:
    """Turn a case into one grey or colour plane; a module's own ``picture`` has precedence."""
    if hasattr(module, "picture"):
        return np.asarray(module.picture(case))
    if case.image is None:
        codes = np.asarray(case.target["sequence"], dtype=float)
        return _coloured(codes / max(float(codes.max()), 1.0))[None]
    image = case.image
    if image.ndim == 4:
        volume = case.spacing_mm is not None or image.shape[0] != 3
        places = [image.shape[1] // 2] if volume else [0, image.shape[1] // 2, -1]
        planes = [image[:, place] for place in places]
        return np.concatenate([_plane(plane) for plane in planes], axis=1)
    return image if image.ndim == 2 else _plane(image)


def _plane(image: NDArray[Any]) -> NDArray[Any]:
    """Show three channels as colour, one-hot labels as a map, others side by side, each scaled."""
    if len(image) > 4 and np.isin(image, (0, 1)).all():
        return _coloured(image.argmax(axis=0) / (len(image) - 1))
    if len(image) == 3:
        low, high = float(image.min()), float(image.max())
        return ((image - low) / max(high - low, 1e-6)).transpose(1, 2, 0)
    scaled = [(one - one.min()) / max(float(np.ptp(one)), 1e-6) for one in image]
    side = int(np.ceil(np.sqrt(len(scaled))))
    if len(scaled) <= 2:
        return np.concatenate(scaled, axis=1)
    scaled += [np.zeros_like(scaled[0])] * (-len(scaled) % side)
    rows = [np.concatenate(scaled[i : i + side], axis=1) for i in range(0, len(scaled), side)]
    return np.concatenate(rows)


def _coloured(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(colormaps["nipy_spectral"](values))[..., :3]


def _figure(rows: Sequence[Sequence[NDArray[Any]]], titles: Sequence[Sequence[str]]) -> bytes:
    """Set cases in the first row and the dials below, two dials to a row."""
    below = [*zip(rows[1:], titles[1:], strict=True)]
    lines = [(list(rows[0]), list(titles[0]))]
    for i in range(0, len(below), 2):
        pictures: list[Any] = []
        words: list[str] = []
        for found, names in below[i : i + 2]:
            missing = _COLUMNS // 2 - len(found)
            pictures += [*found, *[None] * missing]
            words += [*names, *[""] * missing]
        lines.append((pictures, words))
    with style():
        figure, grid = canvas(len(lines) * (_SIDE_PX + 26), rows=len(lines), columns=_COLUMNS)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, (pictures, words) in enumerate(lines):
            for axes, picture, title in zip(grid[line], pictures, words, strict=False):
                if picture is not None:
                    _show(axes, picture)
                    axes.set_title(title, fontsize=8.5, loc="center")
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=144)
    return stream.getvalue()


def _show(axes: Any, picture: NDArray[Any]) -> None:
    height, width = picture.shape[:2]
    if picture.ndim == 2 and width > 8 * height and height > 1:  # signals: channels by time
        for row, trace in enumerate(picture[:_TRACES]):
            scaled = (trace - trace.mean()) / max(float(trace.std()), 1e-6)
            axes.plot(scaled / 6 - row, lw=0.5, color="0.2")
        return
    # symbols in a row fill the width
    axes.imshow(picture, cmap="gray", aspect="auto" if height == 1 else "equal")
