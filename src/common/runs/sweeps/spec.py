"""What a sweep is, and its memory: ``_build/sweeps/<id>/sweep.json``.

The file is written before the first run and names every run, so that what was found can be
collected later, whatever became of the code since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from common import paths
from common.errors import ReplicateError, UsageError
from common.runs import provenance
from common.runs.files import digest, read_json, write_json
from common.strict_yaml import Strict

FILE = "sweep.json"
# raised when the content of that file changes its meaning
FORMAT = 1
# shorter ones are words more often than ids
_SHORTEST_PREFIX = 4
_SHOWN = 10


@dataclass(frozen=True)
class Sweep:
    """Runs of one chapter that belong together.

    Args:
        id: 12 hexadecimal digits, made of slug, profile and points in their order.
        name: as given, else ``<slug>-<id>``.
        slug: the chapter.
        profile: the named set of parameters that the points override.
        varied: the parameters that were named, in the order given; ``seed`` last where seeds
            were asked for.
        points: what each run overrides, in order, as JSON has it (a tuple is a list).
    """

    id: str
    name: str
    slug: str
    profile: str
    varied: tuple[str, ...]
    points: tuple[dict[str, Any], ...]


class _Stored(Strict):
    """The content of ``sweep.json``: the sweep, when it was last started, and its runs."""

    format: int
    id: str
    name: str
    slug: str
    profile: str
    varied: tuple[str, ...]
    points: tuple[dict[str, Any], ...]
    written: str
    runs: tuple[str, ...]

    @property
    def sweep(self) -> Sweep:
        return Sweep(self.id, self.name, self.slug, self.profile, self.varied, self.points)


def make(
    slug: str,
    profile: str,
    *,
    varied: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    name: str | None = None,
) -> Sweep:
    """Make a sweep and work out its id.

    Args:
        slug: the chapter.
        profile: the named set of parameters.
        varied: names in the order in which tables show them.
        points: what each run overrides; another order of points is another sweep.
        name: ``<slug>-<id>`` by default.

    Example:
        >>> one = make("hep2", "quick", varied=["lr"], points=[{"lr": 0.1}, {"lr": 0.2}])
        >>> one.name == f"hep2-{one.id}", len(one.id)
        (True, 12)
    """
    plain = json.loads(json.dumps([dict(point) for point in points]))
    identity = digest([slug, profile, plain])[:12]
    return Sweep(identity, name or f"{slug}-{identity}", slug, profile, tuple(varied), tuple(plain))


def sweeps_dir() -> Path:
    """Return the folder of all sweeps."""
    return paths.build_dir() / "sweeps"


def folder(sweep_id: str) -> Path:
    """Return the folder of one sweep."""
    return sweeps_dir() / sweep_id


def write(sweep: Sweep, run_ids: Sequence[str]) -> Path:
    """Write a sweep atomically; the same sweep made before is replaced.

    Args:
        sweep: what to write.
        run_ids: one for each point, in order.

    Returns:
        The path of the file.

    Raises:
        ReplicateError: there is no room, or the folder cannot be written.
    """
    if len(run_ids) != len(sweep.points):
        raise ValueError(f"run_ids must be {len(sweep.points)}, one for each point, got {run_ids}")
    content = {
        "format": FORMAT,
        **asdict(sweep),
        "written": provenance.now(),
        "runs": list(run_ids),
    }
    return write_json(folder(sweep.id) / FILE, content)


def read(reference: str) -> tuple[Sweep, list[str]]:
    """Find a sweep.

    Args:
        reference: its id, its name, a chapter (its newest sweep), or at least 4 digits that only
            its id starts with. Where a name was given to several, the newest is meant.

    Returns:
        The sweep, and the id of the run of each point.

    Raises:
        UsageError: no sweep is meant, or several are; the known ones are listed.
        ReplicateError: its file is damaged.
    """
    _require_whole(reference)
    known = _known()
    for name in ("id", "name", "slug"):
        for stored in known:
            if getattr(stored, name) == reference:
                return stored.sweep, list(stored.runs)
    found = [stored for stored in known if stored.id.startswith(reference)]
    if len(reference) < _SHORTEST_PREFIX or not found:
        raise UsageError(f"unknown sweep {reference!r}. {_listed(known)}")
    if len(found) > 1:
        raise UsageError(
            f"{reference!r} could be any of {', '.join(stored.id for stored in found)}. "
            "Give more digits."
        )
    return found[0].sweep, list(found[0].runs)


def _require_whole(reference: str) -> None:
    path = sweeps_dir() / reference / FILE
    # a reference is a word; one with a separator would leave the folder of sweeps
    if Path(reference).name == reference and path.is_file() and _load(path) is None:
        raise ReplicateError(
            f"{path} is damaged. Start the sweep again: finished runs are taken from the cache."
        )


def _known() -> list[_Stored]:
    """Return every undamaged sweep, newest first."""
    found = (_load(path) for path in sweeps_dir().glob(f"*/{FILE}"))
    return sorted((one for one in found if one), key=lambda one: one.written, reverse=True)


def _load(path: Path) -> _Stored | None:
    try:
        stored = _Stored.model_validate(read_json(path))
    except ValidationError:
        return None
    whole = stored.format == FORMAT and stored.id == path.parent.name
    return stored if whole and len(stored.runs) == len(stored.points) else None


def _listed(known: Sequence[_Stored]) -> str:
    if not known:
        return "There is none yet; start one with `replicate sweep`."
    named = [f"{one.id} ({one.name}, {len(one.runs)} runs)" for one in known[:_SHOWN]]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"Known, newest first: {', '.join(named)}{more}."
