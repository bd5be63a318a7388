"""Which sizes can a pruned U-Net have? Every way of removing P filters, bounded and searched.

Parameters and operations are multilinear in the numbers of filters that the layers keep: a constant
plus a weight for each layer plus a weight for each pair of layers of which one reads the other.
Take any allocation, and set each layer at random and independently to one of its two ends, whole
or one filter, so that its mean is the number it keeps. A multilinear function of independent
numbers has as its mean its value at their means: the mean value over corners is the value of the
allocation, and the mean number of filters over corners is its number of filters. Let h be the
concave envelope of (filters kept, value) over all corners. A corner's value is at most h of its
filters, so the allocation's value is at most the mean of h, which by Jensen's inequality is at most
h of the mean: h at the number of filters kept bounds every allocation, and no search can beat it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from common.models.polyp_pruning import DEPTH, KERNEL, LAYERS, fed_by, layout, level_of, raised_from

Array = NDArray[np.float64]
SIDE = 256  # shares of operations do not depend on it
_STEPS = (64, 16, 4, 1)


@dataclass(frozen=True)
class Form:
    """A multilinear function of the numbers of filters kept.

    Args:
        constant: what is there whatever is kept.
        linear (layers,): cost of a filter by itself.
        pairs: cost of a filter of one layer for each filter of another.
    """

    constant: float
    linear: Array
    pairs: Mapping[tuple[int, int], float]

    def __call__(self, kept: NDArray[np.number]) -> Array:
        """Evaluate for kept filters (..., layers)."""
        value = self.constant + kept @ self.linear
        for (i, j), weight in self.pairs.items():
            value = value + weight * kept[..., i] * kept[..., j]
        return np.asarray(value, dtype=np.float64)

    def __add__(self, other: "Form") -> "Form":
        pairs = dict(self.pairs)
        for place, weight in other.pairs.items():
            pairs[place] = pairs.get(place, 0.0) + weight
        return Form(self.constant + other.constant, self.linear + other.linear, pairs)

    def times(self, factor: float) -> "Form":
        """Multiply by a number."""
        pairs = {place: factor * weight for place, weight in self.pairs.items()}
        return Form(factor * self.constant, factor * self.linear, pairs)


@dataclass(frozen=True)
class Network:
    """A network whose filters can be removed.

    Args:
        filters (layers,): of the whole network.
        prunable (layers,): which layers may lose filters.
        parameters, macs: sizes as functions of the filters kept.
        inputs (layers,): input channels of each convolution in the whole network.
        areas (layers,): pixels of each layer's maps.
    """

    filters: NDArray[np.int64]
    prunable: NDArray[np.bool_]
    parameters: Form
    macs: Form
    inputs: NDArray[np.int64]
    areas: NDArray[np.int64]

    @property
    def n_filters(self) -> int:
        """Filters that can be removed."""
        return int(self.filters[self.prunable].sum())

    def shares(self, kept: NDArray[np.number]) -> Array:
        """Return parameters and operations relative to the whole network (..., 2)."""
        whole = self.filters.astype(float)
        return np.stack([f(kept) / f(whole) for f in (self.parameters, self.macs)], axis=-1)

    @cached_property
    def corner_shares(self) -> tuple[NDArray[np.int64], Array]:
        """Both shares at every corner: each prunable layer whole or down to one filter.

        Returns:
            Prunable filters kept (2^k,), ascending, and the shares (2^k, 2).
        """
        places = np.flatnonzero(self.prunable)
        bits = (np.arange(2 ** len(places))[:, None] >> np.arange(len(places))) & 1
        corners = np.tile(self.filters.astype(np.float32), (len(bits), 1))
        corners[:, places] = np.where(bits == 1, self.filters[places], 1)
        kept = corners[:, places].sum(axis=1).astype(np.int64)
        order = kept.argsort(kind="stable")
        return kept[order], self.shares(corners[order].astype(np.float64))

    def direction(self, towards: tuple[float, float]) -> Form:
        """Weigh both shares: parameters by the first number, operations by the second."""
        whole = self.filters.astype(float)
        parts = zip((self.parameters, self.macs), towards, strict=True)
        first, second = (form.times(weight / float(form(whole))) for form, weight in parts)
        return first + second


def unet(width: int = 32) -> Network:
    """Describe the network of the chapter: transposed convolutions, which stay whole."""
    plan = layout(width)
    n = len(LAYERS)
    reads: list[tuple[int, ...]] = []
    fixed = []
    for layer in range(n):
        kind, source = fed_by(layer)
        reads.append(() if source is None else (source,))
        fixed.append(
            plan.colours
            if source is None
            else plan.raised[DEPTH - 1 - level_of(layer)]
            if kind == "skip"
            else 0
        )
    raised = {raised_from(step): (own, DEPTH - 1 - step) for step, own in enumerate(plan.raised)}
    return _network(plan.filters, [level_of(k) for k in range(n)], reads, fixed, raised)


def bilinear_unet(width: int = 64, *, encoder_only: bool) -> Network:
    """Describe a U-Net that is raised by interpolation, with half the filters at the bottom.

    Its ten convolutions on the way down have 2,944 filters at width 64, all eighteen 4,416.

    Args:
        width: filters of the first level.
        encoder_only: whether only the way down can be pruned.
    """
    level = [width, 2 * width, 4 * width, 8 * width, 8 * width]
    down = [n for n in level for _ in "ab"]
    # the first of two convolutions halves what it reads, the second goes down to the next level
    up = [f for k in (8, 4, 2, 1) for f in (k * width, max(1, k // 2) * width)]
    reads: list[tuple[int, ...]] = [() if k == 0 else (k - 1,) for k in range(18)]
    for step, layer in enumerate(range(10, 18, 2)):
        reads[layer] = (layer - 1, 7 - 2 * step)
    levels = [level_of(k) for k in range(18)]
    found = _network([*down, *up], levels, reads, [3] + [0] * 17, {})
    return replace(found, prunable=np.arange(18) < 10) if encoder_only else found


def _network(
    filters: Sequence[int],
    levels: Sequence[int],
    reads: Sequence[tuple[int, ...]],
    fixed: Sequence[int],
    raised: Mapping[int, tuple[int, int]],
) -> Network:
    """Add up parameters and operations.

    Args:
        filters: by layer.
        levels: by layer, from 1.
        reads: by layer, the layers whose filters it reads.
        fixed: by layer, the input channels that always stay.
        raised: layers that a transposed convolution reads: its outputs, and its level's number.
    """
    n = len(filters)
    area = np.array([(SIDE >> (level - 1)) ** 2 for level in levels], dtype=float)
    linear = {"parameters": np.zeros(n), "macs": np.zeros(n)}
    pairs: dict[str, dict[tuple[int, int], float]] = {"parameters": {}, "macs": {}}
    constant = 1.0
    for layer in range(n):
        linear["parameters"][layer] += KERNEL * fixed[layer] + 2
        linear["macs"][layer] += KERNEL * fixed[layer] * area[layer]
        for source in reads[layer]:
            pairs["parameters"][source, layer] = float(KERNEL)
            pairs["macs"][source, layer] = KERNEL * area[layer]
    for source, (own, level) in raised.items():
        linear["parameters"][source] += 4 * own
        linear["macs"][source] += 4 * own * (SIDE >> level) ** 2
        constant += own
    linear["parameters"][-1] += 1
    linear["macs"][-1] += SIDE**2
    inputs = [fixed[k] + sum(filters[j] for j in reads[k]) for k in range(n)]
    return Network(
        np.array(filters),
        np.ones(n, dtype=bool),
        Form(constant, linear["parameters"], pairs["parameters"]),
        Form(0.0, linear["macs"], pairs["macs"]),
        np.array(inputs),
        area.astype(np.int64),
    )


def upper_bound(network: Network, towards: tuple[float, float], n_remove: int) -> float:
    """Bound a weighted sum of both shares over every allocation that removes so many filters.

    Args:
        network: whose layers keep one filter at least.
        towards: weights of the parameter share and the operation share.
        n_remove: filters removed.

    Returns:
        A value that no allocation exceeds: the concave envelope of the corners.
    """
    kept, shares = network.corner_shares
    return _envelope(kept, shares @ np.array(towards), network.n_filters - n_remove)


def _envelope(x: NDArray[np.int64], y: Array, at: int) -> float:
    """Evaluate the upper concave envelope of points, ordered by x, at one place."""
    first = np.flatnonzero(np.r_[True, np.diff(x) > 0])
    hull: list[tuple[float, float]] = []
    for place, value in zip(x[first], np.maximum.reduceat(y, first), strict=True):
        point = (float(place), float(value))
        while len(hull) > 1 and _left_turn(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    places, values = zip(*hull, strict=True)
    return float(np.interp(at, places, values))


def _left_turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def best_found(
    network: Network, form: Form, n_remove: int, *, rng: np.random.Generator, starts: int = 4
) -> NDArray[np.int64]:
    """Search for the allocation with the largest value, by exchange of filters between layers.

    From random starts, the exchange that helps most is made until none helps.

    Args:
        network: whose layers keep one filter at least.
        form: what should be large.
        n_remove: filters removed.
        rng: draws the starts.
        starts: number of them.

    Returns:
        Kept filters of each layer, the best of all starts; not proven to be the best.
    """
    found = [_climb(network, form, _random(network, n_remove, rng)) for _ in range(starts)]
    return max(found, key=lambda kept: float(form(kept)))


def _random(network: Network, n_remove: int, rng: np.random.Generator) -> NDArray[np.int64]:
    places = np.flatnonzero(network.prunable)
    kept = network.filters.copy()
    weight = rng.dirichlet(np.full(len(places), 0.5))
    while n_remove > 0:
        room = kept[places] - 1
        share = weight * (room > 0) + 1e-9 * (room > 0)
        wanted = rng.multinomial(n_remove, share / share.sum())
        taken = np.minimum(wanted, room)
        kept[places] -= taken
        n_remove -= int(taken.sum())
    return kept


def _climb(
    network: Network,
    form: Callable[[NDArray[np.int64]], Array],
    kept: NDArray[np.int64],
) -> NDArray[np.int64]:
    places = np.flatnonzero(network.prunable)
    moves = np.array(
        [
            step * (np.eye(len(kept), dtype=int)[i] - np.eye(len(kept), dtype=int)[j])
            for step in _STEPS
            for i in places
            for j in places
            if i != j
        ]
    )
    while True:
        options = kept + moves
        allowed = ((options >= 1) & (options <= network.filters)).all(axis=1)
        values = np.where(allowed, form(options), -np.inf)
        best = int(values.argmax())
        if values[best] <= form(kept) + 1e-12 * abs(form(kept)):
            return kept
        kept = options[best]


def nearest(
    shares: Callable[[NDArray[np.int64]], Array],
    network: Network,
    point: Array,
    half: Array,
    n_remove: int,
    *,
    rng: np.random.Generator,
    starts: int = 8,
) -> NDArray[np.int64]:
    """Search for an allocation whose shares round to a printed pair, by exchange of filters.

    Args:
        shares: of kept filters (..., layers) to (..., 2).
        network: whose layers keep one filter at least.
        point (2,): the printed pair.
        half (2,): half of the last printed digits.
        n_remove: filters removed.
        rng: draws the starts.
        starts: number of them; the search ends at the first that fits.

    Returns:
        Kept filters of each layer, the nearest of all starts. None that fits proves nothing.
    """

    def fit(kept: NDArray[np.int64]) -> Array:
        distance = np.abs(shares(kept) - point) / half
        # inside of the rounding all allocations are as good
        return -np.asarray(np.maximum(distance, 0.999).sum(axis=-1))

    best: NDArray[np.int64] | None = None
    for _ in range(starts):
        kept = _climb(network, fit, _random(network, n_remove, rng))
        if best is None or fit(kept) > fit(best):
            best = kept
        if rounds_to(shares(best), point, half):
            break
    assert best is not None
    return best


def rounds_to(found: Array, point: Array, half: Array) -> bool:
    """Tell whether shares print as a pair.

    Example:
        >>> rounds_to(np.array([0.8643, 0.4768]), np.array([0.864, 0.477]), np.full(2, 0.0005))
        True
    """
    return bool((np.abs(found - point) <= half).all())


def outline(network: Network, n_remove: int, *, n: int = 48) -> Array:
    """Enclose the reachable pairs of shares: no allocation of so many filters lies outside.

    Args:
        network: as above.
        n_remove: filters removed.
        n: directions in which a bound is computed.

    Returns:
        Corners of a polygon (m, 2): parameter share, operation share; first corner not repeated.
    """
    angles = 2 * np.pi * np.arange(n) / n
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    bounds = np.array([upper_bound(network, (a, b), n_remove) for a, b in normals])
    return _polygon(normals, bounds)


def _polygon(normals: Array, bounds: Array) -> Array:
    """Intersect half-planes n x <= b whose normals go round in order."""
    square = np.array([[-1.0, -1.0], [2.0, -1.0], [2.0, 2.0], [-1.0, 2.0]])
    for normal, bound in zip(normals, bounds, strict=True):
        square = _clip(square, normal, float(bound))
    return square


def _clip(corners: Array, normal: Array, bound: float) -> Array:
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        da, db = float(a @ normal - bound), float(b @ normal - bound)
        if da <= 0:
            kept.append(a)
        if da * db < 0:
            kept.append(a + (b - a) * da / (da - db))
    return np.array(kept).reshape(-1, 2)


def own_kernel_outline(network: Network, n_remove: int, *, n: int = 48) -> Array:
    """Enclose the reachable shares if a removed filter is charged its own kernel and nothing else.

    The input channels that its readers no longer need are left in, so every filter of a layer
    costs the same and the extreme in each direction is found by sorting.

    Args:
        network: as above.
        n_remove: filters removed.
        n: directions.

    Returns:
        Corners as of :func:`outline`.
    """
    costs = _own_costs(network)
    room = np.where(network.prunable, network.filters - 1, 0)
    angles = 2 * np.pi * np.arange(n) / n
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    bounds = []
    for normal in normals:
        left, value = n_remove, float(normal.sum())
        price = normal @ costs
        for layer in np.argsort(price, kind="stable"):
            taken = min(left, int(room[layer]))
            value -= taken * price[layer]
            left -= taken
        bounds.append(value)
    return _polygon(normals, np.array(bounds))


def own_kernel_shares(network: Network, kept: NDArray[np.int64]) -> Array:
    """Return both shares (..., 2) when removed filters are charged their own kernel and no more."""
    return np.asarray(1 - (network.filters - kept) @ _own_costs(network).T)


def _own_costs(network: Network) -> Array:
    """Return what one filter of each layer costs by itself, relative to the network (2, layers)."""
    costs = np.stack([KERNEL * network.inputs + 2.0, KERNEL * network.inputs * network.areas])
    whole = network.filters.astype(float)
    return costs / np.array([[float(f(whole))] for f in (network.parameters, network.macs)])


def even(network: Network, share: float) -> Array:
    """Return both shares when every layer loses the same share of its filters, unrounded (2,)."""
    kept = np.where(network.prunable, (1 - share) * network.filters, network.filters)
    return network.shares(kept)


def contains(corners: Array, point: Iterable[float]) -> bool:
    """Tell whether a point lies in a convex polygon given in order.

    Example:
        >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> contains(square, (0.5, 0.5)), contains(square, (1.5, 0.5))
        (True, False)
    """
    x = np.array(list(point))
    edges = np.roll(corners, -1, axis=0) - corners
    side = edges[:, 0] * (x - corners)[:, 1] - edges[:, 1] * (x - corners)[:, 0]
    return bool((side >= -1e-12).all() or (side <= 1e-12).all())
