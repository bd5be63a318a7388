"""What chapters put on the scoreboard: a record for each claim, layer and source; audit checks."""

import json

import pytest

from common import papers
from common.runs import store
from common.site import boards
from common.site.chapters import ChapterResult
from common.statistics import printed
from toy_book import add_paper, edit

VERDICT = {
    "claim": "C1",
    "layer": "replication",
    "source": "phantom",
    "profile": "quick",
    "verdict": "supported",
    "unit": ["image", "patient"],
    "effect": 0.02,
    "low": 0.01,
    "high": 0.03,
    "p_adjusted": 0.04,
    "detectable": 0.015,
    "warnings": ["one seed", "few patients"],
}
PRINTED = {
    "claim": "C1",
    "layer": "published",
    "source": "published",
    "profile": "",
    "verdict": "inconclusive",
    "unit": ["image", "patient"],
    "effect": 0.03,
    "low": -0.01,
    "high": 0.07,
    "p": 0.17,
    "note": "P(claim false) 8.8e-156 to 0.17 for congruence 0.65 to 0.79 and design effect 1 to 60",
}


def check(id, status="fail", statement="s"):
    return {"id": id, "statement": statement, "status": status, "printed": "1", "recomputed": 2.0}


def run(book, verdicts=(), audit=()):
    """Write what a quick run leaves beside its notebook."""
    folder = book / "_build/runs/toy/r1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.json").write_text(json.dumps(list(verdicts)))
    (folder / "audit.json").write_text(json.dumps(list(audit)))
    return ChapterResult("toy", "quick", folder / "notebook.ipynb")


def archive(book, profile, *, verdicts=(), audit=()):
    folder = book / "book/results/toy" / profile
    folder.mkdir(parents=True)
    (folder / "verdicts.json").write_text(json.dumps(list(verdicts)))
    (folder / "audit.json").write_text(json.dumps(list(audit)))
    stamp = {"files": store.file_hashes(folder), "key": {}, "profile": profile}
    (folder / "run.json").write_text(json.dumps(stamp))


@pytest.fixture
def toy(book):
    add_paper(book)
    return book


def test_every_layer_that_a_claim_names_has_a_record_and_no_other(toy):
    found = boards.records([boards.gather(ChapterResult("toy", "quick", None))])
    assert [(each["layer"], each["verdict"], each["note"]) for each in found] == [
        ("Published", "untested", "the paper prints no n"),
        ("Replication", "untested", "not run yet"),
    ]


def test_sources_of_one_layer_have_records_of_their_own(toy):
    given = [VERDICT, {**VERDICT, "source": "open"}]
    found = boards.records([boards.gather(run(toy, given))])
    assert [each["source"] for each in found if each["layer"] == "Replication"] == [
        "phantom",
        "open",
    ]


def test_record_of_a_replication_also_tells_what_the_paper_printed(toy):
    found = boards.records([boards.gather(run(toy, [PRINTED, VERDICT]))])
    replication = found[1]
    assert replication["published_effect"] == 0.03
    assert (replication["p_false_low"], replication["p_false_high"]) == (8.8e-156, 0.17)
    assert replication["p_false_over"] == "congruence 0.65 to 0.79 and design effect 1 to 60"
    assert (replication["effect"], replication["effect_unit"]) == (0.02, "fraction")
    assert replication["warnings"] == "one seed; few patients"
    assert [each["profile"] for each in found] == ["", "quick"]


def test_effect_of_a_joint_test_has_no_unit(toy):
    joint = {**VERDICT, "effect": 2.4, "low": None, "high": None}
    (_, replication) = boards.records([boards.gather(run(toy, [joint]))])
    assert replication["effect_unit"] == ""


def test_range_of_the_probability_is_read_as_the_statistics_write_it(checkout):
    claims = [each for each in printed.judge_published(papers.load("hep2")) if each.p is not None]
    assert claims
    for each in claims:
        span = boards._RANGE.fullmatch(each.note)
        assert float(span[1]) <= float(span[2]) == pytest.approx(each.p, rel=0.05)


def test_checks_of_this_build_come_first_and_archives_add_what_it_could_not_make(toy):
    path = toy / "data_manifests/papers/toy/paper.yml"
    path.write_text(f"{path.read_text()}  full: {{parameters: {{}}, minutes: 1, memory_gb: 1}}\n")
    archive(toy, "standard", audit=[check("P1"), check("R1")])
    archive(toy, "full", audit=[check("R1", "pass")])
    board = boards.gather(run(toy, audit=[check("P1", "pass")]))
    assert [(each["id"], each["status"], each["profile"]) for each in board.audit] == [
        ("P1", "pass", "quick"),
        ("R1", "pass", "full"),
    ]


def test_checks_of_a_failed_run_and_of_a_damaged_archive_are_not_taken(toy):
    archive(toy, "standard", audit=[check("P1")])
    (toy / "book/results/toy/standard/audit.json").write_text("[]")
    result = run(toy, audit=[check("P2")])
    failed = ChapterResult("toy", "quick", result.notebook, {}, "toy: failed")
    board = boards.gather(failed)
    assert board.audit == ()
    assert len(board.evidence.problems) == 1


def test_failures_are_listed_first_and_checks_say_what_they_are_held_against(toy):
    given = [check("P1", "pass"), check("R1", "undecidable"), check("P2")]
    found = boards.checks([boards.gather(run(toy, audit=given))])
    assert [(each["check"], each["against"]) for each in found] == [
        ("P2", "printed numbers"),
        ("R1", "released outputs"),
        ("P1", "printed numbers"),
    ]
    assert tuple(found[0]) == boards.CHECK_COLUMNS


def test_claim_of_the_book_is_marked(toy):
    edit(
        toy / "data_manifests/papers/toy/paper.yml",
        "    where: p. 1\n",
        "    where: p. 1\n    ours: true\n",
    )
    found = boards.records([boards.gather(ChapterResult("toy", "quick", None))])
    assert {each["ours"] for each in found} == {True}
