"""The two mechanisms of the chapter, each where nothing else can help: time, and relative place."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray

from common.chapters.casualty_action.experiment import in_parallel
from common.chapters.casualty_action.inputs import Clips, staged_clips
from common.models.casualty_action_training import ARMS, Settings, in_top, predict, train_arm
from common.phantoms import draws

# four pairs of verbs, each the other played backwards
PAIRED_VERBS = tuple(range(8))
DIRECTIONS = ("above", "below", "at the left", "at the right")
_STEPS = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])
_COLOURS = np.array([[0.85, 0.15, 0.15], [0.15, 0.65, 0.25]])
# seeds of the staged clips and boards; smaller ones are those of the videos
_FIRST_DRAW = 20_000
BOARD_PATCH = 8


def boards(
    n: int, seed: int, *, wander: float, side: int = 4, noise: float = 0.1
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw boards with a red and a green field next to each other, one field a patch.

    Each field fills its patch, so that no patch tells its place: a network without position sees
    the same bag of patches whatever the answer.

    Args:
        n: boards.
        seed: of the boards.
        wander: share of the boards whose red field may lie anywhere; it lies in the middle of the
            others.
        side: fields along each side.
        noise: standard deviation of every pixel.

    Returns:
        Frames (n, 3, 1, 8 side, 8 side) in [0, 1], and where green lies from red, a place in
        :data:`DIRECTIONS`.
    """
    rng = draws.stream(seed, "casualty-action", "boards")
    answer = rng.integers(len(DIRECTIONS), size=n)
    step = _STEPS[answer]
    low, high = np.maximum(0, -step), side - 1 - np.maximum(0, step)
    red = np.where(
        rng.random((n, 1)) < wander, rng.integers(low, high + 1), np.full((n, 2), side // 2)
    )
    fields = np.full((n, 3, side, side), 0.5)
    for place, colour in zip((red, red + step), _COLOURS, strict=True):
        fields[np.arange(n), :, place[:, 0], place[:, 1]] = colour
    pixels = fields.repeat(BOARD_PATCH, axis=2).repeat(BOARD_PATCH, axis=3)
    noisy = pixels + noise * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1).astype(np.float32)[:, :, None], answer.astype(np.int64)


def direction_of_time(
    settings: Settings,
    *,
    stands: Sequence[float],
    seeds: Iterable[int],
    n_clips: int,
    size: int,
    n_frames: int,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Ask literal ReViT and ReViT with time which verb of a pair is done, at stands of `arrow`.

    Each seed draws clips of its own to train on and half as many to test on.

    Args:
        settings: sizes of networks and training.
        stands: of the phantom's dial `arrow`; at 0 the direction of time tells nothing.
        seeds: one draw and one training each.
        n_clips: clips to train on.
        size: side of a frame (px).
        n_frames: frames of a clip.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``: arms ``revit`` and ``revit-time``, metric
        ``direction`` (1 where the true verb is more probable than its reverse), group
        ``arrow <stand>``, cluster = the draw.
    """
    todo = [
        delayed(_one_direction)(settings, stand, seed, n_clips, size, n_frames)
        for stand in stands
        for seed in seeds
    ]
    return pd.concat(in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


def _one_direction(
    settings: Settings, stand: float, seed: int, n: int, size: int, n_frames: int
) -> pd.DataFrame:
    shape: dict[str, Any] = {"verbs": PAIRED_VERBS, "size": size, "n_frames": n_frames}
    train, test = (
        staged_clips(each, _FIRST_DRAW + 2 * seed + k, arrow=stand, **shape)
        for k, each in enumerate((n, n // 2))
    )
    parts = []
    for name in ("revit", "revit-time"):
        prob = _trained(name, train, test, settings, seed)["verb"]
        right = prefers(prob, test.data["verb"], test.data["verb"] ^ 1)
        parts.append(_records(name, "direction", f"arrow {stand:g}", seed, right))
    return pd.concat(parts)


def prefers(
    prob: NDArray[np.floating[Any]], true: NDArray[np.integer], other: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Say where the true class is more probable than another: 1, 0, or one half for equals (n,).

    Example:
        >>> prefers(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([1, 1]), np.array([0, 0])).tolist()
        [0.0, 0.5]
    """
    place = np.arange(len(prob))
    return 0.5 + 0.5 * np.sign(prob[place, true] - prob[place, other]).astype(float)


def relative_place(
    settings: Settings,
    *,
    stands: Sequence[float],
    seeds: Iterable[int],
    n_boards: int,
    epochs: int,
    arms: Sequence[str] = ("both", "absolute", "revit", "none"),
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Ask where green lies from red, of transformers with and without place.

    Args:
        settings: sizes of networks.
        stands: of ``wander``, see :func:`boards`.
        seeds: one draw and one training each.
        n_boards: boards to train on; a quarter as many test.
        epochs: passes over the training boards.
        arms: names of trainings.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``: metric ``board`` (1 where right), group
        ``wander <stand>``, cluster = the draw.
    """
    own = replace(settings, epochs=epochs, patch=BOARD_PATCH)
    todo = [
        delayed(_one_place)(own, stand, seed, n_boards, tuple(arms))
        for stand in stands
        for seed in seeds
    ]
    return pd.concat(in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


def _one_place(
    settings: Settings, stand: float, seed: int, n: int, arms: tuple[str, ...]
) -> pd.DataFrame:
    train, test = (
        _board_clips(size, _FIRST_DRAW + 2 * seed + k, stand) for k, size in enumerate((n, n // 4))
    )
    parts = []
    for name in arms:
        prob = _trained(name, train, test, settings, seed)["verb"]
        right = in_top(prob, test.data["verb"], 1)
        parts.append(_records(name, "board", f"wander {stand:g}", seed, right))
    return pd.concat(parts)


def _board_clips(n: int, seed: int, wander: float) -> Clips:
    """Wrap boards as clips of one frame whose action and verb are the answer."""
    image, answer = boards(n, seed, wander=wander)
    data: dict[str, NDArray[Any]] = {"image": image, "action": answer, "verb": answer}
    table = pd.DataFrame({"case": [f"b{i}" for i in range(n)], "cluster": ""})
    four = len(DIRECTIONS)
    pairs = np.stack([np.arange(four), np.zeros(four, np.int64)], axis=1)
    return Clips(table, {**data, "noun": np.zeros_like(answer)}, pairs, (four, four, 1))


def _trained(
    name: str, train: Clips, test: Clips, settings: Settings, seed: int
) -> dict[str, NDArray[np.float32]]:
    arm = next(each for each in ARMS if each.name == name)
    fitted = train_arm(arm, train.data, words=train.words, settings=settings, seed=seed)
    return predict(fitted.model, test.data["image"])


def _records(
    arm: str, metric: str, group: str, seed: int, value: NDArray[np.float64]
) -> pd.DataFrame:
    table = pd.DataFrame({"value": value})
    return table.assign(
        arm=arm,
        metric=metric,
        group=group,
        seed=seed,
        # every seed draws cases of its own, so their names carry the seed
        case=[f"d{seed}-{k:05d}" for k in range(len(value))],
        cluster=f"draw-{seed}",
        source="phantom",
        fold="",
    )
