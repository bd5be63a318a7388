"""The schema of a data set's manifest: licence, access, files with checksums, layout, splits.

:mod:`common.manifests` reads manifests and finds, fetches and verifies what they describe.
"""

import json
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from common.strict_yaml import Strict

Access = Literal["open", "registration", "agreement", "private", "generated"]
_ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$")


def _relative(path: str) -> str:
    if {"", ".", ".."}.intersection(path.split("/")) or "\\" in path:
        raise ValueError(f"`path` must be relative, with / and without .., got {path!r}")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Licence(Strict):
    """The terms of use, and whether somebody read them (``memory``: nobody did for this book)."""

    name: str = Field(description="short name such as `CC BY 4.0`, or `unknown`")
    url: WebAddress | None = Field(None, description="where the terms are written")
    checked: Literal["read", "memory", "none-stated"] = Field(
        description="read: at `url` or at the place that `note` names; memory: not read for this "
        "book; none-stated: looked for and not found"
    )
    note: str = ""

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.checked == "read" and not (self.url or self.note):
            raise ValueError("a licence that was read needs `url` or a `note` that says where")
        return self


class Origin(Strict):
    """Where the files are published; ``base_url`` is written out, with the commit in it."""

    base_url: WebAddress = Field(description="a file's address is this, a slash and its path")
    commit: str | None = None
    hosts: tuple[HostName, ...] = Field(
        (), description="other hosts that the address may redirect to; none by default"
    )

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.commit is not None and self.commit not in self.base_url:
            raise ValueError(f"`base_url` must contain the commit, got {self.base_url!r}")
        return self


class Unpacked(Strict):
    """What an archive holds at most; unpacking stops, and leaves nothing, where it holds more."""

    bytes: int = Field(ge=1, description="size of all files together")
    files: int = Field(ge=1, description="files and folders together")


class File(Strict):
    """One file; an archive is unpacked beside itself, into a folder named without its suffix.

    A file without ``sha256`` is described but never fetched: its reader brings it himself.
    """

    path: RelativePath
    bytes: int | None = Field(None, ge=0, description="exact size; null if it was never measured")
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    url: WebAddress | None = Field(None, description="its address, if not under `source.base_url`")
    unpack: Literal["zip", "tar"] | None = None
    unpacked_limit: Unpacked | None = None

    @model_validator(mode="after")
    def _archive(self) -> Self:
        if self.unpack and not _ARCHIVE.search(self.path):
            raise ValueError(f"`unpack` needs a path ending in .zip or .tar*, got {self.path!r}")
        if self.unpack and self.unpacked_limit is None:
            raise ValueError(f"`unpack` needs `unpacked_limit`, got none for {self.path!r}")
        if self.sha256 is not None and self.bytes is None:
            raise ValueError(f"a file with `sha256` needs `bytes`, got none for {self.path!r}")
        return self

    @property
    def fetchable(self) -> bool:
        """Whether its content is known, so that a download can be checked."""
        return self.sha256 is not None

    @property
    def unpacked(self) -> str:
        """Path of the folder that an archive is unpacked into."""
        return _ARCHIVE.sub("", self.path)


class Pattern(Strict):
    """A kind of file and how many of it a whole copy holds (the check where no sums are known)."""

    glob: RelativePath
    count: int = Field(ge=1)
    what: str = ""


class Splits(Strict):
    """How the cases are divided: the rule in words, and counts such as ``{A: {patients: 51}}``."""

    rule: str
    parts: dict[str, dict[str, int]] = Field(default_factory=dict)


class Manifest(Strict):
    """One data set: what it is, who may have it, its files, its splits and its phantom.

    Facts that nobody checked for this book are named in ``unchecked``, with the reason.
    """

    dataset: str = Field(description="the file's own name without .yml")
    title: str
    version: str = Field(description="release, commit or date that the facts speak of")
    task: tuple[str, ...] = Field(min_length=1, description="such as classification, segmentation")
    modality: str
    subjects: int | None = Field(None, ge=0, description="people or animals; null if unknown")
    images: int | None = Field(None, ge=0, description="images, volumes or recordings")
    classes: dict[str, int | None] = Field(
        default_factory=dict, description="class: number of cases, null if unknown"
    )
    counts: dict[str, int] = Field(
        default_factory=dict, description="what is neither subject, image nor class: nuclei, slices"
    )
    size_bytes: int | None = Field(
        None, ge=0, description="size of a whole copy where no files are listed; may be a rough one"
    )
    access: Access = Field(
        description="open: anybody, without an account; registration: an account or form; "
        "agreement: a signed contract; private: nobody; generated: a phantom of this book"
    )
    homepage: WebAddress | None = None
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")] | None = None
    citation: str
    licence: Licence
    source: Origin | None = None
    files: tuple[File, ...] = ()
    files_from: str | None = Field(None, description="<dataset>.files.csv, for long lists")
    layout: str | tuple[Pattern, ...] = Field(
        "", description="the folders and names that the reader expects, or words"
    )
    splits: Splits | None = Field(None, description="the official division, or the paper's")
    used_by: tuple[str, ...] = Field(description="slugs of the papers that use it")
    stands_in_for: tuple[str, ...] = Field(
        (), description="data sets that it replaces where a reader cannot have them"
    )
    phantom: str | None = Field(None, description="the generated data set that stands in for it")
    faithfulness: str = Field(
        description="what it, or its phantom, keeps of the data that the papers used, and what not"
    )
    module: ModuleName | None = Field(
        None, description="module of common.datasets with its reader or phantom, if not its name"
    )
    unchecked: dict[str, str] = Field(
        default_factory=dict,
        description="field (licence.name, classes.benign): why nobody could check it",
    )
    obtain: tuple[str, ...] = Field(
        (), description="steps to come by files that cannot be downloaded by themselves"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        listed = bool(self.files_from or any(file.fetchable for file in self.files))
        if self.files and self.files_from:
            raise ValueError("give `files` or `files_from`, not both")
        if self.files_from not in (None, f"{self.dataset}.files.csv"):
            raise ValueError(f"`files_from` must be {self.dataset}.files.csv")
        seen = [file.path for file in self.files]
        if double := sorted({path for path in seen if seen.count(path) > 1}):
            raise ValueError(f"files listed twice: {', '.join(double)}")
        if self.access == "open" and listed:
            fetchable = [file for file in self.files if file.fetchable]
            if homeless := [file.path for file in fetchable if self.url(file) is None]:
                raise ValueError(f"no `source` and no `url` for {', '.join(homeless)}")
        elif self.access in ("open", "registration", "agreement") and not self.obtain:
            raise ValueError("files that cannot be downloaded by themselves need `obtain` steps")
        for field in self.unchecked:
            if not _names_a_fact(self, field):
                raise ValueError(f"`unchecked` must name fields with a value, got {field!r}")
        return self

    def url(self, file: File) -> str | None:
        """Return the original address of a file; ``None`` if it has none."""
        if file.url is None and self.source is not None:
            return f"{self.source.base_url.rstrip('/')}/{quote(file.path)}"
        return file.url

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The layout where it is given as globs, else nothing."""
        return () if isinstance(self.layout, str) else self.layout

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts that downloads may be redirected to beside the one that was asked."""
        return frozenset(self.source.hosts if self.source else ())

    @property
    def module_name(self) -> str:
        """Name of the module of ``common.datasets`` that reads or generates the data set."""
        return self.module or self.dataset.replace("-", "_")


def json_schema() -> str:
    """Write the JSON schema of a manifest, as ``data_manifests/dataset.schema.json`` keeps it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Manifest.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def _names_a_fact(manifest: Manifest, field: str) -> bool:
    """Say whether a dotted name leads to something that the manifest states."""
    found: Any = manifest
    for part in field.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        else:
            known = isinstance(found, Strict) and part in type(found).model_fields
            found = getattr(found, part) if known else None
        if found is None:
            return False
    return found not in ("", (), {})
