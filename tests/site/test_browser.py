"""The site in a real browser: the book's own configuration and pages around a toy chapter."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from browsing import complaints, images, open_page, others, page_width, serious
from common import display, figures, site
from common.site import links
from toy_book import add_paper, book_at

pytestmark = pytest.mark.browser
CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = (
    "index",
    "how-to-read",
    "which-test",
    "glossary",
    "scoreboard",
    "data",
    "build",
    "references",
    "changelog",
    "about",
)
DATASETS = ("hep2-i3a-task2", "hep2-phantom")
ADDRESSES = [
    "notebooks/toy.html",
    *(f"book/{name}.html" for name in PAGES),
    *(f"book/data/{name}.html" for name in DATASETS),
]
PROSE = """\
# A toy chapter

Inline $x^2$ and a long line:

$$
\\sum_{i=1}^{n} x_i = a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + s + t
$$
"""
CONTRAST = """
(selector) => {
  const light = (c) => { const v = c.map(x => x / 255).map(
    x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const parse = (s) => s.match(/[\\d.]+/g).map(Number);
  const back = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0.99) return c.slice(0, 3); } return [255, 255, 255]; };
  return [...document.querySelectorAll(selector)].map(e => {
    const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(back(e));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
}
"""


def shown(thing: display.Shown) -> nbformat.NotebookNode:
    return new_output("display_data", thing._repr_mimebundle_())


def chapter(path: Path) -> None:
    """Write an executed chapter that uses everything a page can show."""
    wide = pd.DataFrame(np.eye(12), columns=[f"metric number {i}" for i in range(12)])
    badges = [display.verdict_badge(name) for name in display.SYMBOLS]
    table = display.table(wide, caption="Twelve metrics", note="A note.")
    board = display.table(pd.DataFrame({"n": range(5), "v": badges}), caption="Verdicts")
    picture = display.describe(
        figures.ladder({"naive": 0.001, "proper": 0.4}), alt="Two p-values", caption="A ladder."
    )
    cells = [
        new_markdown_cell(PROSE),
        new_code_cell("display.table(wide)", outputs=[shown(table), shown(board)]),
        new_code_cell("folded()", outputs=[shown(picture)], metadata={"tags": ["hide-input"]}),
        new_code_cell("invisible()", metadata={"tags": ["remove-cell"]}),
        new_code_cell("unseen()", outputs=[shown(board)], metadata={"tags": ["remove-input"]}),
        new_markdown_cell("## The claims on trial"),
        new_code_cell("source", outputs=[shown(display.source_of(display.p_value))]),
    ]
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}}
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": state}), path)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the site once."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("data_manifests/datasets", "notebooks"):
        (root / folder).mkdir(parents=True)
    shutil.copytree(
        CHECKOUT / "book",
        root / "book",
        ignore=shutil.ignore_patterns("results", "verdict-changes.yml"),
    )
    for name in ("_config.yml", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(CHECKOUT / name, root)
    for name in DATASETS:
        manifest = f"data_manifests/datasets/{name}.yml"
        shutil.copy(CHECKOUT / manifest, root / manifest)
    pages = "".join(f"  - file: book/{name}\n" for name in (*PAGES[1:], "contributing"))
    toc = f"format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/toy\n{pages}"
    (root / "_toc.yml").write_text(toc)
    with book_at(root):
        add_paper(root)
        chapter(root / "executed.ipynb")
        return site.build([site.ChapterResult("toy", "quick", root / "executed.ipynb")]).parent


@pytest.fixture(scope="module")
def address(built, tmp_path_factory):
    """Serve the site on the loopback interface, at two depths."""
    root = tmp_path_factory.mktemp("served")
    (root / "deep/er").mkdir(parents=True)
    for place in ("site", "deep/er/site"):
        (root / place).symlink_to(built)
    handler = type(
        "Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}
    )
    serve = functools.partial(handler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/site/"
        server.shutdown()


@pytest.fixture
def tab(browser, address):
    """Open pages of the site, and close them after the test."""
    opened = []

    def open_one(name, **options):
        opened.append(open_page(browser, address + name, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()


@pytest.fixture(scope="module")
def visits(browser, address):
    """Visit every page once, first at the width of a desk, then of a phone."""
    facts = {}
    for name in ("index.html", *ADDRESSES, "search.html"):
        page = open_page(browser, address + name)
        facts[name] = {
            "requests": page.requests,
            "complaints": complaints(page),
            "images": images(page),
            "lang": page.evaluate("document.documentElement.lang"),
        }
        keep_picture(page, name, "desk")
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(150)
        keep_picture(page, name, "phone")
        facts[name]["width"] = page_width(page)
        page.close()
    return facts


def keep_picture(page, name, width):
    """Keep a picture of a page beside the build, for who wants to look."""
    folder = CHECKOUT / "_build/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    stem = name.removesuffix(".html").replace("/", "-")
    page.screenshot(path=folder / f"{stem}-{width}.png", full_page=True)


@pytest.mark.parametrize("name", ["index.html", *ADDRESSES, "search.html"])
def test_page_asks_nobody_but_its_own_server_and_reports_no_error(visits, address, name):
    visit = visits[name]
    assert others(visit["requests"], address) == []
    assert visit["complaints"] == []
    assert len(visit["requests"]) > 5


@pytest.mark.parametrize("name", ADDRESSES)
def test_page_does_not_scroll_sideways_on_a_phone(visits, name):
    assert visits[name]["width"] <= 390


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_image_has_loaded_and_has_alternative_text(visits, name):
    assert visits[name]["images"]
    for alt, loaded in visits[name]["images"]:
        assert alt.strip()
        assert loaded
    assert visits[name]["lang"] == "en"


def test_figure_of_a_chapter_keeps_its_alternative_text_and_caption(tab):
    figure = tab("notebooks/toy.html").locator("figure.rb-figure")
    assert figure.locator("img").get_attribute("alt") == "Two p-values"
    assert figure.locator("figcaption").inner_text() == "A ladder."


def test_wide_table_scrolls_inside_itself_and_can_be_reached_by_keyboard(tab):
    box = tab("notebooks/toy.html", width=390).locator(".rb-table").first
    assert box.evaluate("e => e.scrollWidth > e.clientWidth + 100")
    assert box.get_attribute("role") == "region"
    box.focus()
    assert box.evaluate("e => e === document.activeElement")


def test_pages_without_mathematics_do_without_its_script(tab):
    assert not any("mathjax" in url for url in tab("book/how-to-read.html").requests)
    assert any("mathjax" in url for url in tab("notebooks/toy.html").requests)


def test_icons_are_drawn_by_a_font_that_was_cut_down(tab):
    page = tab("notebooks/toy.html")
    assert page.evaluate(
        "document.fonts.ready.then(f => f.check('900 16px \"Font Awesome 6 Free\"'))"
    )
    shown = page.locator("i.fa-bars, i.fa-magnifying-glass, i.fa-download").all()
    drawn = "e => getComputedStyle(e, '::before').content.charCodeAt(1) > 0xe000"
    assert [icon.evaluate(drawn) for icon in shown] == [True] * len(shown)
    assert shown
    assert not any("fontawesome.js" in url for url in page.requests)


def test_mathematics_is_typeset_without_an_error(tab):
    page = tab("notebooks/toy.html")
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-container").count() == 2
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.locator("mjx-assistive-mml").count() == 2, "a screen reader reads MathML"


def test_cell_tags_fold_and_hide_code(tab):
    page = tab("notebooks/toy.html")
    assert page.locator("details.hide pre", has_text="folded()").count() == 1
    assert not page.locator("pre", has_text="folded()").is_visible()
    assert "invisible()" not in page.content()
    assert "unseen()" not in page.content()
    assert "In [" not in page.inner_text("article")


def test_live_source_is_highlighted(tab):
    page = tab("notebooks/toy.html")
    assert page.locator(".cell_output .highlight .k", has_text="def").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_our_components_has_a_contrast_of_four_and_a_half(tab, theme):
    page = tab("notebooks/toy.html", theme=theme)
    assert page.get_attribute("html", "data-theme") == theme
    cells = [".rb-table td", ".rb-table th", ".rb-table caption"]
    for selector in (*cells, ".rb-badge", ".rb-figure figcaption", ".rb-note"):
        values = page.evaluate(CONTRAST, selector)
        assert min(values) >= 4.5, selector


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab, name, theme):
    assert serious(tab(name, theme=theme)) == []


def test_pages_of_data_sets_hang_together(tab, address):
    page = tab("book/data.html")
    links = page.locator("article table a[href^='data/']").all()
    assert {link.get_attribute("href") for link in links} == {
        f"data/{name}.html" for name in DATASETS
    }
    page = tab("book/data/hep2-i3a-task2.html")
    assert page.locator("pre.rb-tree").is_visible()
    download = page.locator("a.reference.download")
    reply = page.request.get(address + "book/data/" + download.get_attribute("href"))
    assert reply.json()["name"] == "hep2-i3a-task2"


def test_search_finds_a_word_without_a_network(tab, address):
    page = tab("search.html?q=phantom")
    page.wait_for_selector("#search-results li a")
    found = [link.get_attribute("href") for link in page.locator("#search-results li a").all()]
    assert any("how-to-read" in href for href in found)
    assert others(page.requests, address) == []


def test_no_link_or_anchor_of_the_site_is_broken(built):
    assert links.broken(built) == []


@pytest.mark.parametrize("place", ["file", "below a folder"])
def test_the_site_works_from_a_folder_and_from_any_path(browser, built, address, place):
    start = built.as_uri() + "/" if place == "file" else address.replace("/site/", "/deep/er/site/")
    page = open_page(browser, f"{start}notebooks/toy.html")
    page.wait_for_selector("mjx-container")
    assert [text for kind, text in page.messages if kind == "error"] == []
    assert all(url.startswith((start, "data:", "blob:")) for url in page.requests)
    page.locator("nav a", has_text="How to read").first.click()
    page.wait_for_url("**/book/how-to-read.html")
    assert page.locator("article h1").inner_text().startswith("How to read")
    page.close()


def test_front_door_leads_to_the_first_page(tab):
    page = tab("index.html")
    page.wait_for_url("**/book/index.html")
    assert page.locator("article h1").inner_text().startswith("The Replication Book")
