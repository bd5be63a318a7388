"""Faces of the phantom: 68 landmarks moved by ten modes, and pictures painted from them.

Coordinates are (column, row) in pixels of a picture of 64 x 64 and scale with the size asked for.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter

from common.phantoms import noise as camera
from common.phantoms.fields import Field, smooth_noise
from common.phantoms.shapes import ellipsoid, rotation, soft, tube

Points = NDArray[np.float64]

MODES = (
    "eye_spacing",
    "palpebral_slant",
    "eye_opening",
    "bridge_width",
    "nose_length",
    "philtrum_length",
    "lip_thickness",
    "mouth_width",
    "jaw_width",
    "chin_height",
)
EXPRESSION = (
    MODES.index("philtrum_length"),
    MODES.index("lip_thickness"),
    MODES.index("mouth_width"),
)
_FRAME = 64.0
_FINE = 4  # samples along each side of a pixel
_MODE_PX = 1.2  # shift of the landmarks for one standard deviation of identity
_MIDDLE = 32.0


def _template() -> Points:
    """Place the 68 points in the order of the usual annotation: jaw, brows, nose, eyes, lips."""
    t = np.linspace(0, np.pi, 17)
    jaw = np.stack([_MIDDLE - 19 * np.cos(t), 27 + 29 * np.sin(t)], axis=1)
    brow = [(16, 21.2), (18.8, 19.2), (22, 18.6), (25, 19.2), (28, 20.6)]
    eye = [(19.5, 26), (22, 24.1), (25, 24.1), (27.5, 26.3), (25, 27.5), (22, 27.5)]
    nose = [(32, 25), (32, 29), (32, 33), (32, 37)]
    base = [(27.5, 39.5), (29.7, 40.4), (32, 41), (34.3, 40.4), (36.5, 39.5)]
    upper = [(25, 47), (27.7, 45.6), (30.2, 44.9), (32, 45.4)]
    lower = [(27.5, 49.3), (30, 50.6), (32, 50.9)]
    inner = [(26, 47), (30, 46.7), (32, 47)]
    inner_low = [(30, 47.5), (32, 47.7)]
    parts = [
        jaw,
        brow,
        _mirror(brow)[::-1],
        nose,
        base,
        eye,
        _mirror([eye[i] for i in (3, 2, 1, 0, 5, 4)]),
        upper,
        _mirror(upper[2::-1]),
        _mirror(lower[:2]),
        lower[::-1],
        inner,
        _mirror(inner[1::-1]),
        _mirror(inner_low[:1]),
        inner_low[::-1],
    ]
    return np.concatenate([np.asarray(part, dtype=float) for part in parts])


def _mirror(points: ArrayLike) -> Points:
    return np.asarray(points, dtype=float) * (-1, 1) + (2 * _MIDDLE, 0)


TEMPLATE = _template()


def _modes() -> NDArray[np.float64]:
    """Give the shift of each landmark for one pixel of each mode, (10, 68, 2)."""
    found = np.zeros((len(MODES), 68, 2))
    side = np.sign(TEMPLATE[:, 0] - _MIDDLE)
    eyes, left, right = slice(36, 48), [36, 39], [45, 42]
    found[0, 17:27, 0], found[0, eyes, 0] = 0.8 * side[17:27], side[eyes]
    for outer, inner, block in (
        (left[0], left[1], slice(36, 42)),
        (right[0], right[1], slice(42, 48)),
    ):
        x = TEMPLATE[block, 0]
        share = (x - TEMPLATE[inner, 0]) / (TEMPLATE[outer, 0] - TEMPLATE[inner, 0])
        found[1, block, 1] = 0.7 - 1.4 * share
    found[2, [37, 38, 43, 44], 1], found[2, [40, 41, 46, 47], 1] = -0.7, 0.4
    found[3, [31, 32, 34, 35], 0] = np.array([-1, -0.5, 0.5, 1])
    found[4, 28:31, 1], found[4, 31:36, 1] = (0.35, 0.7, 1), 1
    found[5, 48:68, 1] = 1
    thick_up, thick_down = [49, 50, 51, 52, 53], [55, 56, 57, 58, 59]
    found[6, thick_up, 1], found[6, thick_down, 1] = -0.6, 0.8
    found[7, 48:68, 0] = (TEMPLATE[48:68, 0] - _MIDDLE) / 7
    t = np.linspace(0, np.pi, 17)
    found[8, :17, 0] = -1.4 * np.sin(2 * t) * (1 + 0.3 * np.sin(t))
    found[9, :17, 1] = np.sin(t) ** 4 * 1.3
    return found


_SHIFTS = _modes()


def landmarks(row: Mapping[str, Any]) -> Points:
    """Place the 68 landmarks of a picture.

    K = R (T + 1.2 sum_m z_m M_m), R the rest of pose after alignment and the crop of the source.

    Args:
        row: with one entry for each of :data:`MODES`, ``turn`` (radians), ``zoom``, ``shift_x``
            and ``shift_y`` (px of 64).

    Returns:
        (68, 2) columns and rows, in pixels of 64 (0 is the picture's edge).
    """
    z = np.array([row[name] for name in MODES])
    placed = TEMPLATE + _MODE_PX * np.tensordot(z, _SHIFTS, axes=1)
    return posed(placed, row)


def posed(points: Points, row: Mapping[str, Any]) -> Points:
    """Turn, scale and shift points about the picture's middle, as ``row`` says."""
    turn = rotation(float(row["turn"]))
    moved = row["zoom"] * (points - _MIDDLE) @ turn.T + _MIDDLE
    return moved + np.array([row["shift_x"], row["shift_y"]])


def _closed(points: Points) -> Points:
    """Draw a smooth closed curve through points, six for each of them."""
    curve: Points = _spline(len(points)) @ points
    return curve


@cache
def _spline(n: int) -> Points:
    """Give the weights of n points in their periodic cubic spline, (6 n, n)."""
    ring = np.vstack([np.eye(n), np.eye(n)[:1]])
    places = np.linspace(0, n, 6 * n, endpoint=False)
    weights: Points = CubicSpline(np.arange(n + 1), ring, bc_type="periodic")(places)
    return weights


def _cover(points: Points, size: int) -> Field:
    """Share of each pixel inside a polygon given in pixels of 64."""
    fine = Image.new("L", (_FINE * size, _FINE * size))
    scaled = points * (_FINE * size / _FRAME) - 0.5
    ImageDraw.Draw(fine).polygon(scaled.ravel().tolist(), fill=1)
    inside = np.asarray(fine, dtype=np.float32)
    return inside.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))


def _stroke(points: Points, radii: ArrayLike, size: int) -> Field:
    """Cover of a line of given half-widths (px of 64)."""
    scale = size / _FRAME
    depth = tube((size, size), points[:, ::-1] * scale - 0.5, np.asarray(radii) * scale)
    return soft(depth)


def _disk(centre: ArrayLike, radius: float, size: int) -> Field:
    scale = size / _FRAME
    place = np.asarray(centre, dtype=float)[::-1] * scale - 0.5
    return soft(ellipsoid((size, size), place, [max(radius * scale, 0.3)] * 2))


def paint(row: Mapping[str, Any], points: Points, size: int, rng: np.random.Generator) -> Field:
    """Paint a face from its landmarks: hair, neck, skin, shading, brows, eyes, nose and lips.

    Args:
        row: with ``skin`` (0 dark to 1 light), ``hair`` (0 to 1), ``brow`` (factor), ``spots``
            (number) and ``back_0`` to ``back_2``.
        points: from :func:`landmarks`.
        size: side (pixels).
        rng: source of randomness of what the row does not say.

    Returns:
        (3, size, size) float32 in about 0 to 1.
    """
    unit = row["zoom"] * size / _FRAME
    skin = _mix((0.36, 0.23, 0.17), (0.93, 0.77, 0.68), float(row["skin"]))
    hair = _mix((0.06, 0.05, 0.05), (0.62, 0.48, 0.30), float(row["hair"]))
    image = np.broadcast_to(
        np.array([row["back_0"], row["back_1"], row["back_2"]], np.float32)[:, None, None],
        (3, size, size),
    ).copy()
    image *= 1 + 0.04 * smooth_noise((size, size), 8 * unit, rng)
    head = _head(points, row)
    crown = head.mean(0) + (head - head.mean(0)) * (1.14, 1.1) + (0, -3.0 * row["zoom"])
    _blend(image, _cover(crown, size), hair * (1 + 0.12 * smooth_noise((size, size), 1.5, rng)))
    neck = posed(np.array([(22, 46), (42, 46), (44, 70), (20, 70)], dtype=float), row)
    _blend(image, _cover(neck, size), 0.72 * skin)
    face = _cover(head, size)
    _blend(image, face, skin * _shading(points, face, size, unit))
    _blend(image, 0.8 * _hairline(head, face, size, row), hair)
    _features(image, row, points, size, skin, hair)
    for _ in range(int(row["spots"])):
        place = points[[2, 14, 30, 8]].T @ rng.dirichlet([1.2, 1.2, 1.2, 0.8])
        _blend(image, 0.75 * _disk(place, rng.uniform(0.6, 0.95) * row["zoom"], size), 0.5 * skin)
    return image


def _mix(dark: ArrayLike, light: ArrayLike, share: float) -> NDArray[np.float32]:
    low, high = np.asarray(dark, np.float32), np.asarray(light, np.float32)
    return (low + share * (high - low))[:, None, None]


def _blend(image: Field, cover: Field, colour: NDArray[np.floating]) -> None:
    """Lay a colour over a picture, in place."""
    image += cover * (colour - image)


def _head(points: Points, row: Mapping[str, Any]) -> Points:
    """Close the jaw line over the forehead."""
    t = np.linspace(np.pi, 0, 9)[1:-1]
    forehead = np.stack([_MIDDLE - 18.6 * np.cos(t), 27 - 19.5 * np.sin(t)], axis=1)
    return _closed(np.vstack([points[:17], posed(forehead, row)]))


def _hairline(head: Points, face: Field, size: int, row: Mapping[str, Any]) -> Field:
    """Cover of the hair that hangs over the upper forehead and the temples."""
    middle = head.mean(0)
    inner = middle + (head - middle) * (0.93, 0.9) + (0, 1.6 * row["zoom"])
    rows = (np.arange(size, dtype=np.float32)[:, None] + 0.5) * _FRAME / size
    return face * (1 - _cover(inner, size)) * soft(22 + row["shift_y"] - rows, 6)


def _shading(points: Points, face: Field, size: int, unit: float) -> Field:
    """Light and shade of the face's relief, a factor of the skin."""
    rim = gaussian_filter(face, 3.2 * unit)
    ridge = gaussian_filter(_stroke(points[27:31], [1.0, 1.0, 1.2, 1.6], size), 0.9 * unit)
    width = 0.5 * (points[35, 0] - points[31, 0])
    flank = np.array([0.62 * width, 0.0])
    left, right = (_stroke(points[28:31] + sign * flank, 0.9, size) for sign in (-1, 1))
    sides = gaussian_filter(left + right, 1.1 * unit)
    left, right = (_cover(_closed(points[first : first + 6]), size) for first in (36, 42))
    sockets = gaussian_filter(left + right, 1.8 * unit)
    left, right = (_disk(0.5 * (points[jaw] + points[30]), 4, size) for jaw in (3, 13))
    cheeks = gaussian_filter(left + right, 2.5 * unit)
    chin = gaussian_filter(_stroke(points[[58, 57, 56]] + (0, 2.0), 0.8, size), 1.0 * unit)
    relief = 0.14 * ridge - 0.16 * sides - 0.2 * sockets + 0.07 * cheeks
    shade: Field = (0.55 + 0.47 * np.clip(1.35 * rim - 0.3, 0, 1) + relief - 0.14 * chin).astype(
        np.float32
    )
    return shade


def _features(
    image: Field,
    row: Mapping[str, Any],
    points: Points,
    size: int,
    skin: NDArray[np.float32],
    hair: NDArray[np.float32],
) -> None:
    """Draw brows, eyes, nostrils and lips, in place."""
    zoom, dense = float(row["zoom"]), float(row["brow"])
    for brow in (points[17:22], points[22:27]):
        cover = _stroke(brow, 0.8 * zoom * np.sqrt(dense), size)
        _blend(image, np.clip(0.7 * dense, 0, 1) * cover, 0.8 * hair)
    for eye in (points[36:42], points[42:48]):
        ball = _cover(_closed(eye), size)
        _blend(image, ball, _mix((0.82, 0.8, 0.78), (0.95, 0.94, 0.93), float(row["skin"])))
        iris, middle = _mix((0.22, 0.13, 0.08), (0.3, 0.45, 0.55), float(row["iris"])), eye.mean(0)
        _blend(image, ball * _disk(middle, 1.75 * zoom, size), iris)
        _blend(image, ball * _disk(middle, 0.8 * zoom, size), iris * 0.1)
        _blend(image, 0.75 * _stroke(eye[:4], 0.35 * zoom, size), 0.25 * skin)
    for nostril in (points[32], points[34]):
        _blend(image, 0.75 * _disk(nostril, 0.85 * zoom, size), 0.3 * skin)
    _blend(image, 0.35 * _stroke(points[31:36], 0.4 * zoom, size), 0.45 * skin)
    lips = skin * np.array([0.88, 0.58, 0.58], np.float32)[:, None, None]
    _blend(image, 0.85 * _cover(_closed(points[48:60]), size), lips)
    _blend(image, 0.9 * _cover(points[60:68], size), 0.25 * lips)
    _blend(image, 0.6 * _stroke(points[[48, 61, 62, 63, 54]], 0.25 * zoom, size), 0.3 * lips)


def photograph(
    image: Field, row: Mapping[str, Any], points: Points, rng: np.random.Generator
) -> Field:
    """Add light, the source's tint, blur, noise, grey, an eye bar, a caption and compression.

    Args:
        image (3, size, size): from :func:`paint`.
        row: with ``light_x``, ``light_y``, ``tint_0`` to ``tint_2``, ``blur`` (px of 64),
            ``noise``, ``quality`` (JPEG), ``grey``, ``eye_bar`` and ``caption``.
        points: from :func:`landmarks`.
        rng: source of randomness.

    Returns:
        (3, size, size) float32 in [0, 1].
    """
    size = image.shape[-1]
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    image = image * (1 + row["light_x"] * axis + row["light_y"] * axis[:, None])
    image = image * np.array([1 + row[f"tint_{i}"] for i in range(3)], np.float32)[:, None, None]
    if row["grey"]:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        image = np.broadcast_to(np.tensordot(weights, image, axes=1), image.shape)
    sigma = row["blur"] * size / _FRAME
    image = camera.gaussian(camera.blur(image, (0, sigma, sigma)), row["noise"], rng)
    if row["eye_bar"]:
        ends = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
        reach = ends + 0.45 * (ends - ends[::-1])
        image *= 1 - _stroke(reach, 3.4 * row["zoom"], size)
    if row["caption"]:
        _caption(image, rng)
    return camera.jpeg_blocks(np.clip(image, 0, 1), float(row["quality"]))


def _caption(image: Field, rng: np.random.Generator) -> None:
    """Print a strip of text over the lower edge, in place."""
    size = image.shape[-1]
    height = max(4, round(0.09 * size))
    strip = np.ones((height, size), np.float32)
    letters = np.repeat(rng.random((height - 2, size // 2 + 1)) < 0.5, 2, axis=1)[:, :size]
    words = np.repeat(rng.random(size // 8 + 1) < 0.8, 8)[:size]
    strip[1:-1] -= 0.8 * (letters & words)
    image[:, -height:] = strip
