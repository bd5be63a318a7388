"""One file of a data set fetched from the network or a mirror: whole and checked, or not at all.

A download that breaks off is continued by the next one, but only where the server proves that the
content is still the same (``If-Range``); the partial file is named after the expected checksum.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from common.disk import writing
from common.errors import ReplicateError
from common.integrity import Advance, expectation, integrity_error, throttled
from common.manifest_schema import File

MAX_REDIRECTS = 5
_BLOCK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
# slower than this for the whole read timeout counts as stalled
_LEAST_BYTES_PER_S = 1024


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked.

    Args:
        connect_s: seconds until a connection must stand.
        read_s: seconds without data, or with less than 1 KiB a second, until it is given up.
        retries: further tries after an answer 5xx or a connection that was cut.
        backoff_s: seconds before the first further try; doubled for each one after it.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    retries: int = 3
    backoff_s: float = 1.0


class _Refused(Exception):
    """What a source gave cannot be the file; asking again is no use."""


class _Cut(Exception):
    """The answer broke off; asking again may help."""


class _Stalled(Exception):
    """No data came in time; what came is worth keeping."""


@dataclass
class _Part:
    """A file that is coming: what is on disk of it, its checksum so far, where it came from."""

    file: File
    target: Path
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    validator: str | None = None

    @property
    def path(self) -> Path:
        return self.target.with_name(f".{self.file.sha256}.part")

    @property
    def note(self) -> Path:
        """Remembers the address and the validator (ETag or date) of what is on disk."""
        return self.target.with_name(f".{self.file.sha256}.part.json")

    def restore(self, address: str) -> None:
        """Take up what an earlier call left, if it came from the same address."""
        self.forget()
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            if note["url"] != address or self.path.stat().st_size >= (self.file.bytes or 0):
                return
            with self.path.open("rb") as stream:
                self.digest = hashlib.file_digest(stream, "sha256")
            self.size, self.validator = self.path.stat().st_size, str(note["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            self.forget()

    def forget(self) -> None:
        self.size, self.digest, self.validator = 0, hashlib.sha256(), None

    def remember(self, address: str, validator: str | None) -> None:
        """Note from where the content comes, or that it cannot be continued."""
        self.validator = validator
        self.note.unlink(missing_ok=True)
        if validator is not None:
            text = json.dumps({"url": address, "validator": validator})
            self.note.write_text(text, encoding="utf-8")

    def tidy(self) -> None:
        """Keep on disk only what a later call can continue."""
        if not (self.note.exists() and self.path.exists() and self.path.stat().st_size):
            self.remove()

    def remove(self) -> None:
        self.forget()
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch_file(
    file: File,
    target: Path,
    sources: Iterable[Path | str],
    *,
    hosts: frozenset[str] = frozenset(),
    progress: Advance | None = None,
    patience: Patience | None = None,
) -> None:
    """Put one file in place, whole or not at all, from the first source that has it right.

    Args:
        file: its size and checksum.
        target: where it belongs; folders above it are made.
        sources: files or http addresses, in the order in which they are tried.
        hosts: hosts that an address may redirect to, beside its own.
        progress: called a few times a second at most with the bytes of the file that have come.
        patience: time limits and retries.

    Raises:
        ReplicateError: the checksum is not known, no source gave the right bytes (each one's
            answer is listed), or the target cannot be written. Nothing is left behind but, where
            the server can continue it, a hidden ``.part`` file; the message says so.
    """
    if not file.fetchable:
        raise ReplicateError(unfetchable(file, target, next(iter(sources), None)))
    report, failures = throttled(progress), []
    part = _Part(file, target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in sources:
            try:
                if isinstance(source, Path):
                    _copy(file, source, target, report)
                else:
                    _Download(part, source, hosts, report, patience or Patience()).run()
                    os.replace(part.path, target)
                part.remove()
                return
            except (_Refused, _Cut, _Stalled) as failure:
                failures.append(f"{_shown(source)}: {failure}")
            except OSError:
                # a full disk is not helped by what came so far
                part.remove()
                raise
            finally:
                part.tidy()
    raise _failure(part, failures)


def unfetchable(file: File, target: Path, address: Path | str | None) -> str:
    """Say why a file without a checksum is not fetched, where it is, and what to do."""
    where = f"Download it yourself from {address}" if address else "Obtain it yourself"
    return (
        f"{file.path} is not fetched, because its manifest has no checksum to test it by. "
        f"{where} and put it at {target}."
    )


def _failure(part: _Part, failures: list[str]) -> ReplicateError:
    kept = ""
    if part.path.exists():
        size = part.path.stat().st_size
        kept = f"; {size} bytes are kept in {part.path.name}, and a new fetch continues them"
    return integrity_error(
        f"fetching {part.file.path}",
        expected=expectation(part.file),
        got="".join(f"\n    {failure}" for failure in failures) or "no address to fetch it from",
        done="nothing was put in place; files fetched before are kept, and a new fetch goes on "
        f"there{kept}",
        cause="no network or a download cut off (fetch again), or the file has moved or changed "
        "at its source (set REPLICATE_MIRROR to a copy, or mend the manifest)",
    )


def _check(file: File, size: int, digest: Any) -> None:
    got = f"{size} bytes, sha256 {digest.hexdigest()}"
    if got != expectation(file):
        raise _Refused(got)


def _copy(file: File, source: Path, target: Path, report: Advance) -> None:
    """Copy a file of a mirror folder, checked while it is read."""
    temporary = target.with_name(f".{file.sha256}.{os.getpid()}.copy")
    try:
        stream = source.open("rb")
    except OSError as error:
        raise _Refused(error.strerror or str(error)) from None
    try:
        size, digest = 0, hashlib.sha256()
        with stream, temporary.open("wb") as copy:
            while block := stream.read(_BLOCK):
                size += len(block)
                digest.update(block)
                copy.write(block)
                report(size)
        _check(file, size, digest)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass
class _Download:
    """One file from one address, asked for until it is whole or given up."""

    part: _Part
    address: str
    hosts: frozenset[str]
    report: Advance
    patience: Patience

    def run(self) -> None:
        """Bring the file to ``part.path``, with the right checksum.

        Raises:
            _Refused: the answer can never be the file.
            _Cut: every try broke off.
            _Stalled: no data came in time.
        """
        self.part.restore(self.address)
        for tried in range(self.patience.retries + 1):
            try:
                with self._session() as session, self._answer(session) as response:
                    self._receive(response)
                break
            except _Cut as failure:
                if tried == self.patience.retries:
                    raise _Cut(f"{failure} (tried {tried + 1} times)") from None
                time.sleep(self.patience.backoff_s * 2**tried)
        try:
            _check(self.part.file, self.part.size, self.part.digest)
        except _Refused:
            self.part.remove()
            raise

    def _session(self) -> requests.Session:
        session = requests.Session()
        # no .netrc, no password of an address, no cookie is ever sent
        session.auth = lambda request: request
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def _answer(self, session: requests.Session) -> requests.Response:
        """Ask for the file, or the rest of it, following redirects by hand."""
        headers = {"Accept-Encoding": "identity"}
        if self.part.size and self.part.validator:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": self.part.validator}
        address = _sound(self.address)
        timeout = (self.patience.connect_s, self.patience.read_s)
        for _ in range(MAX_REDIRECTS + 1):
            response = _get(session, address, headers, timeout)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            address = self._redirected(address, response.headers.get("Location", ""))
        raise _Refused(f"more than {MAX_REDIRECTS} redirects")

    def _redirected(self, address: str, location: str) -> str:
        new = _sound(urljoin(address, location))
        if urlsplit(address).scheme == "https" and urlsplit(new).scheme != "https":
            raise _Refused(f"a redirect from https to {new}, which is not followed")
        if urlsplit(new).hostname not in {urlsplit(self.address).hostname, *self.hosts}:
            raise _Refused(
                f"a redirect to {new}, a host that the manifest does not allow (`source.hosts`)"
            )
        return new

    def _receive(self, response: requests.Response) -> None:
        """Write the body of an answer behind what is there, or over it."""
        status, part = response.status_code, self.part
        if status >= 500:
            raise _Cut(f"{status} {response.reason}")
        if status == 416 and part.size:
            part.remove()
            raise _Cut("416, the rest of a partial file was not there")
        if status not in (200, 206):
            raise _Refused(f"{status} {response.reason}")
        if status == 206 and not self._continues(response):
            part.remove()
            raise _Cut("206, but not with the rest of the same content")
        if status == 200:
            part.forget()
            self._require_length(response)
            ranged = response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
            part.remember(self.address, _validator(response) if ranged else None)
        try:
            with part.path.open("ab" if part.size else "wb") as stream:
                self._write(response, stream)
        except _Refused:
            part.remove()
            raise

    def _continues(self, response: requests.Response) -> bool:
        """Whether a partial answer starts where the file on disk ends, in the same content."""
        part = self.part
        wanted = f"bytes {part.size}-{(part.file.bytes or 0) - 1}/{part.file.bytes}"
        same = _validator(response) in (None, part.validator)
        return bool(part.size) and same and response.headers.get("Content-Range") == wanted

    def _require_length(self, response: requests.Response) -> None:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) != self.part.file.bytes:
            raise _Refused(f"an answer of {int(length)} bytes, not read")

    def _write(self, response: requests.Response, stream: Any) -> None:
        part, limit = self.part, self.part.file.bytes or 0
        for block in self._blocks(response):
            if part.size + len(block) > limit:
                raise _Refused(f"more than {limit} bytes, the rest was not read")
            stream.write(block)
            part.digest.update(block)
            part.size += len(block)
            self.report(part.size)
        if part.size < limit:
            raise _Cut(f"cut off after {part.size} bytes")

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the bytes as they come, undecoded; give up where they hardly come."""
        seconds = self.patience.read_s
        since, came = time.monotonic(), 0
        try:
            while block := response.raw.read1(_BLOCK, decode_content=False):
                yield block
                came += len(block)
                if time.monotonic() - since > seconds:
                    if came < seconds * _LEAST_BYTES_PER_S:
                        raise _Stalled(f"only {came} bytes in {seconds:g} s")
                    since, came = time.monotonic(), 0
        except (ReadTimeoutError, TimeoutError):
            raise _Stalled(
                f"nothing came for {seconds:g} s, after {self.part.size} bytes"
            ) from None
        except (HTTPError, ConnectionError) as error:
            raise _Cut(f"cut off after {self.part.size} bytes ({error})") from None


def _get(
    session: requests.Session, address: str, headers: dict[str, str], timeout: tuple[float, float]
) -> requests.Response:
    try:
        return session.get(
            address, headers=headers, timeout=timeout, stream=True, allow_redirects=False
        )
    except requests.ReadTimeout:
        raise _Stalled(f"no answer within {timeout[1]:g} s") from None
    except requests.RequestException as error:
        if error.args and isinstance(error.args[0], ProtocolError):
            raise _Cut(f"the connection was cut before an answer ({error})") from None
        raise _Refused(str(error)) from None


def _sound(address: str) -> str:
    """Refuse an address that is not http(s) or carries a name or password."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _Refused(f"{address!r} is no http(s) address")
    if "@" in parts.netloc:
        raise _Refused("an address with a name or password, which are never sent")
    return address


def _shown(source: Path | str) -> Path | str:
    """Return a source as an error may print it, without a name or password."""
    if isinstance(source, Path):
        return source
    parts = urlsplit(source)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _validator(response: requests.Response) -> str | None:
    """Return what identifies the content: a strong ETag, else its date, else ``None``."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    return response.headers.get("Last-Modified")
