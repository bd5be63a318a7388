"""The icons of the theme, cut down to those that the site shows.

The theme ships Font Awesome twice: a script of 1.5 MB that draws every icon that exists, and fonts
with the same icons. The pages keep the fonts, with the glyphs that a page or a style names.
"""

import importlib.util
import re
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from common.errors import ReplicateError

_FONTS = "vendor/fontawesome/webfonts"
_STYLE = "styles/pydata-sphinx-theme.css"
_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
_ESCAPED = re.compile(r'"\\([ef][0-9a-f]{3})"')
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_NAME = re.compile(r"\bfa-([a-z0-9-]+)")
_SCRIPT = re.compile(r"<script[^>]*scripts/fontawesome\.js[^>]*></script>\n?")


def slim(html: Path) -> None:
    """Leave out the script that draws icons, and the glyphs that no page shows.

    Args:
        html: the rendered site; run it again after pages were added, and they get their icons. A
            site of another theme, without that style, is left as it is.

    Raises:
        ReplicateError: the theme's style no longer has the rules that this relies on.
    """
    static = html / "_static"
    if not (static / _STYLE).is_file():
        return
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        mended = _SCRIPT.sub("", text)
        if mended != text:
            page.write_text(mended, encoding="utf-8")
    codes = _shown(html, static)
    for font in sorted((_theme() / _FONTS).glob("*")):
        _cut(font, static / _FONTS / font.name, codes)
    for script in (static / "scripts").glob("fontawesome*"):
        script.unlink()


def _theme() -> Path:
    found = importlib.util.find_spec("pydata_sphinx_theme")
    if found is None or found.origin is None:
        raise ReplicateError("pydata-sphinx-theme is not installed. Run `make setup`.")
    return Path(found.origin).parent / "theme/pydata_sphinx_theme/static"


def _shown(html: Path, static: Path) -> set[int]:
    """Return the code points of icons that a page, a script or a style shows."""
    style = (static / _STYLE).read_text(encoding="utf-8")
    code_of = {
        name: int(code, 16) for names, code in _RULE.findall(style) for name in _NAME.findall(names)
    }
    if not code_of:
        raise ReplicateError(
            f"{static / _STYLE} has no rules of icons. Adapt common.site.icons to this version "
            "of pydata-sphinx-theme, or pin an older one."
        )
    scripts = [path for path in static.glob("scripts/*.js") if path.name != "fontawesome.js"]
    named = {
        name
        for path in [*html.rglob("*.html"), *scripts]
        for name in _NAME.findall(path.read_text(encoding="utf-8"))
    }
    drawn = set()
    for path in static.rglob("*.css"):
        text = _RULE.sub("", path.read_text(encoding="utf-8"))
        drawn |= {int(code, 16) for code in _ESCAPED.findall(text)}
        drawn |= {ord(glyph) for glyph in _PRIVATE.findall(text)}
    return drawn | {code_of[name] for name in named if name in code_of}


def _cut(source: Path, target: Path, codes: set[int]) -> None:
    flavour = "woff2" if source.suffix == ".woff2" else None
    options = subset.Options(notdef_outline=True, flavor=flavour)
    with TTFont(source, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=codes)
        cutter.subset(font)
        font.flavor = flavour
        target.parent.mkdir(parents=True, exist_ok=True)
        font.save(target)
