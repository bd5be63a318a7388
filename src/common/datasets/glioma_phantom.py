"""Phantom of gliomas in four magnetic resonance channels, as slices or volumes.

The main channel (contrast-enhanced T1) shows rim and necrosis but hardly the oedema; FLAIR, the
auxiliary one, shows the whole extent. Labels have the BraTS codes.
"""

from collections.abc import Mapping
from functools import partial as functools_partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.glioma_phantom_brain import CSF, GREY, OUTSIDE, SEMI_AXES_MM, brain, waves
from common.datasets.glioma_phantom_dials import DIALS
from common.phantoms import noise as scanner
from common.phantoms.dials import check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import Field, bias_field
from common.phantoms.shapes import rotation

DATASET = "glioma-phantom"
CHANNELS = ("FLAIR", "T1", "T1ce", "T2")
CLASSES = {0: "background", 1: "necrotic core", 2: "oedema", 4: "enhancing tumour"}
RANGE = (0.0, 1.0)
QUICK = {"n": 30, "size": 64, "slices": 12}
SITES = ("A", "B")
FIELD_MM = 190.0
NECROSIS, OEDEMA, ENHANCING = 1, 2, 4
CLUSTER_SHARES = (0.5, 0.2, 0.12, 0.1, 0.05, 0.03)
# rows: CSF, grey, white, necrosis, oedema, enhancing; columns: CHANNELS
_LEVELS = np.array(
    [
        [0.10, 0.15, 0.15, 0.95],
        [0.52, 0.45, 0.45, 0.55],
        [0.44, 0.60, 0.55, 0.42],
        [0.65, 0.25, 0.15, 0.85],
        [0.94, 0.50, 0.50, 0.80],
        [0.85, 0.52, 1.15, 0.60],
    ],
    dtype=np.float32,
)
# how appearance clusters differ: enhancement, necrosis in T1ce, necrotic share of the core's
# radius, patchiness of the tumour, contrast of all channels
_CLUSTERS = np.array(
    [
        [0.0, 0.0, 0.00, 0.0, 0.0],
        [-0.30, 0.0, -0.15, 0.0, 0.0],
        [0.0, 0.45, 0.0, 0.1, 0.0],
        [0.10, 0.0, 0.15, 0.0, -0.25],
        [-0.15, 0.1, -0.35, 0.3, 0.0],
        [0.15, -0.1, 0.10, 0.2, 0.20],
    ]
)
_SCALE = 0.6
_ENOUGH_MM2 = 1000.0
# chosen so that about four in five slices show three classes, as printed
_MIDDLE = 0.85
_BRAIN_MM3 = float(4 / 3 * np.pi * np.prod(SEMI_AXES_MM))


def draw(
    n: int,
    seed: int,
    *,
    site: str = "A",
    slices: int | None = 12,
    oedema_contrast: float = 0.05,
    aux_informativeness: float = 1.0,
    rarity: float = 1.0,
    cluster_gap: float = 1.0,
    partial: float = 0.05,
    scanner_shift: float = 0.1,
    noise: float = 0.03,
    bias: float = 0.15,
    site_gap: float = 1.0,
    kspace_alpha: float = 1.0,
    spikes: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every case; see :func:`phantom` for the arguments.

    Returns:
        One row a slice (or patient): case, cluster, site, z_mm, appearance, tumour, scanner,
        patient_seed, seed.
    """
    rng = stream(seed, DATASET, site, "patients")
    share = np.exp(rng.normal(np.log(0.07), 0.5, n)).clip(0.02, 0.15)
    side, reach = rng.choice([-1, 1], n), rng.uniform(0.3, 0.6, n)
    polar, height = rng.uniform(-1.2, 1.2, n), rng.uniform(-0.5, 0.6, n)
    where = np.array(CLUSTER_SHARES) * rarity + (1 - rarity) / len(CLUSTER_SHARES)
    gains = np.exp(scanner_shift * rng.standard_normal((len(CHANNELS), n)))
    patients = pd.DataFrame(
        {
            "cluster": [f"{site}-p{i:03d}" for i in range(1, n + 1)],
            "site": list(np.resize(SITES, n)) if site == "mixed" else site,
            "appearance": classes(n, where, rng),
            "enhancing": rng.permutation(np.arange(n) >= round(partial * n)),
            "tumour_share": share,
            "radius_mm": np.cbrt(3 * share * _BRAIN_MM3 / (4 * np.pi)),
            "tumour_z": SEMI_AXES_MM[0] * reach * height,
            "tumour_y": SEMI_AXES_MM[1] * reach * np.sin(polar),
            "tumour_x": SEMI_AXES_MM[2] * reach * np.cos(polar) * side,
            "core": rng.uniform(0.5, 0.68, n),
            "necrosis": rng.uniform(0.78, 0.9, n),
            "oedema_level": (oedema_contrast * rng.normal(1.0, 0.6, n)).clip(0.0),
            **{f"gain_{name}": gain for name, gain in zip(CHANNELS, gains, strict=True)},
            "patient_seed": case_seeds(n, rng),
        }
    )
    count = 1 if slices is None else slices
    table = patients.loc[patients.index.repeat(count)].reset_index(drop=True)
    rng = stream(seed, DATASET, site, "cases")
    place = np.tile((np.arange(count) + 0.5) / count * 2 - 1, n)
    place += rng.uniform(-0.3, 0.3, len(table)) / count
    enough = _MIDDLE * np.sqrt(np.maximum(table["radius_mm"] ** 2 - _ENOUGH_MM2 / np.pi, 9.0))
    names = table["cluster"] if slices is None else _slice_names(table["cluster"], count)
    table.insert(0, "case", list(names))
    table["z_mm"] = np.nan if slices is None else table["tumour_z"] + place * enough
    table = table.assign(
        aux_informativeness=aux_informativeness,
        cluster_gap=cluster_gap,
        noise=noise,
        bias=bias,
        site_gap=site_gap,
        kspace_alpha=kspace_alpha,
        spikes=round(spikes),
    )
    return table.assign(seed=case_seeds(len(table), rng))


def _slice_names(patients: "pd.Series[str]", count: int) -> list[str]:
    return [f"{name}-{i % count:02d}" for i, name in enumerate(patients)]


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one slice or volume from its row.

    Args:
        row: from :func:`draw`; a volume where ``z_mm`` is not a number.
        size: side (px) of the slice or volume; its field is 190 mm wide.

    Returns:
        Image (4, *spatial), channels as :data:`CHANNELS`, 0 outside the brain; targets ``mask``
        (codes 0, 1, 2, 4) and ``present`` (3,): whether necrosis, oedema and enhancing tumour
        occur; ``info`` has ``tissue``, the codes of the brain without the tumour, and
        ``appearance``, the cluster.
    """
    axis = (np.arange(size) + 0.5) * FIELD_MM / size - FIELD_MM / 2
    flat = not np.isnan(row["z_mm"])
    levels = np.array([row["z_mm"]]) if flat else axis
    points = [levels[:, None, None], axis[None, :, None], axis[None, None, :]]
    healthy = brain(points, row["patient_seed"])
    mask = _tumour(points, row)
    mask[(healthy.tissue == OUTSIDE) | (healthy.ventricle & (mask == OEDEMA))] = 0
    rng = np.random.default_rng(row["seed"])
    image = _signal(points, healthy.tissue, mask, row)
    if flat:
        image, mask, tissue = image[:, 0], mask[0], healthy.tissue[0]
    else:
        tissue = healthy.tissue
    image = _scan(image, tissue != OUTSIDE, row, rng)
    codes = (NECROSIS, OEDEMA, ENHANCING)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image,
        target={"mask": mask, "present": np.array([int((mask == c).any()) for c in codes])},
        spacing_mm=(FIELD_MM / size,) * mask.ndim,
        site=row["site"],
        info={"tissue": tissue, "appearance": int(row["appearance"])},
    )


def _tumour(points: list[NDArray[np.floating]], row: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Nest oedema, enhancing rim and necrosis around a centre, with rough surfaces."""
    rng = np.random.default_rng([row["patient_seed"], 12])
    turn = rotation(*rng.uniform(0, np.pi, 3))
    stretch = np.exp(0.15 * rng.standard_normal(3))
    stretch /= np.cbrt(stretch.prod())
    centre = [row["tumour_z"], row["tumour_y"], row["tumour_x"]]
    offset = [p - c for p, c in zip(points, centre, strict=True)]
    turned = [sum(a * o for a, o in zip(line, offset, strict=True)) for line in turn]
    reach = np.sqrt(sum((o / s) ** 2 for o, s in zip(turned, stretch, strict=True)))
    reach = reach / row["radius_mm"]
    halo = reach * (1 + 0.16 * waves(points, 35.0, rng).clip(-1.6, 1.6))
    inner = reach * (1 + 0.10 * waves(points, 22.0, rng))
    deep = inner * (1 + 0.08 * waves(points, 14.0, rng))
    change = row["cluster_gap"] * _CLUSTERS[row["appearance"], 2]
    mask = np.zeros(reach.shape, np.uint8)
    mask[halo < 1] = OEDEMA
    mask[inner < row["core"]] = ENHANCING if row["enhancing"] else NECROSIS
    if row["enhancing"]:
        mask[deep < row["core"] * np.clip(row["necrosis"] + change, 0.2, 0.92)] = NECROSIS
    return mask


def _signal(
    points: list[NDArray[np.floating]],
    tissue: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    row: Mapping[str, Any],
) -> Field:
    """Look up the level of every tissue in every channel, then let tissue and tumour vary."""
    enhancement, necrosis, _, patchy, contrast = (
        row["cluster_gap"] * _CLUSTERS[row["appearance"]]
    ).tolist()
    levels = _LEVELS.copy()
    levels[4, 2] = levels[2, 2] - row["oedema_level"]
    levels[5, 2] += enhancement
    levels[3, 2] = max(levels[3, 2] + necrosis, 0.05)
    levels[:, :] = 0.5 + (1 + contrast) * (levels - 0.5)
    rng = np.random.default_rng([row["patient_seed"], 13])
    kind = np.select([tissue == CSF, tissue == GREY], [0, 1], 2)
    sick = np.select([mask == NECROSIS, mask == OEDEMA, mask == ENHANCING], [3, 4, 5], kind)
    image = np.moveaxis(levels[sick], -1, 0)
    dull = 1 - row["aux_informativeness"]
    image[0] = (1 - dull) * image[0] + dull * levels[kind, 0]
    uneven = np.where(mask > 0, 0.04 + patchy, 0.04) * waves(points, 9.0, rng)
    uneven = uneven * np.where(mask == OEDEMA, 0.4, 1.0)
    image = np.maximum(image * (1 + np.clip(uneven, -0.6, 0.6)), 0.02)
    return (image * (tissue != OUTSIDE)).astype(np.float32)


def _scan(
    image: Field, inside: NDArray[np.bool_], row: Mapping[str, Any], rng: np.random.Generator
) -> Field:
    """Blur, gain, coil field, gamma and noise of the site, then what goes wrong in k-space."""
    gap = row["site_gap"] if row["site"] == "B" else 0.0
    gains = np.array([row[f"gain_{name}"] for name in CHANNELS])
    gains *= 1 + gap * np.array([-0.2, 0.3, 0.1, -0.1])
    found = np.empty_like(image)
    for channel, gain in enumerate(gains):
        signal = scanner.blur(image[channel], 0.6 + 0.5 * gap)
        signal *= gain * bias_field(signal.shape, row["bias"] * (1 + gap), rng)
        signal = signal ** (1 + 0.4 * gap)
        signal = scanner.rician(signal, row["noise"] * (1 + gap), rng)
        found[channel] = _corrupted(signal * inside, row, rng)
    return np.clip(_SCALE * found, 0, 1).astype(np.float32)


def _corrupted(image: Field, row: Mapping[str, Any], rng: np.random.Generator) -> Field:
    """Drop high spatial frequencies and add single wrong samples of k-space."""
    if row["kspace_alpha"] >= 1 and not row["spikes"]:
        return image
    spectrum = np.fft.fftshift(np.fft.fftn(image))
    away = np.meshgrid(*[np.arange(n) - n // 2 for n in image.shape], indexing="ij", sparse=True)
    distance = np.sqrt(sum(a**2 for a in away))
    spectrum[distance > row["kspace_alpha"] * distance.max()] = 0
    for _ in range(row["spikes"]):
        place = tuple(int(rng.integers(n)) for n in image.shape)
        spectrum[place] += 0.15 * image.sum() * np.exp(2j * np.pi * rng.random())
    return np.abs(np.fft.ifftn(np.fft.ifftshift(spectrum))).astype(np.float32)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    site: str = "A",
    slices: int | None = 12,
    oedema_contrast: float = 0.05,
    aux_informativeness: float = 1.0,
    rarity: float = 1.0,
    cluster_gap: float = 1.0,
    partial: float = 0.05,
    scanner_shift: float = 0.1,
    noise: float = 0.03,
    bias: float = 0.15,
    site_gap: float = 1.0,
    kspace_alpha: float = 1.0,
    spikes: float = 0.0,
) -> Cases:
    """Generate gliomas; each of ``n`` patients has ``slices`` cases, or one volume.

    1. Brain: see :func:`common.datasets.glioma_phantom_brain.brain`.
    2. Tumour: volume lognormal (median 7 %, log sd 0.5) within 2-15 % of the brain; oedema where
       rho (1 + 0.16 f) < 1, with rho the distance from the centre over the radius, stretched and
       turned, f smooth waves; core to 0.5-0.68 of it, an enhancing rim around necrosis.
    3. Slices: equally spaced in the middle 85 % of where a ball of that radius has more than
       1,000 mm², the printed rule of inclusion (27 slices a patient); neighbours are much alike.
       Printed: 798 of 1,009 validation slices show all three classes (here about as many); of
       the rest most show one class there, and two here.
    4. Levels by tissue and channel: in T1ce necrosis 0.4 below and the rim 0.6 above white matter,
       oedema ``oedema_contrast`` below; in FLAIR oedema 0.5 above, times ``aux_informativeness``.
    5. Six appearance clusters of patients (50, 20, 12, 10, 5 and 3 %).
    6. Scanner: blur, gain exp(N(0, ``scanner_shift``)), coil field exp(``bias`` z), Rician noise;
       site B adds gamma, blur, gains, twice the noise and field; corruption of k-space.

    Args:
        n: number of patients.
        seed: seed of the phantom.
        size: side (px) of slices or volumes.
        site: ``A``, ``B``, or ``mixed`` for both in turn.
        slices: slices of a patient (27 in the printed training part); ``None`` for volumes.
        oedema_contrast: see :data:`DIALS`, as all that follow.
        aux_informativeness: FLAIR's view of the tumour.
        rarity: unequal clusters.
        cluster_gap: how clusters differ.
        partial: patients without enhancing tumour.
        scanner_shift: gain between patients.
        noise: Rician noise.
        bias: coil field.
        site_gap: how site B differs.
        kspace_alpha: share of frequencies kept.
        spikes: wrong samples of k-space in each channel.

    Returns:
        Cases in the order of patients and slices.

    Raises:
        ValueError: a dial is out of its range, ``site`` is unknown or ``slices`` is below 1.
    """
    if site not in (*SITES, "mixed"):
        raise ValueError(f"`site` must be A, B or mixed, got {site!r}.")
    if slices is not None and slices < 1:
        raise ValueError(f"`slices` must be at least 1, or None for volumes, got {slices!r}.")
    dials = {
        "oedema_contrast": oedema_contrast,
        "aux_informativeness": aux_informativeness,
        "rarity": rarity,
        "cluster_gap": cluster_gap,
        "partial": partial,
        "scanner_shift": scanner_shift,
        "noise": noise,
        "bias": bias,
        "site_gap": site_gap,
        "kspace_alpha": kspace_alpha,
        "spikes": spikes,
    }
    check(DIALS, dials)
    table = draw(n, seed, site=site, slices=slices, **dials)
    return Cases(table, functools_partial(render, size=size))
