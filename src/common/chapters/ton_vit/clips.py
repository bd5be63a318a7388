"""From pixels to procedures: a video transformer on phantom clips feeds the graph and its SVM."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from common.chapters.ton_vit.videos import Labels
from common.datasets import trauma_video_phantom
from common.models import ton_vit_network as network, ton_vit_reweight as reweighting
from common.models.ton_vit import Array, edges_of, generate, ordinals, unit
from common.models.ton_vit_classify import bag, svm

BETAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
NOISES = (0.0, 0.1, 0.2, 0.4)
VALID_SHARE = 4  # every fourth training video chooses temperature and weight
TEST = 10_000  # added to the seed of the test videos
TOP = 5
# memory of a GPU that one training is given
_GPU_GB = 8


@dataclass(frozen=True)
class Sizes:
    """How large clips and network are.

    Args:
        n_train: videos for training; a fourth of them chooses temperature and weight.
        n_test: videos for testing.
        size: side of a frame (px).
        n_frames: frames of a clip.
        n_verbs: verbs.
        n_nouns: nouns.
        n_actions: actions.
        jitter: dial of the phantom (px of 32).
        dim: width of the network.
        depth: layers.
        patch: side of a patch (px).
        epochs: passes over the training clips.
        device: see :func:`common.training.runtime`.
    """

    n_train: int
    n_test: int
    size: int = 32
    n_frames: int = 4
    n_verbs: int = 8
    n_nouns: int = 8
    n_actions: int = 24
    jitter: float = 1.0
    dim: int = 48
    depth: int = 2
    patch: int = 8
    epochs: int = 8
    device: str = "auto"


@dataclass(frozen=True)
class Clips:
    """The clips of some videos, in order.

    Args:
        image (n, 3, T, size, size): bytes.
        verb, noun, action (n,): codes.
        video (n,): name of the video.
        procedure (n,): place in the list of procedures.
        words (actions, 2): verb and noun of each action.
    """

    image: NDArray[np.uint8] = field(repr=False)
    verb: Labels = field(repr=False)
    noun: Labels = field(repr=False)
    action: Labels = field(repr=False)
    video: NDArray[np.str_] = field(repr=False)
    procedure: Labels = field(repr=False)
    words: Labels = field(repr=False)

    @property
    def videos(self) -> list[NDArray[np.int64]]:
        """Places of the clips of each video, in the order of time."""
        _, first = np.unique(self.video, return_index=True)
        return [np.flatnonzero(self.video == self.video[i]) for i in np.sort(first)]


def draw(sizes: Sizes, seed: int) -> tuple[Clips, Clips]:
    """Draw clips for training and, of other videos of the same procedures, for testing.

    Args:
        sizes: see :class:`Sizes`.
        seed: of procedures and videos.
    """
    vocabulary = {
        "n_verbs": sizes.n_verbs,
        "n_nouns": sizes.n_nouns,
        "n_actions": sizes.n_actions,
    }
    words = trauma_video_phantom.actions(seed, **vocabulary)[["verb_code", "noun_code"]]
    found = []
    for n, own in ((sizes.n_train, seed), (sizes.n_test, seed + TEST)):
        cases = trauma_video_phantom.phantom(
            n,
            own,
            grammar_seed=seed,
            size=sizes.size,
            n_frames=sizes.n_frames,
            jitter=sizes.jitter,
            **vocabulary,
        )
        image = np.stack([network.as_bytes(np.asarray(case.image)) for case in cases])
        verb, noun, action, procedure = (
            cases.table[name].to_numpy(dtype=np.int64)
            for name in ("verb", "noun", "label", "procedure")
        )
        video = cases.table["cluster"].to_numpy(dtype=str)
        found.append(Clips(image, verb, noun, action, video, procedure, words.to_numpy()))
    return found[0], found[1]


def noisy(image: NDArray[np.uint8], sd: float, *, seed: int) -> NDArray[np.uint8]:
    """Add sensor noise to clips (standard deviation for values 0 to 1)."""
    if sd == 0:
        return image
    rng = np.random.default_rng([seed, 5, round(1000 * sd)])
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    return network.as_bytes(image / 255 + sd * grain)


@dataclass(frozen=True)
class Knowledge:
    """What the annotated training videos tell: graphs, bags and transitions.

    Args:
        sequences: action codes of each training video.
        label: their procedures.
        words (actions, 2): verb and noun of each action.
    """

    sequences: list[Labels]
    label: Labels
    words: Labels

    def _words(self, sequences: Sequence[Labels]) -> list[list[tuple[Any, Any]]]:
        return [[(int(v), int(n)) for v, n in self.words[each]] for each in sequences]

    def scores(self, sequences: Sequence[Labels], *, form: str) -> Array:
        """Score procedures of recognised sequences by an SVM trained on the annotated ones.

        Args:
            sequences: action codes.
            form: ``graph`` or ``bag``.

        Returns:
            (n, classes), in the order of the classes that occur in training.
        """
        own, new = self._words(self.sequences), self._words(sequences)
        if form == "graph":
            graphs = [generate(each) for each in own]
            edges = edges_of(graphs)
            train = ordinals(graphs, edges)
            test = ordinals([generate(each) for each in new], edges)
        else:
            both = bag([*own, *new])
            train, test = both[: len(own)], both[len(own) :]
        return np.asarray(svm(unit(train), self.label, unit(test), scores=True))

    def transitions(self) -> Array:
        """Estimate the transitions of each procedure (classes, actions + 1, actions)."""
        return reweighting.transitions(
            [each.tolist() for each in self.sequences],
            self.label,
            n_actions=len(self.words),
            n_classes=int(self.label.max()) + 1,
        )


def _right(log_p: Array, action: Labels) -> Array:
    """Say whether each clip is right, top-1 and top-5 (2, T)."""
    order = np.argsort(-log_p, axis=1, kind="stable")
    return np.array([order[:, 0] == action, (order[:, :TOP] == action[:, None]).any(axis=1)])


def _tuned(log_p: list[Array], steps: list[Array], actions: list[Labels]) -> float:
    """Choose the weight with the most right clips of validation videos, the smallest of ties."""
    right = [
        sum(
            _right(reweighting.reweight(p, step, beta=beta), a)[0].sum()
            for p, step, a in zip(log_p, steps, actions, strict=True)
        )
        for beta in BETAS
    ]
    return BETAS[int(np.argmax(right))]


@dataclass(frozen=True)
class Outcome:
    """What one training gives.

    Args:
        records: metrics ``top1``, ``top5`` and ``procedure`` of the test videos.
        history: of the training.
        points: accuracy of actions and of procedures at several levels of noise.
        attention (verbs, T): mean attention of the class token to each frame, by verb; NaN for a
            verb without a test clip.
        betas: chosen weights by arm.
    """

    records: pd.DataFrame
    history: pd.DataFrame
    points: pd.DataFrame
    attention: Array
    betas: dict[str, float]


def train_one(train: Clips, test: Clips, sizes: Sizes, seed: int) -> Outcome:
    """Train the network once and let it recognise actions and procedures of the test videos.

    Args:
        train: clips for training and choosing.
        test: clips for testing.
        sizes: see :class:`Sizes`.
        seed: of the training.
    """
    if sizes.device == "cpu" or not torch.cuda.is_available():
        torch.set_num_threads(1)
    videos = train.videos
    chosen, fitted_on = videos[::VALID_SHARE], [v for i, v in enumerate(videos) if i % VALID_SHARE]
    own = np.concatenate(fitted_on)
    fitted = network.fit(
        train.image[own],
        {"verb": train.verb[own], "noun": train.noun[own]},
        sizes={
            "n_verbs": sizes.n_verbs,
            "n_nouns": sizes.n_nouns,
            "dim": sizes.dim,
            "depth": sizes.depth,
            "patch": sizes.patch,
        },
        epochs=sizes.epochs,
        seed=seed,
        device=sizes.device,
    )
    # graphs come from annotations, so all training videos teach them
    known = Knowledge(
        [train.action[v] for v in fitted_on],
        np.array([train.procedure[v[0]] for v in fitted_on]),
        train.words,
    )
    recognise = partial(_log_p, fitted.model, words=train.words)
    valid = _split(recognise(train.image[np.concatenate(chosen)]), chosen)
    found = _split(recognise(test.image), test.videos)
    records, betas = _arms(known, valid, train, chosen, found, test, seed)
    points = _points(known, fitted.model, test, seed)
    return Outcome(records, fitted.history, points, _attention(fitted.model, test, sizes), betas)


def _log_p(model: torch.nn.Module, image: NDArray[np.uint8], *, words: Labels) -> Array:
    return reweighting.joint_log_probability(*network.predict(model, image), words)


def _split(values: Array, videos: list[NDArray[np.int64]]) -> list[Array]:
    """Part the rows of clips, one video after the other."""
    return np.split(values, np.cumsum([len(v) for v in videos])[:-1])


def _procedures(known: Knowledge, scores: Array) -> Labels:
    return np.unique(known.label)[scores.argmax(axis=1)]


def _arms(
    known: Knowledge,
    valid: list[Array],
    train: Clips,
    chosen: list[NDArray[np.int64]],
    found: list[Array],
    test: Clips,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Adjust the probabilities in every way and score all of them."""
    table, classes = known.transitions(), np.unique(known.label)
    truth = np.array([train.procedure[v[0]] for v in chosen])
    heard = known.scores([p.argmax(axis=1) for p in valid], form="graph")
    t = reweighting.temperature(heard, np.searchsorted(classes, truth))
    share = np.bincount(known.label, minlength=len(table)) / len(known.label)

    def steps(scores: Array, true: Labels) -> dict[str, list[Array]]:
        likely = np.zeros((len(scores), len(table)))
        likely[:, classes] = reweighting.probabilities(scores, t)
        return {
            "vit-bigram": [reweighting.prior(table, share)] * len(scores),
            "vit-ton": [reweighting.prior(table, each) for each in likely],
            "vit-oracle": [table[c] for c in true],
        }

    actions = [train.action[v] for v in chosen]
    betas = {arm: _tuned(valid, each, actions) for arm, each in steps(heard, truth).items()}
    videos = test.videos
    procedure = np.array([test.procedure[v[0]] for v in videos])
    heard = known.scores([p.argmax(axis=1) for p in found], form="graph")
    ways = steps(heard, procedure)
    rows = []
    for i, (v, p) in enumerate(zip(videos, found, strict=True)):
        name, action = str(test.video[v[0]]), test.action[v]
        said = {"vit": p}
        said |= {a: reweighting.reweight(p, way[i], beta=betas[a]) for a, way in ways.items()}
        said["blind"] = reweighting.reweight(p, ways["vit-bigram"][i], beta=1.0)
        said["blind-oracle"] = reweighting.reweight(p, ways["vit-oracle"][i], beta=1.0)
        for arm, log_p in said.items():
            one, five = _right(log_p, action).mean(axis=1)
            rows += [(arm, name, "top1", one), (arm, name, "top5", five)]
        path = reweighting.viterbi(p, ways["vit-ton"][i], beta=betas["vit-ton"])
        rows.append(("vit-viterbi", name, "top1", (path == action).mean()))
    named = {
        "e2e-ton": _procedures(known, heard),
        "e2e-bag": _procedures(known, known.scores([p.argmax(axis=1) for p in found], form="bag")),
        "truth-ton": _procedures(
            known, known.scores([test.action[v] for v in videos], form="graph")
        ),
    }
    for arm, classes_said in named.items():
        right = np.equal(classes_said, procedure).astype(float)
        rows += [(arm, str(test.video[v[0]]), "procedure", right[i]) for i, v in enumerate(videos)]
    records = pd.DataFrame(rows, columns=["arm", "case", "metric", "value"])
    where: dict[str, Any] = {"seed": seed, "source": "phantom", "fold": "", "group": ""}
    return records.assign(cluster=records["case"], **where), betas


def _points(known: Knowledge, model: torch.nn.Module, test: Clips, seed: int) -> pd.DataFrame:
    """Measure actions and procedures on clips with more and more noise."""
    videos, rows = test.videos, []
    procedure = np.array([test.procedure[v[0]] for v in videos])
    for sd in NOISES:
        log_p = _log_p(model, noisy(test.image, sd, seed=seed), words=test.words)
        heard = [each.argmax(axis=1) for each in _split(log_p, videos)]
        for form in ("graph", "bag"):
            said = _procedures(known, known.scores(heard, form=form))
            top1 = float((log_p.argmax(axis=1) == test.action).mean())
            rows.append((seed, sd, form, top1, float((said == procedure).mean())))
    return pd.DataFrame(rows, columns=["seed", "noise", "form", "top1", "procedure"])


def _attention(model: torch.nn.Module, test: Clips, sizes: Sizes) -> Array:
    """Average the attention to each frame over the clips of each verb."""
    device = next(model.parameters()).device
    inner = getattr(model, "module", model)
    assert isinstance(inner, network.VideoTransformer)
    parts = [
        inner.attention(torch.from_numpy(each.copy()).to(device).float() / 255).cpu().numpy()
        for each in np.array_split(test.image, max(1, len(test.image) // 256))
    ]
    seen = np.concatenate(parts).astype(np.float64)
    mean = np.full((sizes.n_verbs, seen.shape[1]), np.nan)
    for verb in np.unique(test.verb):
        mean[verb] = seen[test.verb == verb].mean(axis=0)
    return mean


def run(
    sizes: Sizes, seed: int, seeds: Sequence[int], *, jobs: int = 1, progress: bool = False
) -> list[Outcome]:
    """Train the network with several seeds on the same videos.

    Args:
        sizes: see :class:`Sizes`.
        seed: of the videos.
        seeds: of the trainings.
        jobs: processes on the CPU; the records do not depend on it. A GPU takes as many as fit.
        progress: show a bar.
    """
    train, test = draw(sizes, seed)
    if sizes.device != "cpu" and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        jobs = int(max(1, min(cpu_count(), free // (_GPU_GB * 2**30))))
    pool = Parallel(n_jobs=min(jobs, len(seeds)), return_as="generator")
    todo = (delayed(train_one)(train, test, sizes, each) for each in seeds)
    return list(tqdm(pool(todo), total=len(seeds), disable=not progress, leave=False))
