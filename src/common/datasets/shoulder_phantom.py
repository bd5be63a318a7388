"""Phantom of shoulder radiographs with seven implant models of four manufacturers.

The four DePuy models share one stem and differ in small parts, the others differ grossly. Images of
one patient share pose, background and marker; the source of an image goes with one model.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from common.datasets.cases import Case, Cases
from common.datasets.shoulder_phantom_joint import PARTS, Joint, joint
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import smooth_noise
from common.phantoms.noise import blur, poisson, quantise

DATASET = "shoulder-phantom"
CLASSES = (
    "Biomet Biomodular",
    "Smith & Nephew Cofield II",
    "DePuy Global Advantage",
    "DePuy Global",
    "DePuy Global Fracture",
    "DePuy HRP",
    "Zimmer Bigliani",
)
COUNTS = (26, 10, 20, 22, 15, 37, 34)
MAKERS = ("Biomet", "Smith & Nephew", "DePuy", "DePuy", "DePuy", "DePuy", "Zimmer")
SITES = ("uci", "surgeon")
RANGE = (0.0, 1.0)
QUICK = {"n": 86, "size": 64}

# share of images from the surgeon, by class
_SURGEON = np.array([0.9, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15])
DIALS = (
    Dial(
        "cues",
        "1",
        1.0,
        0.0,
        1.5,
        "Factor on how much each model differs from the mean of all seven; at 0 all are one.",
        "chosen; the paper's figures show the parts that differ",
        0.0,
    ),
    Dial(
        "rotation",
        "degrees",
        10.0,
        0.0,
        90.0,
        "Standard deviation of the rotation in the plane.",
        "chosen; in the public images of the UCI set most stems are within 30 degrees of upright",
        0.0,
    ),
    Dial(
        "extra_images",
        "per patient",
        0.9,
        0.0,
        5.0,
        "Mean number of images of a patient beyond the first.",
        "chosen: the paper has no patient identifiers",
        0.0,
    ),
    Dial(
        "patient_share",
        "share",
        0.7,
        0.0,
        1.0,
        "Share of the variance of pose, exposure and background, and of the images with the same "
        "anatomy, side and marker, that a patient's images have in common: what leaks when they "
        "are split.",
        "chosen: the paper splits by image",
        0.0,
    ),
    Dial(
        "source_confound",
        "1",
        1.0,
        0.0,
        1.0,
        "How far the source goes with the model: at 1 the surgeon gave 90 % of the Biomodular and "
        "15 % of the other images, at 0 the same share of all.",
        "chosen: the public set has no Biomet class, so that one must come from the surgeon",
        0.0,
    ),
    Dial(
        "label_noise",
        "share",
        0.0,
        0.0,
        0.5,
        "Share of images that carry another model's label.",
        "the paper corrected its labels with surgeons",
        0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    cues: float = 1.0,
    rotation: float = 10.0,
    extra_images: float = 0.9,
    patient_share: float = 0.7,
    source_confound: float = 1.0,
    label_noise: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every image; see :func:`phantom`.

    Returns:
        One row an image: case, cluster (the patient), site (the source), label, true_label, maker,
        cues, turn (degrees), scale, flip, depth (foreshortening), gamma, blur_px (at 96 px),
        photons, patient_share, patient_seed, seed.
    """
    rng = stream(seed, DATASET, "patients")
    model = classes(n, COUNTS, stream(seed, DATASET, "classes"))
    mean = float(np.dot(_SURGEON, COUNTS) / sum(COUNTS))
    surgeon = rng.random(n) < mean + source_confound * (_SURGEON[model] - mean)
    flip = rng.random(n) < 0.5
    patient_seed = case_seeds(n, rng)
    number = 1 + stream(seed, DATASET, "numbers").poisson(extra_images, n)
    owner = np.repeat(np.arange(n), number)
    shared = stream(seed, DATASET, "poses").standard_normal((4, n))[:, owner]
    images = stream(seed, DATASET, "images")
    own = images.standard_normal((4, len(owner)))
    pose = np.sqrt(patient_share) * shared + np.sqrt(1 - patient_share) * own
    level = np.array(_uniform(pose[1:]))
    true = model[owner]
    wrong = images.random(len(owner)) < label_noise
    other = (true + images.integers(1, len(CLASSES), len(owner))) % len(CLASSES)
    label = np.where(wrong, other, true)
    patients = np.array([f"patient-{i:04d}" for i in range(n)])[owner]
    place = np.concatenate([np.arange(count) for count in number]) if n else np.zeros(0, int)
    return pd.DataFrame(
        {
            "case": [f"{name}-{i}" for name, i in zip(patients, place, strict=True)],
            "cluster": patients,
            "site": np.array(SITES)[surgeon[owner].astype(int)],
            "label": label,
            "true_label": true,
            "maker": np.array(MAKERS)[label],
            "cues": cues,
            "turn": rotation * pose[0],
            "scale": 0.85 + 0.30 * level[0],
            "flip": np.where(
                images.random(len(owner)) < patient_share,
                flip[owner],
                images.random(len(owner)) < 0.5,
            ),
            "depth": 0.8 + 0.2 * level[1],
            "gamma": 0.7 + 0.8 * level[2],
            "blur_px": images.uniform(0.5, 1.2, len(owner)),
            "photons": images.uniform(200, 800, len(owner)),
            "patient_share": patient_share,
            "patient_seed": patient_seed[owner],
            "seed": case_seeds(len(owner), images),
        }
    )


def _uniform(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn standard normal numbers into uniform ones of the same order."""
    found: NDArray[np.float64] = ndtr(normal)
    return found


def render(row: Mapping[str, Any], *, size: int = 96) -> Case:
    """Render one radiograph from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The radiograph; ``info`` holds true_label, ``implant`` (mask) and ``frame`` (mask of what
        the collimator leaves open).
    """
    own, noise = np.random.default_rng(int(row["seed"])).spawn(2)
    patient = np.random.default_rng(int(row["patient_seed"]))
    person = patient if own.random() < row["patient_share"] else own
    parts = joint(
        size,
        _implant(int(row["true_label"]), float(row["cues"])),
        turn=float(np.deg2rad(row["turn"])),
        scale=float(row["scale"]),
        flip=bool(row["flip"]),
        depth=float(row["depth"]),
        rng=person,
    )
    image, frame = _expose(row, parts, _background(row, size, patient, own), person, noise)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[None],
        target={"label": int(row["label"])},
        site=row["site"],
        info={
            "true_label": int(row["true_label"]),
            "implant": (parts.metal > 0.5) & frame,
            "frame": frame,
        },
    )


def _implant(model: int, cues: float) -> dict[str, float]:
    """Give the parts of one model, moved towards the mean of all."""
    table = np.array(list(PARTS.values()))
    values = table.mean(1) + cues * (table[:, model] - table.mean(1))
    return dict(zip(PARTS, np.maximum(values, 0).tolist(), strict=True))


def _background(
    row: Mapping[str, Any], size: int, patient: np.random.Generator, own: np.random.Generator
) -> NDArray[np.float32]:
    """Draw soft tissue, in part the patient's and in part the image's own."""
    share = float(row["patient_share"])
    fields = [smooth_noise((size, size), size / 8, rng) for rng in (patient, own)]
    mixed: NDArray[np.float32] = np.sqrt(share) * fields[0] + np.sqrt(1 - share) * fields[1]
    return np.clip(1 + 0.15 * mixed, 0.4, None)


def _expose(
    row: Mapping[str, Any],
    parts: Joint,
    tissue: NDArray[np.float32],
    layout: np.random.Generator,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Absorb, count photons, blur, collimate and mark."""
    size = len(tissue)
    surgeon = row["site"] == "surgeon"
    absorbed = 0.55 * parts.body * tissue + (1.0 if surgeon else 0.8) * parts.bone
    absorbed = absorbed * (1 - 0.4 * parts.metal) + 2.6 * parts.metal
    light = blur(np.exp(-absorbed), float(row["blur_px"]) * size / 96 * (0.6 if surgeon else 1))
    light = poisson(light, float(row["photons"]), rng)
    image = np.clip(1 - light, 0, 1) ** float(row["gamma"])
    left, right = (0.0, 0.04) if surgeon else (0.05, 0.24)
    bars = (layout.uniform(left, right, 2) * size).astype(int)
    frame = np.ones((size, size), bool)
    frame[:, : bars[0]] = frame[:, size - bars[1] :] = False
    image = image * frame
    _mark(image, bars, bool(row["flip"]), surgeon, layout)
    return quantise(image), frame


def _mark(
    image: NDArray[np.float32],
    bars: NDArray[np.int64],
    flip: bool,
    surgeon: bool,
    rng: np.random.Generator,
) -> None:
    """Print the side, L or R, in place: the two sources put it into different corners."""
    letter = "#..#..#..#..###" if flip else "##.#.###.#.##.#"
    dots = np.array([dot == "#" for dot in letter]).reshape(5, 3)
    dot = max(1, round(len(image) / 64))
    stamp = np.kron(dots, np.ones((dot, dot)))
    top = int(rng.uniform(0.03, 0.12) * len(image))
    top = len(image) - top - len(stamp) if surgeon else top
    side = int(rng.uniform(0.02, 0.08) * len(image))
    column = len(image) - bars[1] - side - stamp.shape[1] if surgeon else bars[0] + side
    area = image[top : top + len(stamp), column : column + stamp.shape[1]]
    area[stamp > 0] = 1.0


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 96,
    cues: float = 1.0,
    rotation: float = 10.0,
    extra_images: float = 0.9,
    patient_share: float = 0.7,
    source_confound: float = 1.0,
    label_noise: float = 0.0,
) -> Cases:
    """Make radiographs of shoulders after arthroplasty, one or more for each patient.

    1. models of the patients in the printed proportions 26:10:20:22:15:37:34 (Table 1: 164 images,
       94 DePuy); 1 + Poisson(``extra_images``) images of each, so that 86 patients give about 164;
    2. implant: head, neck, tapered stem, and parts that tell the models apart (fins, holes, window,
       collar, gap, porous band); each part's size is mean + ``cues`` (model - mean);
    3. pose: rotation N(0, ``rotation``), scale U(0.85, 1.15), foreshortening U(0.8, 1), left or
       right; exposure gamma U(0.7, 1.5); of their variance, and of the background's, a share
       ``patient_share`` is the patient's, and that share of the images shows the patient's own
       anatomy, side and marker;
    4. source: P(surgeon) = m + ``source_confound`` (p - m), p = 0.9 for Biomodular and 0.15 for
       others, m their mean; the surgeon's images are sharper, of higher contrast, without black
       side bars and marked in another corner;
    5. absorption by soft tissue, humerus, scapula, clavicle, ribs and metal; 200 to 800 photons,
       blur of 0.5 to 1.2 px at 96 px, 8 bits;
    6. a share ``label_noise`` carries another label.

    Args:
        n: patients, with 1.9 images each at the default.
        seed: seed of the phantom.
        size: side (pixels); the paper's is 224.
        cues: see :data:`DIALS`.
        rotation: see :data:`DIALS`.
        extra_images: see :data:`DIALS`.
        patient_share: see :data:`DIALS`.
        source_confound: see :data:`DIALS`.
        label_noise: see :data:`DIALS`.

    Returns:
        Cases with image (1, size, size) in [0, 1], target label (0-6), and the source as site; the
        table's ``maker`` divides the models into the paper's two smaller tasks.

    Raises:
        ValueError: a dial is outside its range, or ``size`` is below 48.
    """
    dials = {
        "cues": cues,
        "rotation": rotation,
        "extra_images": extra_images,
        "patient_share": patient_share,
        "source_confound": source_confound,
        "label_noise": label_noise,
    }
    check(DIALS, dials)
    if size < 48:
        raise ValueError(f"`size` must be at least 48, got {size!r}. Holes would vanish.")
    return Cases(draw(n, seed, **dials), partial(render, size=size))
