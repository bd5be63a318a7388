"""Anatomy of the label maps: structures as ellipsoids and tubes in a box from -1 to 1.

Axes: patient's right to left, front to back, feet to head. Three families of disjoint anatomy
share only aorta and inferior vena cava.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from common.phantoms.shapes import Depth, ellipsoid, soft, tube

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Structure:
    """One labelled structure.

    Args:
        name: of the label.
        points: centre of an ellipsoid, or the centre line of a tube.
        radii: three semi-axes of an ellipsoid, or one radius of a tube.
        cut: a plane (nx, ny, nz, d) that keeps the side with n . x > d; such as a lung's fissure.
    """

    name: str
    points: tuple[Point, ...]
    radii: tuple[float, ...]
    cut: tuple[float, float, float, float] | None = None

    @property
    def volume(self) -> float:
        """Volume in units of the box, without the cut."""
        if len(self.radii) == 3:
            return float(4 / 3 * np.pi * np.prod(self.radii))
        line = np.diff(np.array(self.points), axis=0)
        return float(np.pi * self.radii[0] ** 2 * np.linalg.norm(line, axis=1).sum())


def _line(start: Point, end: Point, *, bow: Point = (0, 0, 0), n: int = 7) -> tuple[Point, ...]:
    """Return points from start to end that bow sideways in the middle."""
    t = np.linspace(0, 1, n)[:, None]
    points = (1 - t) * np.array(start) + t * np.array(end) + np.sin(np.pi * t) * np.array(bow)
    return tuple((float(x), float(y), float(z)) for x, y, z in points)


_AORTA = Structure(
    "aorta", _line((0.07, 0.33, -0.95), (0.1, 0.3, 0.95), bow=(0.03, -0.08, 0)), (0.06,)
)
_IVC = Structure(
    "inferior vena cava",
    _line((-0.1, 0.3, -0.95), (-0.12, 0.2, 0.6), bow=(-0.02, -0.06, 0)),
    (0.07,),
)
_PORTAL = Structure(
    "portal and splenic vein",
    _line((-0.26, -0.02, 0.2), (0.3, 0.1, 0.16), bow=(0, -0.05, -0.05)),
    (0.055,),
)
_DUODENUM = Structure(
    "duodenum",
    ((-0.2, -0.12, 0.02), (-0.3, 0.0, -0.1), (-0.28, 0.05, -0.28), (-0.08, 0.08, -0.34)),
    (0.075,),
)
# close to the order in which the paper lists the labels
_ABDOMEN = (
    _AORTA,
    _IVC,
    Structure("spleen", ((0.56, 0.25, 0.35),), (0.16, 0.20, 0.28)),
    Structure("right kidney", ((-0.36, 0.38, -0.12),), (0.13, 0.14, 0.28)),
    Structure("left kidney", ((0.38, 0.38, -0.04),), (0.13, 0.14, 0.28)),
    Structure("gallbladder", ((-0.36, -0.28, 0.0),), (0.07, 0.08, 0.14)),
    Structure("oesophagus", _line((0.06, 0.12, 0.5), (0.02, 0.2, 0.95)), (0.055,)),
    Structure("liver", ((-0.38, -0.05, 0.36),), (0.42, 0.42, 0.42)),
    Structure("stomach", ((0.26, -0.2, 0.3),), (0.24, 0.20, 0.26)),
    Structure("pancreas", ((0.1, 0.02, 0.08),), (0.30, 0.08, 0.08)),
    Structure("right adrenal", ((-0.2, 0.34, 0.26),), (0.07, 0.05, 0.12)),
    Structure("left adrenal", ((0.26, 0.34, 0.28),), (0.07, 0.05, 0.12)),
)


def _rib(side: int, level: int) -> Structure:
    """Draw one rib as an arc from the spine forward and down."""
    z = 0.78 - 0.155 * level
    reach = 0.5 + 0.24 * np.sin(np.pi * (level + 1) / 12)
    t = np.linspace(0.12, 0.72, 9) * np.pi
    points = tuple(
        (float(side * reach * np.sin(s)), float(0.52 - 0.52 * (1 - np.cos(s))), float(z - 0.11 * s))
        for s in t
    )
    return Structure(f"{'right' if side < 0 else 'left'} rib {level + 2}", points, (0.04,))


def _vertebra(level: int) -> Structure:
    z = 0.77 - 0.215 * level
    y = 0.48 + 0.08 * np.cos(2.2 * z)
    return Structure(f"vertebra {level + 1}", ((0.0, float(y), z),), (0.12, 0.12, 0.085))


_SKELETAL = (
    *(_rib(side, level) for side in (-1, 1) for level in range(10)),
    *(_vertebra(level) for level in range(8)),
)
_RIGHT, _LEFT = (-0.44, 0.05, 0.2), (0.46, 0.05, 0.2)
_LUNG = (0.32, 0.46, 0.62)
_THORAX = (
    _AORTA,
    _IVC,
    Structure(
        "pulmonary artery",
        (
            (-0.3, 0.08, 0.32),
            (-0.05, 0.0, 0.34),
            (0.04, -0.16, 0.18),
            (-0.02, 0.0, 0.35),
            (0.3, 0.12, 0.34),
        ),
        (0.085,),
    ),
    Structure("heart", ((0.1, -0.16, -0.06),), (0.3, 0.28, 0.3)),
    Structure("right upper lobe", (_RIGHT,), _LUNG, (0, -0.6, 0.8, 0.28)),
    Structure("right middle lobe", (_RIGHT,), _LUNG, (0, -0.8, 0.6, 0.12)),
    Structure("right lower lobe", (_RIGHT,), _LUNG),
    Structure("left upper lobe", (_LEFT,), _LUNG, (0, -0.7, 0.7, 0.12)),
    Structure("left lower lobe", (_LEFT,), _LUNG),
)
FAMILIES: dict[str, tuple[Structure, ...]] = {
    "abdomen-ct": (*_ABDOMEN, _PORTAL),
    "abdomen-mr": (*_ABDOMEN, _DUODENUM),
    "skeletal": _SKELETAL,
    "thorax": _THORAX,
}
SHARED = (_AORTA.name, _IVC.name)


def resized(structures: Sequence[Structure], spread: float) -> list[Structure]:
    """Bring volumes closer together: V becomes V_m (V / V_m)^spread, V_m their geometric mean.

    Args:
        structures: as they are.
        spread: 1 leaves them, 0 gives all one volume.

    Returns:
        The same structures with other radii.
    """
    log = np.log([structure.volume for structure in structures])
    change = np.exp((spread - 1) * (log - log.mean()))
    return [
        Structure(s.name, s.points, tuple(r * float(c) ** (1 / power) for r in s.radii), s.cut)
        for s, c in zip(structures, change, strict=True)
        for power in (3 if len(s.radii) == 3 else 2,)
    ]


def paint(
    structures: Sequence[Structure],
    size: tuple[int, int, int],
    offsets: NDArray[np.floating],
    scales: NDArray[np.floating],
    *,
    thick: int = 1,
) -> NDArray[np.uint8]:
    """Paint structures into a label map, large ones first so that small ones stay whole.

    Args:
        structures: code 1 for the first, and so on.
        size: voxels along each axis.
        offsets (n, 3): shift of each structure (units of the box).
        scales (n,): factor of its radii.
        thick: voxels along the last axis over which a structure is averaged.

    Returns:
        Codes, 0 for background.
    """
    codes = np.zeros(size, np.uint8)
    order = sorted(range(len(structures)), key=lambda i: (-_painted(structures[i]), i))
    for i in order:
        depth = _depth(structures[i], size, offsets[i], float(scales[i]))
        cover = soft(depth, 2 / min(size))
        if thick > 1:
            cover = uniform_filter1d(cover, thick, axis=2, mode="nearest")
        codes[cover >= 0.5] = i + 1
    return codes


def _painted(structure: Structure) -> float:
    """Volume by which structures are ordered; a cut one lies over its whole."""
    return structure.volume * (1 if structure.cut is None else 0.9 - 0.1 * structure.cut[3])


def _depth(
    structure: Structure, size: tuple[int, int, int], offset: NDArray[np.floating], scale: float
) -> Depth:
    step = [2 / n for n in size]
    # the centre of the first voxel lies half a voxel inside the box
    first = np.array([-1 + 1 / n for n in size])
    points = np.array(structure.points) + offset - first
    if len(structure.radii) == 1:
        return tube(size, points, scale * structure.radii[0], spacing=step)
    depth = ellipsoid(size, points[0], scale * np.array(structure.radii), spacing=step)
    if structure.cut is not None:
        *normal, level = structure.cut
        axes = [
            np.arange(n, dtype=np.float32) * d + f
            for n, d, f in zip(size, step, first + offset * -1, strict=True)
        ]
        open_axes = np.meshgrid(*axes, indexing="ij", sparse=True)
        plane = sum(a * x for a, x in zip(normal, open_axes, strict=True)) - level
        depth = np.minimum(depth, plane)
    return depth
