"""The book on paper: all pages of the rendered site in one document, printed to PDF by Chromium."""

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import lxml.html
from lxml.etree import LxmlError

from common import paths, strict_yaml
from common.errors import ReplicateError
from common.runs.files import storage
from common.site import imprint
from common.site.imprint import Imprint
from common.site.staging import entries

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LIMIT_S = 300
_SCRIPTS = ".//script|.//noscript|.//template|.//button|.//iframe"
_POINTERS = ("for", "headers", "aria-labelledby", "aria-describedby")
# resolves when nothing is left to load or to typeset, with the images that could not be loaded
_SETTLED = """
async (limit) => {
  const settle = async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    await document.fonts.ready;
    const images = [...document.images];
    await Promise.all(images.map(image => image.decode().catch(() => null)));
    return images.filter(one => one.naturalWidth === 0).map(one => one.getAttribute('src'));
  };
  const late = new Promise((_, refuse) => setTimeout(
    () => refuse(new Error('formulas or images were not ready in time')), limit));
  return Promise.race([settle(), late]);
}
"""


@dataclass(frozen=True)
class Sheet:
    """One page of the site as a part of the printed book.

    Args:
        name: path of the page inside the site.
        title: its first heading.
        html: its article; links to other pages lead to their place in the book.
        styles, scripts: what it needs of the site: tags of style sheets and of mathematics.
    """

    name: str
    title: str
    html: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...]


def require_browser() -> str:
    """Find Chromium.

    Returns:
        The command, or "" for the browser that playwright brings.

    Raises:
        ReplicateError: there is none.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    if _playwright_browser():
        return ""
    raise ReplicateError(
        "printing needs Chromium, and there is none on the path. Install it (on Debian: "
        "`apt-get install chromium`; elsewhere: `pip install playwright` and "
        "`playwright install chromium`) or build without --pdf."
    )


def _playwright_browser() -> bool:
    """Say whether playwright is installed with a browser of its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return False
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).is_file()


def print_book(html: Path, target: Path) -> int:
    """Print the rendered site, in the order of its table of contents.

    Args:
        html: the rendered site, beside the folder ``staging`` that it was rendered from.
        target: the PDF; an older one is replaced when the new one is whole. Headings become
            bookmarks.

    Returns:
        Number of pages of the site that were printed.

    Raises:
        ReplicateError: there is no Chromium, it fails, an image is missing, or the PDF cannot be
            written.
    """
    browser = require_browser()
    names = [f"{entry}.html" for entry in _contents()]
    book = document(html, names, imprint.read(paths.build_dir() / "staging"))
    target = target.absolute()
    with storage(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # beside the pages, whose style sheets and images it shares
        handle, source = tempfile.mkstemp(dir=html, prefix=".print-", suffix=".html")
        part = target.with_name(f".{target.name}.{os.getpid()}.pdf")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(book)
            _print(browser, Path(source), part)
            os.replace(part, target)
        finally:
            Path(source).unlink(missing_ok=True)
            part.unlink(missing_ok=True)
    return len(names)


def _contents() -> list[str]:
    toc = strict_yaml.read(paths.build_dir() / "staging" / "_toc.yml")
    return list(dict.fromkeys(entries(toc)))


def document(html: Path, names: Sequence[str], book: Imprint) -> str:
    """Join pages of the site to one HTML document that lies in the site's folder.

    Args:
        html: the rendered site.
        names: paths of the pages inside it, in the order of the book.
        book: title and address; links to files that are no pages lead there.

    Returns:
        HTML without scripts but those that typeset mathematics; what is folded is open.

    Raises:
        ReplicateError: a page or an image of one is missing.
    """
    sheets = [_sheet(html, name, names, book) for name in names]
    styles = dict.fromkeys(style for sheet in sheets for style in sheet.styles)
    scripts = dict.fromkeys(script for sheet in sheets for script in sheet.scripts)
    parts = [_section(sheet) for sheet in sheets]
    parts.insert(1, _list_of(sheets[1:]))
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light">\n<head>\n'
        f'<meta charset="utf-8">\n<title>{escape(book.title)}</title>\n'
        + "\n".join([*styles, *scripts])
        + f'\n</head>\n<body class="rb-book"><main class="bd-main">\n{"".join(parts)}</main>'
        "</body>\n</html>\n"
    )


def _section(sheet: Sheet) -> str:
    return (
        f'<div class="rb-sheet" id="{_key(sheet.name)}"><div class="bd-content">'
        f'<article class="bd-article">{sheet.html}</article></div></div>\n'
    )


def _list_of(sheets: Sequence[Sheet]) -> str:
    lines = "".join(
        f'<li><a href="#{_key(sheet.name)}">{escape(sheet.title)}</a></li>' for sheet in sheets
    )
    return (
        '<div class="rb-sheet"><article class="bd-article"><h1>Contents</h1>'
        f'<ol class="rb-contents">{lines}</ol></article></div>\n'
    )


def _key(name: str) -> str:
    """Return the anchor of a page of the site in the printed book."""
    return "page-" + re.sub(r"[^a-zA-Z0-9]+", "-", name.removesuffix(".html"))


def _sheet(html: Path, name: str, names: Sequence[str], book: Imprint) -> Sheet:
    try:
        page = lxml.html.fromstring((html / name).read_bytes().decode())
        (article,) = page.xpath("//article[contains(@class, 'bd-article')]")
    except (OSError, ValueError, LxmlError):
        raise ReplicateError(
            f"page {name} must be in {html} with one article to be printed, and is not. "
            "Remove the folder and run `replicate build` again."
        ) from None
    styles = tuple(_styles(page, name))
    scripts = tuple(_mathematics(page, name))
    for element in article.xpath(f"{_SCRIPTS}|.//link"):
        element.drop_tree()
    for element in article.iter("details"):
        element.set("open", "")
    for element in article.xpath(".//*[@id]"):
        element.set("id", f"{_key(name)}--{element.get('id')}")
    for attribute in _POINTERS:
        for element in article.xpath(f".//*[@{attribute}]"):
            ids = element.get(attribute).split()
            element.set(attribute, " ".join(f"{_key(name)}--{each}" for each in ids))
    for element in article.xpath(".//a[@href]"):
        _relink(element, name, set(names), book)
    for element in article.iter("img"):
        _reload(element, name, html)
    title = article.xpath("string(.//h1)").rstrip("#¶ \n") or name
    inner = "".join(lxml.html.tostring(child, encoding="unicode") for child in article)
    return Sheet(name, " ".join(title.split()), inner, styles, scripts)


def _styles(page: Any, name: str) -> Iterator[str]:
    for link in page.xpath("//link[@rel='stylesheet']"):
        yield f'<link rel="stylesheet" href="{escape(_inside(name, link.get("href")))}">'


def _mathematics(page: Any, name: str) -> Iterator[str]:
    """Yield the tags that configure and load MathJax."""
    for script in page.xpath("//head/script"):
        source = script.get("src")
        if source and "mathjax" in source:
            yield f'<script defer src="{escape(_inside(name, source))}"></script>'
        elif not source and "MathJax" in (script.text or ""):
            yield f"<script>{script.text}</script>"


def _inside(name: str, address: str) -> str:
    """Turn an address that is relative to a page into one that is relative to the site.

    What follows a question mark goes: it tells versions of a file apart, and two pages may still
    name two of them.
    """
    path = unquote(urlsplit(address).path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def _relink(link: Any, name: str, names: set[str], book: Imprint) -> None:
    """Let a link lead into the book, to the published site, or nowhere."""
    parts = urlsplit(link.get("href"))
    if parts.scheme or parts.netloc:
        return
    goal = _inside(name, parts.path) if parts.path else name
    if goal in names:
        link.set("href", f"#{_key(goal)}" + (f"--{parts.fragment}" if parts.fragment else ""))
    elif book.address:
        link.set("href", book.url(goal))
    else:
        link.attrib.pop("href")


def _reload(image: Any, name: str, html: Path) -> None:
    source = image.get("src") or ""
    if source.startswith("data:"):
        return
    inside = _inside(name, source)
    if not (html / inside).is_file():
        raise ReplicateError(
            f"page {name} shows the image {source}, which is not in {html}. "
            "Remove the folder and run `replicate build` again."
        )
    image.set("src", inside)
    image.attrib.pop("loading", None)


def _print(browser: str, source: Path, target: Path) -> None:
    """Have Chromium print a page, with playwright where it is installed."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _print_by_command(browser, source, target)
        return
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(
                executable_path=browser or None, args=_flags(), timeout=60_000
            )
            page = running.new_page()
            page.set_default_timeout(_LIMIT_S * 1000)
            page.goto(source.as_uri(), wait_until="load")
            if lost := page.evaluate(_SETTLED, _LIMIT_S * 1000):
                raise ReplicateError(
                    f"{len(lost)} images could not be loaded for printing: {', '.join(lost)}. "
                    "Look at their pages in the site and build again."
                )
            page.pdf(
                path=target,
                prefer_css_page_size=True,
                print_background=True,
                tagged=True,
                outline=True,
            )
            running.close()
        except Error as error:
            raise _failed(str(error).partition("\n")[0]) from None


def _print_by_command(browser: str, source: Path, target: Path) -> None:
    options = [
        "--headless",
        *_flags(),
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        # lets time run ahead as long as something loads or is typeset
        "--virtual-time-budget=300000",
        f"--print-to-pdf={target}",
    ]
    try:
        done = subprocess.run(
            [browser, *options, source.as_uri()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it took longer than {_LIMIT_S} s") from None
    if done.returncode != 0 or not target.is_file():
        told = done.stderr.strip().rpartition("\n")[2]
        raise _failed(told or f"exit code {done.returncode}")


def _flags() -> list[str]:
    # the superuser, whom containers work as, must do without Chromium's own sandbox
    superuser = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--disable-gpu", "--no-first-run", *(["--no-sandbox"] if superuser else [])]


def _failed(reason: str) -> ReplicateError:
    return ReplicateError(
        f"Chromium could not print the book: {reason}. The older PDF, if any, "
        "is untouched. Print single pages from a browser, or try another version of Chromium."
    )
