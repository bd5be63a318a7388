import io
import time

from rich.console import Console

from common.runs.progress import duration, remaining, shown
from common.runs.results import Progress


def told(*states):
    stream = io.StringIO()
    with shown(Console(file=stream, force_terminal=False, width=40)) as listener:
        for state in states:
            listener(state)
    return stream.getvalue().splitlines()


def test_without_a_terminal_start_and_end_are_plain_lines():
    started = time.monotonic()
    running = Progress("toy", "quick", state="running", cells=9, started=started, estimate=60.0)
    lines = told(
        Progress("toy", "quick", estimate=60.0),
        *(Progress(**{**running.__dict__, "cell": cell}) for cell in range(1, 10)),
        Progress("toy", "quick", state="done", seconds=75.0),
        Progress("other", "quick", state="failed", seconds=1.0),
    )
    assert lines[0].startswith("toy quick: running cell 1/9, 0.")
    assert lines[0].endswith("about 1 min 00 s left")
    assert lines[1:] == ["toy quick: done, 1 min 15 s", "other quick: failed, 1.0 s"]


def test_waiting_for_another_process_is_said_once_and_not_at_every_look():
    lines = told(
        *[Progress("toy", "quick", state="elsewhere")] * 5, Progress("toy", "quick", "done")
    )
    assert lines[0] == "toy quick: another process makes this run; waiting for it"
    assert len(lines) == 2


def test_a_terminal_shows_a_table_with_cell_and_estimate():
    stream = io.StringIO()
    with shown(Console(file=stream, force_terminal=True, width=100)) as listener:
        started = time.monotonic()
        listener(Progress("toy", "quick", "running", 3, 9, started=started, estimate=7200.0))
    text = stream.getvalue()
    assert "toy" in text
    assert "3/9" in text
    assert "2 h 00 min" in text or "1 h 59 min" in text or "120 min" in text


def test_nothing_is_left_of_what_has_ended_or_takes_longer_than_thought():
    assert remaining(Progress("toy", "quick", state="done", seconds=3.0, estimate=9.0)) is None
    late = Progress("toy", "quick", "running", started=time.monotonic() - 9, estimate=1.0)
    assert remaining(late) == 0.0
    assert remaining(Progress("toy", "quick", estimate=9.0)) == 9.0


def test_durations_round_to_what_a_person_says():
    assert [duration(59.9), duration(60), duration(3599), duration(7260)] == [
        "59.9 s",
        "1 min 00 s",
        "59 min 59 s",
        "2 h 01 min",
    ]
