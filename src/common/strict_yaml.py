"""YAML read strictly: a key given twice, an unknown key or a wrong type is an error with its place.

A plain YAML reader keeps the last of two equal keys and loses the first without a word.
Plain documents are parsed by libyaml, which is some ten times faster; ruamel reads everything else
and words every error, so that both give the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import implicit_resolvers

from common.errors import ReplicateError

Model = TypeVar("Model", bound="Strict")

# absent where PyYAML was built without libyaml
_PARSER = getattr(yaml, "CBaseLoader", None)
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
# what YAML 1.2 reads as more than text, by the first character that it can have
_SPECIAL: dict[str, list[Any]] = {}
for _versions, _, _pattern, _firsts in implicit_resolvers:
    for _first in _firsts if (1, 2) in _versions else ():
        _SPECIAL.setdefault(_first, []).append(_pattern)


class _Unusual(Exception):
    """A document with more than plain mappings, lists and scalars, or with an error."""


class Strict(BaseModel):
    """Base of every typed file: unknown keys are refused, objects cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def read(path: Path) -> Any:
    """Read one YAML document.

    Args:
        path: the file.

    Returns:
        Plain dictionaries, lists and scalars.

    Raises:
        ReplicateError: the file is missing, is not YAML, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Restore the file.") from None
    try:
        return _plain_document(text)
    except _Unusual:
        pass
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f"{path}:{place.line + 1}" if place is not None else str(path)
        problem = getattr(error, "problem", None) or str(error)
        # the end of the file is a line of its own
        source = text.splitlines()[place.line :][:1] if place is not None else []
        shown = f", in `{source[0].strip()}`" if source else ""
        raise ReplicateError(f"{line}: {problem}{shown}. Mend the YAML at that line.") from None


def _plain_document(text: str) -> Any:
    """Build a document from libyaml's events; refuse whatever two parsers could read differently.

    Raises:
        _Unusual: the document has anchors, tags, directives, unusual numbers or an error.
    """
    # libyaml takes tabs for blanks, where the reference refuses them
    if _PARSER is None or "\t" in text:
        raise _Unusual
    try:
        events = iter(yaml.parse(text, Loader=_PARSER))
        next(events)
        start = next(events)
        if not isinstance(start, yaml.DocumentStartEvent) or start.version or start.tags:
            raise _Unusual
        content = _value(next(events), events)
        next(events)
        if not isinstance(next(events), yaml.StreamEndEvent):
            raise _Unusual
    except (yaml.YAMLError, RecursionError):
        raise _Unusual from None
    return content


def _value(event: yaml.Event, events: Iterator[yaml.Event]) -> Any:
    if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
        raise _Unusual
    if isinstance(event, yaml.ScalarEvent):
        return event.value if event.style else _scalar(event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        return [_value(one, events) for one in iter(lambda: _inside(events), None)]
    content: dict[Any, Any] = {}
    for one in iter(lambda: _inside(events), None):
        key = _value(one, events)
        if isinstance(key, dict | list) or key in content:
            raise _Unusual
        content[key] = _value(next(events), events)
    return content


def _inside(events: Iterator[yaml.Event]) -> yaml.Event | None:
    """Return the next event; ``None`` where the mapping or list ends."""
    event = next(events)
    return None if isinstance(event, yaml.CollectionEndEvent) else event


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if any(pattern.match(text) for pattern in _SPECIAL.get(text[0], ())):
        raise _Unusual
    return text


def load(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a typed object.

    Args:
        path: the file.
        model: the pydantic model that describes it.

    Returns:
        The validated object.

    Raises:
        ReplicateError: as :func:`read`, or a key is missing, unknown or of the wrong type;
            every problem is listed with its place in the file.
    """
    content = read(path)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']) or '(top)'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ReplicateError(
            f"{path} does not describe a {model.__name__.lower()}:\n"
            + "\n".join(lines)
            + "\nMend these keys; the schema is documented in the class "
            + f"`{model.__module__}.{model.__name__}`."
        ) from None
