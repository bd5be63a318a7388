import base64
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from common import display, papers
from common.errors import ReplicateError
from toy_book import add_paper

HOSTILE = "<script>alert('1')</script> & \"quotes\""


@pytest.fixture
def paper(book):
    add_paper(book)
    return papers.load("toy")


def verdict(**changes):
    base = {
        "claim": "C1",
        "layer": "replication",
        "source": "phantom",
        "profile": "standard",
        "verdict": "supported",
        "unit": {"case": "image", "cluster": "patient"},
        "test": "sign_flip_clustered",
        "effect": 0.0131,
        "low": 0.0005,
        "high": 0.0257,
        "p": 0.01,
        "p_adjusted": 0.0213,
        "n_cases": 120,
        "n_clusters": 30,
        "n_seeds": 5,
        "detectable": 0.021,
        "note": "",
        "warnings": ["one seed"],
    }
    return {**base, **changes}


def test_table_heads_every_column_and_row_and_has_a_caption():
    frame = pd.DataFrame({"Dice": [0.91234, np.nan], "n": [3, 4]}, index=["A", "B"])
    html = display.table(frame.rename_axis("arm"), caption="Overlap by arm").html
    assert html.count('scope="col"') == 3
    assert html.count('scope="row"') == 2
    assert "<caption><span>Overlap by arm</span></caption>" in html
    assert 'tabindex="0"' in html
    assert ">0.912<" in html
    assert ">–<" in html


def test_table_shows_hostile_text_as_text():
    frame = pd.DataFrame({HOSTILE: [HOSTILE], "x": [HOSTILE]})
    html = display.table(frame, caption=HOSTILE, note=HOSTILE, index=False).html
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 6


def test_table_keeps_badges_and_formats_by_column():
    frame = pd.DataFrame({"arm": ["A"], "p": [0.0004], "share": [0.25], "v": ["x"]})
    frame["v"] = [display.verdict_badge("contradicted")]
    formats = {"p": display.p_value, "share": "{:.0%}"}
    shown = display.table(frame, caption="c", formats=formats, index=False)
    assert 'class="rb-badge rb-contradicted"' in shown.html
    assert "&lt; 0.001" in shown.html
    assert shown.plain.splitlines()[-1].split() == ["A", "<", "0.001", "25%", "✗", "contradicted"]


def test_plain_text_of_a_table_does_not_depend_on_digits_that_are_not_shown():
    first, second = (
        display.table(pd.DataFrame({"a": ["x"], "b": [value]}), caption="c", index=False)
        for value in (0.12341, 0.12344)
    )
    assert first.plain == second.plain
    assert repr(first) == first._repr_mimebundle_()["text/plain"]


def test_empty_table_says_so():
    assert "(no rows)" in display.table(pd.DataFrame({"a": []}), caption="none").plain


@pytest.mark.parametrize("name", display.SYMBOLS)
def test_badge_has_symbol_word_and_class(name):
    badge = display.verdict_badge(name)
    assert display.SYMBOLS[name] in badge.html
    assert f">{display.SYMBOLS[name]}</span> {name}</span>" in badge.html
    assert f"rb-{name}" in badge.html


def test_symbols_differ_so_that_colour_is_not_needed():
    assert len(set(display.SYMBOLS.values())) == 5


def test_unknown_verdict_is_refused():
    with pytest.raises(ReplicateError, match=r"must be one of supported.* got 'proven'"):
        display.verdict_badge("proven")


def test_verdict_table_names_all_that_a_verdict_must_name(paper):
    plain = display.verdict_table([verdict()], paper).plain
    for part in (
        "C1: Two is larger than one.",
        "replication, phantom",
        "✓ supported",
        "+1.31 [+0.05, +2.57] points",
        "0.021",
        "2.10 points",
        "sign flip clustered",
        "120 × image, 30 × patient, 5 seeds",
        "one seed",
    ):
        assert part in plain, part


def test_verdict_table_takes_objects_and_verdicts_without_numbers(paper):
    bare = verdict(verdict="untested", effect=None, low=None, high=None, p_adjusted=None)
    bare |= {"detectable": None, "unit": None, "test": None, "warnings": (), "note": "no data"}
    as_object = type("Verdict", (), bare)()
    assert display.verdict_table([as_object], paper).html == (
        display.verdict_table([bare], paper).html
    )
    assert "no data" in display.verdict_table([bare], paper).plain


def test_printed_table_shows_a_probability_and_no_p_value(paper):
    printed = verdict(layer="published", source="published", p=0.31, p_adjusted=None)
    plain = display.verdict_table([printed], paper).plain
    assert "published, printed table" in plain
    assert "P(false) up to 0.310" in plain


def test_verdict_of_an_undeclared_claim_is_refused(paper):
    with pytest.raises(ReplicateError, match="unknown claim 'C9'"):
        display.verdict_table([verdict(claim="C9")], paper)


def test_effect_without_unit_is_not_scaled():
    assert display.effect(0.5, 0.25, 0.75, unit="mm") == "+0.500 [+0.250, +0.750] mm"
    assert display.effect(float("nan")) == "–"


def picture():
    figure = Figure(figsize=(10, 5))
    figure.subplots().plot([0, 1])
    return figure


def test_figure_carries_its_alternative_text_caption_and_size():
    shown = display.describe(picture(), alt='a "rising" line', caption="<b>Line</b>", dpi=72)
    assert 'alt="a &quot;rising&quot; line"' in shown.html
    assert "<figcaption>&lt;b&gt;Line&lt;/b&gt;</figcaption>" in shown.html
    assert 'width="720" height="360"' in shown.html
    data = shown.html.split("base64,")[1].split('"')[0]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (720, 360)
    assert shown.plain == 'Figure: a "rising" line'


def test_figure_is_the_same_bytes_every_time():
    first, second = (display.describe(picture(), alt="line").html for _ in range(2))
    assert first == second


def test_figure_without_alternative_text_is_refused():
    with pytest.raises(ReplicateError, match="`alt` must say what the figure shows"):
        display.describe(picture(), alt="  ")


def test_source_is_the_live_code_without_its_docstring():
    shown = display.source_of(display.p_value)
    assert 'return "< 0.001" if p < 0.001' in shown.markdown
    assert "three decimals" not in shown.markdown
    assert "three decimals" in display.source_of(display.p_value, docstring=True).markdown
    assert "src/common/display.py#L" in shown.markdown
    assert shown.plain == "Source: common.display.p_value"


def test_source_of_a_class_loses_the_docstrings_of_its_methods_too():
    markdown = display.source_of(display.Shown).markdown
    assert '"""' not in markdown
    assert "def __repr__" in markdown
    compile(markdown.split("```python\n")[1].split("\n```")[0], "shown", "exec")


def test_long_source_is_folded_and_short_source_is_not():
    long = display.source_of(display.table, docstring=True).markdown
    assert "<details><summary>" in long
    assert "<details>" not in display.source_of(display.p_value).markdown
