"""What machines read of the site: linked data on pages, descriptions in their heads, a site map.

Linked data are schema.org entities in JSON-LD. Nothing of it makes a browser ask another host.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from common import manifests, papers
from common.errors import ReplicateError
from common.manifest_schema import Manifest
from common.papers import Paper
from common.site import changes
from common.site.imprint import Imprint
from common.site.pages import raw

SITEMAP = "sitemap.xml"
_CROISSANT = "book/data/*.croissant.json"
Entity = dict[str, Any]
_CONTEXT = "https://schema.org"
_PROSE_LICENCE = "https://creativecommons.org/licenses/by/4.0/"
_PAPER_TYPES = {"report": "Report", "thesis": "Thesis"}
# what could end the element or the Markdown around it, in a form that JSON reads the same
_HARMLESS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&`"}
_META = re.compile(
    r'<meta (?:property|name)="(og:title|og:description|description)" content="([^"]*)" ?/?>'
)
_SENTENCE = re.compile(r".+?[.!?](?=\s|$)")
# a full stop after these ends no sentence
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|et al|vs|cf|Fig|Figs|Eq|No|Dr|[A-Z])\.)$")
_REFERENCE = re.compile(r"\s*\[[^\[\]]*\b\d{4}[a-z]?\s*\]")
_STRAIGHT = str.maketrans("“”‘’", "\"\"''")
_SUFFIXES = (".md", ".ipynb")


def chapter(paper: Paper, used: Sequence[Manifest], imprint: Imprint, *, headline: str) -> Entity:
    """Describe a chapter: an article that is based on the paper it replicates.

    Args:
        paper: the declaration of the paper.
        used: the data sets that the chapter names.
        imprint: the book.
        headline: title of the chapter.

    Returns:
        A schema.org ``ScholarlyArticle``.
    """
    return {
        "@context": _CONTEXT,
        "@type": "ScholarlyArticle",
        "@id": imprint.url(f"notebooks/{paper.slug}.html"),
        "headline": headline,
        "abstract": paper.summary.strip(),
        "author": {"@type": "Organization", "name": imprint.author},
        "inLanguage": "en",
        "license": _PROSE_LICENCE,
        "keywords": [*paper.task, paper.modality],
        "isPartOf": {"@type": "Book", "name": imprint.title, "url": imprint.url("index.html")},
        "isBasedOn": _paper(paper),
        "mentions": [_dataset(manifest, imprint) for manifest in used],
    }


def _paper(paper: Paper) -> Entity:
    doi = f"https://doi.org/{paper.doi}" if paper.doi else None
    venue = "Periodical" if paper.kind == "journal" else "CreativeWork"
    code = paper.code and {"@type": "SoftwareSourceCode", "codeRepository": paper.code.url}
    return _known(
        {
            "@type": _PAPER_TYPES.get(paper.kind, "ScholarlyArticle"),
            "@id": doi or paper.url,
            "name": paper.title,
            "author": [{"@type": "Person", "name": name} for name in paper.authors],
            "datePublished": str(paper.year),
            "isPartOf": {"@type": venue, "name": paper.venue},
            "identifier": doi,
            "url": paper.url or doi,
            "workExample": code,
        }
    )


def _known(entity: Entity) -> Entity:
    return {name: value for name, value in entity.items() if value not in (None, "", [])}


def _dataset(manifest: Manifest, imprint: Imprint) -> Entity:
    """Name a data set; its own page says everything else."""
    return _known(
        {
            "@type": "Dataset",
            "@id": _page_of(manifest, imprint),
            "name": manifest.title,
            "alternateName": manifest.dataset,
            "description": f"{manifest.title}. Access: {manifest.access}.",
            "license": manifest.licence.url or manifest.licence.name,
            "url": manifest.homepage,
        }
    )


def _page_of(manifest: Manifest, imprint: Imprint) -> str:
    return imprint.url(f"book/data/{manifest.dataset}.html")


def dataset(manifest: Manifest, croissant: Mapping[str, Any], imprint: Imprint) -> Entity:
    """Describe a data set on its page.

    Args:
        manifest: the data set.
        croissant: the same as :func:`common.croissant.export` writes it. What schema.org and
            Croissant name alike is taken from it; its lists of files stay in its own file, which
            the entity leads to.
        imprint: the book.

    Returns:
        A schema.org ``Dataset``.
    """
    name = manifest.dataset
    file = {
        "@type": "DataDownload",
        "name": "Croissant metadata",
        "encodingFormat": "application/ld+json",
        "contentUrl": imprint.url(f"book/data/{name}.croissant.json"),
    }
    return _known(
        {
            "@context": _CONTEXT,
            "@type": "Dataset",
            "@id": _page_of(manifest, imprint),
            "name": manifest.title,
            "alternateName": name,
            "description": croissant["description"],
            "license": croissant.get("license"),
            "citation": croissant.get("citeAs"),
            "keywords": croissant.get("keywords"),
            "url": manifest.homepage or _page_of(manifest, imprint),
            "version": manifest.version,
            "identifier": f"https://doi.org/{manifest.doi}" if manifest.doi else None,
            "measurementTechnique": manifest.modality,
            "conditionsOfAccess": manifest.access,
            "isAccessibleForFree": manifest.access in ("open", "generated"),
            "includedInDataCatalog": {"@type": "DataCatalog", "name": imprint.title},
            "subjectOf": file,
        }
    )


def script(entity: Entity) -> str:
    """Write an entity as the HTML element that machines look for.

    Args:
        entity: linked data; texts in it may hold anything.

    Returns:
        One line of ASCII that nothing inside can end.

    Example:
        >>> script({"name": "</script>"})
        '<script type="application/ld+json">{"name": "\\\\u003c/script\\\\u003e"}</script>'
    """
    text = json.dumps(entity).translate(_HARMLESS)
    return f'<script type="application/ld+json">{text}</script>'


def chapter_page(slug: str, suffix: str, text: str, imprint: Imprint, *, crates: str) -> str:
    """Give the page of a chapter its linked data, and the links to its archived runs.

    Args:
        slug: the chapter.
        suffix, text: the page as :func:`common.site.chapters.page` writes it.
        imprint: the book.
        crates: Markdown with links to the archived runs, "" if there are none.

    Returns:
        The page with that at its end; without linked data where ``paper.yml`` is not valid.
    """
    parts = [crates] if crates else []
    try:
        paper = papers.load(slug)
        known = manifests.datasets()
        used = [manifests.load(use.id) for use in paper.datasets if use.id in known]
        entity = chapter(paper, used, imprint, headline=headline(suffix, text) or paper.title)
        parts.append(raw(script(entity)))
    except ReplicateError:
        pass  # the page itself tells what is wrong
    return _append(suffix, text, "\n".join(parts)) if parts else text


def _append(suffix: str, text: str, markdown: str) -> str:
    if suffix == ".md":
        return f"{text}\n{markdown}"
    notebook = json.loads(text)
    cell = {"cell_type": "markdown", "id": "for-machines", "metadata": {}, "source": markdown}
    notebook["cells"].append(cell)
    return json.dumps(notebook, indent=1, sort_keys=True) + "\n"


def headline(suffix: str, text: str) -> str:
    """Return the title of a page: its first heading, "" if it has none."""
    source = text if suffix == ".md" else _prose(text)
    found = re.search(r"^# (.+)$", source, flags=re.MULTILINE)
    return re.sub(r"\\(.)", r"\1", found[1]).strip() if found else ""


def _prose(notebook: str) -> str:
    cells = json.loads(notebook)["cells"]
    return "\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "markdown")


def with_datasets(files: Mapping[str, bytes], imprint: Imprint) -> dict[str, bytes]:
    """Give each page of a data set its linked data.

    Args:
        files: path to content, as :func:`common.site.dataset_pages.files` returns them.
        imprint: the book.
    """
    done = dict(files)
    for name in manifests.datasets():
        page, croissant = f"book/data/{name}.md", f"book/data/{name}.croissant.json"
        if page in done and croissant in done:
            entity = dataset(manifests.load(name), json.loads(done[croissant]), imprint)
            done[page] = _described(done[page].decode(), entity).encode()
    return done


def _described(page: str, entity: Entity) -> str:
    """Append linked data to a page of tables, and put its description into the front matter."""
    line = f'"og:description": {json.dumps(entity["description"])}\n'
    body = page.removeprefix("---\n") if page.startswith("---\n") else f"---\n\n{page}"
    return _append(".md", f"---\n{line}{body}", raw(script(entity)))


def finish(html: Path, staging: Path, imprint: Imprint) -> None:
    """Complete the rendered site: descriptions, files at addresses that stay, the site map.

    Sphinx gives the files that a page offers addresses of its own, which nobody can foretell.

    Args:
        html: the rendered site. Doing it again changes nothing.
        staging: the site that was rendered.
        imprint: the book; without an address there is neither feed nor site map.
    """
    pages = sorted(_pages(html, staging))
    feed = staging / "book" / changes.FEED
    if feed.is_file():
        shutil.copyfile(feed, html / changes.FEED)
    for path in staging.glob(_CROISSANT):
        target = html / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name in pages:
        path = html / name
        text = path.read_text(encoding="utf-8")
        done = _with_short_descriptions(text)
        if feed.is_file():
            done = _with_feed(done, "../" * name.count("/") + changes.FEED)
        if done != text:
            path.write_text(done, encoding="utf-8")
    if imprint.address:
        (html / SITEMAP).write_bytes(sitemap(pages, imprint))


def _pages(html: Path, staging: Path) -> Sequence[str]:
    sources = (path for path in staging.rglob("*") if path.suffix in _SUFFIXES)
    names = {path.relative_to(staging).with_suffix(".html").as_posix() for path in sources}
    return [name for name in names if (html / name).is_file()]


def sitemap(pages: Sequence[str], imprint: Imprint) -> bytes:
    """List the pages of the site by their published addresses.

    Args:
        pages: paths inside the site.
        imprint: the book; its address must be known.

    Source:
        The sitemap protocol, version 0.9.
    """
    root = ElementTree.Element("urlset", xmlns="http://www.sitemaps.org/schemas/sitemap/0.9")
    for page in pages:
        url = ElementTree.SubElement(root, "url")
        ElementTree.SubElement(url, "loc").text = imprint.url(page)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _with_short_descriptions(page: str) -> str:
    """Cut descriptions to the first sentence, and escape what the extension leaves as it is."""
    texts = {found[1]: unescape(found[2]) for found in _META.finditer(page)}
    said = first_sentence(_untitled(texts.get("og:description", ""), texts.get("og:title", "")))

    def short(found: re.Match[str]) -> str:
        text = texts[found[1]] if found[1] == "og:title" else said
        kind = "property" if found[1].startswith("og:") else "name"
        return f'<meta {kind}="{found[1]}" content="{escape(text)}" />'

    return _META.sub(short, page)


def _untitled(description: str, title: str) -> str:
    """Drop the title, which the extension takes for text where it has quotation marks."""
    prefix = f"{title}:"
    same = description.translate(_STRAIGHT).startswith(prefix.translate(_STRAIGHT))
    return description[len(prefix) :].lstrip() if same else description


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, or all of it where no sentence ends.

    References to the bibliography are left out.

    Example:
        >>> first_sentence("Two networks of Smith et al. compete[Smith et al., 2020]. One wins.")
        'Two networks of Smith et al. compete.'
    """
    text = _REFERENCE.sub("", text)
    end = 0
    for found in _SENTENCE.finditer(text):
        end = found.end()
        if not _ABBREVIATION.search(found[0]):
            return text[:end].strip()
    return text.strip()


def _with_feed(page: str, address: str) -> str:
    link = (
        f'<link rel="alternate" type="application/atom+xml" title="{changes.HEADING}" '
        f'href="{escape(address)}">'
    )
    return page if link in page else page.replace("</head>", f"{link}\n</head>", 1)
