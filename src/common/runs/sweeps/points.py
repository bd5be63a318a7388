"""The points of a sweep: combined, listed or drawn, then checked as runs before any starts."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import UsageError
from common.runs import parameters
from common.runs.keys import Plan, Planner
from common.runs.sweeps import constraints, spec
from common.runs.sweeps.request import Draw, Random, Request

if TYPE_CHECKING:
    import numpy as np

    from common.runs.parameters import Parameter

LIMIT = 100_000
SEED = "seed"
SEEDS_OF_RUN = "n_seeds"
_CLOSING = {"(": ")", "[": "]", "{": "}"}
# drawn numbers keep so many digits: readable, and the same on every machine although the last
# bit of exp and log is not
_DIGITS = 6


@dataclass(frozen=True)
class Planned:
    """A sweep that could be started.

    Args:
        sweep: what it is.
        plans: one for each point, in order.
        notes: what was left out and why, one sentence each.
    """

    sweep: spec.Sweep
    plans: tuple[Plan, ...]
    notes: tuple[str, ...] = ()


def split(text: str) -> list[str]:
    """Split a text at its commas, except at those inside brackets and quotes.

    Args:
        text: values as on a command line.

    Returns:
        The pieces without the space around them; empty ones are kept.

    Raises:
        ValueError: a bracket or a quote is not closed.

    Example:
        >>> split("0, 0.3,1"), split("(8,16),(16,32)"), split('"a,b",c')
        (['0', '0.3', '1'], ['(8,16)', '(16,32)'], ['"a,b"', 'c'])
    """
    pieces, start, awaited, quote = [], 0, "", ""
    characters = enumerate(text)
    for place, character in characters:
        if quote:
            if character == "\\":
                next(characters, None)
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character in _CLOSING:
            awaited = _CLOSING[character] + awaited
        elif awaited and character == awaited[0]:
            awaited = awaited[1:]
        elif character in _CLOSING.values():
            raise ValueError(f"{character} closes nothing")
        elif character == "," and not awaited:
            pieces.append(text[start:place].strip())
            start = place + 1
    if quote or awaited:
        raise ValueError(f"{quote or awaited[0]} is missing")
    return [*pieces, text[start:].strip()]


def parse_grid(declared: Mapping[str, Parameter], given: Sequence[str]) -> dict[str, list[Any]]:
    """Read ``name=value,value`` pairs from a command line.

    Args:
        declared: the parameters of the chapter.
        given: the pairs; see :func:`split`.

    Returns:
        The values of each parameter, in order.

    Raises:
        UsageError: a pair without ``=``, a name twice or unknown, an empty value, or a bracket or
            quote that is not closed.
    """
    values: dict[str, list[Any]] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if name in values:
            raise UsageError(f"parameter `{name}` is given twice. List its values once.")
        try:
            pieces = split(text) if equals else [""]
        except ValueError as error:
            raise UsageError(
                f"the values of `{name}` cannot be told apart: {error} in {text!r}. "
                "Close it, or quote a value that holds a bracket, a quote or a comma."
            ) from None
        if equals and "" in pieces:
            raise UsageError(
                f"value {pieces.index('') + 1} of `{name}` is empty in {text!r}. Remove the "
                "comma, or write '' for an empty text."
            )
        written = [f"{name}={piece}" if equals else pair for piece in pieces]
        values[name] = [parameters.parse_all(declared, [one])[name] for one in written]
    return values


def plan(request: Request, planner: Planner, where: str) -> Planned:
    """Turn a request into checked plans; nothing is executed or written.

    Args:
        request: what is asked for.
        planner: of the same chapter and profile.
        where: the request's name in an error, such as the path of its file.

    Returns:
        The sweep and its plans. Points that break a constraint, and repeated random draws, are
        left out and told in the notes.

    Raises:
        UsageError: no point or more than :data:`LIMIT`; an unknown parameter, a wrong type or a
            value out of range, with the point; two equal points; a constraint that cannot be
            meant, or that no point meets.
    """
    points = list(_with_seeds(request, planner, _expand(request, planner)))
    rules = [
        constraints.parse(text, tuple(planner.declared), f"{where}, constraint {number}")
        for number, text in enumerate(request.constraints, start=1)
    ]
    plans: dict[str, Plan] = {}
    numbers: dict[str, int] = {}
    broken: Counter[str] = Counter()
    repeated = 0
    for number, point in enumerate(points, start=1):
        wanted = _checked(planner, point, number)
        if wanted.id in numbers:
            if request.random is None:
                raise UsageError(
                    f"points {numbers[wanted.id]} and {number} are the same run: "
                    f"{describe(wanted.parameters, point)}. Remove one of them."
                )
            repeated += 1
            continue
        numbers[wanted.id] = number
        failed = next((rule for rule in rules if not rule.holds(wanted.parameters)), None)
        if failed is None:
            plans[wanted.id] = wanted
        else:
            broken[f"{failed.where}, `{failed.text}`"] += 1
    if not plans:
        reasons = "; ".join(f"{rule} excludes {n}" for rule, n in broken.items())
        raise UsageError(
            f"no point is left of {len(numbers)}: {reasons}. Loosen a constraint or add values."
        )
    made = spec.make(
        request.chapter,
        request.profile,
        varied=_varied(request, points),
        points=[wanted.overrides for wanted in plans.values()],
        name=request.name,
    )
    return Planned(made, tuple(plans.values()), _notes(len(points), repeated, broken))


def describe(values: Mapping[str, Any], names: Mapping[str, Any] | Sequence[str]) -> str:
    """Name a point by some of its values.

    Example:
        >>> describe({"lr": 0.1, "loss": "dice", "epochs": 4}, ["lr", "loss"])
        "lr=0.1, loss='dice'"
    """
    return ", ".join(f"{name}={values[name]!r}" for name in names) or "no parameter changed"


def _expand(request: Request, planner: Planner) -> list[dict[str, Any]]:
    """Return the points without their seeds."""
    if request.random is not None:
        _require_size(request.random.n * (request.seeds or 1))
        return _draw(request.random, planner)
    if request.points is not None:
        _require_size(len(request.points) * (request.seeds or 1))
        return [dict(point) for point in request.points]
    values = request.parameters or {}
    if not values and request.seeds is None:
        _require_size(0)
    for name, listed in values.items():
        if not listed:
            raise UsageError(f"the grid is empty: `{name}` has no value. List one or more.")
    _require_size(math.prod(len(listed) for listed in values.values()) * (request.seeds or 1))
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def _require_size(n_points: int) -> None:
    if not n_points:
        raise UsageError("the sweep has no points. Give a parameter one or more values.")
    if n_points > LIMIT:
        raise UsageError(
            f"a sweep must have at most {LIMIT:,} points, got {n_points:,}. List fewer values, or "
            "draw points at random from a sweep file."
        )


def _with_seeds(
    request: Request, planner: Planner, points: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Repeat each point with every seed; runs of one point share no training."""
    if request.seeds is None:
        yield from points
        return
    first = planner.plan().parameters.get(SEED)
    if type(first) is not int:
        raise UsageError(
            f"chapter {request.chapter} has no parameter `{SEED}` that is a whole number, so runs "
            f"cannot be repeated with {request.seeds} seeds. Leave the seeds out, or add it."
        )
    if any(SEED in point for point in points):
        raise UsageError(
            f"`{SEED}` is given as a parameter and by the number of seeds, {request.seeds}. "
            "Keep one of them."
        )
    for point in points:
        # a run that trains several seeds takes the ones behind the last of the run before it
        step = planner.plan(point).parameters.get(SEEDS_OF_RUN, 1)
        yield from ({**point, SEED: first + step * number} for number in range(request.seeds))


def _draw(random: Random, planner: Planner) -> list[dict[str, Any]]:
    # numpy starts slowly, and only random sweeps need it
    import numpy as np

    known = planner.declared
    # an unknown name is told by the planner, with the nearest known one
    integers = {name: name in known and known[name].kind == "int" for name in random.parameters}
    for name, draw in random.parameters.items():
        _require_drawable(name, draw, known.get(name))
    rng = np.random.default_rng(random.seed)
    return [
        {name: _value(draw, rng, integers[name]) for name, draw in random.parameters.items()}
        for _ in range(random.n)
    ]


def _require_drawable(name: str, draw: Draw, parameter: Parameter | None) -> None:
    if draw.choices is not None or parameter is None:
        return
    if parameter.kind not in ("int", "float", "any"):
        raise UsageError(
            f"random parameter `{name}` is {parameter.rule}, which cannot be drawn between "
            f"{draw.min} and {draw.max}. Give a list of choices."
        )
    if parameter.kind == "int" and not (isinstance(draw.min, int) and isinstance(draw.max, int)):
        raise UsageError(
            f"random parameter `{name}` is int, so min and max must be too, got {draw.min!r} and "
            f"{draw.max!r}. Write whole numbers."
        )


def _value(draw: Draw, rng: np.random.Generator, integer: bool) -> Any:
    """Draw one value; one at a time, so that a longer draw begins as a shorter one."""
    if draw.choices is not None:
        return draw.choices[int(rng.integers(len(draw.choices)))]
    assert draw.min is not None
    assert draw.max is not None
    if integer:
        return _whole(int(draw.min), int(draw.max), draw.scale, rng)
    low, high = float(draw.min), float(draw.max)
    if draw.scale == "log":
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        value = rng.uniform(low, high)
    # bounds hold although rounding may step over one
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


def _whole(low: int, high: int, scale: str, rng: np.random.Generator) -> int:
    if scale == "linear":
        return int(rng.integers(low, high, endpoint=True))
    # each whole number stands for the stretch up to the next one
    value = int(math.exp(rng.uniform(math.log(low), math.log(high + 1))))
    return min(max(value, low), high)


def _checked(planner: Planner, point: dict[str, Any], number: int) -> Plan:
    try:
        for name, value in point.items():
            _require_plain(name, value)
        return planner.plan(point)
    except UsageError as error:
        raise UsageError(f"point {number} ({describe(point, point)}): {error}") from None


def _require_plain(name: str, value: Any) -> None:
    """Refuse what a record of the run could not hold, such as a date that YAML makes."""
    if isinstance(value, list | tuple):
        for item in value:
            _require_plain(name, item)
    elif isinstance(value, dict):
        _require_plain(name, [*value.keys(), *value.values()])
    elif value is None or type(value) in (bool, int, str):
        return
    elif type(value) is not float or not math.isfinite(value):
        raise UsageError(
            f"parameter `{name}` must be a finite number, a text, true, false or null, or a list "
            f"of them, got {value!r}. Quote it if a text is meant."
        )


def _varied(request: Request, points: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for point in points for name in point)
    if request.seeds is not None:
        names.pop(SEED)
        names[SEED] = None
    return list(names)


def _notes(n_points: int, repeated: int, broken: Counter[str]) -> tuple[str, ...]:
    notes = []
    if repeated:
        notes.append(f"{n_points} runs drawn, {repeated} of them repeat others and are left out.")
    notes += [f"{rule}: {n} of {n_points} points are left out." for rule, n in broken.items()]
    return tuple(notes)
