import pytest

from common.site import links

GOOD = """<html><head><link rel="stylesheet" href="_static/a.css"></head><body>
<h1 id="top">x</h1><a name="old"></a><a href="#top">t</a><a href="#old">o</a>
<a href="b/page.html#here%20too">p</a><a href="https://example.org/none">w</a>
<a href="mailto:a@example.org">m</a><a href="b/">folder</a><a href="#">made by a script</a>
<img src="a%20picture.png" alt="a"></body></html>"""
PAGE = '<html><body><p id="here too">x</p><a href="../index.html#top">up</a></body></html>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "b").mkdir()
    for name, text in {
        "index.html": GOOD,
        "b/page.html": PAGE,
        "b/index.html": PAGE,
        "_static/a.css": "",
        "a picture.png": "",
        "_static/part.html": '<a href="nowhere.html">not a page</a>',
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_sound_site_has_no_broken_link(site):
    assert links.broken(site) == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ('<a href="none.html">', "none.html: no such file"),
        ('<a href="b/page.html#there">', "b/page.html#there: no such place on the page"),
        ('<a href="#nowhere">', "#nowhere: no such place on the page"),
        ('<a href="../outside.html">', "leads out of the site"),
        ('<a href="/b/page.html">', "an absolute path, which breaks below a folder"),
        ('<img src="gone.png">', "gone.png: no such file"),
        ('<script src="gone.js"></script>', "gone.js: no such file"),
    ],
)
def test_each_kind_of_broken_link_is_told_with_its_page(site, link, problem):
    (site / "index.html").write_text(GOOD.replace("</body>", f"{link}</body>"))
    (found,) = links.broken(site)
    assert found.startswith("index.html: ")
    assert problem in found
