import pytest
from matplotlib.figure import Figure

from common.errors import ReplicateError
from common.explorer import explore

DRAWN = []


def draw(height: float) -> Figure:
    DRAWN.append(height)
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, height])
    return figure


def shown(values=(0.0, 0.5, 1.0), **options):
    DRAWN.clear()
    return explore(draw, values, label="Height <px>", alt="A line.", **options)


def test_a_page_holds_one_picture_and_one_button_for_each_setting():
    html = shown(start=1).html
    assert DRAWN == [0.0, 0.5, 1.0]
    assert html.count("<img ") == html.count('type="radio"') == html.count("<label ") == 3
    assert len(set(html.split('src="')[1:])) == 3
    assert html.index(" checked") > html.index('-1"')
    assert html.count(" checked") == 1


def test_every_picture_says_its_setting_and_text_is_text():
    html = shown().html
    assert "A line. Height &lt;px&gt;: 0.5." in html
    assert "<legend>Height &lt;px&gt;</legend>" in html
    assert "<px>" not in html


def test_buttons_of_two_explorers_do_not_meddle():
    names = {
        part.split('"')[0]
        for one in (shown(), shown((0.0, 2.0)))
        for part in one.html.split('name="')[1:]
    }
    assert len(names) == 2


def test_plain_text_is_stable():
    assert repr(shown()) == "Figure: A line."


@pytest.mark.parametrize("values", [(1.0,), (1.0, 0.5), (1.0, 1.0), range(10)])
def test_settings_that_do_not_rise_are_refused_before_anything_is_drawn(values):
    with pytest.raises(ReplicateError, match="`values` must be 2 to 9 rising numbers"):
        shown(values)
    assert DRAWN == []


def test_outside_jupyter_there_is_no_widget():
    assert set(shown()._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_in_jupyter_a_slider_draws_any_setting(monkeypatch):
    import ipywidgets
    from IPython.core import getipython

    made = []
    interactive = ipywidgets.interactive

    def keep(function, **given):
        made.append(given["height"])
        return interactive(function, **given)

    monkeypatch.setattr(getipython, "get_ipython", lambda: object())
    monkeypatch.setattr(ipywidgets, "interactive", keep)
    bundle = shown(start=2)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "text/html" in bundle
    (slider,) = made
    assert (slider.min, slider.max, slider.value) == (0.0, 1.0, 1.0)
    slider.value = 0.35
    assert DRAWN[-1] == 0.35
