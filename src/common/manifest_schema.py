"""The schema of a data set's manifest: licence, access, files with checksums, layout, splits.

:mod:`common.manifests` reads manifests and finds, fetches and verifies what they describe.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from common.strict_yaml import Strict

Access = Literal["open", "registration", "agreement", "private", "generated"]
_ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$")


def _relative(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or str(pure) != path or path == ".":
        raise ValueError(f"`path` must be relative, with / and without .., got {path!r}")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class Licence(Strict):
    """The terms of use, and whether somebody read them (``memory``: nobody did for this book)."""

    name: str
    url: WebAddress | None = None
    checked: Literal["read", "memory", "none-stated"]
    note: str = ""


class Origin(Strict):
    """Where the files are published; ``base_url`` is written out, with the commit in it."""

    base_url: WebAddress
    commit: str | None = None

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.commit is not None and self.commit not in self.base_url:
            raise ValueError(f"`base_url` must contain the commit, got {self.base_url!r}")
        return self


class File(Strict):
    """One file; an archive is unpacked beside itself, into a folder named without its suffix."""

    path: RelativePath
    bytes: int = Field(ge=0)
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    url: WebAddress | None = None
    unpack: Literal["zip", "tar"] | None = None

    @model_validator(mode="after")
    def _archive(self) -> Self:
        if self.unpack and not _ARCHIVE.search(self.path):
            raise ValueError(f"`unpack` needs a path ending in .zip or .tar*, got {self.path!r}")
        return self

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
    """One data set. ``counts`` holds what is neither subject, image nor class (nuclei, slices)."""

    dataset: str
    title: str
    version: str
    task: tuple[str, ...]
    modality: str
    subjects: int | None = None
    images: int | None = None
    classes: dict[str, int | None] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    access: Access
    homepage: WebAddress | None = None
    doi: str | None = None
    citation: str
    licence: Licence
    source: Origin | None = None
    files: tuple[File, ...] = ()
    files_from: str | None = None
    layout: str | tuple[Pattern, ...] = ""
    splits: Splits | None = None
    used_by: tuple[str, ...]
    phantom: str | None = None
    faithfulness: str
    obtain: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        listed = bool(self.files or self.files_from)
        if self.files and self.files_from:
            raise ValueError("give `files` or `files_from`, not both")
        if self.files_from not in (None, f"{self.dataset}.files.csv"):
            raise ValueError(f"`files_from` must be {self.dataset}.files.csv")
        seen = [file.path for file in self.files]
        if double := sorted({path for path in seen if seen.count(path) > 1}):
            raise ValueError(f"files listed twice: {', '.join(double)}")
        if self.access == "open" and listed:
            if self.files_from and self.source is None:
                raise ValueError("`files_from` needs `source.base_url`")
            if homeless := [file.path for file in self.files if self.url(file) is None]:
                raise ValueError(f"no `source` and no `url` for {', '.join(homeless)}")
        elif self.access in ("open", "registration", "agreement") and not self.obtain:
            raise ValueError("files that cannot be downloaded by themselves need `obtain` steps")
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
