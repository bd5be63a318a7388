import errno
import hashlib
import json
import time

import pytest

from common import disk, downloads, integrity
from common.downloads import Patience, fetch_file
from common.errors import ReplicateError
from common.manifest_schema import File
from web_server import serving

BODY = bytes(range(256)) * 2000
SUM = hashlib.sha256(BODY).hexdigest()
OTHER = BODY[:-1] + b"x"
HALF = len(BODY) // 2
HASTY = Patience(connect_s=2, read_s=0.3, retries=2, backoff_s=0.01)


def listed(body: bytes = BODY, **changes: object) -> File:
    known = {"path": "sub folder/a.bin", "bytes": len(body), "sha256": SUM}
    return File.model_validate(known | changes)


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "sub folder" / "a.bin"


def fetch(target, *sources, file=None, **how):
    fetch_file(file or listed(), target, sources, patience=HASTY, **how)


def refusal(target, *sources, **how) -> str:
    with pytest.raises(ReplicateError) as raised:
        fetch(target, *sources, **how)
    return str(raised.value)


def names(target) -> list[str]:
    folder = target.parent
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def kept(target):
    return target.with_name(f".{SUM}.part")


def test_a_download_with_the_right_checksum_is_put_in_place(target, server):
    fetch(target, server.add("/a", BODY, etag='"1"'))
    assert target.read_bytes() == BODY
    assert names(target) == ["a.bin"]


def test_a_chunked_answer_without_a_length_is_read(target, server):
    fetch(target, server.add("/a", BODY, chunked=True))
    assert target.read_bytes() == BODY


def test_an_empty_file_is_fetched(target, server):
    empty = listed(b"", sha256=hashlib.sha256(b"").hexdigest())
    fetch(target, server.add("/a", b"", etag='"1"'), file=empty)
    assert target.read_bytes() == b""
    assert names(target) == ["a.bin"]


def test_bytes_are_stored_as_they_come_even_where_the_server_calls_them_packed(target, server):
    fetch(target, server.add("/a", BODY, headers={"Content-Encoding": "gzip"}))
    assert target.read_bytes() == BODY
    assert server.asked_for("/a")[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("page", "said", "requests"),
    [
        ({"statuses": [404]}, "404", 1),
        ({"statuses": [403]}, "403", 1),
        ({"statuses": [500]}, "500 Internal Server Error (tried 3 times)", 3),
        ({"statuses": [0]}, "cut before an answer", 3),
        ({"body": OTHER}, f"sha256 {hashlib.sha256(OTHER).hexdigest()}", 1),
        ({"body": BODY + b"x"}, f"an answer of {len(BODY) + 1} bytes, not read", 1),
        ({"body": BODY[:-1]}, f"an answer of {len(BODY) - 1} bytes, not read", 1),
        ({"body": BODY + b"x", "chunked": True}, f"more than {len(BODY)} bytes", 1),
        (
            {"body": BODY[:-1], "chunked": True, "ranges": False},
            f"cut off after {len(BODY) - 1} bytes",
            3,
        ),
        ({"cut_after": [500], "ranges": False}, "cut off after 500 bytes", 3),
        ({"stall_after": 700, "ranges": False}, "nothing came for 0.3 s, after 700 bytes", 1),
        ({"redirect": "/a"}, "more than 5 redirects", 6),
    ],
)
def test_a_bad_answer_is_one_error_that_leaves_nothing(target, server, page, said, requests):
    address = server.add("/a", **{"body": BODY, "etag": '"1"'} | page)
    text = refusal(target, address)
    parts = ["failed check: fetching sub folder/a.bin", "expected:", "got:", "done:", "cause:"]
    assert [text.count(part) for part in parts] == [1] * 5
    assert f"{len(BODY)} bytes, sha256 {SUM}" in text.split("got:")[0]
    assert address in text
    assert said in text
    assert "kept in" not in text
    assert len(server.asked_for("/a")) == requests
    assert names(target) == []


def test_an_answer_that_is_too_long_is_not_read_to_its_end(target, server):
    came = []
    small = listed(BODY[:1000])
    refusal(target, server.add("/a", BODY, chunked=True), file=small, progress=came.append)
    assert sum(came) <= 1000


def test_a_bad_answer_keeps_the_file_that_was_there(target, server):
    target.parent.mkdir()
    target.write_bytes(b"older")
    refusal(target, server.add("/a", OTHER))
    assert target.read_bytes() == b"older"
    assert names(target) == ["a.bin"]


def test_a_server_that_stumbles_is_asked_again(target, server):
    fetch(target, server.add("/a", BODY, statuses=[503, 0, 200]))
    assert target.read_bytes() == BODY
    assert len(server.asked_for("/a")) == 3


def test_waiting_doubles_between_tries(target, server, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    refusal(target, server.add("/a", statuses=[500]))
    assert waits == [0.01, 0.02]


@pytest.mark.parametrize("proof", [{"etag": '"1"'}, {"modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
def test_a_cut_download_goes_on_where_it_ended(target, server, proof):
    fetch(target, server.add("/a", BODY, cut_after=[HALF, None], **proof))
    assert target.read_bytes() == BODY
    first, second = server.asked_for("/a")
    assert "Range" not in first
    assert second["Range"] == f"bytes={HALF}-"
    assert second["If-Range"] == next(iter(proof.values()))
    assert names(target) == ["a.bin"]


def test_a_partial_file_is_kept_between_calls_and_the_error_says_so(target, server):
    address = server.add("/a", BODY, etag='"1"', stall_after=HALF)
    text = refusal(target, address)
    assert f"{HALF} bytes are kept in .{SUM}.part" in text
    assert kept(target).read_bytes() == BODY[:HALF]
    server.add("/a", BODY, etag='"1"')
    fetch(target, address)
    assert target.read_bytes() == BODY
    assert server.asked_for("/a")[-1]["Range"] == f"bytes={HALF}-"
    assert names(target) == ["a.bin"]


def test_an_interrupted_download_keeps_its_partial_file(target, server):
    def interrupt(n_bytes: int) -> None:
        raise KeyboardInterrupt

    address = server.add("/a", BODY, etag='"1"', trickle=True)
    file = listed()
    with pytest.raises(KeyboardInterrupt):
        fetch_file(file, target, [address], progress=interrupt)
    assert BODY.startswith(kept(target).read_bytes())
    assert kept(target).stat().st_size > 0


def left_behind(target, server, **note):
    """A partial file of an earlier call, half way."""
    target.parent.mkdir(parents=True)
    kept(target).write_bytes(BODY[:HALF])
    text = json.dumps({"url": f"{server.address}/a", "validator": '"1"'} | note)
    kept(target).with_suffix(".part.json").write_text(text)


@pytest.mark.parametrize(
    ("page", "note"),
    [
        ({"etag": '"2"'}, {}),
        ({"etag": '"1"', "ranges": False}, {}),
        ({"etag": '"1"'}, {"url": "http://elsewhere/a"}),
        ({"etag": '"1"', "statuses": [416, 200]}, {}),
    ],
)
def test_a_partial_file_that_cannot_be_continued_starts_over(target, server, page, note):
    left_behind(target, server, **note)
    fetch(target, server.add("/a", BODY, **page))
    assert target.read_bytes() == BODY
    assert names(target) == ["a.bin"]


def test_changed_content_is_never_continued(target, server):
    left_behind(target, server)
    kept(target).write_bytes(b"?" * HALF)
    fetch(target, server.add("/a", BODY, etag='"2"'))
    assert target.read_bytes() == BODY


def test_a_server_that_ignores_if_range_is_found_out_by_its_new_tag(target, server, monkeypatch):
    left_behind(target, server, validator="W")
    page = {"etag": '"2"', "modified": "W"}
    fetch(target, server.add("/a", BODY, **page))
    assert target.read_bytes() == BODY
    assert "Range" not in server.asked_for("/a")[1]


def test_a_rest_of_another_length_is_refused_and_nothing_is_kept(target, server):
    left_behind(target, server)
    address = server.add("/a", BODY, etag='"1"', range_answer=BODY[HALF:] + b"more")
    assert f"more than {len(BODY)} bytes" in refusal(target, address)
    assert names(target) == []


def test_a_weak_tag_does_not_prove_that_the_content_is_the_same(target, server):
    refusal(target, server.add("/a", BODY, etag='W/"1"', cut_after=[HALF]))
    assert names(target) == []
    assert all("Range" not in headers for headers in server.asked_for("/a"))


def test_a_damaged_partial_file_fails_its_checksum_and_is_removed(target, server):
    left_behind(target, server)
    kept(target).write_bytes(b"?" * HALF)
    address = server.add("/a", BODY, etag='"1"')
    assert "sha256" in refusal(target, address)
    assert names(target) == []
    fetch(target, address)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', "\x00"])
def test_a_damaged_note_about_a_partial_file_starts_over(target, server, text):
    left_behind(target, server)
    kept(target).with_suffix(".part.json").write_text(text)
    fetch(target, server.add("/a", BODY, etag='"1"'))
    assert target.read_bytes() == BODY
    assert names(target) == ["a.bin"]


def test_a_partial_file_of_another_version_is_not_touched(target, server):
    target.parent.mkdir()
    older = target.with_name(f".{'0' * 64}.part")
    older.write_bytes(b"older version")
    fetch(target, server.add("/a", BODY, etag='"1"'))
    assert target.read_bytes() == BODY
    assert older.read_bytes() == b"older version"


@pytest.mark.parametrize("trickle", [True, False])
def test_a_server_that_hardly_gives_anything_is_given_up_in_time(target, server, trickle):
    how = {"trickle": True} if trickle else {"stall_after": 0}
    start = time.monotonic()
    text = refusal(target, server.add("/a", BODY, **how))
    assert time.monotonic() - start < 3
    assert "bytes in 0.3 s" in text or "nothing came for 0.3 s" in text
    assert len(server.asked) == 1


def test_a_redirect_on_the_same_host_is_followed(target, server):
    server.add("/b", BODY)
    fetch(target, server.add("/a", redirect="b"))
    assert target.read_bytes() == BODY


def test_a_redirect_to_another_host_needs_the_manifests_word(target, server):
    server.add("/b", BODY)
    address = server.add("/a", redirect=f"http://localhost:{server.server_port}/b")
    text = refusal(target, address)
    assert "a host that the manifest does not allow" in text
    assert server.asked_for("/b") == []
    assert names(target) == []
    fetch(target, address, hosts=frozenset({"localhost"}))
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("https://x.org/a", "http://x.org/a", "from https to"),
        ("http://x.org/a", "file:///etc/passwd", "no http"),
        ("http://x.org/a", "ftp://x.org/a", "no http"),
        ("http://x.org/a", "http://me:secret@x.org/a", "password"),
    ],
)
def test_a_redirect_to_something_less_safe_is_refused(target, old, new, said):
    download = downloads._Download(
        downloads._Part(listed(), target), old, frozenset(), lambda n: None, HASTY
    )
    with pytest.raises(downloads._Refused, match=said):
        download._redirected(old, new)
    assert download._redirected("http://x.org/a", "https://x.org/b") == "https://x.org/b"


def test_no_password_or_cookie_is_ever_sent(target, server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    cookie = {"Set-Cookie": "session=1"}
    fetch(target, server.add("/a", BODY, headers=cookie, cut_after=[10, None]))
    assert len(server.asked) == 2
    for _, headers in server.asked:
        assert not {"Authorization", "Cookie"} & set(headers)


def test_an_address_with_a_password_is_refused_and_not_shown(target, server):
    address = server.add("/a", BODY).replace("http://", "http://me:secret@")
    text = refusal(target, address)
    assert "name or password" in text
    assert "secret" not in text
    assert server.asked == []


def test_sources_are_tried_in_order_until_one_is_right(target, server, tmp_path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(OTHER)
    good = server.add("/a", BODY)
    sources = iter([tmp_path / "absent", copy, f"{server.address}/gone", good, "never asked"])
    fetch_file(listed(), target, sources, patience=HASTY)
    assert target.read_bytes() == BODY
    assert next(sources) == "never asked"
    assert names(target) == ["a.bin"]


def test_every_source_that_failed_is_listed(target, server, tmp_path):
    text = refusal(target, tmp_path / "absent", f"{server.address}/gone")
    assert f"{tmp_path / 'absent'}: No such file" in text
    assert f"{server.address}/gone: 404" in text


def test_a_mirror_that_fails_does_not_cost_the_partial_file_of_the_source(target, server):
    left_behind(target, server)
    fetch(target, f"{server.address}/gone", server.add("/a", BODY, etag='"1"'))
    assert server.asked_for("/a")[0]["Range"] == f"bytes={HALF}-"
    assert target.read_bytes() == BODY


def test_no_server_is_one_readable_error_at_once(target):
    start = time.monotonic()
    text = refusal(target, "http://127.0.0.1:9/a.bin")
    assert "fetch again" in text
    assert time.monotonic() - start < 1


def test_a_file_without_a_checksum_is_refused_with_its_address(target, server):
    address = server.add("/a", BODY)
    text = refusal(target, address, file=listed(sha256=None))
    assert "has no checksum" in text
    assert f"Download it yourself from {address} and put it at {target}" in text
    assert server.asked == []


def test_progress_comes_a_few_times_a_second_and_grows(target, server, monkeypatch):
    clock = iter(range(1, 10**6))
    monkeypatch.setattr(integrity.time, "monotonic", lambda: next(clock) / 20)
    came = []
    patience = Patience(read_s=1e6)
    fetch_file(listed(), target, [server.add("/a", BODY)], progress=came.append, patience=patience)
    assert came == sorted(came)
    assert 0 < len(came) < 10


def test_a_small_file_is_not_worth_a_report(target, server):
    came = []
    fetch(target, server.add("/a", BODY), progress=came.append)
    assert came == []


def test_a_folder_that_cannot_be_written_is_one_readable_error(tmp_path, server):
    (tmp_path / "data").write_text("a file where a folder is wanted")
    with pytest.raises(ReplicateError, match=r"cannot be written.*REPLICATE_DATA"):
        fetch(tmp_path / "data" / "a.bin", server.add("/a", BODY))


def test_a_disk_that_fills_up_leaves_nothing(target, server, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    address = server.add("/a", BODY, etag='"1"')
    monkeypatch.setattr(disk.os, "replace", full)
    text = refusal(target, address)
    assert "No space left on device; nothing half-written was left" in text
    assert names(target) == []
