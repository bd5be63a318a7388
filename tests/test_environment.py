"""The three places that name versions agree, and installs are exact."""

import re
import tomllib
from pathlib import Path

from common import strict_yaml


def pins(lines) -> dict[str, str]:
    found = {}
    for line in lines:
        match = re.match(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
        if match:
            found[re.sub(r"[-_.]+", "-", match[1].lower())] = match[2]
    return found


def declared(checkout: Path) -> list[str]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    return project["dependencies"] + extras


def test_every_direct_dependency_is_pinned_exactly(checkout):
    lines = declared(checkout)
    assert len(pins(lines)) == len(lines)


def test_constraints_hold_every_pin_of_the_project(checkout):
    locked = pins((checkout / "constraints.txt").read_text().splitlines())
    for name, version in pins(declared(checkout)).items():
        assert locked[name] == version, name


def test_the_conda_environment_agrees_with_the_project(checkout):
    environment = strict_yaml.read(checkout / "environment.yml")
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    everything = pins(declared(checkout))
    assert pins(pip) == {k: v for k, v in everything.items() if k in pins(pip)}
    base = set(pins(project["dependencies"])) - {"torch"}
    assert base <= set(pins(pip))
    assert f"pytorch-cpu={everything['torch']}" in conda
    (python,) = [item.split("=")[1] for item in conda if item.startswith("python=")]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    assert int(low) <= int(python.split(".")[1]) < int(high)
