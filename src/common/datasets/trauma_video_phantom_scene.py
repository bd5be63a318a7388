"""Motion and looks of the simulated trauma videos: hands, tools and a wound seen by the wearer.

Lengths are in pixels of a frame of 32; a frame of another size is the same scene enlarged.
A verb is a law of motion relative to the wound. Verbs come in pairs: the second of a pair is the
first with time reversed, frame for frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.phantoms import fields
from common.phantoms.shapes import grid, soft

SIDE = 32.0
FAMILIES = (
    ("take", "drop"),
    ("insert", "remove"),
    ("attach", "detach"),
    ("open", "close"),
    ("wind", "unwind"),
    ("press", "lift"),
)
DIRECTIONS = ("at the left", "above", "at the right")
SHAPES = ("disc", "square", "triangle", "bar", "cross", "ring")
COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "yellow": (0.95, 0.85, 0.15),
    "green": (0.15, 0.65, 0.25),
    "white": (0.95, 0.95, 0.95),
    "black": (0.08, 0.08, 0.10),
    "orange": (0.95, 0.50, 0.10),
    "cyan": (0.20, 0.80, 0.85),
}
MOST_VERBS = 2 * len(FAMILIES) * len(DIRECTIONS) + 1
MOST_NOUNS = len(SHAPES) * len(COLOURS)
# direction of the tool from the wound, from the downward axis (radians)
_ANGLES = (-1.75, 3.0, 1.75)
_REACH = 8.5
_GLOVE = (0.25, 0.30, 0.75)
_SKIN = (0.80, 0.60, 0.48)

Track = NDArray[np.float64]
Movie = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Motion:
    """Where things are in each frame, relative to the wound (px of 32).

    Args:
        tool (T, 2): centre of the tool.
        hand (T, 2): centre of the palm.
        turn (T,): rotation of the tool (radians).
        scale (T,): size of the tool, 1 for its own.
        spread (T,): angle between the two halves of an opening tool (radians).
        partner (2,) or None: a fixed counterpart that a tool is attached to.
    """

    tool: Track
    hand: Track
    turn: Track
    scale: Track
    spread: Track
    partner: Track | None = None


def verb_name(verb: int, n_verbs: int) -> str:
    """Name a verb.

    Args:
        verb: its code.
        n_verbs: size of the vocabulary; an odd one has a last verb that is its own reverse.

    Example:
        >>> verb_name(0, 8), verb_name(1, 8), verb_name(36, 37)
        ('take at the left', 'drop at the left', 'palpate')
    """
    if n_verbs % 2 and verb == n_verbs - 1:
        return "palpate"
    direction, family = divmod(verb // 2, len(FAMILIES))
    return f"{FAMILIES[family][verb % 2]} {DIRECTIONS[direction]}"


def noun_name(noun: int) -> str:
    """Name a tool, such as ``red disc``."""
    colour, shape = divmod(noun, len(SHAPES))
    return f"{list(COLOURS)[colour]} {SHAPES[shape]}"


def reverse_of(verb: int, n_verbs: int) -> int:
    """Return the verb whose clips are those of this one played backwards.

    Example:
        >>> reverse_of(0, 8), reverse_of(1, 8), reverse_of(36, 37)
        (1, 0, 36)
    """
    return verb if n_verbs % 2 and verb == n_verbs - 1 else verb ^ 1


def move(verb: int, n_verbs: int, phase: Track, *, lean: float) -> Motion:
    """Compute the motion of a verb.

    Args:
        verb: its code; odd ones are computed with the phase reversed, 1 - s.
        n_verbs: size of the vocabulary.
        phase (T,): s, from 0 to 1 over the whole action.
        lean: deviation of the direction (radians).
    """
    if n_verbs % 2 and verb == n_verbs - 1:
        return _palpate(phase)
    s = np.clip(1 - phase if verb % 2 else phase, 0, 1)
    direction, family = divmod(verb // 2, len(FAMILIES))
    angle = _ANGLES[direction] + lean
    side = np.array([np.cos(angle), np.sin(angle)])
    away = _REACH * side
    still, ones = np.zeros(len(s)), np.ones(len(s))
    ease = s * s * (3 - 2 * s)
    name = FAMILIES[family][0]
    rest = np.broadcast_to(away, (len(s), 2))
    grip = np.array([4.6, 2.2])
    if name == "take":
        # the hand comes from below, then both leave towards the wearer
        leave = np.clip(2 * s - 1, 0, 1)[:, None] * (np.array([22.0, 0.0]) - away)
        come = np.clip(1 - 2 * s, 0, 1)[:, None] * (np.array([22.0, 4.0]) - away)
        return Motion(rest + leave, rest + leave + come + grip, still, ones, still)
    if name == "insert":
        tool = (1 - ease)[:, None] * away
        return Motion(tool, tool + grip, still, 1 - 0.65 * ease, still)
    if name == "attach":
        partner = away * 0.9
        tool = partner + (1 - ease)[:, None] * np.array([side[1], -side[0]]) * 9 + 0.1 * away
        return Motion(tool, tool + grip, still, ones, still, partner)
    if name == "open":
        return Motion(rest, rest + grip, still, ones, 1.9 * ease)
    if name == "wind":
        return Motion(rest, rest + grip, 2.6 * ease, ones, still)
    tool = rest * (1 - 0.6 * ease)[:, None]
    return Motion(tool, tool + grip * (1 - 0.5 * ease)[:, None], still, ones + 0.35 * ease, still)


def _palpate(phase: Track) -> Motion:
    """Press the wound twice, the tool lying beside it; the same forwards and backwards."""
    s = np.clip(phase, 0, 1)
    down = 4.5 * np.abs(np.sin(2 * np.pi * (s - 0.5)))
    hand = np.stack([1.0 + down, np.zeros(len(s))], axis=1)
    still, ones = np.zeros(len(s)), np.ones(len(s))
    return Motion(np.tile([6.0, -8.0], (len(s), 1)), hand, still, ones, still)


def walk(n: int, amplitude: float, rng: np.random.Generator) -> Track:
    """Walk the head that carries the camera.

    Args:
        n: frames.
        amplitude: largest displacement along each axis (px of 32); a walk starts anywhere within
            and is reflected at it.
        rng: source of randomness.

    Returns:
        (n, 2) displacement of the picture.
    """
    start = rng.uniform(-1, 1, (1, 2))
    steps = 0.25 * rng.standard_normal((n - 1, 2))
    path = np.cumsum(np.concatenate([start, steps]), axis=0)
    folded = np.abs((path + 1) % 4 - 2) - 1
    return amplitude * folded


def sprite(shape: str, dy: Movie, dx: Movie, radius: float) -> Movie:
    """Give the depth below the outline of a tool, in the unit of the offsets from its centre.

    Args:
        shape: one of :data:`SHAPES`.
        dy: offsets along the tool's own first axis.
        dx: offsets along its second axis.
        radius: half of its length.
    """
    if shape == "disc":
        return 0.8 * radius - np.hypot(dy, dx)
    if shape == "ring":
        return 0.28 * radius - np.abs(0.72 * radius - np.hypot(dy, dx))
    if shape == "square":
        return 0.72 * radius - np.maximum(np.abs(dy), np.abs(dx))
    if shape == "bar":
        return np.minimum(1.3 * radius - np.abs(dy), 0.32 * radius - np.abs(dx))
    if shape == "cross":
        along = np.minimum(radius - np.abs(dy), 0.28 * radius - np.abs(dx))
        return np.maximum(along, np.minimum(radius - np.abs(dx), 0.28 * radius - np.abs(dy)))
    return np.minimum(0.6 * radius + dy, 0.5 * (radius - dy) - np.abs(dx))


def background(
    size: int, hue: float, light: float, texture: float, n_clutter: int, rng: np.random.Generator
) -> Movie:
    """Draw the surroundings, larger than a frame by half a side on each border.

    Args:
        size: side of a frame (px).
        hue: 0 to 1, around the circle of pale colours.
        light: brightness, 1 for plain.
        texture: standard deviation of the texture.
        n_clutter: pale patches that lie about.
        rng: source of randomness.

    Returns:
        (3, 2 size, 2 size).
    """
    wide = (2 * size, 2 * size)
    tone = 0.5 + 0.12 * np.cos(2 * np.pi * (hue + np.array([0.0, 1 / 3, 2 / 3])))
    pattern = fields.smooth_noise(wide, 1.5 * size / SIDE, rng)
    image = light * tone[:, None, None] * (1 + texture * pattern)
    y, x = grid(wide)
    for _ in range(n_clutter):
        (cy, cx), side = rng.uniform(0.3, 1.7, 2) * size, rng.uniform(1.5, 3.5) * size / SIDE
        depth = side - np.maximum(np.abs(y - cy), np.abs(x - cx))
        image = image + soft(depth) * (rng.uniform(0.3, 0.8, (3, 1, 1)) - image)
    return image.astype(np.float32)


def film(
    motion: Motion, noun: int, surroundings: Movie, path: Track, *, size: int, light: float
) -> Movie:
    """Draw all frames of a clip.

    Args:
        motion: of tool and hand.
        noun: code of the tool.
        surroundings: from :func:`background`.
        path (T, 2): displacement of the picture (px of 32).
        size: side of a frame (px).
        light: brightness of everything.

    Returns:
        (3, T, size, size).
    """
    scale = size / SIDE
    shift = np.round(path * scale).astype(int)
    half = size // 2
    frames = np.stack(
        [surroundings[:, half - a :, half - b :][:, :size, :size] for a, b in shift], axis=1
    )
    # pixel centres relative to the wound, in pixels of 32
    y, x = grid((size, size))
    dy = (y[None] + 0.5 - shift[:, :1, None]) / scale - 17
    dx = (x[None] + 0.5 - shift[:, 1:, None]) / scale - 16
    body = 1 - np.hypot(dy / 12, dx / 10)
    _paint(frames, soft(10 * body, 1.5), np.array(_SKIN) * light)
    _paint(frames, soft(2.0 - np.hypot(dy, dx), 0.8), np.array([0.45, 0.05, 0.05]) * light)
    colour, shape = divmod(noun, len(SHAPES))
    tone = np.array(list(COLOURS.values())[colour]) * light
    if motion.partner is not None:
        depth = sprite("bar", dy - motion.partner[0], dx - motion.partner[1], 3.0)
        _paint(frames, soft(depth, 0.8), np.array([0.6, 0.6, 0.65]) * light)
    for sign in (-1, 1) if motion.spread.any() else (1,):
        turn = motion.turn + sign * motion.spread / 2
        oy, ox = _own_axes(dy, dx, motion, turn)
        size_now = motion.scale[:, None, None]
        # the handle shows how a round tool is turned
        handle = np.minimum(0.8 - np.abs(ox), 2.6 - np.abs(oy - 4.4))
        _paint(frames, soft(size_now * handle, 0.8), np.array([0.25, 0.25, 0.28]) * light)
        depth = sprite(SHAPES[shape], oy, ox, 3.6)
        _paint(frames, soft(size_now * depth, 0.8), tone)
    _glove(frames, dy, dx, motion.hand, light)
    _glove(frames, dy, dx, np.broadcast_to([9.0, -7.0], motion.hand.shape), light)
    return frames


def _own_axes(dy: Movie, dx: Movie, motion: Motion, turn: Track) -> tuple[Movie, Movie]:
    """Give the offsets from the tool's centre along its own axes, in its own size."""
    oy, ox = dy - motion.tool[:, :1, None], dx - motion.tool[:, 1:, None]
    c, s = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    size = motion.scale[:, None, None]
    return (c * oy + s * ox) / size, (c * ox - s * oy) / size


def _glove(frames: Movie, dy: Movie, dx: Movie, hand: Track, light: float) -> None:
    """Draw a gloved hand whose fingers point up and whose arm leaves the frame below."""
    oy, ox = dy - hand[:, :1, None], dx - hand[:, 1:, None]
    depth = 2.0 - np.hypot(oy, ox)
    arm = 1.5 - np.abs(ox - 0.15 * np.maximum(oy, 0)) - 20 * (oy < 0)
    for side in (-1.3, 0.0, 1.3):
        finger = 0.6 - np.hypot(oy + np.clip(-oy, 0, 3.2), ox - side)
        depth = np.maximum(depth, finger)
    _paint(frames, soft(np.maximum(depth, arm), 0.8), np.array(_GLOVE) * light)


def _paint(frames: Movie, cover: Movie, colour: NDArray[np.float64] | Sequence[float]) -> None:
    """Blend a colour into all frames, in place."""
    tone = np.asarray(colour, np.float32)[:, None, None, None]
    frames += cover[None] * (tone - frames)
