"""Linked data, descriptions and the site map, on entities and on a rendered toy book."""

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from common import manifests, papers, site
from common.site import machine
from common.site.imprint import Imprint
from toy_book import add_paper, book_at, edit

IMPRINT = Imprint("Toy", "A. Writer", "https://example.org/toy/", "")
HOSTILE = '</script><script>alert(1)</script> ````{raw} html `<!-- & \u2028 "'
CONFIG = """\
title: Toy
author: A. Writer
execute: {execute_notebooks: "off"}
only_build_toc_files: true
html: {baseurl: &address "https://example.org/toy/"}
sphinx:
  extra_extensions: [sphinxext.opengraph]
  config:
    ogp_site_url: *address
    ogp_image: _static/card.png
"""
TOC = """\
format: jb-book
root: book/index
chapters:
  - file: notebooks/toy
  - file: book/data
  - file: book/changelog
"""
MANIFEST = {
    "dataset": "cells",
    "title": f"Cells {HOSTILE}",
    "version": "1.0",
    "task": ["classification"],
    "modality": "microscopy",
    "images": 12,
    "access": "registration",
    "doi": "10.1234/cells",
    "homepage": "https://example.org/cells",
    "citation": HOSTILE,
    "licence": {"name": "CC BY 4.0", "checked": "memory"},
    "used_by": ["toy"],
    "faithfulness": "none",
    "obtain": ["wait"],
}
CHANGES = """\
changes:
  - {date: 2026-02-03, chapter: toy, claim: C1, layer: replication, source: phantom,
     from: null, to: supported, reason: More seeds.}
"""


class Reader(HTMLParser):
    """Reads a page as a browser would: the scripts it runs, its linked data, its head."""

    def __init__(self, text):
        super().__init__()
        self.run, self.data, self.meta, self.links = [], [], {}, []
        self._kind = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "script":
            self._kind = found.get("type", "")
        elif tag == "meta":
            self.meta[found.get("property") or found.get("name")] = found.get("content")
        elif tag == "link":
            self.links.append(found)

    def handle_endtag(self, tag):
        if tag == "script":
            self._kind = None

    def handle_data(self, text):
        if self._kind == "application/ld+json":
            self.data.append(json.loads(text))
        elif self._kind is not None:
            self.run.append(text)


def write_book(root):
    add_paper(root)
    paper = root / "data_manifests/papers/toy/paper.yml"
    edit(paper, "datasets: []", "datasets: [{id: cells, source: open, role: images}]")
    edit(paper, "A toy paper", json.dumps(HOSTILE))
    edit(paper, "year: 2020", "year: 2020\ndoi: 10.1234/toy")
    (root / "_config.yml").write_text(CONFIG)
    (root / "_toc.yml").write_text(TOC)
    (root / "book/index.md").write_text(
        "# Toy book\n\nA first sentence, see Fig. 1 below. A second one.\n"
    )
    (root / "book/data.md").write_text("# Data\n\nAll of them.\n\n% generated: data\n")
    (root / "book/verdict-changes.yml").write_text(CHANGES)
    (root / "CHANGELOG.md").write_text("# Changelog\n\nDates are days.\n")
    manifest = root / "data_manifests/datasets/cells.yml"
    manifest.write_text(json.dumps(MANIFEST))
    prose = '# A chapter on \\<i\\> and "quotes"\n\nWhat it is about. More.'
    notebook = root / "executed/notebook.ipynb"
    notebook.parent.mkdir()
    nbformat.write(new_notebook(cells=[new_markdown_cell(prose)]), notebook)
    return site.ChapterResult("toy", "quick", notebook)


@pytest.fixture
def toy(book):
    write_book(book)
    return book


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """Render the toy book once."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("data_manifests/datasets", "data_manifests/papers", "notebooks", "book"):
        (root / folder).mkdir(parents=True)
    with book_at(root):
        return site.build([write_book(root)]).parent


def read(html: Path, name: str) -> Reader:
    return Reader((html / name).read_text())


def test_script_is_not_ended_by_what_it_holds_and_is_read_back_as_it_was():
    entity = {"name": HOSTILE, "list": [HOSTILE, 1, None]}
    text = machine.script(entity)
    page = Reader(f"<body>{text}</body>")
    assert page.data == [entity]
    assert page.run == []
    assert "`" not in text, "nor is the Markdown around it"
    assert text.isascii()


def test_chapter_is_an_article_based_on_the_paper_with_the_data_sets_it_names(toy):
    used = [manifests.load("cells")]
    found = machine.chapter(papers.load("toy"), used, IMPRINT, headline="A chapter")
    assert found["@type"] == "ScholarlyArticle"
    assert found["@id"] == "https://example.org/toy/notebooks/toy.html"
    assert found["headline"] == "A chapter"
    paper = found["isBasedOn"]
    assert (paper["name"], paper["datePublished"]) == (HOSTILE, "2020")
    assert paper["author"] == [{"@type": "Person", "name": "A. Author"}]
    assert paper["isPartOf"] == {"@type": "Periodical", "name": "A journal"}
    assert paper["@id"] == paper["identifier"] == "https://doi.org/10.1234/toy"
    (dataset,) = found["mentions"]
    assert dataset["@id"] == "https://example.org/toy/book/data/cells.html"
    assert dataset["license"] == "CC BY 4.0"


def test_facts_that_a_paper_does_not_have_are_left_out(checkout):
    found = machine.chapter(papers.load("hep2"), [], IMPRINT, headline="x")["isBasedOn"]
    assert found["@type"] == "Report"
    assert "identifier" not in found
    assert found["@id"] == found["url"]
    assert None not in found.values()


def test_data_set_is_described_as_in_its_croissant_file_and_leads_to_it(toy):
    croissant = {"description": "What it is.", "license": "https://l", "citeAs": "c"}
    found = machine.dataset(manifests.load("cells"), croissant, IMPRINT)
    assert found["@type"] == "Dataset"
    assert (found["description"], found["license"], found["citation"]) == tuple(croissant.values())
    assert found["identifier"] == "https://doi.org/10.1234/cells"
    assert found["isAccessibleForFree"] is False
    address = "https://example.org/toy/book/data/cells.croissant.json"
    assert found["subjectOf"]["contentUrl"] == address


def test_page_of_a_chapter_that_was_not_run_has_linked_data_too(toy):
    folder = site.stage([])
    text = (folder / "notebooks/toy.md").read_text()
    (found,) = Reader(text).data
    assert found["headline"] == " ".join(HOSTILE.split()), "its title is the paper's"


def test_chapter_whose_declaration_is_broken_keeps_its_page(toy):
    (toy / "data_manifests/papers/toy/paper.yml").write_text("slug: toy\n")
    assert machine.chapter_page("toy", ".md", "# Toy\n", IMPRINT, crates="") == "# Toy\n"


def test_front_matter_of_a_page_of_a_data_set_is_kept():
    entity = {"description": 'Says "it".'}
    page = machine._described("---\ntitle: kept\n---\n\n# Cells\n", entity)
    assert page.startswith('---\n"og:description": "Says \\"it\\"."\ntitle: kept\n---\n')
    bare = machine._described("# Cells\n", entity)
    assert bare.startswith('---\n"og:description": "Says \\"it\\"."\n---\n\n# Cells\n')


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("Is it? Yes.", "Is it?"),
        ("Of 3.5 points. Two.", "Of 3.5 points."),
        ("See Fig. 3 of J. Doe. Two.", "See Fig. 3 of J. Doe."),
        ("Named [Doe et al., 2020a]. Two.", "Named."),
        ("No end", "No end"),
        ("", ""),
    ],
)
def test_description_is_the_first_sentence(text, first):
    assert machine.first_sentence(text) == first


def test_site_map_lists_each_page_by_its_published_address(html):
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    found = ElementTree.parse(html / "sitemap.xml").getroot()
    assert found.tag == f"{space}urlset"
    assert [loc.text for loc in found.iter(f"{space}loc")] == [
        f"https://example.org/toy/{name}.html"
        for name in (
            "book/changelog",
            "book/data",
            "book/data/cells",
            "book/index",
            "notebooks/toy",
        )
    ]


PAGES = {
    "book/index": "A first sentence, see Fig. 1 below.",
    "notebooks/toy": "What it is about.",
    "book/changelog": "Dates are days.",
}


@pytest.mark.parametrize("name", PAGES)
def test_head_has_title_description_image_and_canonical_address(html, name):
    page = read(html, f"{name}.html")
    assert page.meta["description"] == page.meta["og:description"] == PAGES[name]
    assert page.meta["og:url"] == f"https://example.org/toy/{name}.html"
    assert page.meta["og:image"] == "https://example.org/toy/_static/card.png"
    canonical = [link["href"] for link in page.links if link.get("rel") == "canonical"]
    assert canonical == [f"https://example.org/toy/{name}.html"]


def test_page_of_tables_takes_its_description_from_the_facts(html):
    page = read(html, "book/data/cells.html")
    assert page.meta["og:description"].startswith("Cells </script><script>alert(1)</script>")
    assert page.meta["description"] == page.meta["og:description"]


def test_every_page_leads_to_the_feed_from_where_it_lies(html):
    for page in html.glob("book/**/*.html"):
        found = [
            link["href"]
            for link in Reader(page.read_text()).links
            if link.get("type") == "application/atom+xml"
        ]
        assert len(found) == 1, page
        assert (page.parent / found[0]).resolve() == html / "verdicts.atom"
    assert "More seeds." in (html / "verdicts.atom").read_text()


def test_croissant_file_lies_at_the_address_that_linked_data_name(html):
    (found,) = read(html, "book/data/cells.html").data
    path = found["subjectOf"]["contentUrl"].removeprefix("https://example.org/toy/")
    assert json.loads((html / path).read_text())["name"] == "cells"


def test_hostile_text_runs_on_no_page_and_reaches_machines_unchanged(html):
    (chapter,) = read(html, "notebooks/toy.html").data
    assert chapter["headline"] == 'A chapter on <i> and "quotes"'
    assert chapter["isBasedOn"]["name"] == HOSTILE
    (dataset,) = read(html, "book/data/cells.html").data
    assert dataset["citation"] == HOSTILE
    for page in html.glob("*/**/*.html"):
        text = page.read_text()
        assert "<script>alert" not in text, page
        assert not any("alert(1)" in script for script in Reader(text).run), page


def test_browser_loads_nothing_from_the_published_address(html):
    for page in html.glob("*/**/*.html"):
        for link in read(html, page.relative_to(html).as_posix()).links:
            if link["rel"] not in ("canonical",):
                assert "://" not in link["href"], page


def test_finishing_again_changes_nothing(html):
    staging = html.parent / "staging"
    imprint = Imprint("Toy", "A. Writer", "https://example.org/toy/", "")

    def content():
        return {path: path.read_bytes() for path in html.rglob("*") if path.is_file()}

    before = content()
    machine.finish(html, staging, imprint)
    assert content() == before


def test_site_without_an_address_has_no_site_map(html, tmp_path):
    (tmp_path / "html").mkdir()
    machine.finish(tmp_path / "html", tmp_path, Imprint("Toy", "", "", ""))
    assert list((tmp_path / "html").iterdir()) == []
