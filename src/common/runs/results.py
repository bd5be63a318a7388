"""What an execution tells: how a run ended, and where one stands that goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """How one requested run ended.

    Args:
        slug, profile: what was asked for.
        id: of the run; empty where it could not even be planned.
        notebook: the executed notebook, of a failed run as far as it came; None if there is none.
        folder: of the complete run; None if it failed.
        run: content of ``run.json``; of a failed run what is known of it.
        error: None, or what went wrong, starting with the chapter.
        cell: number of the failing code cell, counted from 1.
        cached: whether an earlier run was taken.
    """

    slug: str
    profile: str
    id: str = ""
    notebook: Path | None = None
    folder: Path | None = None
    run: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    cell: int | None = None
    cached: bool = False


@dataclass(frozen=True)
class Progress:
    """Where one run stands.

    Args:
        slug, profile: the run.
        state: ``waiting``, ``elsewhere`` (another process makes it), ``running``, ``cached``,
            ``done`` or ``failed``.
        cell, cells: the code cell that runs, of how many; 0 before the first.
        started: :func:`time.monotonic` at the start; None while waiting.
        seconds: elapsed at the end; None before.
        estimate: expected wall time in seconds.
        id: of the run; empty where it could not be planned.
    """

    slug: str
    profile: str
    state: str = "waiting"
    cell: int = 0
    cells: int = 0
    started: float | None = None
    seconds: float | None = None
    estimate: float | None = None
    id: str = ""


Listener = Callable[[Progress], None]
