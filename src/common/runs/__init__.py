"""Runs of chapters: parameters, cache, execution by papermill, archives, and the notebook's side.

A run is one papermill execution of a chapter with one set of parameters. This package executes
chapters and never computes for them: a notebook uses :mod:`common.runs.session` to hand over its
results and :func:`read_archive` to show those of larger runs.
"""

from common.runs.archives import Archive, archive, read_archive
from common.runs.engine import execute, execute_all
from common.runs.keys import Plan, plan
from common.runs.results import RunResult

__all__ = [
    "Archive",
    "Plan",
    "RunResult",
    "archive",
    "execute",
    "execute_all",
    "plan",
    "read_archive",
]
