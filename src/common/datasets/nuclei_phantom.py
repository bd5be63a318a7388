"""Phantom of stained tissue with nuclei of five classes; stands in for PanNuke.

Slides of 19 tissues with three or four tiles each; the targets are those of PanNuke, the number
and the class of the nucleus at each pixel.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from common.datasets import nuclei_phantom_tile as tile
from common.datasets.cases import Case, Cases
from common.datasets.nuclei_phantom_dials import DIALS
from common.phantoms import dials, draws, stains

DATASET = "nuclei-phantom"
CLASSES = tile.CLASSES
RANGE = (0.0, 1.0)
QUICK = {"n": 130, "size": 96}
# nuclei of each class in PanNuke, in the order of CLASSES without background
NUCLEI = (77403, 32276, 50585, 2908, 26572)
# patches of each tissue in PanNuke, most frequent first
PATCHES = {
    "Breast": 2351,
    "Colon": 1440,
    "Adrenal_gland": 437,
    "Esophagus": 424,
    "Bile-duct": 420,
    "HeadNeck": 384,
    "Cervix": 293,
    "Thyroid": 226,
    "Liver": 224,
    "Testis": 196,
    "Pancreatic": 195,
    "Skin": 187,
    "Uterus": 186,
    "Lung": 184,
    "Prostate": 182,
    "Stomach": 146,
    "Ovarian": 146,
    "Bladder": 146,
    "Kidney": 134,
}


def tissue_table(
    n_tissues: int, *, contrast_spread: float, mix_spread: float, stain_jitter: float
) -> pd.DataFrame:
    """Make the properties of the tissues, the same for every seed.

    Args:
        n_tissues: the most frequent ones of :data:`PATCHES`.
        contrast_spread: standard deviation of the log contrast.
        mix_spread: standard deviation of the log shares of the classes.
        stain_jitter: relative standard deviation of the stains' colours.

    Returns:
        One row a tissue: tissue, patches, crowd (factor on the density), radius (factor), contrast,
        strands (factor on the stroma), mix_1 to mix_5, haematoxylin and eosin in r, g, b.
    """
    names = list(PATCHES)[:n_tissues]
    rows = []
    for name in names:
        rng = draws.stream(0, DATASET, "tissue", name)
        crowd, radius, contrast = np.clip(rng.standard_normal(3), -1.8, 1.8)
        mix = np.array(NUCLEI) * np.exp(mix_spread * rng.standard_normal(5))
        mix /= mix.sum()
        dyes = stains.jitter([stains.HAEMATOXYLIN, stains.EOSIN], stain_jitter, rng)
        row = {
            "tissue": name,
            "patches": PATCHES[name],
            "crowd": np.exp(0.3 * crowd),
            "radius": np.exp(0.1 * radius),
            "contrast": np.exp(contrast_spread * contrast),
            "strands": rng.uniform(0.5, 1.5),
        }
        row |= {f"mix_{code}": mix[code - 1] for code in range(1, 6)}
        for dye, density in zip(("haematoxylin", "eosin"), dyes, strict=True):
            row |= {f"{dye}_{c}": density[i] for i, c in enumerate("rgb")}
        rows.append(row)
    table = pd.DataFrame(rows)
    # the mean over all patches is the density asked for
    table["crowd"] /= np.average(table["crowd"], weights=table["patches"])
    return table


def draw(
    n: int,
    seed: int,
    *,
    tiles: tuple[int, int],
    n_tissues: int,
    context: float,
    looks: float,
    contrast_spread: float,
    mix_spread: float,
    tissue_balance: float,
    stain_jitter: float,
    slide_sd: float,
    density: float,
    touching: float,
    debris: float,
    out_of_focus: float,
    stroma: float,
    halo: float,
    blur: float,
    noise: float,
    compression: float,
) -> pd.DataFrame:
    """Draw the parameters of every tile; arguments as in :func:`phantom`.

    Returns:
        One row per tile: case, cluster (slide), tissue and its properties (see
        :func:`tissue_table`), the slide's stains, white and blur, gland (whether its parenchyma is
        epithelial), fibre_angle, settings, seed.

    Raises:
        ValueError: there is no slide, or ``tiles`` or ``n_tissues`` is not possible.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    if not 1 <= tiles[0] <= tiles[1]:
        raise ValueError(f"`tiles` must be (fewest, most) from 1 on, got {tiles!r}. Change it.")
    if not 1 <= n_tissues <= len(PATCHES):
        raise ValueError(f"`n_tissues` must be in 1-{len(PATCHES)}, got {n_tissues!r}. Change it.")
    known = tissue_table(
        n_tissues,
        contrast_spread=contrast_spread,
        mix_spread=mix_spread,
        stain_jitter=stain_jitter,
    )
    rng = draws.stream(seed, DATASET, "slides")
    shares = known.pop("patches").to_numpy(dtype=float) ** (1 - tissue_balance)
    slides = known.iloc[draws.classes(n, shares.tolist(), rng)].reset_index(drop=True)
    slides.insert(0, "cluster", [f"s{k:04d}" for k in range(n)])
    for dye in ("haematoxylin", "eosin"):
        amount = np.exp(slide_sd * rng.standard_normal(n))
        for c in "rgb":
            slides[f"{dye}_{c}"] *= amount
    for c in "rgb":
        slides[f"white_{c}"] = np.clip(
            0.95 * np.exp(0.25 * slide_sd * rng.standard_normal(n)), 0, 1
        )
    slides["blur"] = blur * np.exp(0.3 * rng.standard_normal(n))
    count = rng.integers(tiles[0], tiles[1] + 1, n)
    table = slides.loc[slides.index.repeat(count)]
    number = table.groupby("cluster").cumcount().to_numpy()
    table = table.reset_index(drop=True)
    table.insert(0, "case", [f"{s}-t{k}" for s, k in zip(table["cluster"], number, strict=True)])
    rng, m = draws.stream(seed, DATASET, "tiles"), len(table)
    # the parenchyma of a tile is a gland or a tumour, in the proportion of the two classes
    both = table["mix_1"] + table["mix_5"]
    table["gland"] = rng.random(m) < (table["mix_5"] / both).to_numpy()
    table["mix_1"] = np.where(table["gland"], 0.0, both)
    table["mix_5"] = np.where(table["gland"], both, 0.0)
    table["fibre_angle"] = rng.uniform(0, np.pi, m)
    table["density"] = density * table.pop("crowd")
    table["stroma"] = stroma * table.pop("strands")
    table = table.assign(context=context, looks=looks, touching=touching, debris=debris)
    table = table.assign(out_of_focus=out_of_focus, halo=halo, noise=noise, compression=compression)
    return table.assign(seed=draws.case_seeds(m, rng))


def render(row: Mapping[str, Any], *, size: int, um_per_px: float) -> Case:
    """Render one tile from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of the tile (px).
        um_per_px: size of a pixel.

    Returns:
        Image (3, size, size), targets ``instances`` (size, size) int32, nucleus numbers from 1,
        and ``mask`` (size, size) uint8 codes of :data:`CLASSES`; info: ``tissue``, ``gland``,
        ``amounts`` (2, size, size), haematoxylin and eosin, and ``lumens`` (k, 3), centre and
        radius of the lumens (um).
    """
    layout, dye, camera = (np.random.default_rng([int(row["seed"]), part]) for part in range(3))
    nuclei = tile.arrange(row, size * um_per_px, layout)
    amounts, instances, codes = tile.stain(row, nuclei, size=size, um_per_px=um_per_px, rng=dye)
    image = tile.photograph(row, amounts, um_per_px=um_per_px, rng=camera)
    info = {
        "tissue": row["tissue"],
        "gland": bool(row["gland"]),
        "amounts": amounts,
        "lumens": nuclei.lumens,
    }
    return Case(
        row["case"],
        row["cluster"],
        image,
        {"instances": instances, "mask": codes},
        spacing_mm=(um_per_px / 1000, um_per_px / 1000),
        info=info,
    )


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    um_per_px: float = 0.5,
    tiles: tuple[int, int] = (3, 4),
    n_tissues: int = 19,
    context: float = 1.0,
    looks: float = 0.0,
    contrast_spread: float = 0.25,
    mix_spread: float = 0.3,
    tissue_balance: float = 0.0,
    stain_jitter: float = 0.03,
    slide_sd: float = 0.12,
    density: float = 24.0,
    touching: float = 0.15,
    debris: float = 4.0,
    out_of_focus: float = 2.0,
    stroma: float = 1.0,
    halo: float = 0.1,
    blur: float = 0.15,
    noise: float = 0.01,
    compression: float = 0.0,
) -> Cases:
    """Generate tiles of ``n`` slides.

    1. tissue of a slide: in the proportions of PanNuke's patches (Breast 2,351 to Kidney 134) to
       the power 1 - tissue_balance; each tissue has its own contrast c = exp(contrast_spread z),
       crowding, sizes, stains and mix of classes, the same for every seed;
    2. slide: amounts of both stains times exp(slide_sd z), white and blur of the scanner;
    3. tile: Poisson(density (side / 64 um)^2) nuclei (PanNuke: 24 in 64 um), classes in PanNuke's
       proportions 0.408 : 0.170 : 0.267 : 0.015 : 0.140 times exp(mix_spread z); the parenchyma of
       a tile is all neoplastic or all epithelial; see
       :func:`common.datasets.nuclei_phantom_tile.arrange` for their places;
    4. looks: inflammatory nuclei are small, round and dark, connective ones long and along the
       fibres, dead ones shrunken, dark and surrounded by a halo; epithelial and neoplastic ones
       look alike and differ in arrangement, and by ``looks`` in size, outline and nucleoli;
    5. haematoxylin h and eosin e: nuclei c (1 + chromatin), stroma along fibres, gaps, debris,
       blurred nuclei without label; I = W exp(-h D_h - e D_e) with the densities of Ruifrok and
       Johnston;
    6. blur, Gaussian noise, JPEG blocks.

    Args:
        n: slides; each has ``tiles`` cases.
        seed: seed of everything drawn, but not of the tissues' properties.
        size: side of a tile (px).
        um_per_px: size of a pixel (PanNuke: 256 px of 0.25 um).
        tiles: fewest and most tiles of a slide.
        n_tissues: the most frequent of the 19 tissues.
        context: share of epithelial nuclei that stand in rings.
        looks: how far neoplastic and epithelial nuclei differ in looks.
        contrast_spread: standard deviation of the log contrast between tissues.
        mix_spread: standard deviation of the log shares of the classes between tissues.
        tissue_balance: 0 for PanNuke's numbers of tissues, 1 for equal ones.
        stain_jitter: relative standard deviation of the stains between tissues.
        slide_sd: standard deviation of the log amount of stain between slides.
        density: nuclei expected in 64 by 64 um.
        touching: share of nuclei that are put beside another.
        debris: dark specks expected in 64 by 64 um.
        out_of_focus: blurred nuclei without label expected in 64 by 64 um.
        stroma: contrast of the fibres.
        halo: half width of the border of nuclei (um).
        blur: median standard deviation of the blur (um).
        noise: standard deviation of the acquisition noise.
        compression: 100 less the JPEG quality.

    Returns:
        Cases with the targets ``instances`` and ``mask``; cluster = slide; column ``tissue``.

    Raises:
        ValueError: a dial is outside its range, or a number is not possible.

    Source:
        Numbers of nuclei, patches and classes: PanNuke (Gamper et al., arXiv 2003.10778), from its
        public description.
    """
    turned = {
        "context": context,
        "looks": looks,
        "contrast_spread": contrast_spread,
        "mix_spread": mix_spread,
        "tissue_balance": tissue_balance,
        "stain_jitter": stain_jitter,
        "slide_sd": slide_sd,
        "density": density,
        "touching": touching,
        "debris": debris,
        "out_of_focus": out_of_focus,
        "stroma": stroma,
        "halo": halo,
        "blur": blur,
        "noise": noise,
        "compression": compression,
    }
    dials.check(DIALS, turned)
    if size < 32 or not 0.1 <= um_per_px <= 1:
        raise ValueError(
            f"`size` must be at least 32 and `um_per_px` in [0.1, 1], got {size!r} and "
            f"{um_per_px!r}. Nuclei would not be seen."
        )
    table = draw(n, seed, tiles=tiles, n_tissues=n_tissues, **turned)
    return Cases(table, functools.partial(render, size=size, um_per_px=um_per_px))
