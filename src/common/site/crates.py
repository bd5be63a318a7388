"""Archived runs as RO-Crates: files with their hashes, and the run that made them, for machines.

A crate is a zip archive that depends on nothing but the archived run, the chapter's notebook and
the imprint: making it again gives the same bytes.
"""

import datetime
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from common import papers, paths
from common.errors import ReplicateError
from common.papers import Paper
from common.runs import archives
from common.runs.archives import Archive
from common.runs.files import sha256
from common.site.imprint import Imprint

PROFILES = ("standard", "full")
VERSION = "1.1"
_LICENCE = "https://spdx.org/licenses/BSD-3-Clause"
_NEEDED = {"id", "ended", "wall_s", "parameters", "versions", "hardware", "data", "files"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can state
_FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".npz": "application/x-npz",
    ".py": "text/x-python",
}
# measured values of a run, by their key in run.json
_MEASURES = {
    "wall_s": ("wall time", "s"),
    "cpu_s": ("processor time", "s"),
    "peak_memory_mb": ("peak memory", "MB"),
    "threads": ("threads", ""),
    "gpu_s": ("GPU time", "s"),
    "gpu_peak_memory_mb": ("peak GPU memory", "MB"),
}


def files(slug: str, imprint: Imprint) -> dict[str, bytes]:
    """Write the crates of a chapter's archives.

    Args:
        slug: the chapter.
        imprint: the book.

    Returns:
        Path inside the staging folder to content, one zip archive for each archived profile; a
        damaged archive, which the scoreboard tells, has none, nor has one that does not say
        how it was made.
    """
    found: dict[str, bytes] = {}
    for profile in PROFILES:
        try:
            archive = archives.read_archive(slug, profile)
            if archive is not None and archive.provenance.keys() >= _NEEDED:
                content = packed(archive, papers.load(slug), imprint)
                found[f"notebooks/{slug}-{profile}.crate.zip"] = content
        except ReplicateError:
            continue
    return found


def links(names: Iterable[str]) -> str:
    """Write Markdown that offers crates staged beside the page.

    Args:
        names: keys of :func:`files`.

    Returns:
        A sentence, or "" where there are none.
    """
    offered = []
    for path in names:
        name = path.rpartition("/")[2]
        profile = name.removesuffix(".crate.zip").rpartition("-")[2]
        offered.append(f"{{download}}`{profile} run <{name}>`")
    if not offered:
        return ""
    return (
        f"Archived with records, verdicts, parameters and versions, as RO-Crate {VERSION}: "
        f"{', '.join(offered)}.\n"
    )


def packed(archive: Archive, paper: Paper, imprint: Imprint) -> bytes:
    """Pack an archived run with its description.

    Args:
        archive: the run.
        paper: the declaration of its chapter.
        imprint: the book.

    Returns:
        A zip archive with the archive's files, the chapter's notebook as it is now, and
        ``ro-crate-metadata.json``.

    Source:
        RO-Crate Metadata Specification 1.1.
    """
    with tempfile.TemporaryDirectory() as folder:
        _describe(archive, paper, imprint).write(folder)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packing:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    packing.writestr(entry, path.read_bytes())
    return stream.getvalue()


def _describe(archive: Archive, paper: Paper, imprint: Imprint) -> ROCrate:
    run = archive.provenance
    crate = ROCrate(version=VERSION)
    # the context of RO-Crate 1.1 is older than the term
    crate.metadata.extra_terms = {"sha256": "https://schema.org/sha256"}
    crate.name = f"{imprint.title}: {archive.slug}, archived {archive.profile} run"
    crate.description = (
        f"Records, verdicts and audit of the chapter on: {paper.title}. {_age(archive)}"
    )
    crate.datePublished = datetime.datetime.fromisoformat(run["ended"])
    crate.license = _add(crate, _LICENCE, "CreativeWork", name="BSD 3-Clause licence")
    crate.creator = _add(crate, "#authors", "Organization", name=imprint.author)
    crate.isBasedOn = _add(
        crate,
        (f"https://doi.org/{paper.doi}" if paper.doi else paper.url) or "#paper",
        "ScholarlyArticle",
        name=paper.title,
        author=list(paper.authors),
        datePublished=str(paper.year),
    )
    made = [_file(crate, archive.folder / name, name) for name in sorted(run["files"])]
    _file(crate, archive.folder / "run.json", "run.json", description="Provenance of the run.")
    _add_run(crate, archive, _notebook(crate, archive.slug, imprint), made, imprint)
    return crate


def _age(archive: Archive) -> str:
    changed = "; ".join(archive.stale_because)
    return (
        f"Since the run these changed: {changed}."
        if changed
        else "Neither its code nor its declaration changed since the run."
    )


def _add(crate: ROCrate, identifier: str, kind: str, **facts: Any) -> ContextEntity:
    known = {name: value for name, value in facts.items() if value not in (None, "", [])}
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **known}))


def _file(crate: ROCrate, path: Path, name: str, **facts: Any) -> Any:
    content = path.read_bytes()
    properties = {
        "name": name,
        "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
        "contentSize": str(len(content)),
        "sha256": sha256(content),
        "license": {"@id": _LICENCE},
        **facts,
    }
    return crate.add_file(path, name, properties=properties)


def _notebook(crate: ROCrate, slug: str, imprint: Imprint) -> Any:
    path = paths.notebook(slug)
    python = _add(crate, "#python-language", "ComputerLanguage", name="Python")
    return _file(
        crate,
        path,
        path.name,
        **{"@type": ["File", "SoftwareSourceCode"]},
        description="The chapter as a notebook (py:percent), as it is now.",
        programmingLanguage={"@id": python.id},
        codeRepository=imprint.repository,
        url=imprint.url(f"notebooks/{slug}.html"),
    )


def _add_run(
    crate: ROCrate, archive: Archive, notebook: Any, made: list[Any], imprint: Imprint
) -> None:
    """Add the run as the action that made the files."""
    run = archive.provenance
    ended = datetime.datetime.fromisoformat(run["ended"])
    absent = [name for name, state in run["data"].items() if state == "absent"]
    software = [
        _add(crate, f"#{name}", "SoftwareApplication", name=name, softwareVersion=version)
        for name, version in run["versions"].items()
    ]
    notebook["softwareRequirements"] = software
    action = crate.add_action(
        instrument=[notebook, *software, _machine(crate, run["hardware"])],
        identifier=f"#run-{run['id']}",
        object=[*_parameters(crate, run["parameters"]), *_data(crate, run["data"], imprint)],
        result=made,
        properties={
            "@type": "CreateAction",
            "name": f"{archive.slug}, profile {archive.profile}, run {run['id']}",
            "description": f"Left out, not at hand: {', '.join(absent)}."
            if absent
            else "Every data set was at hand.",
            "startTime": (ended - datetime.timedelta(seconds=run["wall_s"])).isoformat(),
            "endTime": run["ended"],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        },
    )
    action["agent"] = crate.creator
    action["additionalProperty"] = [
        _value(crate, f"#measured-{key}", name, run[key], unit)
        for key, (name, unit) in _MEASURES.items()
        if run.get(key) is not None
    ]
    crate.root_dataset["mentions"] = action


def _machine(crate: ROCrate, hardware: Mapping[str, Any]) -> ContextEntity:
    cpu, system = hardware.get("cpu") or "processor", hardware.get("system") or "unknown system"
    facts = [
        _value(crate, f"#machine-{key}", key.replace("_", " "), hardware[key], "")
        for key in sorted(hardware)
        if hardware[key] not in (None, "", [])
    ]
    name = f"{cpu}, {system}"
    return _add(crate, "#machine", "IndividualProduct", name=name, additionalProperty=facts)


def _parameters(crate: ROCrate, parameters: Mapping[str, Any]) -> list[ContextEntity]:
    return [
        _value(crate, f"#parameter-{name}", name, value, "") for name, value in parameters.items()
    ]


def _data(crate: ROCrate, data: Mapping[str, str], imprint: Imprint) -> list[ContextEntity]:
    """Add the data sets that the run read; a checksum stands for all files of one.

    They are no parts of the crate, which the type Dataset would make them.
    """
    return [
        _add(
            crate,
            f"#data-{name}",
            "CreativeWork",
            additionalType="https://schema.org/Dataset",
            name=name,
            url=imprint.url(f"book/data/{name}.html"),
            description="Generated by the run."
            if state == "generated"
            else f"Checksum over its files: {state}.",
        )
        for name, state in data.items()
        if state != "absent"
    ]


def _value(crate: ROCrate, identifier: str, name: str, value: Any, unit: str) -> ContextEntity:
    # a list in a list or a null is no value in JSON-LD
    plain = value if isinstance(value, str | int | float) else json.dumps(value)
    return _add(crate, identifier, "PropertyValue", name=name, value=plain, unitText=unit)
