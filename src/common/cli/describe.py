"""A data set in words: every fact of its manifest, what nobody checked, and how to come by it."""

from collections.abc import Iterator, Mapping

from common import manifests
from common.datasets import registry
from common.manifest_schema import Licence, Manifest
from common.manifests import Status

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_CHECKED = {
    "read": "terms read for this book",
    "memory": "terms not read for this book",
    "none-stated": "no terms found",
}
_ACCESS = {
    "open": "open to anybody",
    "registration": "needs an account",
    "agreement": "needs a signed contract",
    "private": "private, nobody outside its owners can have it",
    "generated": "generated from a seed by this book",
}


def size(n_bytes: int | None) -> str:
    """Write a number of bytes for people; ``-`` if it is not known.

    Example:
        >>> size(900), size(1_234_567), size(20_000_000_000), size(None)
        ('0.9 kB', '1.2 MB', '20.0 GB', '-')
    """
    if n_bytes is None:
        return "-"
    unit, word = next(one for one in _UNITS if n_bytes >= one[0] or one[0] == 1e3)
    return f"{n_bytes / unit:.1f} {word}"


def lines(manifest: Manifest, status: Status) -> Iterator[str]:
    """Describe a data set.

    Args:
        manifest: what is known of it.
        status: what is on disk of it.

    Yields:
        Lines of text: facts, each with the reason if nobody checked it, then what is on disk, how
        to obtain the rest, the layout that its reader expects, and the dials of its phantom.
    """
    yield f"{manifest.dataset}: {manifest.title}"
    for field, label, text in _facts(manifest):
        if text:
            yield f"  {label}: {' '.join(text.split())}{_unchecked(manifest, field)}"
    where = f", in {status.folder}" if status.folder else ""
    state = "generated when needed" if manifest.access == "generated" else status.state
    yield f"  on disk: {state}, {status.n_present} of {status.n_files} files{where}"
    if status.state != "present":
        yield from ("", "How to obtain it", _indented(manifests.how_to_obtain(manifest.dataset)))
    yield from _layout(manifest)
    yield from _dials(manifest)


def _facts(manifest: Manifest) -> list[tuple[str, str, str]]:
    """List field, label and text of every fact, in the order of reading."""
    doi, splits, n_bytes = manifest.doi, manifest.splits, manifests.size(manifest)
    return [
        ("version", "version", manifest.version),
        ("task", "task", ", ".join(manifest.task)),
        ("modality", "modality", manifest.modality),
        ("subjects", "subjects", _number(manifest.subjects)),
        ("images", "images", _number(manifest.images)),
        ("classes", "classes", _counts(manifest.classes)),
        ("counts", "counts", _counts(manifest.counts)),
        ("size_bytes", "size", "" if n_bytes is None else size(n_bytes)),
        ("access", "access", _ACCESS[manifest.access]),
        ("licence", "licence", _licence(manifest.licence)),
        ("homepage", "home", manifest.homepage or ""),
        ("doi", "DOI", f"https://doi.org/{doi}" if doi else ""),
        ("citation", "cite", manifest.citation),
        ("source", "source", manifest.source.base_url if manifest.source else ""),
        ("splits", "split", _split(splits.rule, splits.parts) if splits else ""),
        ("used_by", "used by", ", ".join(manifest.used_by)),
        ("stands_in_for", "stands in for", ", ".join(manifest.stands_in_for)),
        ("phantom", "phantom", manifest.phantom or ""),
        ("faithfulness", "how faithful", manifest.faithfulness),
    ]


def _unchecked(manifest: Manifest, field: str) -> str:
    marks = [
        reason if name == field else f"{name.removeprefix(field + '.')}: {reason}"
        for name, reason in manifest.unchecked.items()
        if name == field or name.startswith(f"{field}.")
    ]
    return f" [unchecked: {'; '.join(marks)}]" if marks else ""


def _number(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _counts(counts: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {_number(n) or '?'}" for name, n in counts.items())


def _licence(licence: Licence) -> str:
    parts = [licence.name, _CHECKED[licence.checked], licence.url or "", licence.note]
    return "; ".join(part.strip().rstrip(".") for part in parts if part)


def _split(rule: str, parts: Mapping[str, Mapping[str, int]]) -> str:
    shown = [f"{name} ({_counts(counts)})" for name, counts in parts.items()]
    return f"{rule} {', '.join(shown)}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line.strip()}" for line in text.splitlines())


def _layout(manifest: Manifest) -> Iterator[str]:
    if manifest.layout:
        yield from ("", "Layout")
        if isinstance(manifest.layout, str):
            yield f"  {' '.join(manifest.layout.split())}{_unchecked(manifest, 'layout')}"
        for pattern in manifest.patterns:
            what = f": {pattern.what}" if pattern.what else ""
            yield f"  {pattern.count:,} x {pattern.glob}{what}"
        if manifest.patterns and (mark := _unchecked(manifest, "layout")):
            yield f" {mark}"


def _dials(manifest: Manifest) -> Iterator[str]:
    generated = manifest.access == "generated"
    name = manifest.dataset if generated else manifest.phantom
    if name is None or name not in manifests.datasets():
        return
    dials = getattr(registry.module_of(name), "DIALS", ())
    if dials:
        yield from ("", f"Dials of {name}")
        for dial in dials:
            yield f"  {dial.text} Default {dial.default:g}, from {dial.source}"
