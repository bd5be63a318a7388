"""Parameters of a chapter: read from its parameters cell, checked before anything starts."""

from __future__ import annotations

import ast
import difflib
import io
import math
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import ReplicateError, UsageError
from common.papers import Range
from common.runs.notebooks import parameters_cell

if TYPE_CHECKING:
    from nbformat import NotebookNode

_SCALARS = ("bool", "int", "float", "str")


@dataclass(frozen=True)
class Parameter:
    """One name of the parameters cell.

    Args:
        name: as in the cell.
        default: the value there.
        kind: ``bool``, ``int``, ``float``, ``str``, ``list``, ``tuple`` or ``any``.
        item: kind of the members of a list or tuple; ``any`` where the cell does not say.
        optional: whether None is allowed.
        help: the comment at the end of the line.
    """

    name: str
    default: Any
    kind: str
    item: str = "any"
    optional: bool = False
    help: str = ""

    @property
    def rule(self) -> str:
        """The allowed type in words, such as ``list of int or None``."""
        inner = f" of {self.item}" if self.kind in ("list", "tuple") and self.item != "any" else ""
        return f"{self.kind}{inner}{' or None' if self.optional else ''}"


def declared(notebook: NotebookNode, where: str) -> dict[str, Parameter]:
    """Read the parameters of a chapter from the syntax tree of its parameters cell.

    Args:
        notebook: the chapter.
        where: its name in an error.

    Returns:
        The parameters by name, in the order of the cell.

    Raises:
        ReplicateError: the cell is missing, is not Python, or holds anything but flat
            assignments of literals.
    """
    source = parameters_cell(notebook, where).source
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise ReplicateError(
            f"{where}, parameters cell, line {error.lineno}: {error.msg}. Mend that line."
        ) from None
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    for statement in body:
        name, annotation = _target(statement, where)
        try:
            default = ast.literal_eval(statement.value)
        except ValueError:
            raise ReplicateError(
                f"{where}, parameters cell: `{name}` must be a literal, got "
                f"{ast.unparse(statement)!r}. Compute derived values in a later cell."
            ) from None
        if name in found:
            raise ReplicateError(f"{where}, parameters cell: `{name}` is set twice. Remove one.")
        help_text = comments.get(statement.end_lineno or 0, "")
        found[name] = _parameter(name, default, annotation, help_text)
    return found


def _target(statement: ast.stmt, where: str) -> tuple[str, str]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, annotation = statement.targets[0], ""
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, annotation = statement.target, ast.unparse(statement.annotation)
    else:
        target, annotation = None, ""
    if not isinstance(target, ast.Name):
        raise ReplicateError(
            f"{where}, parameters cell: every statement must be `name = value`, got "
            f"{ast.unparse(statement)!r}. Move it to another cell."
        )
    return target.id, annotation


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parameter(name: str, default: Any, annotation: str, help_text: str) -> Parameter:
    choices = [part.strip() for part in annotation.split("|") if part.strip()]
    optional = default is None or "None" in choices
    named = next((part for part in choices if part != "None"), "")
    kind, _, inner = named.partition("[")
    if not kind:
        kind = "any" if default is None else type(default).__name__
    item = inner.rstrip("]").split(",")[0].strip()
    if not item and isinstance(default, list | tuple):
        kinds = {type(member).__name__ for member in default}
        item = kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "any"
    known = kind if kind in (*_SCALARS, "list", "tuple") else "any"
    return Parameter(name, default, known, item if item in _SCALARS else "any", optional, help_text)


def parse(parameter: Parameter, text: str) -> Any:
    """Read a value from the command line.

    Args:
        parameter: what it is for; decides whether ``3`` is a number or a text.
        text: a Python literal, or a bare word, which is a text.

    Example:
        >>> parse(Parameter("epochs", 2, "int"), "10"), parse(Parameter("loss", "a", "str"), "10")
        (10, '10')
    """
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    keep = parameter.kind == "str" and not isinstance(value, str) and value is not None
    return text if keep or (value is None and not parameter.optional) else value


def parse_all(declared_: Mapping[str, Parameter], given: list[str]) -> dict[str, Any]:
    """Read ``name=value`` pairs from the command line.

    Raises:
        UsageError: a pair without ``=``, a name twice, or an unknown name.
    """
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(
                f"a parameter must be given as name=value, got {pair!r}. Write `-p epochs=10`."
            )
        if name in values:
            raise UsageError(f"parameter `{name}` is given twice. Give it once.")
        values[name] = parse(_known(declared_, name), text)
    return values


def _known(declared_: Mapping[str, Parameter], name: str) -> Parameter:
    if name not in declared_:
        near = difflib.get_close_matches(name, declared_, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise UsageError(
            f"unknown parameter `{name}`.{hint} Known: {', '.join(declared_) or 'none'}."
        )
    return declared_[name]


def resolve(
    declared_: Mapping[str, Parameter],
    given: Mapping[str, Any],
    ranges: Mapping[str, Range] | None = None,
) -> dict[str, Any]:
    """Check given values and fill in the defaults.

    Args:
        declared_: the parameters of the chapter.
        given: values by name.
        ranges: allowed values by name, from ``paper.yml``.

    Returns:
        Every parameter with its value, in the order of the parameters cell.

    Raises:
        UsageError: an unknown name (the nearest is suggested), a wrong type or a value outside
            its range.

    Example:
        >>> resolve({"epochs": Parameter("epochs", 2, "int")}, {"epochs": 3})
        {'epochs': 3}
    """
    ranges = ranges or {}
    for name in ranges:
        if name not in declared_:
            raise ReplicateError(
                f"paper.yml gives a range for `{name}`, which the parameters cell lacks; known: "
                f"{', '.join(declared_) or 'none'}. Rename one of the two."
            )
    checked = {name: _convert(_known(declared_, name), value) for name, value in given.items()}
    values = {name: checked.get(name, parameter.default) for name, parameter in declared_.items()}
    for name, allowed in ranges.items():
        _check_range(name, values[name], allowed)
    return values


def _convert(parameter: Parameter, value: Any) -> Any:
    if (value is None and parameter.optional) or parameter.kind == "any":
        return value
    try:
        if parameter.kind in _SCALARS:
            return _scalar(parameter.kind, value)
        if not isinstance(value, list | tuple):
            raise TypeError
        items = [_scalar(parameter.item, item) for item in value]
    except TypeError:
        example = "" if parameter.default is None else f" Write for example {parameter.default!r}."
        raise UsageError(
            f"parameter `{parameter.name}` must be {parameter.rule}, got {value!r}.{example}"
        ) from None
    return tuple(items) if parameter.kind == "tuple" else items


def _scalar(kind: str, value: Any) -> Any:
    """Return the value if it is of a kind; an int may stand for a float, a bool for nothing."""
    if kind == "float" and type(value) is int:
        return float(value)
    if kind != "any" and type(value).__name__ != kind:
        raise TypeError
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError
    return value


def _check_range(name: str, value: Any, allowed: Range) -> None:
    for item in value if isinstance(value, list | tuple) else [value]:
        if allowed.choices is not None and item not in allowed.choices:
            choices = ", ".join(repr(choice) for choice in allowed.choices)
            raise UsageError(
                f"parameter `{name}` must be one of {choices}, got {item!r}. Choose one of them."
            )
        if isinstance(item, bool) or not isinstance(item, int | float):
            continue
        low = -math.inf if allowed.min is None else allowed.min
        high = math.inf if allowed.max is None else allowed.max
        if not low <= item <= high:
            raise UsageError(
                f"parameter `{name}` must be in [{low:g}, {high:g}], got {item!r}. "
                "Stay inside the range that paper.yml allows."
            )
