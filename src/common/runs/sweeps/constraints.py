"""Constraints between the parameters of a sweep, such as ``lambda_outer <= lambda_inner``.

They look like Python and are read from its syntax tree; nothing is ever executed. Arithmetic is
for numbers only, so that no short text can make a large object.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import UsageError

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, members: item in members,
    ast.NotIn: lambda item, members: item not in members,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_ALLOWED = (
    "Allowed are comparisons, `in` with a tuple or list, `and`, `or`, `not`, + - * / // %, "
    "numbers, quoted texts, True, False, None and names of parameters."
)
# far more than a person writes, and far below what the interpreter's stack bears
_DEEPEST = 50


class _Problem(Exception):
    """What is wrong, and with which piece."""

    def __init__(self, node: ast.AST, text: str) -> None:
        super().__init__(text)
        self.node, self.text = node, text


@dataclass(frozen=True)
class Constraint:
    """A condition that every point of a sweep must meet.

    Args:
        text: as it was written.
        where: its name in an error, such as ``sweep.yml, constraint 1``.
        tree: its checked syntax tree.
    """

    text: str
    where: str
    tree: ast.expr = field(repr=False)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Say whether a point meets the condition.

        Args:
            values: every parameter of the chapter by name, defaults included.

        Raises:
            UsageError: the condition has no truth value there, as ``loss < 3`` with a text.
        """
        try:
            return _truth(self.tree, values)
        except _Problem as problem:
            raise _error(self.where, self.text, problem) from None


def parse(text: str, names: Collection[str], where: str) -> Constraint:
    """Read a constraint.

    Args:
        text: a comparison in Python's syntax.
        names: the parameters of the chapter.
        where: its name in an error.

    Raises:
        UsageError: it is no expression, has a piece that is not allowed, or names an unknown
            parameter; the piece is quoted.

    Example:
        >>> rule = parse("epochs * n_seeds <= 100", ("epochs", "n_seeds"), "sweep.yml")
        >>> rule.holds({"epochs": 20, "n_seeds": 5}), rule.holds({"epochs": 20, "n_seeds": 6})
        (True, False)
    """
    text = text.strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"{where}: `{text}` is no expression: {error.msg}. {_ALLOWED}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where} cannot be read: {error}. Write a simpler condition.") from None
    try:
        _check(tree, names, depth=1)
    except _Problem as problem:
        raise _error(where, text, problem) from None
    return Constraint(text, where, tree)


def _error(where: str, text: str, problem: _Problem) -> UsageError:
    piece = ast.get_source_segment(text, problem.node) or text
    place = f"`{piece}`" if piece == text else f"`{piece}` in `{text}`"
    return UsageError(f"{where}: {place} {problem.text}")


def _check(node: ast.expr, names: Collection[str], *, depth: int) -> None:
    """Refuse every piece that is not on the list."""
    if depth > _DEEPEST:
        raise _Problem(node, f"is nested deeper than {_DEEPEST}. Write a simpler condition.")
    match node:
        case ast.Constant(value=value) if value is None or type(value) in (bool, int, float, str):
            pass
        case ast.Name(id=name):
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean `{near[0]}`?" if near else ""
                known = ", ".join(names) or "none"
                raise _Problem(node, f"is an unknown parameter.{hint} Known: {known}.")
        case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
            pass
        case ast.Compare():
            raise _Problem(node, "compares identity. Write == or != instead of `is`.")
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            pass
        case ast.UnaryOp(op=op) if isinstance(op, ast.Not) or type(op) in _SIGNS:
            pass
        case ast.BoolOp() | ast.Tuple() | ast.List():
            pass
        case _:
            raise _Problem(node, f"is not allowed in a constraint. {_ALLOWED}")
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            _check(child, names, depth=depth + 1)


def _truth(node: ast.expr, values: Mapping[str, Any]) -> bool:
    found = _value(node, values)
    if type(found) is not bool:
        raise _Problem(node, f"is {found!r}, neither true nor false. Compare it with something.")
    return found


def _number(node: ast.expr, values: Mapping[str, Any]) -> int | float:
    found = _value(node, values)
    if type(found) not in (int, float):
        raise _Problem(node, f"must be a number, got {found!r}. Arithmetic is for numbers only.")
    return found


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _as_tuple(values[name])
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_value(item, values) for item in items)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(operand, values)
        case ast.UnaryOp(op=op, operand=operand):
            return _SIGNS[type(op)](_number(operand, values))
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_truth(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_truth(part, values) for part in parts)
        case ast.BinOp(left=left, op=operation, right=right):
            pair = _number(left, values), _number(right, values)
            return _apply(node, _ARITHMETIC[type(operation)], *pair)
        case ast.Compare():
            return _compare(node, values)
    raise AssertionError(f"{ast.dump(node)} passed the check")


def _as_tuple(value: Any) -> Any:
    """Let a list and a tuple of the same members be equal."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def _compare(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    left = _value(node.left, values)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, values)
        if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, tuple):
            raise _Problem(right_node, f"must be a tuple or list behind `in`, got {right!r}.")
        if not _apply(node, _COMPARISONS[type(op)], left, right):
            return False
        left = right
    return True


def _apply(node: ast.expr, operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    try:
        return operation(left, right)
    except (TypeError, ArithmeticError) as error:
        raise _Problem(
            node, f"has no value for {left!r} and {right!r}: {error}. Exclude that case first."
        ) from None
