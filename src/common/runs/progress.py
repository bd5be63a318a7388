"""Progress of runs: a live table in a terminal, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from common.runs.results import Listener, Progress

# a run without news still says every so often that it lives
_LINE_EVERY_S = 15.0
# up to so many runs each has a row or lines of its own; of more, only those that run or failed
_FEW = 20
_STATES = ("done", "cached", "failed", "running", "elsewhere", "waiting")


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


def left(progress: Progress) -> str:
    """Write what is left of a run; one that takes longer than expected says so.

    Example:
        >>> left(Progress("a", "quick", state="running", estimate=5.0))
        'about 5.0 s left'
    """
    seconds = remaining(progress)
    if seconds is None:
        return ""
    if seconds == 0.0:
        return f"longer than the {duration(progress.estimate)} expected"
    return f"about {duration(seconds)} left"


class Tally:
    """The states of all runs, and what that says of the whole."""

    def __init__(self) -> None:
        self.states: dict[str, Progress] = {}
        self._since: float | None = None

    def take(self, progress: Progress) -> None:
        """Take note of one run."""
        if self._since is None and progress.state == "running":
            self._since = time.monotonic()
        self.states[progress.id or progress.slug] = progress

    @property
    def counts(self) -> str:
        """How many runs are in which state.

        Example:
            >>> tally = Tally()
            >>> tally.take(Progress("a", "quick", state="done", id="1"))
            >>> tally.take(Progress("a", "quick", id="2"))
            >>> tally.counts
            '1 done, 1 waiting of 2'
        """
        found = Counter(one.state for one in self.states.values())
        parts = [f"{found[state]} {state}" for state in _STATES if found[state]]
        return f"{', '.join(parts)} of {len(self.states)}"

    @property
    def left_s(self) -> float | None:
        """Seconds until all are done, at the pace so far; None before the first is."""
        finished = sum(one.state in ("done", "failed") for one in self.states.values())
        open_runs = sum(
            one.state in ("waiting", "running", "elsewhere") for one in self.states.values()
        )
        if not finished or not open_runs or self._since is None:
            return None
        return (time.monotonic() - self._since) / finished * open_runs

    @property
    def line(self) -> str:
        """The whole in one line."""
        seconds = self.left_s
        return self.counts + ("" if seconds is None else f", about {duration(seconds)} left")


class _Board:
    """The runs as a table, drawn anew at each refresh so that the clocks go on."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for name in ("chapter", "profile", "run", "state", "cell", "elapsed", ""):
            table.add_column(name)
        states = list(self._tally.states.values())
        if len(states) > _FEW:
            failed = [one for one in states if one.state == "failed"][-_FEW:]
            states = [one for one in states if one.state == "running"] + failed
        for state in states:
            cell = f"{state.cell}/{state.cells}" if state.cells else ""
            table.add_row(
                state.slug,
                state.profile,
                state.id[:8],
                state.state,
                cell,
                duration(elapsed(state)),
                left(state),
            )
        return Group(table, self._tally.line) if len(self._tally.states) > 1 else Group(table)


class _Lines:
    """Lines for a log: of few runs what each does, of many the whole now and then."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console = console
        self._tally = tally
        self._said: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        many = len(self._tally.states) > _FEW
        if progress.state == "failed" or not many:
            self._one(progress)
        if many and self._due("", progress.state == "running"):
            self._print(self._tally.line)

    def _due(self, name: str, running: bool) -> bool:
        now = time.monotonic()
        last = self._said.get(name)
        if last is not None and now - last < _LINE_EVERY_S and (running or not name):
            return False
        self._said[name] = now
        return True

    def _one(self, progress: Progress) -> None:
        running, elsewhere = progress.state == "running", progress.state == "elsewhere"
        name = progress.id or progress.slug
        if progress.state == "waiting" or not self._due(name, running or elsewhere):
            return
        where = f" cell {progress.cell}/{progress.cells}" if running else ""
        rest = f", {left(progress)}" if running and left(progress) else ""
        run = f" {progress.id[:8]}" if len(self._tally.states) > 1 and progress.id else ""
        whose = f"{progress.slug} {progress.profile}{run}: "
        if elsewhere:
            self._print(f"{whose}another process makes this run; waiting for it")
        else:
            self._print(f"{whose}{progress.state}{where}, {duration(elapsed(progress))}{rest}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def shown(console: Console) -> Iterator[Listener]:
    """Show progress on a console while runs are made.

    Args:
        console: where; a live table if it is a terminal.

    Yields:
        A listener for :func:`common.runs.engine.execute_plans`.
    """
    tally = Tally()
    if not console.is_terminal:
        lines = _Lines(console, tally)

        def tell(progress: Progress) -> None:
            tally.take(progress)
            lines(progress)

        yield tell
        return
    with Live(_Board(tally), console=console, refresh_per_second=4):
        yield tally.take
