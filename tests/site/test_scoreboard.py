"""The scoreboard: every claim with its numbers, audits, files, the picture of the front page."""

import csv
import io
import json
import re

import pytest

from common import papers
from common.site import boards, scoreboard
from common.site.boards import Board
from common.site.chapters import ChapterResult
from common.site.evidence import Evidence
from toy_book import add_paper, edit

HOSTILE = "<script>alert(1)</script> `x` ````{raw} html"
PRINTED = {
    "claim": "C1",
    "layer": "published",
    "source": "published",
    "profile": "",
    "verdict": "inconclusive",
    "effect": 0.03,
    "low": -0.01,
    "high": 0.07,
    "p": 0.17,
    "note": "P(claim false) 1e-9 to 0.17 for congruence 0.65 to 0.79 and design effect 1 to 60",
}
TESTED = {
    "claim": "C1",
    "layer": "replication",
    "source": "phantom",
    "profile": "standard",
    "verdict": "contradicted",
    "effect": -0.02,
    "low": -0.03,
    "high": -0.01,
    "p_adjusted": 0.0004,
    "detectable": 0.015,
}
CHECK = {
    "id": "P1",
    "statement": "means are means",
    "status": "fail",
    "printed": "0.788",
    "recomputed": 0.7996,
    "note": "",
    "profile": "quick",
}


def board(root, *verdicts, audit=(), slug="toy"):
    add_paper(root, slug)
    return Board(Evidence(slug, papers.load(slug), verdicts), tuple(audit))


def rows(text, name):
    """Return the texts of the cells of each row of a table."""
    table = re.search(rf'<table id="{name}".*?</table>', text, flags=re.DOTALL)[0]
    body = table.split("<tbody>")[1]
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", body, flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def test_row_of_a_claim_holds_everything_that_a_verdict_must_name(book):
    text = scoreboard.page([board(book, PRINTED, TESTED)])
    published, replication = rows(text, "claims")
    assert published[5] == "&lt; 0.001 to 0.170 congruence 0.65 to 0.79 and design effect 1 to 60"
    claim, words, layer, verdict, printed, false, effect, p, least = replication
    assert claim == "C1 toy"
    assert words == "Two is larger than one."
    assert layer == "Replication phantom standard run"
    assert verdict == "✗ contradicted"
    assert printed == "+3.00 points"
    assert false == "&lt; 0.001 to 0.170"
    assert effect == "−2.00 points [−3.00, −1.00]"
    assert p == "&lt; 0.001"
    assert least == "1.50 points"


def test_claim_leads_to_its_trial_in_the_chapter(book):
    text = scoreboard.page([board(book, TESTED)])
    assert 'href="../notebooks/toy.html#the-claims-on-trial">C1</a>' in text
    assert 'href="../notebooks/toy.html">toy</a>' in text


def test_chapters_have_the_section_that_claims_lead_to(checkout):
    for source in (checkout / "notebooks").glob("*.py"):
        heading = scoreboard.TRIAL.replace("-", " ")
        assert f"# ## {heading}" in source.read_text().lower(), source.name
        assert "# ## audit" in source.read_text().lower(), source.name


def test_layer_without_a_test_says_why(book):
    (published, _) = rows(scoreboard.page([board(book, TESTED)]), "claims")
    assert published[3] == "– untested the paper prints no n"


def test_numbers_sort_by_value_and_not_by_text(book):
    text = scoreboard.page([board(book, PRINTED, TESTED)])
    assert 'data-order="-0.02"><span class="rb-line">−2.00 points' in text
    assert 'data-order="0.0004">&lt; 0.001' in text


def test_rows_are_found_by_verdict_and_by_having_been_tested(book):
    text = scoreboard.page([board(book, TESTED)])
    words = [
        json.loads(each.replace("&quot;", '"')) for each in re.findall(r'-words="(.*?)"', text)
    ]
    assert [each["verdict"] for each in words] == [
        ["untested"],
        ["contradicted", "any that was tested"],
    ]
    assert words[1]["chapter"] == ["toy"]
    assert words[1]["layer"] == ["Replication"]
    assert words[1]["source"] == ["phantom"]


def test_stale_verdicts_are_marked(book):
    text = scoreboard.page([board(book, {**TESTED, "stale": True})])
    assert "standard run, code changed since" in text


def test_counts_name_each_verdict_of_each_layer(book):
    text = scoreboard.page([board(book, TESTED, {**TESTED, "source": "open"})])
    assert '2&nbsp;<span class="rb-badge rb-contradicted">' in text


def test_audit_shows_outcome_numbers_and_chapter(book):
    passed = {**CHECK, "id": "R1", "status": "pass", "note": "as printed", "printed": None}
    text = scoreboard.page([board(book, audit=[passed, CHECK])])
    assert rows(text, "audit") == [
        ["toy P1", "means are means", "✗ fail", "0.788", "0.800", "–"],
        ["toy R1", "means are means", "✓ pass", "–", "0.800", "as printed"],
    ]


def test_files_hold_every_record_and_every_check(book):
    made = scoreboard.files([board(book, PRINTED, TESTED, audit=[CHECK])])
    listed = json.loads(made["book/scoreboard.json"])
    assert [(each["layer"], each["verdict"]) for each in listed] == [
        ("Published", "inconclusive"),
        ("Replication", "contradicted"),
    ]
    assert listed[1]["low"] == -0.03
    table = list(csv.DictReader(io.StringIO(made["book/scoreboard.csv"].decode())))
    assert [row["effect"] for row in table] == ["0.03", "-0.02"]
    assert [each["check"] for each in json.loads(made["book/audit.json"])] == ["P1"]
    assert "book/_static/tables/datatables.js" in made


def test_files_of_a_chapter_without_an_audit_have_their_header(book):
    made = scoreboard.files([board(book)])
    assert made["book/audit.csv"].decode().startswith("chapter,check,statement,outcome")
    assert json.loads(made["book/audit.json"]) == []


def test_book_without_chapters_has_a_sentence_and_no_files():
    assert scoreboard.page([]) == "No chapter has been added yet.\n"
    assert scoreboard.files([]) == {}
    assert scoreboard.picture([]) == ""


def test_hostile_text_is_shown_as_text_everywhere(book):
    add_paper(book)
    path = book / "data_manifests/papers/toy/paper.yml"
    edit(path, "A toy paper", json.dumps(HOSTILE))
    edit(path, "Two is larger than one.", json.dumps(HOSTILE))
    verdict = {**TESTED, "note": HOSTILE, "source": HOSTILE, "profile": HOSTILE}
    check = dict.fromkeys(CHECK, HOSTILE) | {"status": "fail"}
    evidence = Evidence("toy", papers.load("toy"), (PRINTED, verdict), (HOSTILE,))
    given = [Board(evidence, (check,))]
    for text in (scoreboard.page(given), scoreboard.picture(given)):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script>" not in text.replace("\\<", "")
        outside = [part.split("\n````\n", 1)[-1] for part in text.split("````{raw} html\n")]
        assert not any("````" in part for part in outside)


def test_picture_has_a_square_for_each_claim_on_each_layer_and_says_its_counts(book):
    text = scoreboard.picture([board(book, PRINTED, TESTED)])
    squares = re.findall(
        r'class="rb-square rb-(\w+)" aria-hidden="true" title="([^"]+)">(.)<', text
    )
    assert squares == [
        ("inconclusive", "C1: Two is larger than one. Inconclusive.", "?"),
        ("contradicted", "C1: Two is larger than one. Contradicted.", "✗"),
    ]
    assert 'aria-label="toy, Replication, phantom: 1 contradicted"' in text
    assert "scoreboard.html?claims-chapter=toy&amp;claims-layer=Replication#every-claim" in text


def test_picture_explains_every_symbol_and_keeps_the_order_of_layers(book):
    text = scoreboard.picture([board(book, TESTED, PRINTED)])
    key = re.search(r"<ul.*?</ul>", text)[0]
    assert re.findall(r">(.)</span> (\w+)<", key) == [
        ("✓", "supported"),
        ("✗", "contradicted"),
        ("≈", "equivalent"),
        ("?", "inconclusive"),
        ("–", "untested"),
    ]
    assert re.findall(r'strip-name">([\w, ]+)<', text) == ["Published", "Replication, phantom"]


def test_picture_of_a_chapter_that_never_ran_says_so(book):
    assert "not run yet" in scoreboard.picture([board(book)])


@pytest.mark.parametrize("slug", papers.slugs())
def test_every_chapter_of_the_book_has_a_row_for_each_claim_and_layer(slug, checkout):
    given = boards.gather(ChapterResult(slug, "quick", None))
    found = {(each["claim"], each["layer"]) for each in boards.records([given])}
    wanted = {
        (claim.id, scoreboard.LAYER_TITLES[layer])
        for claim in given.paper.claims
        for layer in claim.evidence
    }
    assert found == wanted
