"""Phantom of abdominal slices: one anatomy, modality-specific appearance, weak liver masks.

It stands in for the liver sets of two papers (LiTS, CHAOS, Duke Liver): ``domain`` chooses whose
scanner is imitated. Anatomy and weak masks live in modules of their own.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.abdomen_slice_phantom_anatomy import ORGANS, codes, liver_mask, organs
from common.datasets.abdomen_slice_phantom_weak import WEAK, weaken
from common.datasets.cases import Case, Cases
from common.phantoms import noise as scanner
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import Field, band_noise, bias_field, smooth_noise
from common.phantoms.shapes import soft

DATASET = "abdomen-slice-phantom"
CLASSES = ("background", "liver")
RANGE = (0.0, 1.0)
QUICK = {"n": 40, "size": 64, "slices": 16}
FIELD_MM = 372.0
DOMAINS: dict[str, tuple[str, ...]] = {
    "ct": ("CT",),
    "chaos": ("T1", "T2"),
    "chaos-t2": ("T2",),
    "dlds": ("T1", "T2", "T1c"),
}
# mean intensity of each of ORGANS; the last is the vessels inside the liver
LEVELS: dict[str, tuple[float, ...]] = {
    "CT": (0.0, 0.36, 0.52, 0.58, 0.56, 0.62, 0.88, 0.50, 0.64, 0.08, 0.64),
    "T1": (0.0, 0.85, 0.45, 0.30, 0.62, 0.55, 0.20, 0.70, 0.10, 0.02, 0.10),
    "T2": (0.0, 0.15, 0.30, 0.25, 0.75, 0.85, 0.10, 0.90, 0.10, 0.02, 0.10),
    "T1c": (0.0, 0.50, 0.45, 0.75, 0.60, 0.80, 0.30, 0.30, 0.95, 0.05, 0.95),
}
_JITTER = {"CT": 0.03, "MR": 0.06}
_NOISE = {"CT": 0.03, "MR": 0.04}
_DLDS_BIAS = 1.4
_WEAK_SD = 0.05

DIALS: tuple[Dial, ...] = (
    Dial(
        "modality_gap",
        "1",
        1.0,
        0.0,
        1.0,
        "Organs in MR leave the grey levels of CT: level = (1 - gap) CT + gap MR.",
        "chosen so that the liver is darker than the spleen in T1 and T2 and like it in CT, "
        "as the T2-SPIR and portal-phase appearances are described; 0 is CT's own levels",
        null=0.0,
    ),
    Dial(
        "anatomy_shift",
        "1",
        0.0,
        0.0,
        1.0,
        "MR patients get a smaller right and a larger left lobe, as livers with cirrhosis have.",
        "CHAOS volumes are of healthy donors, so no shift by default",
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        1.0,
        0.0,
        4.0,
        "Multiplies the noise: Gaussian in CT (0.03), Rician in MR (0.04).",
        "chosen as 15 HU of a 500 HU window; the seven released CHAOS CT slices measured have a "
        "fine standard deviation of 24 to 34 HU inside the liver at native resolution",
        null=0.0,
    ),
    Dial(
        "bias",
        "1",
        0.25,
        0.0,
        0.8,
        "Standard deviation of the log of the coil field in MR; 1.4 times that in DLDS.",
        "chosen so that the field spans about ± 30 % of the signal",
        null=0.0,
    ),
    Dial(
        "nodules",
        "share",
        0.5,
        0.0,
        1.0,
        "More DLDS patients have a liver with nodular texture.",
        "chosen: the Duke set holds many patients with cirrhosis, their number is not printed "
        "in the replicated paper",
        null=0.0,
    ),
    Dial(
        "weak_dice",
        "1",
        0.875,
        0.65,
        1.0,
        "Mean Dice of the weak masks with the truth; 1 makes them equal to it.",
        "weak CHAOS masks of the paper on ground-truth generation: 87.5 % on its test part",
        null=1.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    domain: str = "ct",
    slices: int = 16,
    weak: str = "elastic",
    modality_gap: float = 1.0,
    anatomy_shift: float = 0.0,
    noise: float = 1.0,
    bias: float = 0.25,
    nodules: float = 0.5,
    weak_dice: float = 0.875,
) -> pd.DataFrame:
    """Draw the parameters of every slice; see :func:`phantom` for the arguments.

    Returns:
        One row a slice: case, cluster (patient), site (domain), sequence, z, anatomy, appearance,
        weak-mask parameters, patient_seed, seed.
    """
    shift = anatomy_shift if domain != "ct" else 0.0
    rng = stream(seed, DATASET, domain, "patients")
    sequences = np.array(DOMAINS[domain])
    patients = pd.DataFrame(
        {
            "cluster": [f"{domain}-p{i:03d}" for i in range(1, n + 1)],
            "site": domain,
            "sequence": sequences[classes(n, [1.0] * len(sequences), rng)],
            "body_width": rng.uniform(0.72, 0.92, n),
            "body_height": rng.uniform(0.52, 0.68, n),
            "fat": rng.uniform(0.04, 0.12, n),
            "right_lobe": rng.normal(0.5, 0.03, n).clip(0.4, 0.6) * (1 - 0.25 * shift),
            "left_lobe": rng.normal(0.38, 0.05, n).clip(0.25, 0.5) * (1 + 0.4 * shift),
            "nodular": (rng.random(n) < nodules) & (domain == "dlds"),
            "patient_seed": case_seeds(n, rng),
        }
    )
    table = patients.loc[patients.index.repeat(slices)].reset_index(drop=True)
    number = np.tile(np.arange(slices), n)
    rng = stream(seed, DATASET, domain, "slices")
    shake = rng.uniform(-0.3, 0.3, n * slices)
    target = rng.normal(weak_dice, _WEAK_SD, n * slices).clip(0.4, 0.99)
    table.insert(0, "case", [f"{p}-{k:02d}" for p, k in zip(table.cluster, number, strict=True)])
    drawn: dict[str, Any] = {
        "z": (2 * (number + 0.5 + shake) / slices - 1),
        "modality_gap": modality_gap,
        "noise": noise,
        "bias": bias * (_DLDS_BIAS if domain == "dlds" else 1.0) * (domain != "ct"),
        "weak": weak,
        "weak_dice": weak_dice,
        "weak_target": target if weak_dice < 1 else 1.0,
        "dropped": rng.random(n * slices) >= weak_dice,
        "seed": case_seeds(n * slices, rng),
    }
    return table.assign(**drawn)


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one slice from its row.

    Args:
        row: from :func:`draw`.
        size: height and width (px).

    Returns:
        Image (1, size, size) in [0, 1]; targets ``mask`` and ``weak_mask`` (bool); ``info`` has
        ``organs``, codes into :data:`ORGANS`, and ``sequence``.
    """
    found = organs(row, size)
    painted = codes(found, size)
    mask = liver_mask(painted)
    rng = np.random.default_rng(row["seed"])
    image = np.zeros((size, size), np.float32)
    for organ, level in zip(found, _levels(row)[[o.code for o in found]], strict=True):
        cover = soft(organ.depth)
        image += cover * (level - image)
    image = _scan(_texture(image, mask, row, rng), row, rng)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[None],
        target={"mask": mask, "weak_mask": weaken(mask, painted, row, size)},
        spacing_mm=(FIELD_MM / size, FIELD_MM / size),
        site=row["site"],
        info={"organs": painted, "sequence": row["sequence"]},
    )


def _levels(row: Mapping[str, Any]) -> NDArray[np.float64]:
    """Mean intensity of each organ of a patient: look-up table, gap, jitter."""
    kind = "CT" if row["sequence"] == "CT" else "MR"
    own, ct = np.array(LEVELS[row["sequence"]]), np.array(LEVELS["CT"])
    mean = ct + row["modality_gap"] * (own - ct)
    jitter = np.random.default_rng([row["patient_seed"], 1]).standard_normal(len(ORGANS))
    jitter[[0, -1]] = 0.0
    return np.maximum(mean + _JITTER[kind] * jitter, 0.0)


def _texture(
    image: Field, mask: NDArray[np.bool_], row: Mapping[str, Any], rng: np.random.Generator
) -> Field:
    """Add the parenchyma's texture, and nodules where the patient has cirrhosis."""
    size = len(image)
    uneven = 1 + 0.03 * smooth_noise(image.shape, 0.03 * size, rng)
    if row["nodular"]:
        uneven += 0.14 * mask * band_noise(image.shape, 0.012 * size, 0.03 * size, rng)
    return (image * uneven).astype(np.float32)


def _scan(image: Field, row: Mapping[str, Any], rng: np.random.Generator) -> Field:
    """Blur, coil field and noise of the scanner, then scale to [0, 1] as the papers do."""
    image = scanner.blur(image, 0.5)
    if row["sequence"] == "CT":
        image = scanner.gaussian(image, _NOISE["CT"] * row["noise"], rng)
    else:
        image = image * bias_field(image.shape, row["bias"], rng)
        image = scanner.rician(image, _NOISE["MR"] * row["noise"], rng)
    low, high = float(image.min()), float(image.max())
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    domain: str = "ct",
    slices: int = 16,
    weak: str = "elastic",
    modality_gap: float = 1.0,
    anatomy_shift: float = 0.0,
    noise: float = 1.0,
    bias: float = 0.25,
    nodules: float = 0.5,
    weak_dice: float = 0.875,
) -> Cases:
    """Generate abdominal slices with liver masks; each of ``n`` patients has ``slices`` cases.

    1. Anatomy: body ellipse with semi-axes U(0.72, 0.92) and U(0.52, 0.68) of the half image, fat
       ring U(0.04, 0.12); right lobe R(t) = r (1 + sum of 4 Fourier modes, amplitude at most
       0.09), left lobe an ellipse, both scaled by sqrt(1 - (z / 0.62)^2) at height z, so that the
       first and last slices hold no liver; spleen, kidneys, stomach, bowel, lungs, spine, vessels.
    2. Sequence: one a patient, in equal parts of those of the domain (``ct``: CT; ``chaos``: T1,
       T2; ``chaos-t2``: T2; ``dlds``: T1, T2, contrast-enhanced T1).
    3. Appearance: level of an organ = (1 - gap) CT + gap MR + patient jitter N(0, 0.03) in CT,
       N(0, 0.06) in MR; nodular liver texture in a share of DLDS patients.
    4. Scanner: blur; Gaussian noise (CT) or coil field exp(bias z) and Rician noise (MR); scaled
       to [0, 1] slice by slice.
    5. Weak mask: the true one damaged until its Dice is N(``weak_dice``, 0.05), printed mean
       0.875; see :mod:`common.datasets.abdomen_slice_phantom_weak`.

    The printed slices for training are 40,812 CT, 3,860 DLDS and 458 CHAOS (89 to 8.6 to 1);
    choose ``n`` and ``slices`` of each domain accordingly.

    Args:
        n: number of patients.
        seed: seed of the phantom.
        size: height and width (px); the papers use 128.
        domain: whose scanner: ``ct``, ``chaos``, ``chaos-t2`` or ``dlds``.
        slices: slices of a patient, equally spaced from lungs to kidneys.
        weak: how weak masks err: ``elastic``, ``elastic_volume`` (one field a patient),
            ``dilate``, ``erode``, ``leak``, ``dropout`` or ``mixed``.
        modality_gap: see :data:`DIALS`, as all that follow.
        anatomy_shift: lobes of MR patients.
        noise: factor of the noise.
        bias: coil field.
        nodules: share of DLDS patients.
        weak_dice: mean Dice of weak masks.

    Returns:
        Cases in the order of patients and slices.

    Raises:
        ValueError: a dial is out of its range, or ``domain`` or ``weak`` is unknown.
    """
    if domain not in DOMAINS:
        raise ValueError(f"`domain` must be one of {', '.join(DOMAINS)}, got {domain!r}.")
    if weak not in WEAK:
        raise ValueError(f"`weak` must be one of {', '.join(WEAK)}, got {weak!r}.")
    dials = {
        "modality_gap": modality_gap,
        "anatomy_shift": anatomy_shift,
        "noise": noise,
        "bias": bias,
        "nodules": nodules,
        "weak_dice": weak_dice,
    }
    check(DIALS, dials)
    table = draw(n, seed, domain=domain, slices=slices, weak=weak, **dials)
    return Cases(table, partial(render, size=size))
