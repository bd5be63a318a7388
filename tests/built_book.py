"""Every page of the book as it was built, in a real browser: `make check` after `make book`.

Not collected with the other tests, which build what they need.
"""

import json

import pytest

from browsing import complaints, images, open_page, others, page_width, serious
from common import paths
from common.site import links

HTML = paths.build_dir() / "html"
# the front door sends its visitor on at once
NAMES = sorted(
    page.relative_to(HTML).as_posix()
    for page in HTML.rglob("*.html")
    if "_static" not in page.parts and page != HTML / "index.html"
)
# pages of data sets share one template; two of them are looked at in the dark
IN_THE_DARK = [
    name
    for name in NAMES
    if not name.startswith("book/data/") or name.endswith(("hep2-phantom.html", "hrf.html"))
]
CHAPTERS = [name for name in NAMES if name.startswith("notebooks/")]


def test_the_book_was_built():
    assert "book/index.html" in NAMES, f"no built book in {HTML}; run `make book`"
    built = {name.removeprefix("notebooks/").removesuffix(".html") for name in CHAPTERS}
    written = {path.stem for path in (paths.root() / "notebooks").glob("*.ipynb")}
    assert built == written


def test_no_link_or_anchor_is_broken():
    assert links.broken(HTML) == []


@pytest.mark.parametrize("name", NAMES)
def test_page_works_from_its_folder_for_everyone(browser, name):
    page = open_page(browser, (HTML / name).as_uri())
    assert others(page.requests, HTML.as_uri()) == []
    assert complaints(page) == []
    assert all(alt.strip() and loaded for alt, loaded in images(page))
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page_width(page) <= 390
    page.close()


@pytest.mark.parametrize("name", IN_THE_DARK)
def test_axe_finds_nothing_serious_in_the_dark(browser, name):
    page = open_page(browser, (HTML / name).as_uri(), theme="dark")
    assert serious(page) == []
    page.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_search_finds_the_chapter_by_a_word_of_its_title(browser, name):
    page = open_page(browser, (HTML / name).as_uri())
    words = page.locator("article h1").inner_text().replace("#", "").replace(":", "")
    page.goto(f"{(HTML / 'search.html').as_uri()}?q={'+'.join(words.split())}")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any(name in address for address in found), json.dumps(found)
    page.close()
