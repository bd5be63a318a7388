"""Nothing that runs code from a file: no pickle, and no reader that would unpickle."""

import ast
import re
from collections.abc import Iterator

import pytest

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle"}
CALLS = {
    "joblib.load",
    "pandas.read_pickle",
    "torch.hub.load",
    "yaml.full_load",
    "yaml.full_load_all",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
}
# a call of the first needs the second, written out
NEEDS = {
    "numpy.load": ("allow_pickle", False),
    "numpy.lib.format.read_array": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader", "yaml.BaseLoader", "yaml.CBaseLoader"}


def imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        # a variable may have the name of a module
        variable = isinstance(node.value, ast.Name) and node.value.id not in names
        return f"{'?' if variable else dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def is_unsafe(call: ast.Call, name: str, names: dict[str, str]) -> bool:
    options = {option.arg: option.value for option in call.keywords}
    if name in NEEDS:
        option, value = NEEDS[name]
        found = options.get(option)
        return not (isinstance(found, ast.Constant) and found.value is value)
    if name in ("yaml.load", "yaml.load_all"):
        loader = options.get("Loader", call.args[1] if len(call.args) > 1 else ast.Pass())
        return dotted(loader, names) not in SAFE_LOADERS
    if name == "ruamel.yaml.YAML":
        kind = options.get("typ", call.args[0] if call.args else None)
        return isinstance(kind, ast.Constant) and kind.value == "unsafe"
    allowed = options.get("allow_pickle")
    given = allowed is not None and not (
        isinstance(allowed, ast.Constant) and allowed.value is False
    )
    return name in CALLS or given


def unsafe(source: str) -> Iterator[tuple[int, str]]:
    """Find the line and name of everything that could run code from a file."""
    # lines for Jupyter alone are no Python
    tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or ""]
        elif isinstance(node, ast.Call):
            name = dotted(node.func, names)
            if is_unsafe(node, name, names):
                yield node.lineno, name
            literal = node.args[0] if node.args else None
            loads = name in ("importlib.import_module", "__import__")
            found = [literal.value] if loads and isinstance(literal, ast.Constant) else []
        else:
            # handed on without a call
            handed = isinstance(node, ast.Attribute | ast.Name) and dotted(node, names)
            if handed in CALLS - {"yaml.load", "yaml.load_all"}:
                yield node.lineno, str(handed)
            continue
        for name in found:
            if str(name).partition(".")[0] in MODULES:
                yield node.lineno, str(name)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, shelve",
        "from marshal import loads",
        "import pickle as p",
        "from importlib import import_module\nimport_module('pickle')",
        "__import__('dill')",
        "def f():\n    import _pickle",
        "import joblib\njoblib.load('x')",
        "from joblib import load\nload('x')",
        "from joblib import load\nread = load",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=safe)",
        "import numpy as np\nnp.load('x')",
        "import numpy\nnumpy.load('x', allow_pickle=True)",
        "from numpy import load as read\nread('x')",
        "reader(path, allow_pickle=True)",
        "import pandas as pd\npd.read_pickle('x')",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.unsafe_load(text)",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
        "%time x = 1\nimport pickle",
    ],
)
def test_the_search_finds(source):
    assert len(set(unsafe(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from joblib import Parallel, delayed",
        "import json\njson.load(stream)",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import torch\ntorch.load('x', weights_only=True)",
        "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)\nyaml.safe_load(text)",
        "from ruamel.yaml import YAML\nYAML(typ='safe', pure=True)",
        "from common import manifests\nmanifests.load('x')",
        "!ls\n%load_ext x",
        "from ruamel.yaml import YAML\nyaml = YAML()\nyaml.load(text)",
    ],
)
def test_the_search_lets_pass(source):
    assert list(unsafe(source)) == []


def test_nothing_in_the_book_runs_code_from_a_file(checkout):
    files = sorted([*(checkout / "src").rglob("*.py"), *(checkout / "notebooks").glob("*.py")])
    assert len(files) > 50
    found = [
        f"{path.relative_to(checkout)}:{line}: {name}"
        for path in files
        for line, name in unsafe(path.read_text(encoding="utf-8"))
    ]
    assert found == []
