"""Manifests as Croissant, the vocabulary of MLCommons for data sets (JSON-LD)."""

import json
import logging
import mimetypes
from collections.abc import Iterator
from typing import Any

import mlcroissant as mlc

from common.errors import ReplicateError
from common.manifest_schema import File, Manifest

_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
# what the standard table lacks
_FORMATS = {
    ".nii": "application/x-nifti",
    ".gz": "application/gzip",
    ".dcm": "application/dicom",
    ".h5": "application/x-hdf5",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".mha": "application/x-metaimage",
    ".mhd": "application/x-metaimage",
    ".ppm": "image/x-portable-pixmap",
    ".mat": "application/x-matlab-data",
    ".md": "text/markdown",
}
_LICENCES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC BY-NC-SA 4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "CC BY-NC-ND 4.0": "https://creativecommons.org/licenses/by-nc-nd/4.0/",
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


def export(manifest: Manifest, *, check: bool = True) -> dict[str, Any]:
    """Write a manifest as Croissant 1.0.

    Files with an address and a checksum become file objects, the layout file sets, the classes a
    record set with their counts. What Croissant has no word for (access, phantom, unchecked facts)
    stands in the description and under limitations.

    Args:
        manifest: the data set, with its file list.
        check: have the library ``mlcroissant`` validate it, which takes seconds for thousands of
            files.

    Returns:
        JSON-LD.

    Raises:
        ReplicateError: it is checked and the library finds an error; its report is in the message.

    Source:
        Croissant 1.0, MLCommons, 2024.
    """
    ctx = mlc.Context(conforms_to=_CONFORMS_TO)
    metadata = mlc.Metadata(
        ctx=ctx,
        name=manifest.dataset,
        description=_description(manifest),
        cite_as=manifest.citation,
        license=[_licence(manifest)],
        url=manifest.homepage or _doi_address(manifest),
        version=_version(manifest),
        keywords=[*manifest.task, manifest.modality],
        data_limitations=_limitations(manifest),
        distribution=[*_file_objects(manifest, ctx), *_file_sets(manifest, ctx)],
        record_sets=_record_sets(manifest, ctx),
    )
    found = json.loads(json.dumps(metadata.to_json(), default=str))
    if not check:
        return found
    # the library logs that recommended properties are missing, which no reader can mend
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        mlc.Metadata.from_json(ctx=mlc.Context(), json_=found)
    except mlc.ValidationError as error:
        raise ReplicateError(
            f"the manifest of {manifest.dataset} gives no valid Croissant: {error}. "
            "Mend these facts in the manifest."
        ) from None
    return found


def _description(manifest: Manifest) -> str:
    facts = [f"{manifest.title}.", f"Access: {manifest.access}."]
    if manifest.subjects is not None:
        facts.append(f"Subjects: {manifest.subjects:,}.")
    if manifest.images is not None:
        facts.append(f"Images: {manifest.images:,}.")
    if manifest.splits is not None:
        facts.append(f"Split: {manifest.splits.rule}")
    return " ".join(facts)


def _licence(manifest: Manifest) -> str:
    licence = manifest.licence
    return licence.url or _LICENCES.get(licence.name, licence.name)


def _doi_address(manifest: Manifest) -> str | None:
    return f"https://doi.org/{manifest.doi}" if manifest.doi else None


def _version(manifest: Manifest) -> str | None:
    """Croissant wants MAJOR.MINOR.PATCH; other versions are told in the limitations only."""
    parts = manifest.version.lstrip("v").split(".")
    numeric = 1 <= len(parts) <= 3 and all(part.isdigit() for part in parts)
    return ".".join([*parts, "0", "0"][:3]) if numeric else None


def _limitations(manifest: Manifest) -> list[str]:
    told = [manifest.faithfulness, f"The facts are those of the version: {manifest.version}."]
    told += [f"Not checked: {field} ({why})." for field, why in manifest.unchecked.items()]
    if manifest.phantom:
        told.append(f"Where the files cannot be had, {manifest.phantom} stands in.")
    return told


def _format_of(name: str) -> str:
    suffix = "." + name.rpartition(".")[2].lower()
    return _FORMATS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _file_objects(manifest: Manifest, ctx: mlc.Context) -> Iterator[mlc.FileObject]:
    for number, file in enumerate(manifest.files, start=1):
        address = manifest.url(file)
        if file.fetchable and address is not None:
            yield _file_object(file, number, address, ctx)


def _file_object(file: File, number: int, address: str, ctx: mlc.Context) -> mlc.FileObject:
    return mlc.FileObject(
        ctx=ctx,
        # an @id must not hold blanks, and many paths do
        id=f"file-{number}",
        name=file.path,
        content_url=address,
        content_size=f"{file.bytes} B",
        encoding_formats=[_format_of(file.path)],
        sha256=file.sha256,
    )


def _file_sets(manifest: Manifest, ctx: mlc.Context) -> Iterator[mlc.FileSet]:
    for number, pattern in enumerate(manifest.patterns, start=1):
        yield mlc.FileSet(
            ctx=ctx,
            id=f"layout-{number}",
            name=f"layout-{number}",
            description=f"{pattern.what or pattern.glob} ({pattern.count:,} files)",
            encoding_formats=[_format_of(pattern.glob)],
            includes=[pattern.glob],
        )


def _record_sets(manifest: Manifest, ctx: mlc.Context) -> list[mlc.RecordSet]:
    if not manifest.classes:
        return []
    fields = [
        mlc.Field(ctx=ctx, id=f"classes/{name}", name=f"classes/{name}", data_types=[kind])
        for name, kind in (("name", mlc.DataType.TEXT), ("cases", mlc.DataType.INTEGER))
    ]
    data = [
        {"classes/name": name, "classes/cases": -1 if count is None else count}
        for name, count in manifest.classes.items()
    ]
    return [
        mlc.RecordSet(
            ctx=ctx,
            id="classes",
            name="classes",
            description="Classes with their number of cases; -1 where it is not known.",
            key=["classes/name"],
            fields=fields,
            data=data,
        )
    ]
