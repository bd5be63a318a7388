"""Links inside a rendered site: every target exists, and so does every place on a page."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

Anchors = dict[Path, frozenset[str]]

# written by the search and the theme when a page is used
_MADE_BY_SCRIPT = ("", "#")


def broken(html: Path) -> list[str]:
    """List the links of a site that lead nowhere.

    Args:
        html: folder of the rendered site.

    Returns:
        One line for each: the page, the link, and what is missing. Links to other sites are not
        followed.
    """
    root = html.resolve()
    anchors: dict[Path, frozenset[str]] = {}
    found = []
    for page in sorted(root.rglob("*.html")):
        if "_static" in page.relative_to(root).parts:
            continue
        for link in _links(page):
            problem = _problem(page, link, root, anchors)
            if problem:
                found.append(f"{page.relative_to(root)}: {link}: {problem}")
    return found


def _links(page: Path) -> Iterator[str]:
    soup = BeautifulSoup(page.read_bytes(), "html.parser")
    for tag, attribute in (
        ("a", "href"),
        ("link", "href"),
        ("img", "src"),
        ("script", "src"),
        ("source", "src"),
    ):
        for node in soup.find_all(tag):
            value = node.get(attribute)
            if isinstance(value, str) and value not in _MADE_BY_SCRIPT:
                yield value


def _problem(page: Path, link: str, root: Path, anchors: Anchors) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        return "an absolute path, which breaks below a folder"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target = target / "index.html"
    if not target.is_relative_to(root):
        return "leads out of the site"
    if not target.is_file():
        return "no such file"
    if parts.fragment and target.suffix == ".html":
        if target not in anchors:
            anchors[target] = _anchors(target)
        if unquote(parts.fragment) not in anchors[target]:
            return "no such place on the page"
    return None


def _anchors(page: Path) -> frozenset[str]:
    soup = BeautifulSoup(page.read_bytes(), "html.parser")
    ids = {str(node.get("id")) for node in soup.find_all(id=True)}
    names = {str(node.get("name")) for node in soup.find_all("a", attrs={"name": True})}
    return frozenset(ids | names)
