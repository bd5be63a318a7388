"""What a sweep would cost: which of its runs are made, and how long the others will take."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from common.runs import store
from common.runs.files import read_json
from common.runs.keys import Plan

# as many of the newest runs as are read for an estimate
_RECENT = 5
# runs of other profiles may be newer; so many files are opened at most
_OPENED = 100


def is_made(plan: Plan) -> bool:
    """Say whether a run stands in the cache; its files are not verified, unlike at execution."""
    return (store.runs_dir(plan.slug) / plan.id / "run.json").is_file()


def run_seconds(slug: str, profile: str, minutes: float) -> float:
    """Estimate the wall time of one run.

    Args:
        slug: the chapter.
        profile: its named set of parameters; what a point changes of them is not considered.
        minutes: cost declared in ``paper.yml``, used where nothing ran here yet.

    Returns:
        Seconds: the median over the 5 newest runs of the profile.
    """
    walls = (float(run["wall_s"]) for run in _newest(slug) if run.get("profile") == profile)
    recent = list(islice(walls, _RECENT))
    return statistics.median(recent) if recent else 60 * minutes


def _newest(slug: str) -> Iterator[dict[str, Any]]:
    """Read the ``run.json`` of the newest complete runs of a chapter, newest first."""
    found: list[tuple[float, Path]] = []
    for path in store.runs_dir(slug).glob("[!.]*/run.json"):
        # another process may have replaced the run since it was listed
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[:_OPENED]:
        run = read_json(path)
        if isinstance(run, dict) and "wall_s" in run:
            yield run
