"""The imprint: what the book is called, who wrote it, and the address it is published at."""

import re
from dataclasses import dataclass
from pathlib import Path

from common import strict_yaml
from common.errors import ReplicateError

CONFIG = "_config.yml"
_ADDRESS = re.compile(r"https?://[^\s\"'<>?#]+")


@dataclass(frozen=True)
class Imprint:
    """Facts about the whole book.

    Args:
        title: its name.
        author: who wrote it.
        address: where the site is published, with a slash at its end; "" if nowhere. Files for
            machines that must name absolute addresses are not written without it.
        repository: address of its source, "" if it has none.
    """

    title: str
    author: str
    address: str
    repository: str

    def url(self, path: str) -> str:
        """Return the published address of a file of the site, or its path where there is none."""
        return f"{self.address}{path}"


def read(folder: Path) -> Imprint:
    """Read the imprint from ``_config.yml``.

    Args:
        folder: where it lies: the checkout, or the staged site.

    Returns:
        Title and author as they stand there; the address is ``html.baseurl``.

    Raises:
        ReplicateError: the file cannot be read, or ``html.baseurl`` is no web address.
    """
    path = folder / CONFIG
    config = strict_yaml.read(path) or {}
    address = str((config.get("html") or {}).get("baseurl") or "")
    if address and not _ADDRESS.fullmatch(address):
        raise ReplicateError(
            f"{path}: `html.baseurl` must be a web address, got {address!r}. "
            "Give the address that the site is published at, or remove the key."
        )
    return Imprint(
        title=str(config.get("title") or ""),
        author=str(config.get("author") or ""),
        address=f"{address.rstrip('/')}/" if address else "",
        repository=str((config.get("repository") or {}).get("url") or ""),
    )
