"""Statistics over papers: counted from what paper.yml declares and from failed checks alone."""

import re

import pytest

from common import papers
from common.site import reporting
from common.site.boards import Board
from common.site.evidence import Evidence
from toy_book import add_paper, edit

REPORTING = """\
reporting:
  interval: {value: true, where: Table 1}
  test: {value: false, where: everywhere}
  unit: {value: patient, where: p. 2}
  seeds: {value: 3, where: p. 3}
  code: {value: true, where: p. 4}
  data: {value: private, where: "p. 5 <b>"}
"""
TABLES = """\
  - {id: table1, caption: Scores, where: Table 1}
  - {id: table11, caption: More scores, where: Table 11}
  - {id: fig2, caption: Bars, where: Fig. 2}
  - {id: prose, caption: In words, where: Section 2}
"""


def board(root, slug, *checks, said=REPORTING):
    add_paper(root, slug)
    path = root / f"data_manifests/papers/{slug}/paper.yml"
    edit(path, "  - {id: table1, caption: Scores, where: Table 1}\n", TABLES)
    edit(path, "summary:", f"{said}summary:")
    audit = [{"id": id, "statement": words, "status": status} for id, words, status in checks]
    return Board(Evidence(slug, papers.load(slug), ()), tuple(audit))


def counted(*boards):
    return {words: (n, of) for words, n, of in reporting.counts(boards)}


def test_papers_are_counted_only_where_they_say(book):
    second = REPORTING.replace("value: true, where: Table 1", "value: false, where: x")
    second = second.replace("value: 3", "value: null").replace("private", "request")
    found = counted(
        board(book, "one"), board(book, "two", said=second), board(book, "three", said="")
    )
    assert found["papers that print an interval"] == (1, 2)
    assert found["papers that put a comparison to a test"] == (0, 2)
    assert found["papers whose scores are by patient"] == (2, 2)
    assert found["papers with more than one training behind a number"] == (1, 2)
    assert found["papers that released code"] == (2, 2)
    assert found["papers whose images are public or given on request"] == (1, 2)


@pytest.mark.parametrize(
    ("checks", "itself", "outputs"),
    [
        ([], (0, 3), (0, 0)),
        ([("P1", "the means of Table 1 are means", "fail")], (1, 3), (0, 0)),
        ([("P1", "the means of Table 1 are means", "pass")], (0, 3), (0, 0)),
        ([("P1 Fig. 2", "bars add up", "fail"), ("P2", "Fig. 2 again", "fail")], (1, 3), (0, 0)),
        ([("P1", "Table 11 sums", "fail")], (1, 3), (0, 0)),
        ([("P1", "Section 2 counts", "fail")], (0, 3), (0, 0)),
        ([("R1", "Table 1, A, mean", "fail"), ("R2", "x", "pass")], (0, 3), (1, 3)),
        ([("R1", "Table 1, A, mean", "undecidable")], (0, 3), (0, 3)),
    ],
)
def test_a_table_counts_where_a_failed_check_names_it(book, checks, itself, outputs):
    found = counted(board(book, "one", *checks))
    assert found["printed tables that contradict themselves"] == itself
    assert found["printed tables that outputs released by the authors contradict"] == outputs


def test_counts_of_nothing_are_not_shown_as_shares(book):
    text = reporting.count_table([board(book, "one", said="")]).plain
    assert "interval" not in text
    assert "outputs" not in text
    assert re.search(r"contradict themselves +0 +3 +0 %", text)


def test_what_a_paper_says_is_shown_with_its_place(book):
    shown = reporting.paper_table([board(book, "one"), board(book, "two", said="")])
    assert "yes; Table 1" in shown.plain
    assert "patient; p. 2" in shown.plain
    assert "3; p. 3" in shown.plain
    assert "private<br><small>p. 5 &lt;b&gt;</small>" in shown.html
    assert "two" not in shown.plain


def test_the_first_chapter_reports_no_interval_and_no_test(checkout):
    said = papers.load("hep2").reporting
    assert (said.interval.value, said.test.value) == (False, False)
    assert (said.unit.value, said.seeds.value, said.code.value) == ("patch", 1, True)
