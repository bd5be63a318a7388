"""Progress of runs: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from common.runs.results import Listener, Progress

# a run without news still says every so often that it lives
_LINE_EVERY_S = 15.0


def duration(seconds: float | None) -> str:
    """Write a time the way a person says it.

    Example:
        >>> duration(4.2), duration(75), duration(3700), duration(None)
        ('4.2 s', '1 min 15 s', '1 h 02 min', '-')
    """
    if seconds is None:
        return "-"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def elapsed(progress: Progress) -> float | None:
    """Return the seconds that a run has taken so far; None before it starts."""
    if progress.seconds is not None:
        return progress.seconds
    return None if progress.started is None else time.monotonic() - progress.started


def remaining(progress: Progress) -> float | None:
    """Estimate the seconds that are left; None where nothing is known or left."""
    if progress.state not in ("waiting", "running") or progress.estimate is None:
        return None
    return max(0.0, progress.estimate - (elapsed(progress) or 0.0))


class _Board:
    """The states of all chapters, drawn anew at each refresh so that the clocks go on."""

    def __init__(self) -> None:
        self.states: dict[str, Progress] = {}

    def __rich__(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("chapter", "profile", "state", "cell", "elapsed", "left"):
            table.add_column(name)
        for state in self.states.values():
            cell = f"{state.cell}/{state.cells}" if state.cells else ""
            table.add_row(
                state.slug,
                state.profile,
                state.state,
                cell,
                duration(elapsed(state)),
                duration(remaining(state)),
            )
        return table


class _Lines:
    """One line when a run starts, then now and then, and one when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        last = self._said.get(progress.slug)
        running = progress.state == "running"
        if progress.state == "waiting" or (
            running and last is not None and now - last < _LINE_EVERY_S
        ):
            return
        self._said[progress.slug] = now
        where = f" cell {progress.cell}/{progress.cells}" if running else ""
        time_text = duration(elapsed(progress))
        left = f", about {duration(remaining(progress))} left" if running else ""
        line = f"{progress.slug} {progress.profile}: {progress.state}{where}, {time_text}{left}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def shown(console: Console) -> Iterator[Listener]:
    """Show progress on a console while runs are made.

    Args:
        console: where; a live table if it is a terminal.

    Yields:
        A listener for :func:`common.runs.execute_all`.
    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    board = _Board()
    with Live(board, console=console, refresh_per_second=4):

        def listen(progress: Progress) -> None:
            board.states[progress.slug] = progress

        yield listen
