"""What a sweep is asked for with: a YAML file or the options of a command line, typed.

A file has these keys; one of ``parameters``, ``points`` and ``random`` says what varies, and
``seeds`` repeats each of its points.

.. code-block:: yaml

    chapter: hep2
    profile: quick                    # the default
    name: learning-rate               # to find the sweep by
    seeds: 3                          # counted from the profile's `seed`
    parameters: {lr: [1e-3, 1e-2], epochs: [4, 8]}                    # every combination
    # points: [{lr: 1e-3, epochs: 8}, {lr: 1e-2, epochs: 4}]          # these and no others
    # random: {n: 50, seed: 0, parameters: {lr: {min: 1e-4, max: 1e-1, scale: log}}}
    constraints: ["epochs * n_seeds <= 100"]
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, field_validator, model_validator

from common.errors import ReplicateError, UsageError
from common.strict_yaml import Strict, read as read_yaml

SUFFIXES = (".yml", ".yaml")
SECTIONS = ("parameters", "points", "random")
# differences of bounds stay exact enough, and whole numbers fit what numpy draws
_LARGEST = 1e18
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}")
# a value longer than this is cut in an error
_SHOWN_VALUE = 60


def _bound(value: Any) -> int | float:
    """Keep whether a bound is an int: only such bounds suit parameters that are."""
    if type(value) not in (int, float) or not -_LARGEST < value < _LARGEST:
        raise ValueError(f"must be a number between -{_LARGEST:g} and {_LARGEST:g}")
    return value


Number = Annotated[int | float, PlainValidator(_bound)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Draw(Strict):
    """How values of one parameter are drawn: between bounds, or from a list.

    Args:
        min, max: bounds, both included.
        scale: ``log`` draws evenly over the logarithm, for parameters that span decades.
        choices: each is drawn with the same probability.
    """

    min: Number | None = None
    max: Number | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.choices is not None:
            if self.min is not None or self.max is not None or not self.choices:
                raise ValueError("must have either min and max, or a list of choices")
        elif self.min is None or self.max is None:
            raise ValueError("must have min and max, or choices")
        elif self.min > self.max:
            raise ValueError(f"min must not exceed max, got {self.min} and {self.max}")
        elif self.scale == "log" and self.min <= 0:
            raise ValueError(f"min must be positive on a log scale, got {self.min}")
        return self


class Random(Strict):
    """Points drawn at random; the same seed draws the same points, and more of them go on there.

    Args:
        n: how many are drawn.
        seed: of the draw; not a parameter of the chapter.
        parameters: how each is drawn.
    """

    n: Count
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    parameters: dict[str, Draw] = Field(min_length=1)


class Request(Strict):
    """A sweep as it is asked for; see the module for an example.

    Args:
        chapter: the paper's slug.
        profile: the named set of parameters that the points override.
        name: to find the sweep by.
        seeds: runs of every point, with values of the parameter ``seed`` that follow each other.
        parameters: values of each parameter; every combination is a point.
        points: what each point overrides.
        random: how points are drawn.
        constraints: conditions; points that break one are left out.
    """

    chapter: str
    profile: str = "quick"
    name: str | None = None
    seeds: Count | None = None
    parameters: dict[str, list[Any]] | None = None
    points: list[dict[str, Any]] | None = None
    random: Random | None = None
    constraints: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _one_word(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(
                "must be one word of at most 80 letters, digits, dots, hyphens and underscores"
            )
        return name

    @model_validator(mode="after")
    def _one_section(self) -> Self:
        given = [section for section in SECTIONS if getattr(self, section) is not None]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}; keep one of {', '.join(SECTIONS)}")
        if not given and self.seeds is None:
            raise ValueError(f"says nothing that varies; give one of {', '.join(SECTIONS)}, seeds")
        if self.name == self.chapter:
            raise ValueError("name must not be that of the chapter, which means its newest sweep")
        return self


def make(content: Mapping[str, Any], where: str) -> Request:
    """Check a request.

    Args:
        content: the keys of :class:`Request`.
        where: its name in an error, such as the path of the file.

    Raises:
        UsageError: a key is missing, unknown (the nearest is suggested) or of the wrong type,
            with every problem and its place; or several chapters are named.
    """
    chapter = content.get("chapter")
    if isinstance(chapter, list | tuple):
        raise mixed([str(one) for one in chapter])
    points = content.get("points")
    for number, point in enumerate(points if isinstance(points, list) else [], start=1):
        if isinstance(point, Mapping) and "chapter" in point:
            raise UsageError(
                f"{where}: point {number} names a chapter, {point['chapter']!r}. A sweep is of one "
                "chapter: name it once, at the top, and write a file for each chapter."
            )
    try:
        return Request.model_validate(dict(content))
    except ValidationError as error:
        lines = [f"  {_told(problem)}" for problem in error.errors()]
        raise UsageError(f"{where} does not describe a sweep:\n" + "\n".join(lines)) from None


def from_file(path: Path, overrides: Mapping[str, Any] | None = None) -> Request:
    """Read a request from a YAML file.

    Args:
        path: the file.
        overrides: keys that replace the file's; those that are None do not.

    Raises:
        UsageError: the file is missing, is not YAML (its line is told), or see :func:`make`.
    """
    if not path.is_file():
        raise UsageError(f"there is no sweep file {path}. Give a chapter, or the path of a file.")
    try:
        content = read_yaml(path)
    except ReplicateError as error:
        raise UsageError(str(error)) from None
    if not isinstance(content, dict):
        raise UsageError(
            f"{path} must hold keys such as `chapter:` and `parameters:`, got {_cut(content)}."
        )
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return make({**content, **given}, str(path))


def mixed(targets: list[str]) -> UsageError:
    """Return the error for a sweep over more than one chapter."""
    return UsageError(
        f"a sweep is of one chapter, got {', '.join(targets)}. Give one chapter or one sweep "
        "file, and start a sweep for each."
    )


def _told(problem: Any) -> str:
    """Tell one problem that pydantic found, with its place and the value."""
    place = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "missing":
            return f"{place}: is missing"
        case "extra_forbidden":
            known = _keys_beside(problem["loc"])
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            return f"{place}: unknown key.{hint} Known: {', '.join(known)}."
        case "value_error":
            # the model's own words; those about the whole already name what they got
            text = str(problem["ctx"]["error"])
            got = "" if isinstance(problem["input"], dict) else f", got {_cut(problem['input'])}"
        case _:
            text = problem["msg"][0].lower() + problem["msg"][1:]
            got = f", got {_cut(problem['input'])}"
    return f"{place}: {text}{got}" if place else f"it {text}{got}"


def _keys_beside(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known where an unknown one stands, by its depth."""
    models: dict[int, type[Strict]] = {1: Request, 2: Random}
    return list(models.get(len(loc), Draw).model_fields)


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}..."
