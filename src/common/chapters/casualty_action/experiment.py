"""The experiment of the chapter: every arm with every seed, asked about the same clips."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from scipy import stats
from tqdm.auto import tqdm

from common.chapters.casualty_action.inputs import Clips
from common.models.casualty_action import HEADS, ReViT, frame_attention
from common.models.casualty_action_blind import BLIND, Blind, fitted_scores
from common.models.casualty_action_training import (
    ARMS,
    Arm,
    Settings,
    in_top,
    predict,
    product_of_heads,
    train_arm,
)

# arms whose every head and top-5 is recorded
DETAILED = ("revit", "revit-time")
# memory of a GPU that one training is given
_GPU_GB = 16
# another training of the same network starts from a seed of its own
_REDRAW = {"repeat": 500_000}

Answers = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Outcome:
    """What a run of the experiment gives.

    Args:
        records: without ``paper, run, profile``; see :mod:`common.records`.
        history: ``seed, training, epoch, metric, value``.
        answers: probabilities of the test clips, by training and seed.
        looks: of the first seed's transformers, by training: attention of the class token to
            frames (n, T), and the learned tables of relative place (2, layers, 2 side - 1, d).
        test: the clips that were asked about.
    """

    records: pd.DataFrame
    history: pd.DataFrame
    answers: dict[tuple[str, int], Answers]
    looks: dict[str, dict[str, NDArray[np.float32]]]
    test: Clips = field(repr=False)


def run(
    train: Clips,
    test: Clips,
    settings: Settings,
    *,
    seeds: Iterable[int],
    arms: Sequence[Arm] = ARMS,
    source: str = "phantom",
    jobs: int = 2,
    progress: bool = False,
) -> Outcome:
    """Train every arm with every seed and ask it about every test clip.

    Args:
        train: clips of the training videos.
        test: clips of other videos.
        settings: sizes and weights.
        seeds: of the trainings.
        arms: what to train.
        source: where the clips come from.
        jobs: processes on the CPU; each training uses one thread, so the records do not depend on
            their number. A GPU takes as many as fit.
        progress: show a bar.
    """
    seeds = list(seeds)
    keys = [(arm, seed) for seed in seeds for arm in arms]
    todo = [delayed(train_one)(train, test, arm, seed, settings) for arm, seed in keys]
    done = in_parallel(todo, jobs=jobs, progress=progress)
    answers, looks, histories = {}, {}, []
    for (arm, seed), (found, look, history) in zip(keys, done, strict=True):
        answers[arm.name, seed] = found
        if seed == seeds[0] and look:
            looks[arm.name] = look
        histories.append(history.assign(seed=seed, training=arm.name))
    parts = [_of_training(*key, found, train, test) for key, found in answers.items()]
    parts += [_of_blind(kind, train, test, seeds) for kind in BLIND]
    records = pd.concat(parts, ignore_index=True).assign(source=source, fold="")
    return Outcome(records, pd.concat(histories, ignore_index=True), answers, looks, test)


def first_videos(clips: Clips, share: float) -> Clips:
    """Keep the clips of a share of the videos, the first ones; at least one video."""
    names = clips.table["cluster"].unique()
    kept = names[: max(1, round(share * len(names)))]
    return clips.some(clips.table["cluster"].isin(kept).to_numpy())


def train_one(
    train: Clips, test: Clips, arm: Arm, seed: int, settings: Settings
) -> tuple[Answers, dict[str, NDArray[np.float32]], pd.DataFrame]:
    """Train one arm with one seed and ask it about the test clips.

    Returns:
        Probabilities of the test clips; what a transformer looks at; the history.
    """
    torch.set_num_threads(1)
    seen = first_videos(train, arm.share) if arm.share < 1 else train
    own = seed + _REDRAW.get(arm.name, 0)
    fitted = train_arm(arm, seen.data, words=train.words, settings=settings, seed=own)
    look: dict[str, NDArray[np.float32]] = {}
    model = getattr(fitted.model, "_forward_module", fitted.model)
    if isinstance(model, ReViT):
        device = next(model.parameters()).device
        clips = torch.tensor(test.data["image"][:256]).to(device)
        look["frames"] = frame_attention(model, clips).cpu().numpy()
        if arm.position == "value":
            look["tables"] = model.tables().detach().cpu().numpy()
    return predict(fitted.model, test.data["image"]), look, fitted.history


def in_parallel(todo: list[Any], *, jobs: int, progress: bool) -> list[Any]:
    """Run trainings side by side, each in a process of its own."""
    pool = Parallel(n_jobs=_at_once(jobs), return_as="generator")
    return list(tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress))


def _at_once(jobs: int) -> int:
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return int(max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30))))


def split_leak(
    train: Clips,
    test: Clips,
    settings: Settings,
    *,
    seeds: Iterable[int],
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure what clips of the test videos in the training set add.

    Every second clip of the test videos is scored. One network sees training videos alone; the
    other sees as many clips, of which the unscored ones of the test videos replace some. Both
    answer the same clips.

    Returns:
        Records without ``paper, run, profile``: arms ``video-split`` and ``clip-split``, metric
        ``correct``.
    """
    scored = (test.table["position"] % 2 == 0).to_numpy()
    arm = next(each for each in ARMS if each.name == "revit-time")
    seeds = list(seeds)
    keys = [(name, seed) for seed in seeds for name in ("video-split", "clip-split")]
    todo = [
        delayed(_leaky)(train, test, scored, arm, seed, settings, leaks=name == "clip-split")
        for name, seed in keys
    ]
    parts = []
    asked = test.some(scored)
    for (name, seed), found in zip(
        keys, in_parallel(todo, jobs=jobs, progress=progress), strict=True
    ):
        right = in_top(found["action"], asked.data["action"], 1)
        parts.append(_long(asked, name, "correct", right).assign(seed=seed))
    return pd.concat(parts, ignore_index=True).assign(source="phantom", fold="")


def _leaky(
    train: Clips,
    test: Clips,
    scored: NDArray[np.bool_],
    arm: Arm,
    seed: int,
    settings: Settings,
    *,
    leaks: bool,
) -> Answers:
    torch.set_num_threads(1)
    seen = with_siblings(train, test.some(~scored), seed) if leaks else train
    fitted = train_arm(arm, seen.data, words=train.words, settings=settings, seed=seed)
    return predict(fitted.model, test.some(scored).data["image"])


def with_siblings(train: Clips, siblings: Clips, seed: int) -> Clips:
    """Replace as many training clips, drawn at random, by the siblings of scored clips.

    Raises:
        ValueError: there are fewer training clips than siblings.
    """
    if len(siblings) > len(train):
        raise ValueError(
            f"`train` must have at least {len(siblings)} clips, got {len(train)}. Add videos."
        )
    rng = np.random.default_rng([seed, 11])
    kept = train.some(np.sort(rng.permutation(len(train))[len(siblings) :]))
    data = {name: np.concatenate([kept.data[name], siblings.data[name]]) for name in kept.data}
    table = pd.concat([kept.table, siblings.table], ignore_index=True)
    return Clips(table, data, train.pairs, train.words)


def _of_training(name: str, seed: int, found: Answers, train: Clips, test: Clips) -> pd.DataFrame:
    parts = []
    for head, (first, fifth) in _METRICS.items():
        if head == "action" or name in DETAILED:
            label = test.data[head]
            parts.append(_long(test, name, first, in_top(found[head], label, 1)))
            if name in DETAILED:
                parts.append(_long(test, name, fifth, in_top(found[head], label, 5)))
    if name == "revit-time":
        product = product_of_heads(found["verb"], found["noun"], test.pairs)
        parts.append(_long(test, "product", "correct", in_top(product, test.data["action"], 1)))
        parts.append(_rho(name, seed, found, train, test))
    return pd.concat(parts, ignore_index=True).assign(seed=seed)


_METRICS = {
    "action": ("correct", "action_top5"),
    "verb": ("verb", "verb_top5"),
    "noun": ("noun", "noun_top5"),
}


def _of_blind(kind: Blind, train: Clips, test: Clips, seeds: Sequence[int]) -> pd.DataFrame:
    known, asked = (each.table.assign(action=each.data["action"]) for each in (train, test))
    score = fitted_scores(known, asked, kind, n_actions=train.words[0])
    label = test.data["action"]
    one = pd.concat(
        [
            _long(test, f"blind-{kind}", metric, in_top(score, label, k))
            for metric, k in (("correct", 1), ("action_top5", 5))
        ]
    )
    return pd.concat([one.assign(seed=seed) for seed in seeds], ignore_index=True)


def class_accuracy(found: Answers, train: Clips, test: Clips) -> pd.DataFrame:
    """Average right actions by class: ``trained`` (training clips) and ``accuracy``, by class."""
    right = in_top(found["action"], test.data["action"], 1)
    by_class = pd.Series(right).groupby(test.data["action"]).mean()
    count = pd.Series(train.data["action"]).value_counts()
    trained = count.reindex(by_class.index).fillna(0).astype(int)
    return pd.DataFrame({"trained": trained, "accuracy": by_class})


def _rho(name: str, seed: int, found: Answers, train: Clips, test: Clips) -> pd.DataFrame:
    """Correlate accuracy and training clips over classes by ranks; 0 if all are alike."""
    table = class_accuracy(found, train, test)
    varies = all(np.ptp(table[column].to_numpy(float)) > 0 for column in table)
    rho = float(stats.spearmanr(table["trained"], table["accuracy"])[0]) if varies else 0.0
    row: Mapping[str, Any] = {
        "arm": name,
        "case": f"training-{seed}",
        "cluster": f"training-{seed}",
        "group": "",
        "metric": "frequency_rho",
        "value": rho,
    }
    return pd.DataFrame([row])


def _long(test: Clips, arm: str, metric: str, value: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": arm,
            "case": test.table["case"].to_numpy(),
            "cluster": test.table["cluster"].to_numpy(),
            "group": test.table["procedure"].to_numpy(),
            "metric": metric,
            "value": value,
        }
    )


def action_without_verb(outcome: Outcome, name: str = "revit-time") -> pd.DataFrame:
    """Count clips whose action is right and whose verb is wrong, by procedure and head.

    Returns:
        By procedure: ``clips``; right actions and verbs with own heads (``action``, ``verb``), and
        clips with the first without the second (``both heads disagree``), over all seeds.
    """
    test, rows = outcome.test, []
    for (training, _), found in outcome.answers.items():
        if training == name:
            action, verb = (in_top(found[head], test.data[head], 1) for head in HEADS[:2])
            one = pd.DataFrame({"action": action, "verb": verb, "disagree": action * (1 - verb)})
            rows.append(one.assign(procedure=test.table["procedure"].to_numpy(), clips=1))
    return pd.concat(rows).groupby("procedure", sort=False).sum().astype(int)
