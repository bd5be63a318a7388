"""The scanned photograph of the gel phantom: dye, paper, printed letters and marks, camera."""

import numpy as np
from numpy.typing import NDArray

from common.phantoms.noise import blur, gaussian, specks
from common.phantoms.stains import transmit

NATIVE = (188, 283)  # height and width of the released images (px)

# optical density of red, green and blue for one of their mean: full stain is about (60, 40, 240)
_DYE = [(0.875, 1.125, 0.02)]
_INK = 0.18
_DOT = (2.4, 2.2)  # height and width of a printed dot (px)
_GLYPHS = {
    letter: np.array([[dot == "#" for dot in line] for line in text.split()], dtype=float)
    for letter, text in {
        "E": "#### #... ###. #... ####",
        "L": "#... #... #... #... ####",
        "P": "###. #..# ###. #... #...",
        "G": ".### #... #.## #..# .###",
        "A": ".##. #..# #### #..# #..#",
        "M": "#...# ##.## #.#.# #...# #...#",
        "K": "#..# #.#. ##.. #.#. #..#",
        "2": "### ..# ### #.. ###",
        "5": "### #.. ### ..# ###",
        "6": "### #.. ### #.# ###",
        "9": "### #.# ### ..# ###",
    }.items()
}


def scan(
    gel: NDArray[np.float32],
    columns: NDArray[np.float64],
    top: float,
    scale: NDArray[np.float64],
    layout: np.random.Generator,
    camera: np.random.Generator,
) -> NDArray[np.float32]:
    """Turn a gel's stain into a scanned photograph with paper, print, specks, blur and noise.

    Args:
        gel (height, width): optical density.
        columns (6,): centres of the lanes (px of the native image).
        top: row of albumin (px of the native image).
        scale (2,): pixels of this image for one of the native image, down and across.
        layout: source of what is printed where.
        camera: source of colour cast, specks and noise.

    Returns:
        (3, height, width) float32 in [0, 1].
    """
    paper = (248 + 2 * camera.standard_normal() + camera.standard_normal(3)) / 255
    image = transmit(gel[None], _DYE, np.minimum(paper, 1))
    foot = top + 140
    for text, column in zip(("ELP", *"GAMKL"), columns, strict=True):
        _print(image, text, foot + layout.normal(0, 1.5), column - 5.5 * len(text), scale)
    right = columns[-1] + 10 + layout.normal(0, 2)
    _print(image, str(layout.choice([2, 5, 6, 9])), top - 15, right - 14, scale)
    bar, post = np.ones((1, 6)), np.ones((6, 1))
    for y, x in ((top - 19, columns[0] - 20), (top - 19, right), (foot - 6, columns[0] - 20)):
        _ink(image, bar, y, x, scale)
        _ink(image, post, y, x if x < right else x + 11, scale)
    # a speck is one pixel of the native image: a smaller image dilutes it
    shade = np.ones(gel.shape, np.float32)
    image = image * specks(shade, 6, 1 - 0.4 * min(1, scale.prod()), camera, radius=0.5)
    image = blur(image, (0, 0.6 * scale[0], 0.6 * scale[1]))
    return np.clip(gaussian(image, 2.5 / 255, camera), 0, 1)


def _print(
    image: NDArray[np.float32], words: str, y: float, x: float, scale: NDArray[np.float64]
) -> None:
    """Print letters 12 px high whose first one's upper left corner is given, in place."""
    for letter in words:
        _ink(image, _GLYPHS[letter], y, x, scale)
        x += _DOT[1] * _GLYPHS[letter].shape[1] + 2


def _ink(
    image: NDArray[np.float32],
    dots: NDArray[np.floating],
    y: float,
    x: float,
    scale: NDArray[np.float64],
) -> None:
    """Print a pattern of dots, in place; each pixel is darkened by its covered share."""
    down, across = (
        _overlap(start * step, count, dot * step, side)
        for start, count, dot, step, side in zip(
            (y, x), dots.shape, _DOT, scale, image.shape[1:], strict=True
        )
    )
    area = image[:, down[0] : down[0] + len(down[1]), across[0] : across[0] + len(across[1])]
    area *= (1 - (1 - _INK) * (down[1] @ dots @ across[1].T)).astype(np.float32)


def _overlap(start: float, n: int, dot: float, side: int) -> tuple[int, NDArray[np.float64]]:
    """Give the first pixel that a line of dots touches and each dot's share of each pixel."""
    first = min(max(0, int(start)), side)
    last = min(side, max(first, int(np.ceil(start + n * dot))))
    pixel = np.arange(first, last)[:, None]
    edge = start + dot * np.arange(n)
    share = np.minimum(pixel + 1, edge + dot) - np.maximum(pixel, edge)
    return first, np.clip(share, 0, 1)
