"""paper.yml: read strictly, every name declared, every published number found."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from common import papers
from common.errors import ReplicateError, UsageError
from common.runs import keys

MINIMAL = """
slug: toy
title: A toy
authors: [A. Author]
year: 2020
venue: Nowhere
kind: report
citation: author2020
summary: One arm against another.
task: [classification]
modality: none
datasets: [{id: toy-phantom, source: phantom, role: everything}]
arms:
  - {id: a, label: A, sources: [phantom]}
  - {id: b, label: B, sources: [phantom]}
metrics: [{id: correct, label: Accuracy, unit: fraction}]
tables: [{id: table1, caption: Table, where: Table 1, decimals: 1}]
claims:
  - id: C1
    text: A beats B.
    where: Section 1
    metric: correct
    arms: [a, b]
    direction: greater
    unit: {case: image, cluster: patient}
    test: sign_flip_clustered
    evidence:
      published:
        published:
          table: table1
          metric: Acc
          scale: 100
          n: 10
          cells: {a: {row: A, column: Acc}, b: {row: B, column: Acc}}
      replication: {source: phantom}
profiles:
  quick: {parameters: {}, minutes: 1, memory_gb: 1}
"""
TABLE = """row,column,metric,value,spread,spread_kind,n,note
A,Acc,Acc,90.0,,,10,
B,Acc,Acc,80.0,,,10,
"""


def write(book: Path, text: str = MINIMAL, table: str = TABLE) -> Path:
    folder = book / "data_manifests/papers/toy"
    folder.mkdir(parents=True)
    (folder / "paper.yml").write_text(text)
    (folder / "table1.csv").write_text(table)
    return folder


def test_a_claim_inherits_what_its_evidence_leaves_out(book):
    write(book)
    evidence = papers.load("toy").claim("C1").on("replication")
    assert evidence.metric == "correct"
    assert evidence.arms == ("a", "b")
    assert evidence.test == "sign_flip_clustered"


def test_published_numbers_are_scaled_to_the_unit_of_the_metric(book):
    write(book)
    paper = papers.load("toy")
    numbers = paper.published(paper.claim("C1").evidence["published"].published)
    assert numbers == {"a": 0.9, "b": 0.8}


def test_a_key_given_twice_is_refused_with_its_line(book):
    write(book, MINIMAL + "\nyear: 2021\n")
    with pytest.raises(ReplicateError, match=r"paper\.yml:\d+: found duplicate key \"year\""):
        papers.load("toy")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metric: correct\n    arms", "metric: wrong\n    arms", "metric 'wrong' is not declared"),
        ("arms: [a, b]", "arms: [a, c]", "arm 'c' is not declared"),
        ("table: table1\n", "table: table9\n", "table 'table9' is not declared"),
        ("test: sign_flip_clustered", "family: other", "family 'other' is not declared"),
        ("    test: sign_flip_clustered\n", "", "needs `test` or `untested`"),
        ("direction: greater", "direction: equivalent", "margin must be > 0"),
        ("direction: greater", "direction: value", "needs the key `value`"),
        ("direction: greater", "direction: absent", "say why under `untested`"),
        ("direction: greater", "direction: upwards", "Input should be 'greater'"),
        ("year: 2020", "yaer: 2020", "yaer: Extra inputs are not permitted"),
        ("title: A toy\n", "", "title: Field required"),
        ("  - {id: b,", "  - {id: a,", "arm 'a' is declared twice"),
    ],
)
def test_a_mistake_in_paper_yml_is_named(book, old, new, message):
    assert old in MINIMAL
    write(book, MINIMAL.replace(old, new, 1))
    with pytest.raises(ReplicateError) as caught:
        papers.load("toy")
    assert message in str(caught.value)
    assert "paper.yml" in str(caught.value)


REPORTING = """
reporting:
  interval: {value: false, where: Table 1}
  test: {value: true, where: p. 4}
  unit: {value: patient, where: p. 5}
  seeds: {value: null, where: nowhere}
  code: {value: true, where: p. 1}
  data: {value: request, where: p. 2}
"""


def test_what_a_paper_reports_is_read_with_its_places_and_may_be_absent(book):
    folder = write(book)
    assert papers.load("toy").reporting is None
    (folder / "paper.yml").write_text(MINIMAL + REPORTING)
    said = papers.load("toy").reporting
    assert (said.interval.value, said.test.value, said.seeds.value) == (False, True, None)
    assert (said.unit.value, said.unit.where) == ("patient", "p. 5")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("value: patient", "value: hospital", r"reporting\.unit\.value"),
        ("value: request", "value: yes please", r"reporting\.data\.value"),
        ("value: true, where: p. 4", "value: true", r"reporting\.test\.where"),
        ("  code: {value: true, where: p. 1}\n", "", r"reporting\.code"),
    ],
)
def test_a_mistake_in_what_a_paper_reports_is_named(book, old, new, place):
    write(book, MINIMAL + REPORTING.replace(old, new))
    with pytest.raises(ReplicateError, match=place):
        papers.load("toy")


def test_what_a_paper_reports_ages_no_archive(book):
    folder = write(book)
    before = keys.declaration_hashes("toy")
    (folder / "paper.yml").write_text(MINIMAL + REPORTING)
    after = keys.declaration_hashes("toy")
    assert after["declared"] == before["declared"]
    assert after["paper"] != before["paper"], "a page that shows it is made anew"


def test_contrast_weights_must_sum_to_zero(book):
    text = MINIMAL.replace(
        "replication: {source: phantom}", "replication: {source: phantom, contrast: {a: 1, b: -2}}"
    )
    write(book, text)
    with pytest.raises(ReplicateError, match="contrast weights must sum to 0, got -1"):
        papers.load("toy")


def test_an_unknown_chapter_is_answered_with_the_nearest(book):
    write(book)
    with pytest.raises(UsageError, match=r"unknown chapter 'tooy'\. Did you mean 'toy'"):
        papers.load("tooy")


def test_a_cell_that_the_table_lacks_is_named(book):
    write(book, MINIMAL.replace("a: {row: A,", "a: {row: Z,"))
    paper = papers.load("toy")
    with pytest.raises(ReplicateError, match="table1 has 0 numbers at row 'Z'"):
        paper.published(paper.claim("C1").evidence["published"].published)


@pytest.mark.parametrize(
    "table", [TABLE.replace("spread_kind", "kind"), TABLE.replace(",note", "").replace("10,", "10")]
)
def test_a_table_with_other_columns_is_refused(book, table):
    write(book, table=table)
    with pytest.raises(ReplicateError, match=r"table1\.csv must have the columns"):
        papers.load("toy").table("table1")


@pytest.mark.parametrize("slug", papers.slugs())
def test_every_paper_of_the_book_is_valid_and_its_published_cells_exist(slug):
    paper = papers.load(slug)
    for table in paper.tables:
        assert paper.table(table.id)["value"].notna().any()
    for claim in paper.claims:
        published = claim.evidence.get("published")
        if published is not None and published.published is not None:
            assert len(paper.published(published.published)) >= 2


def number(text):
    """Read a printed value; None where it is words (``x20``, ``no overlap``) or empty."""
    try:
        return float(text)
    except ValueError:
        return None


# columns are tasks there and metrics here; the chapter's own tests compare them key by key
OTHER_HEADS = ("shoulder-implant",)


@pytest.mark.parametrize("slug", papers.slugs())
def test_tables_equal_an_independent_transcription(slug):
    """Compares number by number with a second transcription where one lies beside the checkout.

    Ours may hold more where a value is printed in words, and in prose, which has no end.
    """
    folder = Path(__file__).resolve().parents[2] / "shared" / "papers" / slug / "tables"
    if not folder.is_dir():
        pytest.skip("no second transcription of the published tables lies beside the checkout")
    paper = papers.load(slug)
    for path in sorted(folder.glob("*.csv")):
        with path.open() as file:
            read = [
                (r["metric"], r["column_label"], number(r["value"])) for r in csv.DictReader(file)
            ]
        theirs = Counter(row for row in read if row[2] is not None)
        table = paper.table(path.stem).dropna(subset="value")
        ours = Counter(zip(table["metric"], table["column"], table["value"], strict=True))
        if slug in OTHER_HEADS:
            theirs = Counter(value for *_, value in theirs.elements())
            ours = Counter(value for *_, value in ours.elements())
        assert theirs - ours == Counter()
        if len(read) == theirs.total() and path.stem != "prose":
            assert ours == theirs
