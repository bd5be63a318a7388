import errno
import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from common import downloads
from common.downloads import fetch_file, mismatch, require_room, unpack
from common.errors import ReplicateError
from common.manifest_schema import File

BODY = b"case,score\n1,0.5\n" * 1000


def listed(path: str = "sub folder/a.csv", body: bytes = BODY, unpack: str | None = None) -> File:
    return File(path=path, bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), unpack=unpack)


class Answers(BaseHTTPRequestHandler):
    """Answers each address in one way, right or wrong."""

    def do_GET(self):
        kind = self.path.strip("/")
        body = {"whole": BODY, "short": BODY[:500], "other": BODY[:-1] + b"x"}.get(kind, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(BODY) if kind == "short" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    http = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def everything_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_with_the_right_checksum_is_put_in_place(tmp_path, server):
    target = tmp_path / "sub folder" / "a.csv"
    fetch_file(listed(), target, [f"{server}/whole"])
    assert target.read_bytes() == BODY
    assert everything_below(tmp_path) == [target]


@pytest.mark.parametrize(
    ("kind", "said"), [("short", "500 bytes"), ("other", "sha256"), ("gone", "404")]
)
def test_a_bad_answer_leaves_nothing_and_says_what_came(tmp_path, server, kind, said):
    with pytest.raises(ReplicateError) as raised:
        fetch_file(listed(), tmp_path / "a.csv", [f"{server}/{kind}"])
    text = str(raised.value)
    parts = ["failed check: fetching sub folder/a.csv", "expected:", "got:", "done:", "cause:"]
    assert [text.count(part) for part in parts] == [1] * 5
    assert f"{len(BODY)} bytes, sha256 {hashlib.sha256(BODY).hexdigest()}" in text
    assert said in text.split("got:")[1]
    assert f"{server}/{kind}" in text
    assert everything_below(tmp_path) == []


def test_a_bad_answer_keeps_the_file_that_was_there(tmp_path, server):
    (tmp_path / "a.csv").write_bytes(b"older")
    with pytest.raises(ReplicateError):
        fetch_file(listed(), tmp_path / "a.csv", [f"{server}/other"])
    assert (tmp_path / "a.csv").read_bytes() == b"older"


def test_sources_are_tried_in_order_until_one_is_right(tmp_path, server):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(BODY[:-1] + b"x")
    sources = iter([tmp_path / "absent", copy, f"{server}/gone", f"{server}/whole", "never asked"])
    fetch_file(listed(), tmp_path / "a.csv", sources)
    assert (tmp_path / "a.csv").read_bytes() == BODY
    assert next(sources) == "never asked"


def test_every_source_that_failed_is_listed(tmp_path, server):
    with pytest.raises(ReplicateError) as raised:
        fetch_file(listed(), tmp_path / "a.csv", [tmp_path / "absent", f"{server}/gone"])
    assert f"{tmp_path / 'absent'}: No such file" in str(raised.value)
    assert f"{server}/gone: 404" in str(raised.value)


def test_no_server_is_one_readable_error(tmp_path):
    with pytest.raises(ReplicateError, match="fetch again"):
        fetch_file(listed(), tmp_path / "a.csv", ["http://127.0.0.1:9/a.csv"])


def test_a_folder_that_cannot_be_written_is_one_readable_error(tmp_path, server):
    (tmp_path / "data").write_text("a file where a folder is wanted")
    with pytest.raises(ReplicateError, match=r"cannot be written.*REPLICATE_DATA"):
        fetch_file(listed(), tmp_path / "data" / "a.csv", [f"{server}/whole"])


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, server, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads.os, "replace", full)
    with pytest.raises(ReplicateError, match="No space left on device; nothing half-written"):
        fetch_file(listed(), tmp_path / "a.csv", [f"{server}/whole"])
    assert everything_below(tmp_path) == []


def test_room_is_compared_with_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    require_room(tmp_path / "not" / "yet", 1000)
    with pytest.raises(ReplicateError, match="1,001 bytes free, got 1,000"):
        require_room(tmp_path / "not" / "yet", 1001)


def test_a_mismatch_names_size_and_checksum(tmp_path):
    path = tmp_path / "a.csv"
    assert mismatch(listed(), path) == "No such file or directory"
    path.write_bytes(BODY)
    assert mismatch(listed(), path) is None
    path.write_bytes(BODY[:-1] + b"x")
    assert str(mismatch(listed(), path)).startswith(f"{len(BODY)} bytes, sha256 ")


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "inside")
    return stream.getvalue()


def tarred(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 6
        archive.addfile(member, io.BytesIO(b"inside"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [("set.zip", zipped("x/a.txt"), "zip"), ("set.tar.gz", tarred("x/a.txt"), "tar")],
)
def test_an_archive_is_unpacked_whole_and_replaces_an_older_folder(tmp_path, path, body, kind):
    (tmp_path / path).write_bytes(body)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "stale.txt").touch()
    unpack(listed(path, body, unpack=kind), tmp_path)
    assert (tmp_path / "set/x/a.txt").read_text() == "inside"
    assert {entry.name for entry in everything_below(tmp_path)} == {path, "a.txt"}


@pytest.mark.parametrize(("path", "kind"), [("set.zip", "zip"), ("set.tar", "tar")])
def test_an_archive_of_another_kind_leaves_no_folder(tmp_path, path, kind):
    (tmp_path / path).write_bytes(BODY)
    with pytest.raises(ReplicateError, match=f"must be a sound {kind} archive"):
        unpack(listed(path, unpack=kind), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path]


def test_a_member_that_would_leave_the_folder_is_not_written(tmp_path):
    body = tarred("../escaped.txt")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/set.tar").write_bytes(body)
    with pytest.raises(ReplicateError, match="outside the destination"):
        unpack(listed("set.tar", body, unpack="tar"), tmp_path / "in")
    assert not list(tmp_path.rglob("escaped.txt"))
