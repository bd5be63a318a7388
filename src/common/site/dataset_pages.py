"""The page of each data set, and the overview of all, written from the manifests.

Everything read from manifests is shown as text: HTML or Markdown inside it has no effect.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from common import croissant, display, manifests, papers
from common.datasets import registry
from common.display import Shown
from common.manifest_schema import Manifest
from common.phantoms.dials import Dial
from common.site import galleries, tables
from common.site.chapters import plain_text
from common.site.pages import raw

FOLDER = "book/data"
PICTURES = "book/_static/galleries"
_CHECKED = {
    "read": "terms read for this book",
    "memory": "terms not read for this book",
    "none-stated": "no terms stated",
}
_LONGEST_TREE = 40


def overview() -> str:
    """Write the tables of all data sets: real ones, then phantoms.

    Returns:
        Markdown; its tables can be sorted and filtered where scripts run.
    """
    loaded = [manifests.load(name) for name in manifests.datasets()]
    if not loaded:
        return "No data set has a manifest yet.\n"
    real = [manifest for manifest in loaded if manifest.access != "generated"]
    phantoms = [manifest for manifest in loaded if manifest.access == "generated"]
    parts = [raw(tables.head())]
    if real:
        parts += ["## Real data sets\n", raw(_real_table(real)), tables.links("datasets")]
    if phantoms:
        parts += ["## Phantoms\n", raw(_phantom_table(phantoms))]
    return "\n".join(parts)


def _real_table(loaded: Sequence[Manifest]) -> str:
    columns = [
        tables.Column("data set", width=9),
        tables.Column("what", width=14),
        tables.Column("papers"),
        tables.Column("images", "number"),
        tables.Column("size", "number", width=5),
        tables.Column("access"),
        tables.Column("licence", width=8),
        tables.Column("phantom", width=8),
        tables.Column("at this build"),
    ]
    rows = [
        tables.Row(
            [
                _to_page(manifest.dataset),
                manifest.title,
                _chapters(manifest),
                _number(manifest.images),
                _size(manifest),
                manifest.access,
                manifest.licence.name,
                _to_page(manifest.phantom) if manifest.phantom else "–",
                manifests.status(manifest.dataset).state,
            ],
            order={3: manifest.images, 4: _bytes(manifest)},
            words={
                "access": [manifest.access],
                "paper": list(manifest.used_by),
                "modality": [manifest.modality],
                "task": list(manifest.task),
            },
        )
        for manifest in loaded
    ]
    filters = [
        tables.Filter("access", "access"),
        tables.Filter("paper", "paper"),
        tables.Filter("task", "task"),
        tables.Filter("modality", "modality contains", "text"),
    ]
    return tables.table(
        columns,
        rows,
        name="datasets",
        caption=f"The {len(loaded)} data sets that the papers of this book name. "
        "Facts that nobody checked are marked on the page of each.",
        filters=filters,
    )


def _phantom_table(loaded: Sequence[Manifest]) -> str:
    columns = [
        tables.Column("phantom", width=8),
        tables.Column("what", width=14),
        tables.Column("papers"),
        tables.Column("stands in for"),
        tables.Column("dials", "number"),
    ]
    rows = []
    for manifest in loaded:
        n_dials = len(registry.phantom_module(manifest.dataset).DIALS)
        replaced = _stack(_to_page(name) for name in _replaced(manifest))
        cells: list[Shown | str] = [
            _to_page(manifest.dataset),
            manifest.title,
            _chapters(manifest),
            replaced,
        ]
        rows.append(tables.Row([*cells, str(n_dials)], order={4: n_dials}))
    caption = f"The {len(loaded)} phantoms, with the real data sets that they stand in for."
    return tables.table(columns, rows, name="phantoms", caption=caption)


def _list() -> pd.DataFrame:
    """Return the facts of all data sets for download, one row each."""
    rows = []
    for name in manifests.datasets():
        manifest = manifests.load(name)
        rows.append(
            {
                "dataset": name,
                "title": manifest.title,
                "papers": "; ".join(manifest.used_by),
                "task": "; ".join(manifest.task),
                "modality": manifest.modality,
                "subjects": manifest.subjects,
                "images": manifest.images,
                "bytes": _bytes(manifest),
                "access": manifest.access,
                "licence": manifest.licence.name,
                "licence_checked": manifest.licence.checked,
                "homepage": manifest.homepage,
                "doi": manifest.doi,
                "phantom": manifest.phantom,
                "unchecked": "; ".join(manifest.unchecked),
            }
        )
    return pd.DataFrame(rows)


def _replaced(manifest: Manifest) -> list[str]:
    """List the real data sets whose manifest names this phantom."""
    names = manifests.datasets()
    return [name for name in names if manifests.load(name).phantom == manifest.dataset]


def _chapters(manifest: Manifest) -> Shown:
    """Name the papers; those that have a chapter are linked."""
    existing = set(papers.slugs())
    links = [
        Shown(plain=slug, html=f'<a href="../notebooks/{escape(slug)}.html">{escape(slug)}</a>')
        if slug in existing
        else Shown(plain=slug)
        for slug in manifest.used_by
    ]
    return _stack(links) if links else Shown(plain="–")


def _bytes(manifest: Manifest) -> int | None:
    return sum(file.bytes or 0 for file in manifest.files) or manifest.size_bytes


def _size(manifest: Manifest) -> str:
    total = _bytes(manifest)
    if total is None:
        return "–"
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if total >= factor:
            return f"{total / factor:.3g} {unit}"
    return f"{total / 1e3:.3g} kB"


def _to_page(dataset: str) -> Shown:
    return Shown(plain=dataset, html=f'<a href="data/{escape(dataset)}.html">{escape(dataset)}</a>')


def _stack(parts: Iterable[Shown]) -> Shown:
    listed = list(parts)
    return Shown(
        plain="; ".join(part.plain for part in listed) or "–",
        html="<br>".join(part.html or escape(part.plain) for part in listed) or "–",
    )


def files() -> dict[str, bytes]:
    """Write the pages of all data sets with their figures and Croissant files.

    Returns:
        Path inside the staging folder to content.
    """
    written = {**tables.assets(), **tables.downloads(_list(), "book/datasets")}
    generated = set(registry.phantoms())
    drawn = {name: galleries.gallery(name) for name in sorted(generated)}
    for name, gallery in drawn.items():
        written[f"{PICTURES}/{name}.png"] = gallery.png
    for name in manifests.datasets():
        manifest = manifests.load(name)
        phantom = name if name in generated else manifest.phantom
        written[f"{FOLDER}/{name}.md"] = _page(manifest, drawn.get(phantom or "")).encode()
        exported = json.dumps(croissant.export(manifest, check=False), indent=1)
        written[f"{FOLDER}/{name}.croissant.json"] = f"{exported}\n".encode()
    return written


def _page(manifest: Manifest, gallery: galleries.Gallery | None) -> str:
    parts = [f"# {plain_text(manifest.title)}\n", _facts(manifest)]
    if manifest.classes or manifest.counts:
        parts.append(_counts(manifest))
    if tree := _tree(manifest):
        parts.append(f"## The files\n\n{raw(tree)}")
    if manifest.obtain:
        steps = "".join(f"1. {plain_text(step)}\n" for step in manifest.obtain)
        parts.append(f"## How to obtain it\n\n{steps}")
    if gallery is not None:
        parts.append(_phantom_section(manifest, gallery))
    if manifest.unchecked:
        rows = pd.DataFrame(manifest.unchecked.items(), columns=["fact", "why"])
        table = display.table(rows, caption="Facts that were not checked", index=False)
        parts.append(f"## Not checked for this book\n\n{raw(table.html)}")
    name = manifest.dataset
    parts.append(
        "## For machines\n\n"
        f"{{download}}`Croissant (JSON-LD) <{name}.croissant.json>` · "
        f"`replicate data describe {name}`\n"
    )
    return "\n".join(parts)


def _facts(manifest: Manifest) -> str:
    licence, homepage, doi = manifest.licence, manifest.homepage, manifest.doi
    facts: dict[str, Any] = {
        "name here": manifest.dataset,
        "version": manifest.version,
        "task": ", ".join(manifest.task),
        "modality": manifest.modality,
        "subjects": _number(manifest.subjects),
        "images": _number(manifest.images),
        "size": _size(manifest),
        "access": manifest.access,
        "licence": _stack(
            [_link(licence.name, licence.url), Shown(plain=_CHECKED[licence.checked])]
        ),
        "licence, note": licence.note or "–",
        "home": _link(homepage, homepage) if homepage else "–",
        "DOI": _link(doi, f"https://doi.org/{doi}") if doi else "–",
        "cite": manifest.citation,
        "split": manifest.splits.rule if manifest.splits else "–",
        "used by": ", ".join(manifest.used_by) or "–",
        "stands in for": ", ".join(manifest.stands_in_for) or "–",
        "how faithful": manifest.faithfulness,
    }
    rows = [
        {"fact": name + _mark(manifest, name), "what is known": value}
        for name, value in facts.items()
        if value != "–"
    ]
    table = display.table(pd.DataFrame(rows), caption="At a glance", index=False)
    return raw(f'<div class="rb-facts">{table.html}</div>')


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


# rows of the facts whose field has another name
_FIELD_OF = {"DOI": "doi", "home": "homepage", "cite": "citation", "split": "splits"}


def _mark(manifest: Manifest, name: str) -> str:
    """Mark a fact that nobody checked."""
    field = _FIELD_OF.get(name, name)
    unchecked = any(key.split(".")[0] == field for key in manifest.unchecked)
    return " (not checked)" if unchecked else ""


def _counts(manifest: Manifest) -> str:
    rows = [
        {"what": kind, "number": _number(count)}
        for kind, count in {**manifest.classes, **manifest.counts}.items()
    ]
    for part, sizes in (manifest.splits.parts if manifest.splits else {}).items():
        text = ", ".join(f"{count:,} {kind}" for kind, count in sizes.items())
        rows.append({"what": f"part {part}", "number": text})
    table = display.table(pd.DataFrame(rows), caption="Classes, counts and parts", index=False)
    return f"## What it holds\n\n{raw(table.html)}"


def _link(text: str, url: str | None) -> Shown:
    if url is None:
        return Shown(plain=text)
    return Shown(plain=text, html=f'<a href="{escape(url)}">{escape(text)}</a>')


def _tree(manifest: Manifest) -> str:
    """Draw the folders and names that the reader expects."""
    if isinstance(manifest.layout, str) and not manifest.files:
        return f"<p>{escape(manifest.layout)}</p>" if manifest.layout else ""
    leaves = {
        pattern.glob: f"{_times(pattern.count)}{pattern.what}" for pattern in manifest.patterns
    } or _grouped(manifest)
    branches: dict[str, Any] = {}
    for path, note in leaves.items():
        *folders, name = path.split("/")
        place = branches
        for folder in folders:
            place = place.setdefault(f"{folder}/", {})
        place[name] = note
    lines = [f"{manifest.dataset}/", *_branch(branches, "")]
    if len(lines) > _LONGEST_TREE:
        lines = [*lines[:_LONGEST_TREE], f"… and {len(lines) - _LONGEST_TREE} more"]
    text = escape("\n".join(lines))
    label = f"Files of {escape(manifest.dataset)}"
    return f'<pre class="rb-tree" tabindex="0" aria-label="{label}">{text}</pre>'


def _times(count: int) -> str:
    return "" if count == 1 else f"{count:,} × "


def _grouped(manifest: Manifest) -> dict[str, str]:
    """Gather listed files of one folder and suffix, where a manifest gives no patterns."""
    groups: dict[str, list[str]] = {}
    for file in manifest.files:
        folder, _, name = file.path.rpartition("/")
        suffix = name.partition(".")[2]
        groups.setdefault(f"{folder}/*.{suffix}" if folder else f"*.{suffix}", []).append(file.path)
    return {
        paths[0] if len(paths) == 1 else pattern: "" if len(paths) == 1 else f"{len(paths):,} files"
        for pattern, paths in groups.items()
    }


def _branch(node: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for position, (name, below) in enumerate(node.items()):
        last = position == len(node) - 1
        note = f"   {below}" if isinstance(below, str) and below else ""
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}{note}")
        if not isinstance(below, str):
            lines += _branch(below, indent + ("    " if last else "│   "))
    return lines


def _range(dial: Dial) -> str:
    off = "" if dial.null is None else f", off at {dial.null:g}"
    unit = "" if dial.unit == "1" else f" {dial.unit}"
    return f"{dial.low:g} to {dial.high:g}{unit}{off}"


def _phantom_section(manifest: Manifest, gallery: galleries.Gallery) -> str:
    name = manifest.dataset if manifest.access == "generated" else manifest.phantom
    figure = raw(
        f'<figure class="rb-figure"><img class="dark-light" alt="{escape(gallery.alt)}" '
        f'src="../../_static/galleries/{name}.png">'
        f"<figcaption>{escape(gallery.caption)}</figcaption></figure>"
    )
    if manifest.access != "generated":
        return (
            f"## The phantom\n\nWhere the files are absent, [{name}]({name}.md) stands in. "
            f"A result on it speaks of a mechanism, never of patients.\n\n{figure}"
        )
    module = registry.phantom_module(manifest.dataset)
    rows = [
        {
            "dial": dial.name,
            "default, range": _stack([Shown(plain=f"{dial.default:g}"), Shown(plain=_range(dial))]),
            "turned up": dial.effect,
            "default from": dial.source,
        }
        for dial in module.DIALS
    ]
    dials = display.table(pd.DataFrame(rows), caption="The dials", index=False)
    made = display.source_of(module.phantom, docstring=True).markdown
    return f"## What it looks like\n\n{figure}\n## The dials\n\n{raw(dials.html)}\n{made}"
