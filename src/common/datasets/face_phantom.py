"""Phantom of face photographs of syndromes: geometry, texture, and the source that gives away.

A case is one photograph; the independent unit is the patient. Disorders of one collection are
drawn independently of those of another, so that what a network learns on the base set must carry
over to novel ones.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.face_phantom_rendering import (
    EXPRESSION,
    MODES,
    landmarks,
    paint,
    photograph,
)
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream

DATASET = "face-phantom"
COLLECTIONS = ("base", "novel", "rare", "identities")
RANGE = (0.0, 1.0)
QUICK = {"n": 350, "size": 48, "disorders": 14}
# patients of the most and the least frequent disorder, share of patients with two photographs
_TAIL = {"base": (60, 25), "novel": (24, 6), "rare": (6, 2), "identities": (1, 1)}
_SECOND = {"base": 0.0, "novel": 0.0, "rare": 0.236, "identities": 0.0}
_PER_IDENTITY = 15
_EXPRESSION_SD = 0.4
_SPARSE = 3

DIALS: tuple[Dial, ...] = (
    Dial(
        "effect",
        "identity sd",
        1.2,
        0.0,
        4.0,
        "A syndrome moves three of ten facial modes further; at 0 its geometry is that of anyone.",
        "chosen: the paper prints no effect of a syndrome on the face",
        null=0.0,
    ),
    Dial(
        "texture",
        "share",
        0.33,
        0.0,
        1.0,
        "Share of syndromes that also show dense brows or spots of the skin.",
        "chosen: the paper prints no such share",
        null=0.0,
    ),
    Dial(
        "texture_only",
        "share",
        0.0,
        0.0,
        1.0,
        "Share of syndromes that show in texture alone and not in geometry.",
        "chosen: 0 leaves every syndrome its geometry",
        null=0.0,
    ),
    Dial(
        "source_sharing",
        "share",
        0.2,
        0.0,
        1.0,
        "Probability that two photographs of a disorder come from one figure or clinic; at 0 the "
        "source says nothing of the disorder.",
        "chosen: the paper (Section 2.1) suspects such likeness without a "
        "number; 0.6 imitates that set",
        null=0.0,
    ),
    Dial(
        "source_style",
        "1",
        1.0,
        0.0,
        2.0,
        "Sources differ more in tint, blur, crop and background.",
        "chosen; at 0 all sources take the same pictures",
        null=0.0,
    ),
    Dial(
        "expression",
        "identity sd",
        _EXPRESSION_SD,
        0.0,
        2.0,
        "Mouths move more between photographs.",
        "chosen: the paper prints no spread of expressions",
        null=0.0,
    ),
    Dial(
        "pose",
        "1",
        1.0,
        0.0,
        3.0,
        "Factor on what is left of pose after alignment: 4 degrees and 4 % of size.",
        "chosen; the paper aligns faces by a similarity of their landmarks",
        null=0.0,
    ),
    Dial(
        "occlusion",
        "1",
        1.0,
        0.0,
        5.0,
        "Factor on the shares of photographs with a bar over the eyes (15 %) and with a strip of "
        "a caption (10 %).",
        "paper, Section 2.1: both are named as artefacts, without numbers; the shares are chosen",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    collection: str = "base",
    disorders: int = 20,
    effect: float = 1.2,
    texture: float = 0.33,
    texture_only: float = 0.0,
    source_sharing: float = 0.2,
    source_style: float = 1.0,
    expression: float = _EXPRESSION_SD,
    pose: float = 1.0,
    occlusion: float = 1.0,
) -> pd.DataFrame:
    """Draw the parameters of every photograph; see :func:`phantom`.

    Returns:
        One row a photograph: case, cluster (patient), label (disorder, or identity), site (the
        source), collection, :data:`MODES` (identity sd), cue (``none``, ``brows``, ``spots``),
        skin, hair, iris, brow, spots, turn, zoom, shift_*, light_*, tint_*, back_*, blur, noise,
        quality, grey, eye_bar, caption, seed.
    """
    rng = stream(seed, DATASET, collection, "patients")
    identities = collection == "identities"
    shares = np.geomspace(*_TAIL[collection], disorders)
    label = np.arange(n) if identities else classes(n, shares, rng)
    shift, cue = _syndromes(seed, collection, disorders, effect, texture, texture_only)
    if identities:
        shift, cue = np.zeros((n, len(MODES))), np.full(n, "none", dtype=object)
    person = np.clip(rng.standard_normal((n, len(MODES))), -2.5, 2.5) + shift[label]
    looks = {"skin": rng.beta(2.2, 1.3, n), "hair": rng.beta(1.2, 2.0, n), "iris": rng.random(n)}
    brow = np.exp(0.15 * rng.standard_normal(n)) * np.where(cue[label] == "brows", 1.9, 1.0)
    counts = 1 + (rng.permutation(n) < round(_SECOND[collection] * n))
    who = np.repeat(np.arange(n), _PER_IDENTITY if identities else counts)
    m = len(who)
    z = person[who]
    z[:, EXPRESSION] += expression * rng.standard_normal((m, len(EXPRESSION)))
    source = _sources(label[who], source_sharing, rng)
    style = source_style * _styles(seed, collection, int(source.max(initial=0)) + 1)[source]
    number = np.arange(m) - np.searchsorted(who, who)
    return pd.DataFrame(
        {
            "case": [f"{collection}-{p:04d}-{i}" for p, i in zip(who, number, strict=True)],
            "cluster": [f"{collection}-{p:04d}" for p in who],
            "label": label[who],
            "site": [f"{collection}-source-{s}" for s in source],
            "collection": collection,
            **{name: z[:, i] for i, name in enumerate(MODES)},
            "cue": cue[label[who]].astype(str),
            **{name: value[who] for name, value in looks.items()},
            "brow": brow[who],
            "spots": np.where(cue[label[who]] == "spots", rng.integers(14, 26, m), 0),
            "turn": np.deg2rad(4 * pose * rng.standard_normal(m)),
            "zoom": np.exp(0.04 * pose * rng.standard_normal(m) + 0.05 * style[:, 0]),
            "shift_x": 0.8 * style[:, 1],
            "shift_y": 0.8 * style[:, 2],
            "light_x": 0.12 * rng.standard_normal(m),
            "light_y": 0.08 * rng.standard_normal(m),
            **{f"tint_{i}": 0.09 * style[:, 3 + i] for i in range(3)},
            # most of a background is a grey level, the rest its colour
            **{
                f"back_{i}": np.clip(0.55 + 0.2 * style[:, 9] + 0.08 * style[:, 6 + i], 0.02, 0.98)
                for i in range(3)
            },
            "blur": np.clip(0.45 + 0.25 * style[:, 10], 0, 1.5),
            "noise": rng.uniform(0.005, 0.02, m),
            "quality": rng.uniform(60, 95, m),
            "grey": rng.random(m) < 0.2,
            "eye_bar": rng.random(m) < 0.15 * occlusion,
            "caption": rng.random(m) < 0.1 * occlusion,
            "seed": case_seeds(m, rng),
        }
    )


def _syndromes(
    seed: int, collection: str, n: int, effect: float, texture: float, texture_only: float
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Draw what each disorder does: shifts of the modes (n, 10), and a texture cue or none."""
    rng = stream(seed, DATASET, collection, "syndromes")
    ranks = rng.random((n, len(MODES))).argsort(axis=1).argsort(axis=1)
    signs = rng.choice([-1.0, 1.0], (n, len(MODES)))
    shift = effect * signs * (ranks < _SPARSE)
    order = rng.permutation(n)
    bare = order < round(texture_only * n)
    shift[bare] = 0
    cue = np.full(n, "none", dtype=object)
    kind = np.array(["brows", "spots"], dtype=object)[rng.integers(0, 2, n)]
    marked = bare | (order < round(texture * n))
    cue[marked] = kind[marked]
    return shift, cue


def _sources(
    label: NDArray[np.int64], sharing: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deal photographs to sources: two of one disorder share one with the given probability."""
    # each stays with its disorder's main source with the root of that probability
    main = rng.random(len(label)) < np.sqrt(sharing)
    own = int(label.max(initial=-1)) + 1 + np.arange(len(label))
    return np.where(main, label, own)


def _styles(seed: int, collection: str, n: int) -> NDArray[np.float64]:
    """Draw the style of each source, eleven standard normal numbers within 2.5."""
    rng = stream(seed, DATASET, collection, "styles")
    return np.clip(rng.standard_normal((n, 11)), -2.5, 2.5)


def render(row: Mapping[str, Any], *, size: int = 64) -> Case:
    """Render one photograph from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The photograph; targets ``label`` and ``landmarks`` (68, 2: rows and columns, pixels);
        ``info`` holds ``cue`` and whether the eyes are hidden (``eye_bar``).
    """
    face, film = np.random.default_rng(int(row["seed"])).spawn(2)
    points = landmarks(row)
    image = photograph(paint(row, points, size, face), row, points, film)
    # pixel centres are whole numbers, the picture's edge lies half a pixel outside
    places = points[:, ::-1] * size / 64 - 0.5
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image,
        target={"label": int(row["label"]), "landmarks": places.astype(np.float32)},
        site=row["site"],
        info={"cue": row["cue"], "eye_bar": bool(row["eye_bar"])},
    )


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    collection: str = "base",
    disorders: int = 20,
    effect: float = 1.2,
    texture: float = 0.33,
    texture_only: float = 0.0,
    source_sharing: float = 0.2,
    source_style: float = 1.0,
    expression: float = _EXPRESSION_SD,
    pose: float = 1.0,
    occlusion: float = 1.0,
) -> Cases:
    """Make aligned photographs of patients of one collection.

    1. disorders in a long tail: patients from 60 to 25 (``base``: printed, 25 or more), 24 to 6
       (``novel``: below 25) or 6 to 2 (``rare``: printed, up to 6 patients, 4.5 images each on
       average) in geometric steps; ``identities`` has no disorders and 15 photographs a person
       (a stand-in for VGGFace2);
    2. z_m = N(0, 1) of the person + effect of the disorder (+-``effect`` on 3 of 10 modes) +
       N(0, ``expression``) on the three modes of the mouth;
    3. 68 landmarks K = R(T + 1.2 px sum_m z_m M_m), R the pose left after alignment: N(0, 4
       degrees), size N(0, 4 %), times ``pose``;
    4. a share ``texture`` of the disorders has dense brows or spots of the skin;
    5. a photograph stays with its disorder's main source with probability
       sqrt(``source_sharing``), else it has a source of its own; a source has tint, blur, crop and
       background, times ``source_style``;
    6. light, noise, JPEG, grey (20 %), eye bar (15 %) and caption (10 %).

    Args:
        n: patients; one photograph each, 1.24 on average in ``rare``, 15 in ``identities``.
        seed: seed of the phantom.
        size: side (pixels); the paper's is 256.
        collection: ``base``, ``novel``, ``rare`` or ``identities``, with disorders of its own.
        disorders: number of disorders that patients are dealt to.
        effect: see :data:`DIALS`.
        texture: see :data:`DIALS`.
        texture_only: see :data:`DIALS`.
        source_sharing: see :data:`DIALS`.
        source_style: see :data:`DIALS`.
        expression: see :data:`DIALS`.
        pose: see :data:`DIALS`.
        occlusion: see :data:`DIALS`.

    Returns:
        Cases with image (3, size, size), targets label and landmarks, and the source as site.
        Pictures of
        another domain: :func:`common.datasets.face_phantom_textures.textures`.

    Raises:
        ValueError: the collection is unknown, a dial is outside its range, there is no disorder,
            or the side is below 32.
    """
    dials = {
        "effect": effect,
        "texture": texture,
        "texture_only": texture_only,
        "source_sharing": source_sharing,
        "source_style": source_style,
        "expression": expression,
        "pose": pose,
        "occlusion": occlusion,
    }
    check(DIALS, dials)
    if collection not in COLLECTIONS:
        raise ValueError(
            f"`collection` must be one of {', '.join(COLLECTIONS)}, got {collection!r}."
        )
    if disorders < 1 or size < 32:
        raise ValueError(
            f"`disorders` must be at least 1 and `size` 32, got {disorders!r} and {size!r}."
        )
    table = draw(n, seed, collection=collection, disorders=disorders, **dials)
    return Cases(table, partial(render, size=size))
