"""The printed book: the joined document, and the PDF that Chromium makes of a toy book."""

import re
import shutil
import sys

import lxml.html
import pytest

from common import site
from common.errors import ReplicateError
from common.site import printing
from common.site.imprint import Imprint
from toy_book import add_paper

IMPRINT = Imprint("Toy <i>", "", "https://example.org/toy/", "")
HOSTILE = "<script>alert(1)</script>"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)
HEAD = """\
<link rel="stylesheet" href="{up}_static/custom.css?v={version}">
<script>window.MathJax = {{}}</script>
<script defer src="{up}_static/mathjax/tex.js?v={version}"></script>
<script src="{up}_static/theme.js"></script>
"""
FIRST = """\
<section id="top"><h1>First<a class="headerlink" href="#top">#</a></h1>
<p><a href="#top">same</a> <a href="sub/second.html#part">part</a>
<a href="sub/second.html">page</a>
<a href="https://example.com/x">out</a> <a href="../_downloads/1/a.zip">file</a></p>
<details><summary>More</summary><p id="in">folded</p></details>
<label for="in">l</label><table aria-describedby="top in"></table>
<img src="../_images/a.png" loading="lazy"><button>copy</button><script>bad()</script>
&lt;script&gt;alert(1)&lt;/script&gt;</section>
"""
SECOND = '<section id="top"><h1>Second &lt;b&gt;</h1><p id="part">p</p></section>'


def page(article, up, version=1):
    head = HEAD.format(up=up, version=version)
    return f"<html><head>{head}</head><body><article class='bd-article'>{article}</article></body>"


@pytest.fixture
def html(tmp_path):
    """A rendered site of two pages."""
    (tmp_path / "book/sub").mkdir(parents=True)
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images/a.png").write_bytes(PNG)
    (tmp_path / "book/first.html").write_text(page(FIRST, "../"))
    (tmp_path / "book/sub/second.html").write_text(page(SECOND, "../../", version=2))
    return tmp_path


NAMES = ["book/first.html", "book/sub/second.html"]


@pytest.fixture
def joined(html):
    return lxml.html.fromstring(printing.document(html, NAMES, IMPRINT))


def hrefs(joined):
    return {link.text: link.get("href") for link in joined.iter("a")}


def test_links_between_pages_lead_inside_the_book_and_others_to_the_published_site(joined):
    links = hrefs(joined)
    assert links["same"] == "#page-book-first--top"
    assert links["part"] == "#page-book-sub-second--part"
    assert links["page"] == "#page-book-sub-second"
    assert links["out"] == "https://example.com/x"
    assert links["file"] == "https://example.org/toy/_downloads/1/a.zip"
    ids = {element.get("id") for element in joined.xpath("//*[@id]")}
    inside = {address[1:] for address in links.values() if address.startswith("#")}
    assert inside <= ids


def test_link_to_a_file_leads_nowhere_where_the_book_has_no_address(html):
    document = printing.document(html, NAMES, Imprint("Toy", "", "", ""))
    assert hrefs(lxml.html.fromstring(document))["file"] is None


def test_anchors_of_different_pages_stay_apart_and_labels_find_them(joined):
    ids = [element.get("id") for element in joined.xpath("//*[@id]")]
    assert len(ids) == len(set(ids))
    assert joined.find(".//label").get("for") == "page-book-first--in"
    described = joined.find(".//table").get("aria-describedby")
    assert described == "page-book-first--top page-book-first--in"


def test_pages_stand_in_the_given_order_after_a_list_of_them(joined):
    heads = ["".join(head.itertext()).rstrip("#") for head in joined.iter("h1")]
    assert heads == ["First", "Contents", "Second <b>"]
    (entry,) = joined.xpath("//ol/li")
    assert entry.text_content() == "Second <b>"


def test_what_is_folded_is_open_and_what_only_a_screen_can_use_is_gone(joined):
    assert joined.find(".//details").get("open") is not None
    for name in ("button", "iframe"):
        assert list(joined.iter(name)) == []


def test_only_mathematics_is_run_and_each_file_is_loaded_once_whatever_its_version(joined):
    scripts = [script.get("src") or script.text for script in joined.iter("script")]
    assert scripts == ["window.MathJax = {}", "_static/mathjax/tex.js"]
    assert [link.get("href") for link in joined.iter("link")] == ["_static/custom.css"]


def test_images_are_found_from_the_folder_of_the_site_and_loaded_at_once(joined):
    (image,) = joined.iter("img")
    assert image.get("src") == "_images/a.png"
    assert image.get("loading") is None


def test_text_and_title_stay_text(html):
    document = printing.document(html, NAMES, IMPRINT)
    assert HOSTILE not in document
    assert "&lt;script&gt;alert(1)" in document
    assert "<title>Toy &lt;i&gt;</title>" in document


def test_missing_image_is_named_with_its_page(html):
    (html / "_images/a.png").unlink()
    with pytest.raises(ReplicateError, match=r"book/first.html shows the image .*a.png"):
        printing.document(html, NAMES, IMPRINT)


@pytest.mark.parametrize("content", [None, "", "<html><body>no article</body></html>"])
def test_page_that_is_missing_or_has_no_article_is_named(html, content):
    path = html / "book/sub/second.html"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ReplicateError, match=r"page book/sub/second.html must be in"):
        printing.document(html, NAMES, IMPRINT)


def test_absence_of_chromium_is_one_error_with_the_remedy(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(printing, "_playwright_browser", lambda: False)
    with pytest.raises(ReplicateError, match=r"printing needs Chromium.*apt-get install chromium"):
        printing.require_browser()


@pytest.fixture
def toy(book, checkout):
    """A rendered toy book with mathematics, and the folder of its site."""
    if next(filter(None, map(shutil.which, printing.NAMES)), None) is None:
        pytest.skip("no Chromium on the path; on Debian: apt-get install chromium")
    add_paper(book)
    (book / "_config.yml").write_text(
        "title: Toy\nexecute: {execute_notebooks: 'off'}\nonly_build_toc_files: true\n"
        "sphinx: {extra_extensions: [sphinx-mathjax-offline],\n"
        "  config: {html_static_path: [book/_static], html_css_files: [custom.css]}}\n"
        "parse: {myst_enable_extensions: [dollarmath]}\n"
    )
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/toy\n"
    )
    (book / "book/index.md").write_text("# Toy book\n\n![one](a.png) and $x^2$.\n\n## A part\n")
    (book / "book/a.png").write_bytes(PNG)
    (book / "book/_static").mkdir()
    shutil.copy(checkout / "book/_static/custom.css", book / "book/_static")
    return site.build([]).parent


def n_pages(pdf):
    return len(re.findall(rb"/Type /Page\b", pdf))


@pytest.mark.browser
@pytest.mark.parametrize("by", ["playwright", "command"])
def test_pdf_has_all_pages_with_bookmarks_and_typeset_mathematics(toy, tmp_path, monkeypatch, by):
    if by == "command":
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    target = tmp_path / "new folder/book.pdf"
    assert printing.print_book(toy, target) == 2
    pdf = target.read_bytes()
    assert pdf.startswith(b"%PDF")
    assert n_pages(pdf) == 3, "front page, contents, chapter"
    assert {b"/Title (Toy book)", b"/Title (A part)", b"/Title (A toy paper)"} <= set(
        re.findall(rb"/Title \([^)]*\)", pdf)
    )
    assert b"MathJax_" in pdf, "formulas are set in the fonts of MathJax"
    assert b"/Subtype /Image" in pdf
    assert [path.name for path in target.parent.iterdir()] == ["book.pdf"]
    assert list(toy.glob(".print-*")) == []


@pytest.mark.browser
@pytest.mark.parametrize("by", ["playwright", "command"])
def test_failure_of_chromium_is_one_error_and_keeps_the_older_pdf(toy, tmp_path, monkeypatch, by):
    if by == "command":
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 'it broke' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(printing, "require_browser", lambda: str(broken))
    target = tmp_path / "book.pdf"
    target.write_text("older")
    with pytest.raises(ReplicateError, match=r"Chromium could not print the book: .*untouched"):
        printing.print_book(toy, target)
    assert target.read_text() == "older"
    assert list(toy.glob(".print-*")) == []


@pytest.mark.browser
def test_folded_code_and_long_tables_are_printed_and_navigation_is_not(toy, checkout):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    style = (checkout / "book/_static/custom.css").read_text()
    body = (
        f"<style>{style}</style><div class='bd-sidebar-primary'>menu</div>"
        "<article class='bd-article'><details class='hide'><summary>Show</summary><p>code</p>"
        "</details><div class='rb-table' style='max-height:5px'><table><tr><td>cell</table></div>"
        "<p><a class='reference external' href='https://example.org/x'>link</a></p></article>"
    )
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=printing.require_browser() or None, args=printing._flags()
        )
        opened = running.new_page()
        opened.set_content(f"<html data-theme='dark'><body>{body}</body></html>")
        assert not opened.get_by_text("code").is_visible()
        opened.emulate_media(media="print")
        assert opened.get_by_text("code").is_visible()
        assert not opened.get_by_text("menu").is_visible()
        assert not opened.get_by_text("Show").is_visible()
        after = "e => getComputedStyle(e, '::after').content"
        assert opened.locator("a").evaluate(after) == '" (https://example.org/x)"'
        height = "e => getComputedStyle(e).maxHeight"
        assert opened.locator(".rb-table").evaluate(height) == "none"
        running.close()
