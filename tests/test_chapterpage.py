"""What a page shows of its claims: chosen by strength, in plain words."""

import dataclasses

import numpy as np
import pytest

from common import chapterpage, papers
from common.runs import read_archive
from common.statistics.decisions import Verdict


@pytest.fixture(scope="module")
def paper():
    return papers.load("hep2")


def verdict(**changes) -> Verdict:
    base = Verdict("C4a", "reanalysis", "authors", "quick", "inconclusive", ("patch", "patient"))
    numbers = {"effect": 0.0167, "low": -0.0504, "high": 0.0838, "p_adjusted": 1.0}
    return dataclasses.replace(base, **(numbers | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "supported"}, "the claim holds; anything from −5.04 points to +8.38 points"),
        ({"verdict": "contradicted"}, "the opposite holds; anything from"),
        ({"detectable": 0.08}, "effects under 8.00 points would mostly be missed"),
        ({"low": 0.0, "high": 0.0, "detectable": 0.0}, "the difference is the same in every case"),
        ({"claim": "C3l"}, "equality within 2.00 points is not shown"),
        ({"claim": "C3l", "verdict": "supported"}, "shown to be smaller than 2.00 points"),
        ({"claim": "C10l", "layer": "replication", "verdict": "equivalent"}, "if any, is smaller"),
        ({"verdict": "supported"}, "In the authors' own outputs"),
        ({"source": "open"}, "On the open data"),
        ({"source": "phantom", "layer": "replication"}, "On the phantom"),
    ],
)
def test_a_verdict_is_said_in_one_sentence_with_its_numbers(paper, changes, words):
    sentence = chapterpage.plain_words(verdict(**changes), paper)
    assert words in sentence
    assert sentence.endswith(".")


def test_the_overview_has_one_row_a_claim_and_a_cell_a_layer(paper):
    shown = chapterpage.verdict_overview(
        [verdict(), verdict(layer="published", source="published"), verdict(claim="C4b")], paper
    )
    assert shown.html.count('<th scope="row">') == 2
    assert shown.html.count("rb-inconclusive") == 3


def test_untested_claims_give_their_reason_once_for_all_layers(paper):
    blank = {"verdict": "untested", "effect": None, "low": None, "high": None, "p_adjusted": None}
    same = [verdict(layer=layer, note="no data", **blank) for layer in ("published", "reanalysis")]
    shown = chapterpage.untested_table(same, paper)
    assert "published, reanalysis" in shown.plain
    assert shown.html.count("no data") == 1


def test_without_an_archive_the_verdicts_of_the_run_are_shown(paper):
    judged = [verdict(claim="C4b"), verdict()]
    shown = chapterpage.current_verdicts(
        paper, judged, None, profile="quick", rng=np.random.default_rng(0)
    )
    assert [each.claim for each in shown] == ["C4a", "C4b"]


def test_every_claim_is_in_the_table_of_claims(paper):
    shown = chapterpage.claim_table(paper)
    assert shown.html.count('<th scope="row">') == len(paper.claims)
    assert "C10d: The extreme of the dial" in shown.plain


def test_the_banner_names_the_source_and_marks_commands():
    shown = chapterpage.source_banner("phantom", "Bring the files: `replicate data fetch x`.")
    assert shown.plain == "phantom: Bring the files: `replicate data fetch x`."
    assert "<code>replicate data fetch x</code>" in shown.html


def test_citation_names_paper_chapter_and_files_and_shows_hostile_text_as_text(paper):
    hostile = paper.model_copy(update={"title": "<script>x</script>", "doi": "10.1000/1"})
    shown = chapterpage.cite(hostile)
    assert "<script" not in shown.html
    assert 'href="https://doi.org/10.1000/1"' in shown.html
    assert f"/notebooks/{paper.slug}.ipynb" in shown.html
    assert str(paper.year) in shown.plain


def test_a_full_run_stands_beside_the_standard_run_with_what_it_cannot_see():
    shown = chapterpage.full_run(papers.load("ife"))
    assert "one training" not in shown.plain
    assert "Each arm was trained once" in shown.plain
    assert "H200" in shown.plain
    tested = {
        v["claim"] for v in read_archive("ife", "full").verdicts if v["verdict"] != "untested"
    }
    assert shown.html.count('<th scope="row">') <= len(tested)
    assert "C8d" in shown.plain


def test_a_chapter_without_a_full_run_says_so(paper):
    assert chapterpage.full_run(paper).plain == "No full run is archived yet."


def test_claims_that_were_changed_for_one_reason_share_one_sentence(paper):
    claims = [
        claim.model_copy(update={"changed": " Seen before. " if number in (0, 2) else None})
        for number, claim in enumerate(paper.claims)
    ]
    first, _, third, *_ = claims
    shown = chapterpage.claim_table(paper.model_copy(update={"claims": claims}))
    assert f"{first.id}, {third.id}: Seen before." in shown.plain
    assert shown.plain.count("Seen before.") == 1
