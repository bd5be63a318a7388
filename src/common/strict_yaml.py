"""YAML read strictly: a key given twice, an unknown key or a wrong type is an error with its place.

A plain YAML reader keeps the last of two equal keys and loses the first without a word.
"""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common.errors import ReplicateError

Model = TypeVar("Model", bound="Strict")


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
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f"{path}:{place.line + 1}" if place is not None else str(path)
        problem = getattr(error, "problem", None) or str(error)
        # the end of the file is a line of its own
        source = text.splitlines()[place.line :][:1] if place is not None else []
        shown = f", in `{source[0].strip()}`" if source else ""
        raise ReplicateError(f"{line}: {problem}{shown}. Mend the YAML at that line.") from None


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
