import datetime
import json
from xml.etree import ElementTree

import pytest

from common import site
from common.errors import ReplicateError
from common.runs import read_archive
from common.site import changes
from common.site.imprint import Imprint
from toy_book import add_paper, edit

ATOM = "{http://www.w3.org/2005/Atom}"
IMPRINT = Imprint("Toy", "A. Writer", "https://example.org/toy/", "")
HOSTILE = "</script><script>alert(1)</script> ````{raw} html & <b>"
CHANGE = {
    "date": "2026-02-03",
    "chapter": "toy",
    "claim": "C1",
    "layer": "replication",
    "source": "phantom",
    "from": "supported",
    "to": "inconclusive",
    "reason": "More seeds.",
}


@pytest.fixture
def toy(book):
    add_paper(book)
    return book


def write(book, *listed):
    """Write the file; JSON is YAML."""
    text = json.dumps({"changes": [{**CHANGE, **each} for each in listed]})
    (book / changes.FILE).write_text(text)


def test_book_without_the_file_has_no_changes(toy):
    assert changes.load() == []


def test_changes_are_read_newest_first_and_keep_their_order_within_a_day(toy):
    write(
        toy,
        {"date": "2026-01-01"},
        {"date": "2026-03-01", "layer": "published", "source": "published"},
        {"date": "2026-03-01", "from": None},
    )
    found = changes.load()
    assert [(each.date.month, each.layer) for each in found] == [
        (3, "published"),
        (3, "replication"),
        (1, "replication"),
    ]
    assert found[1].before is None
    assert (found[2].before, found[2].after) == ("supported", "inconclusive")
    assert found[0].date == datetime.date(2026, 3, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chapter": "tpy"}, r"`chapter` must be one of the book, got 'tpy'. Known: toy"),
        ({"claim": "C9"}, r"`claim` must be one of chapter toy, got 'C9'. Known: C1"),
        ({"layer": "reanalysis"}, r"chapter toy, claim C1 has no layer 'reanalysis'"),
        ({"to": "supported"}, r"`from` and `to` must differ, got 'supported' twice"),
        ({"to": "proven"}, r"changes.0.to: Input should be 'supported'"),
        ({"source": "rumour"}, r"changes.0.source: Input should be"),
        ({"date": "2026-02-30"}, r"changes.0.date: Input should be a valid date"),
        ({"reason": ""}, r"changes.0.reason: String should match"),
        ({"reason": "bell \x07"}, r"changes.0.reason: String should match"),
        ({"because": "x"}, r"changes.0.because: Extra inputs"),
    ],
)
def test_change_that_cannot_be_meant_is_refused_and_named(toy, change, message):
    write(toy, change)
    with pytest.raises(ReplicateError, match=message) as caught:
        changes.load()
    assert changes.FILE in str(caught.value)


def test_change_that_is_listed_twice_is_refused(toy):
    write(toy, {}, {"reason": "Another one."})
    with pytest.raises(ReplicateError, match=r"claim C1 is listed twice for 2026-02-03"):
        changes.load()


def test_table_shows_both_verdicts_or_says_that_the_older_one_is_not_recorded(toy):
    write(toy, {}, {"date": "2026-01-01", "from": None})
    text = changes.section(changes.load(), feed=True)
    newer, older = text.split("<tbody>")[1].split("</tr>")[:2]
    assert newer.index("</span> supported</span>") < newer.index("</span> inconclusive</span>")
    assert "Two is larger than one." in newer
    assert '<a href="../notebooks/toy.html">toy</a> C1' in newer
    assert "not recorded" not in newer
    assert "not recorded" in older
    assert 'href="../verdicts.atom"' in text
    assert "verdicts.atom" not in changes.section(changes.load(), feed=False)


def test_hostile_text_stays_text_in_table_and_feed(toy):
    edit(toy / "data_manifests/papers/toy/paper.yml", "Two is larger than one.", repr(HOSTILE))
    write(toy, {"reason": HOSTILE})
    found = changes.load()
    text = changes.section(found, feed=True)
    assert "<script" not in text
    assert text.count("````") == 2, "the block is not ended from inside"
    entry = ElementTree.fromstring(changes.feed(found, IMPRINT)).find(f"{ATOM}entry")
    assert HOSTILE in entry.findtext(f"{ATOM}summary")
    assert entry.findtext(f"{ATOM}summary").startswith(HOSTILE)


def test_feed_has_one_entry_a_change_with_absolute_addresses_and_its_own_id(toy):
    write(toy, {}, {"date": "2026-01-01", "from": None})
    content = changes.feed(changes.load(), IMPRINT)
    assert content == changes.feed(changes.load(), IMPRINT), "nothing depends on the clock"
    atom = ElementTree.fromstring(content)
    assert atom.findtext(f"{ATOM}id") == "https://example.org/toy/verdicts.atom"
    assert atom.findtext(f"{ATOM}updated") == "2026-02-03T00:00:00+00:00"
    assert atom.findtext(f"{ATOM}author/{ATOM}name") == "A. Writer"
    entries = atom.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [
        "toy C1: supported → inconclusive",
        "toy C1: ? → inconclusive",
    ]
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 2
    links = [link.get("href") for link in atom.iter(f"{ATOM}link")]
    assert len(links) == 4
    assert all(link.startswith("https://example.org/toy/") for link in links)


@pytest.fixture
def staged(toy):
    """Stage a book with a changelog; return a reader of its files."""
    (toy / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/toy\n"
        "  - file: book/changelog\n"
    )
    (toy / "book/index.md").write_text("# Toy\n")
    (toy / "CHANGELOG.md").write_text("# Changelog\n")

    def stage(config="title: Toy\nhtml: {baseurl: 'https://example.org/toy/'}\n"):
        (toy / "_config.yml").write_text(config)
        folder = site.stage([])
        return {
            path.relative_to(folder).as_posix(): path.read_text()
            for path in folder.rglob("*")
            if path.is_file()
        }

    return stage


def test_changelog_page_ends_with_the_table_and_the_feed_lies_beside_it(toy, staged):
    write(toy, {})
    files = staged()
    page = files["book/changelog.md"]
    assert page.startswith("# Changelog\n\n## Changes of verdicts\n")
    assert "More seeds." in page
    assert "More seeds." in files["book/verdicts.atom"]
    assert changes.FILE not in files, "the file itself is no part of the site"


def test_book_without_an_address_has_the_table_but_no_feed(toy, staged):
    write(toy, {})
    files = staged("title: Toy\n")
    assert "More seeds." in files["book/changelog.md"]
    assert "verdicts.atom" not in files["book/changelog.md"]
    assert "book/verdicts.atom" not in files


def test_changelog_is_left_alone_where_there_is_no_file(staged):
    files = staged()
    assert files["book/changelog.md"] == "# Changelog\n"
    assert "book/verdicts.atom" not in files


def test_newest_change_of_each_claim_of_this_book_says_what_its_archive_says(checkout):
    newest = {}
    for change in changes.load():
        newest.setdefault((change.chapter, change.claim, change.layer, change.source), change)
    assert newest
    for (chapter, claim, layer, source), change in newest.items():
        found = [
            verdict["verdict"]
            for profile in ("full", "standard")
            if (archive := read_archive(chapter, profile)) is not None
            for verdict in archive.verdicts
            if (verdict["claim"], verdict["layer"], verdict["source"]) == (claim, layer, source)
        ]
        assert found[:1] == [change.after], f"{chapter} {claim}"
