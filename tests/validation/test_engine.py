import numpy as np

from common.statistics import procedures
from common.validation import engine


def _draw(number):
    return float(engine.stream(1, "piece", number).normal())


def _count_resamples(_):
    return procedures.N_RESAMPLES


def test_results_do_not_depend_on_the_number_of_processes():
    works = list(range(6))
    assert engine.run(_draw, works, jobs=1) == engine.run(_draw, works, jobs=2)


def test_streams_differ_by_name_number_and_seed():
    drawn = {
        float(engine.stream(*names).normal())
        for names in ((0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0))
    }
    assert len(drawn) == 4


def test_fewer_resamples_are_drawn_inside_and_the_usual_number_after():
    before = procedures.N_RESAMPLES
    assert engine.run(_count_resamples, [0], n_resamples=77) == [77]
    assert before == procedures.N_RESAMPLES


def test_progress_lines_tell_how_much_is_done_and_left():
    lines = []
    engine.run(np.sqrt, [1.0] * 40, name="roots", say=lines.append)
    assert len(lines) == 20
    assert lines[-1].startswith("roots: 40 of 40")
    assert "about 0 s left" in lines[-1]
