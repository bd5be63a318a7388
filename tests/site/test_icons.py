"""The icons of a rendered site: those that it shows and no other."""

import shutil

import pytest
from fontTools.ttLib import TTFont

from common.errors import ReplicateError
from common.site import icons

SUN, MOON, COFFEE, GITHUB = 0xF185, 0xF186, 0xF0F4, 0xF09B
PAGE = """\
<head><script defer src="_static/scripts/fontawesome.js?digest=1"></script></head>
<body><i class="fa-solid fa-sun"></i><i class="fab fa-github"></i></body>
"""


@pytest.fixture
def site(tmp_path):
    """A site of one page, with the styles and fonts of the theme."""
    shutil.copytree(icons._theme(), tmp_path / "_static")
    styles = tmp_path / "_static/styles"
    if not (styles / "pydata-sphinx-theme.css").is_file():
        pytest.fail(f"the theme has no style in {styles}")
    (tmp_path / "index.html").write_text(PAGE)
    return tmp_path


def glyphs(site, name):
    with TTFont(site / "_static/vendor/fontawesome/webfonts" / name) as font:
        return set(font.getBestCmap())


@pytest.mark.parametrize("kind", ["woff2", "ttf"])
def test_fonts_keep_the_icons_that_a_page_shows(site, kind):
    assert COFFEE in glyphs(site, f"fa-solid-900.{kind}")
    icons.slim(site)
    solid, brands = glyphs(site, f"fa-solid-900.{kind}"), glyphs(site, f"fa-brands-400.{kind}")
    assert SUN in solid
    assert COFFEE not in solid
    assert GITHUB in brands
    assert len(brands) < 20


@pytest.mark.parametrize("written", [r"\f0f4", chr(COFFEE)])
def test_icons_that_a_style_draws_are_kept(site, written):
    drawn = site / "_static/custom.css"
    drawn.write_text(f'.cup:after {{ content: "{written}"; }}')
    icons.slim(site)
    assert COFFEE in glyphs(site, "fa-solid-900.woff2")


def test_script_that_draws_every_icon_is_left_out(site):
    icons.slim(site)
    assert "fontawesome.js" not in (site / "index.html").read_text()
    assert not list((site / "_static/scripts").glob("fontawesome*"))


def test_page_that_comes_later_gets_its_icons(site):
    icons.slim(site)
    assert MOON not in glyphs(site, "fa-solid-900.woff2")
    (site / "later.html").write_text(PAGE.replace("fa-sun", "fa-moon"))
    icons.slim(site)
    assert {SUN, MOON} <= glyphs(site, "fa-solid-900.woff2")


def test_fonts_weigh_little_and_are_the_same_twice(site):
    fonts = site / "_static/vendor/fontawesome/webfonts"
    icons.slim(site)
    first = {path.name: path.read_bytes() for path in fonts.iterdir()}
    icons.slim(site)
    assert {path.name: path.read_bytes() for path in fonts.iterdir()} == first
    assert sum(len(data) for name, data in first.items() if name.endswith("woff2")) < 30_000


def test_theme_without_rules_of_icons_is_told(site):
    (site / "_static/styles/pydata-sphinx-theme.css").write_text("a{}")
    with pytest.raises(ReplicateError, match=r"pydata-sphinx-theme\.css has no rules of icons"):
        icons.slim(site)


def test_site_of_another_theme_is_left_as_it_is(tmp_path):
    (tmp_path / "index.html").write_text(PAGE)
    icons.slim(tmp_path)
    assert (tmp_path / "index.html").read_text() == PAGE
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
