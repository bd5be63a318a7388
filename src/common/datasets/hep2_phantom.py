"""Phantom of HEp-2 fluorescence images: patients, specimens, overlapping patches, masks.

Each phantom is two functions: one draws parameters (a table), one applies them and draws nothing
of its own, so that every image and every prediction can be replayed from its record.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit

PATTERNS = ("homogeneous", "speckled", "nucleolar", "centromere", "golgi", "numem", "mitsp")
PATIENTS_PER_PATTERN = (53, 52, 50, 51, 10, 21, 15)
POSITIVE_RATE = (0.49, 0.48, 0.34, 0.51, 0.40, 0.33, 0.33)
GRID = (5, 3)  # columns and rows of overlapping windows; patches are counted down the columns
FIELD = (1040 / 384, 1388 / 384)  # height and width of a specimen image in patches
N_FOLDS = 5

# specimens x pixels of a patch that take a core about ten seconds
_WORTH_PROCESSES = 2_000_000
_MITSP = PATTERNS.index("mitsp")
_CELLS_PER_PATCH = 8
_RADIUS = 1 / 9
_DEBRIS_ASPECT = 2.2
_MITOTIC_RATE = 0.08


class Texture(NamedTuple):
    """How fluorescence is spread over a cell; lengths in pixels of a 96-pixel patch.

    Attributes:
        flat: level of the nucleus between the spots.
        rim: height of a bright rim of 1.5 px.
        n_low: fewest spots.
        n_high: most spots.
        sigma: standard deviation of a spot (px).
        peak: height of a spot.
        rho_low: nearest spots, in radii of the nucleus.
        rho_high: farthest spots, in radii of the nucleus.
        arc: half of the angle in which the spots lie (radians).
    """

    flat: float
    rim: float = 0.0
    n_low: int = 0
    n_high: int = 0
    sigma: float = 1.0
    peak: float = 0.0
    rho_low: float = 0.0
    rho_high: float = 0.9
    arc: float = np.pi


# Levels are chosen so that every texture has about the same total light.
TEXTURES = (
    Texture(flat=1.0),
    Texture(flat=0.45, n_low=40, n_high=80, sigma=0.8, peak=0.7),
    Texture(flat=0.35, n_low=2, n_high=5, sigma=2.5, peak=1.5, rho_high=0.6),
    Texture(flat=0.15, n_low=30, n_high=45, sigma=0.6, peak=2.5),
    Texture(flat=0.25, n_low=8, n_high=14, sigma=1.6, peak=1.1, rho_low=1.1, rho_high=1.4, arc=0.7),
    Texture(flat=0.45, rim=1.2),
    Texture(flat=0.8, n_low=20, n_high=40, sigma=0.8, peak=0.3),
)
_SPINDLE = Texture(flat=0.25, n_low=2, n_high=2, sigma=2.2, peak=2.0)


@dataclass(frozen=True)
class Phantom:
    """Images with their references.

    Attributes:
        image: (n, 1, S, S) float32 in [0, 1].
        mask: (n, S, S) bool, the reference mask.
        label: (n,) int64, index into :data:`PATTERNS`.
        intensity: (n,) int64, 1 for positive.
        patches: one row per image: case, patient, specimen, patch, pattern.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    label: NDArray[np.int64]
    intensity: NDArray[np.int64]
    patches: pd.DataFrame

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return image, mask, label and intensity by name, as training takes them."""
        names = ("image", "mask", "label", "intensity")
        return {name: getattr(self, name) for name in names}


def draw_patients(n_patients: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw who has which pattern and intensity.

    1. patterns in the published proportions 53:52:50:51:10:21:15 (largest remainder), shuffled;
    2. positive intensity with the published rate of the pattern (overall 110 of 252).

    Args:
        n_patients: number of patients, at least 1.
        rng: source of randomness.

    Returns:
        One row per patient: patient (``p001``...), label (0-6), intensity (0 or 1).

    Raises:
        ValueError: ``n_patients`` is below 1.

    Example:
        >>> drawn = draw_patients(252, rng=np.random.default_rng(0))
        >>> drawn.label.value_counts(sort=False).sort_index().tolist()
        [53, 52, 50, 51, 10, 21, 15]
    """
    if n_patients < 1:
        raise ValueError(f"`n_patients` must be at least 1, got {n_patients!r}. Raise it.")
    share = np.array(PATIENTS_PER_PATTERN) * n_patients / sum(PATIENTS_PER_PATTERN)
    count = np.floor(share).astype(int)
    largest = np.argsort(count - share, kind="stable")[: n_patients - count.sum()]
    count[largest] += 1
    label = rng.permutation(np.repeat(np.arange(len(PATTERNS)), count))
    intensity = (rng.random(n_patients) < np.array(POSITIVE_RATE)[label]).astype(int)
    names = [f"p{i:03d}" for i in range(1, n_patients + 1)]
    return pd.DataFrame({"patient": names, "label": label, "intensity": intensity})


def draw_specimens(
    n_patients: int,
    *,
    n_specimens: int = 4,
    rng: np.random.Generator,
    evidence: float = 1.0,
    shared: float = 1.0,
    debris: float = 0.2,
    intensity_shift: float = 0.8,
    patient_sd: float = 1.0,
    bad_mask_patient: bool = True,
) -> pd.DataFrame:
    """Draw the parameters of every specimen image.

    1. pattern and intensity of each patient, see :func:`draw_patients`;
    2. patient effects, whose spread makes patches of one patient alike (released predictions:
       intraclass correlation about 0.45): log brightness b ~ N(m, 0.35), where m is
       ``intensity_shift`` higher for positive patients (0.8: about 83 % of intensities can be
       told, published 0.82); strength of the pattern s ~ Beta(4, 2), times ``evidence``; cell
       radius S/9 (1 + N(0, 0.09)); log blur ~ N(log 0.7, 0.3); noise ~ U(0.02, 0.06);
    3. specimen effects with a quarter of the patient's variance on b, s and the radius;
    4. what the mask marks: with probability ``shared`` the nuclei, which carry the pattern, else
       stain patches that lie anywhere;
    5. one patient, the first with a nuclear membrane pattern if there is one, whose mask is
       inverted in the left 60 % of two specimen images (the release: patient 00224, pixel
       accuracy 0.14-0.3 in one region in every configuration).

    Args:
        n_patients: number of patients (the report: 252).
        n_specimens: specimen images of each patient (the report: 4).
        rng: source of randomness.
        evidence: strength of the patterns, 0 to 1; at 0 all cells are homogeneous and the image
            says nothing of the pattern (its brightness still goes with intensity, whose rate
            differs a little between patterns).
        shared: share of specimens whose mask marks the nuclei; at 1 learning to segment shows
            the encoder where the evidence for the pattern is, at 0 it does not.
        debris: share of cells that are long debris outside the mask, whose pattern and brightness
            are drawn for the specimen without regard to the patient: what segmentation can teach
            to ignore.
        intensity_shift: difference of the mean log brightness, positive less intermediate.
        patient_sd: factor on the spread of the patient effects; 0 makes all patients alike.
        bad_mask_patient: include the patient with the wrong masks.

    Returns:
        One row per specimen: patient, specimen, label, intensity, brightness, strength, radius
        (of S), blur_px and noise (at 96 pixels), debris, debris_brightness, debris_label, mask_kind
        (``nuclei`` or ``stain``), bad_mask, seed.

    Raises:
        ValueError: a share is not in [0, 1], or a number is below 1.
    """
    for name, value in (("evidence", evidence), ("shared", shared), ("debris", debris)):
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be in [0, 1], got {value!r}. It is a share.")
    if n_specimens < 1:
        raise ValueError(f"`n_specimens` must be at least 1, got {n_specimens!r}. Raise it.")
    patients = draw_patients(n_patients, rng=rng)
    spread = patient_sd * rng.standard_normal((4, n_patients))
    strength = 2 / 3 + patient_sd * (rng.beta(4, 2, n_patients) - 2 / 3)
    patients["noise"] = 0.04 + patient_sd * rng.uniform(-0.02, 0.02, n_patients)
    patients["blur_px"] = 0.7 * np.exp(0.3 * spread[0])
    table = patients.loc[patients.index.repeat(n_specimens)].reset_index(drop=True)
    table.insert(1, "specimen", [f"s{i}" for i in range(n_specimens)] * n_patients)
    total = len(table)
    inner = 0.5 * patient_sd * rng.standard_normal((3, total))
    effect = [np.repeat(row, n_specimens) for row in (spread[1], strength, spread[2])]
    log_b = np.log(0.3) + intensity_shift * table["intensity"] + 0.35 * (effect[0] + inner[0])
    table["brightness"] = np.exp(log_b)
    # 0.178 is the standard deviation of Beta(4, 2).
    table["strength"] = evidence * np.clip(effect[1] + 0.178 * inner[1], 0, 1)
    table["radius"] = _RADIUS * np.clip(1 + 0.09 * (effect[2] + inner[2]), 0.7, 1.3)
    table["debris"] = debris
    table["debris_brightness"] = np.exp(np.log(0.45) + 0.4 * rng.standard_normal(total))
    table["debris_label"] = rng.integers(len(PATTERNS), size=total)
    table["mask_kind"] = np.where(rng.random(total) < shared, "nuclei", "stain")
    bad = _bad_patient(patients) if bad_mask_patient else -1
    rank = np.arange(total)
    table["bad_mask"] = (rank // n_specimens == bad) & (rank % n_specimens < 2)
    table["seed"] = rng.integers(2**31, size=total)
    return table


def _bad_patient(patients: pd.DataFrame) -> int:
    membrane = np.flatnonzero(patients["label"] == PATTERNS.index("numem"))
    return int(membrane[0]) if len(membrane) else 0


def render(
    specimens: pd.DataFrame, *, size: int = 96, n_patches: int = 15, jobs: int | None = None
) -> Phantom:
    """Render the patches of the specimens; the same table always gives the same images.

    1. cells on a jittered grid, about 8 to a patch, none overlapping; nuclei are ellipses of
       aspect 0.8-1.2, a share ``debris`` is 2.2 times as long as wide;
    2. light of a cell = (1 - s) homogeneous + s :data:`TEXTURES` of its pattern; of the mitotic
       spindle pattern only 8 % of the cells show the spindle, so that most patches look nearly
       homogeneous (the release: recall 0.30-0.44, called homogeneous most);
    3. image = clip(b (cells + stain + 0.05), 0, 1) after blur, plus noise; stain is a few wide
       dim patches;
    4. windows of one patch on a grid of 5 columns x 3 rows that cover 1388 x 1040 pixels at
       patches of 384, so that neighbours overlap.

    Args:
        specimens: from :func:`draw_specimens`.
        size: side of a patch (pixels; the report: 384).
        n_patches: patches of each specimen, spread evenly over the 15 windows.
        jobs: processes; where left out, every core if that is worth their start.

    Returns:
        The images and references, in the order of the table, windows inside specimens.

    Raises:
        ValueError: ``n_patches`` is not in 1-15, or ``size`` is below 16.
    """
    n_windows = GRID[0] * GRID[1]
    if not 1 <= n_patches <= n_windows:
        raise ValueError(f"`n_patches` must be in 1-{n_windows}, got {n_patches!r}. Change it.")
    if size < 16:
        raise ValueError(f"`size` must be at least 16, got {size!r}. Cells would vanish.")
    windows = np.linspace(0, n_windows - 1, n_patches).round().astype(int)
    corners = [_corner(int(window), size) for window in windows]
    if jobs is None:
        jobs = -1 if len(specimens) * size**2 > _WORTH_PROCESSES else 1
    images, masks = [], []
    for image, mask in Parallel(n_jobs=jobs)(
        delayed(_field)(specimen, size) for specimen in specimens.to_dict("records")
    ):
        images += [image[y : y + size, x : x + size] for y, x in corners]
        masks += [mask[y : y + size, x : x + size] for y, x in corners]
    patches = specimens[["patient", "specimen", "label", "intensity"]]
    patches = patches.loc[patches.index.repeat(n_patches)].reset_index(drop=True)
    patches["patch"] = np.tile(windows, len(specimens))
    number = patches["patch"].map("{:02d}".format)
    patches.insert(0, "case", patches["patient"] + "_" + patches["specimen"] + "_" + number)
    patches["pattern"] = np.array(PATTERNS)[patches["label"]]
    label, intensity = (patches.pop(name).to_numpy(np.int64) for name in ("label", "intensity"))
    return Phantom(np.stack(images)[:, None], np.stack(masks), label, intensity, patches)


def _corner(window: int, size: int) -> tuple[int, int]:
    """Give the top left pixel of a window; windows are counted down the columns."""
    column, row = divmod(window, GRID[1])
    y = row * (FIELD[0] - 1) * size / (GRID[1] - 1)
    x = column * (FIELD[1] - 1) * size / (GRID[0] - 1)
    return int(y), int(x)


def _field(specimen: dict[Any, Any], size: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Render one specimen image and its mask."""
    # One stream for each part: changing a texture must not move the cells or the noise.
    layout, texture, stain, noise = (
        np.random.default_rng([int(specimen["seed"]), part]) for part in range(4)
    )
    shape = (round(FIELD[0] * size), round(FIELD[1] * size))
    cells = _layout(shape, specimen, size, layout)
    nuclei, debris = cells[~cells["debris"]], cells[cells["debris"]]
    s, label = specimen["strength"], int(specimen["label"])
    light, inside = _light(shape, nuclei, label, s, size, texture)
    dirt, _ = _light(shape, debris, int(specimen["debris_label"]), s, size, texture)
    blobs = _stain(shape, size, stain)
    scene = specimen["brightness"] * (light + 0.12 * blobs + 0.05)
    scene += specimen["debris_brightness"] * dirt
    scene = gaussian_filter(scene, specimen["blur_px"] * size / 96, mode="nearest", truncate=3)
    scene += specimen["noise"] * noise.standard_normal(shape, dtype=np.float32)
    mask = inside if specimen["mask_kind"] == "nuclei" else blobs > 0.5
    if specimen["bad_mask"]:
        edge = int(0.6 * shape[1])
        mask = np.hstack([~mask[:, :edge], mask[:, edge:]])
    return np.clip(scene, 0, 1).astype(np.float32), mask


def _layout(
    shape: tuple[int, int], specimen: dict[Any, Any], size: int, rng: np.random.Generator
) -> NDArray[Any]:
    """Place the cells: centre, half axes (pixels), angle, and which are debris."""
    spacing = size / np.sqrt(_CELLS_PER_PATCH)
    rows, columns = (int(np.ceil(length / spacing)) for length in shape)
    y, x = np.indices((rows, columns)).reshape(2, -1) * spacing + spacing / 2
    n = len(y)
    kinds = [("y", float), ("x", float), ("a", float), ("b", float), ("t", float), ("debris", bool)]
    cells = np.zeros(n, dtype=kinds)
    free = max(spacing / 2 - specimen["radius"] * size, 0.0)
    cells["y"] = y + rng.uniform(-free, free, n)
    cells["x"] = x + rng.uniform(-free, free, n)
    radius = specimen["radius"] * size * rng.uniform(0.9, 1.1, n)
    cells["debris"] = rng.random(n) < specimen["debris"]
    aspect = np.where(cells["debris"], _DEBRIS_ASPECT, rng.uniform(0.8, 1.2, n))
    cells["a"], cells["b"] = radius * np.sqrt(aspect), radius / np.sqrt(aspect)
    cells["t"] = rng.uniform(0, 2 * np.pi, n)
    return cells


def _light(
    shape: tuple[int, int],
    cells: NDArray[Any],
    label: int,
    strength: float,
    size: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sum up the light of cells of one pattern; also tell which pixels lie inside a cell."""
    if len(cells) == 0:
        return np.zeros(shape, np.float32), np.zeros(shape, bool)
    mitotic = (rng.random(len(cells)) < _MITOTIC_RATE) & (label == _MITSP)
    rho, radius = _radial(shape, cells)
    disc = np.clip((1 - rho) * radius + 0.5, 0, 1)
    light = np.asarray((1 - strength) * disc, dtype=np.float32)
    for group, texture in ((~mitotic, TEXTURES[label]), (mitotic, _SPINDLE)):
        if strength > 0 and group.any():
            near, mean = (rho, radius) if group.all() else _radial(shape, cells[group])
            flat = np.clip((1 - near) * mean + 0.5, 0, 1)
            rim = np.exp(-0.5 * ((near - 0.9) * mean / (0.75 * size / 96)) ** 2)
            spots = _spots(shape, cells[group], texture, size, rng)
            light += strength * (texture.flat * flat + texture.rim * rim + spots)
    inside = rho <= 1
    return light, inside


def _radial(shape: tuple[int, int], cells: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
    """Give each pixel's distance from the nearest cell's centre, in radii of that cell, and the
    mean radius in pixels; pixels beyond every cell's stamp get 2.
    """
    reach = int(np.ceil(1.25 * max(cells["a"].max(), cells["b"].max())))
    offset = np.arange(-reach, reach + 1)
    top, left = np.rint(cells["y"]).astype(int), np.rint(cells["x"]).astype(int)
    dy = (offset[None] + (top - cells["y"])[:, None])[:, :, None]
    dx = (offset[None] + (left - cells["x"])[:, None])[:, None, :]
    cos, sin = (f(cells["t"])[:, None, None] for f in (np.cos, np.sin))
    along = (cos * dx + sin * dy) / cells["a"][:, None, None]
    across = (cos * dy - sin * dx) / cells["b"][:, None, None]
    stamps = np.sqrt(along**2 + across**2).astype(np.float32)
    margin = 3 * reach  # a cell of the jittered grid may lie just outside the field
    padded = np.full((shape[0] + 2 * margin, shape[1] + 2 * margin), 2.0, np.float32)
    for y, x, stamp in zip(top + margin - reach, left + margin - reach, stamps, strict=True):
        place = padded[y : y + len(offset), x : x + len(offset)]
        np.minimum(place, stamp, out=place)
    radius = float(np.sqrt(cells["a"] * cells["b"]).mean())
    return padded[margin:-margin, margin:-margin], radius


def _spots(
    shape: tuple[int, int],
    cells: NDArray[Any],
    texture: Texture,
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Scatter Gaussian spots: unit impulses at their pixels, one filter for all of them."""
    if texture.n_high == 0:
        return np.zeros(shape, np.float32)
    owner = np.repeat(cells, rng.integers(texture.n_low, texture.n_high + 1, len(cells)))
    n = len(owner)
    # Uniform over the ring's area.
    rho = np.sqrt(rng.uniform(texture.rho_low**2, texture.rho_high**2, n))
    angle: NDArray[Any] = rng.uniform(-texture.arc, texture.arc, n)
    if texture is _SPINDLE:  # the two poles face each other
        rho, angle = np.full(n, 0.5), np.pi * (np.arange(n) % 2)
    u, v = owner["a"] * rho * np.cos(angle), owner["b"] * rho * np.sin(angle)
    y = np.rint(owner["y"] + np.sin(owner["t"]) * u + np.cos(owner["t"]) * v).astype(int)
    x = np.rint(owner["x"] + np.cos(owner["t"]) * u - np.sin(owner["t"]) * v).astype(int)
    kept = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    flat = np.bincount(y[kept] * shape[1] + x[kept], minlength=shape[0] * shape[1])
    sigma = texture.sigma * size / 96
    impulses = flat.reshape(shape).astype(np.float32)
    return texture.peak * 2 * np.pi * sigma**2 * gaussian_filter(impulses, sigma, truncate=3)


def _stain(shape: tuple[int, int], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw wide soft discs, anywhere, that cover about as much as the nuclei do."""
    n = round(2.5 * FIELD[0] * FIELD[1])
    centres = rng.uniform(0, 1, (n, 2)) * shape
    radii = size * rng.uniform(0.18, 0.28, n)
    y, x = np.ogrid[: shape[0], : shape[1]]
    blobs = np.zeros(shape, np.float32)
    for (cy, cx), radius in zip(centres, radii, strict=True):
        distance = np.hypot(y - cy, x - cx)
        np.maximum(blobs, expit((radius - distance) / (0.03 * size)), out=blobs)
    return blobs
