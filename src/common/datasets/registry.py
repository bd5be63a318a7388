"""Which module reads or generates a data set: found by name, imported when asked."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from common import manifests
from common.errors import ReplicateError


def module_of(dataset: str) -> ModuleType | None:
    """Import the module of a data set.

    Args:
        dataset: a name with a manifest.

    Returns:
        The module of :mod:`common.datasets` that its manifest names, or that has its name;
        ``None`` if there is none, as for sets that no chapter reads yet.

    Raises:
        UsageError: unknown data set.
    """
    name = f"common.datasets.{manifests.load(dataset).module_name}"
    return import_module(name) if find_spec(name) else None


def reader(dataset: str) -> Callable[[Path], object] | None:
    """Return the reader of a data set; ``None`` if no module reads it.

    Raises:
        UsageError: unknown data set.
    """
    return getattr(module_of(dataset), "load", None)


def readable() -> list[str]:
    """List the data sets whose module has ``load``, in alphabetical order."""
    return [name for name in manifests.datasets() if hasattr(module_of(name), "load")]


def phantoms() -> list[str]:
    """List the generated data sets, in alphabetical order."""
    return [name for name in manifests.datasets() if manifests.load(name).access == "generated"]


def phantom_module(dataset: str) -> ModuleType:
    """Import the module of a phantom.

    Args:
        dataset: a generated data set.

    Returns:
        Its module, with ``phantom``, ``DIALS`` and ``QUICK``.

    Raises:
        UsageError: unknown data set.
        ReplicateError: it has no module, or the module is not that of a phantom.
    """
    module = module_of(dataset)
    if module is None or not all(hasattr(module, name) for name in ("phantom", "DIALS", "QUICK")):
        raise ReplicateError(
            f"the phantom {dataset!r} needs a module with `phantom`, `DIALS` and `QUICK`, got "
            f"{module.__name__ if module else 'none'}. Name it in the manifest's `module`."
        )
    return module
