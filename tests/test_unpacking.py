import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from common import disk
from common.errors import ReplicateError
from common.manifest_schema import File
from common.unpacking import unpack

LIMIT = {"bytes": 10_000, "files": 20}
PACK = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


def listed(path: str, body: bytes, **limit: int) -> File:
    return File(
        path=path,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        unpack="zip" if path.endswith(".zip") else "tar",
        unpacked_limit=LIMIT | limit,
    )


def zipped(*entries, **how) -> bytes:
    """A zip of (name or ZipInfo, content) pairs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **more) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    for key, value in more.items():
        setattr(info, key, value)
    return info


def tarred(*entries) -> bytes:
    """A tar of names with the content ``inside``, (name, content) pairs and bare headers."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            name, content = (entry, b"inside") if isinstance(entry, str) else entry
            info = member(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def put(tmp_path):
    """Unpack an archive in a folder of its own and return the files below."""
    folder = tmp_path / "data"
    folder.mkdir()

    def run(path: str, body: bytes, **limit: int) -> dict[str, bytes]:
        (folder / path).write_bytes(body)
        unpack(listed(path, body, **limit), folder)
        return {
            found.relative_to(folder / "set").as_posix(): found.read_bytes()
            for found in (folder / "set").rglob("*")
            if found.is_file()
        }

    run.folder, run.outside = folder, tmp_path
    return run


def refused(put, path: str, body: bytes, **limit: int) -> str:
    """What is said of an archive, after which nothing but the archive may be there."""
    with pytest.raises(ReplicateError) as raised:
        put(path, body, **limit)
    assert [entry.name for entry in put.folder.iterdir()] == [path]
    assert [entry.name for entry in put.outside.iterdir()] == ["data"]
    text = str(raised.value)
    assert f"{put.folder / path} must be a sound and safe" in text
    assert "nothing was unpacked" in text
    return text


@pytest.mark.parametrize("suffix", ["zip", *PACK])
def test_every_kind_of_archive_is_unpacked_whole_and_replaces_an_older_folder(put, suffix):
    (put.folder / "set").mkdir()
    (put.folder / "set" / "stale.txt").touch()
    if suffix == "zip":
        body = zipped(("x/", ""), ("x/a.txt", "inside"), ("b.bin", bytes(5000)))
    else:
        body = PACK[suffix](tarred(member("x", tarfile.DIRTYPE), "x/a.txt", ("b.bin", bytes(5000))))
    assert put(f"set.{suffix}", body) == {"x/a.txt": b"inside", "b.bin": bytes(5000)}
    assert {entry.name for entry in put.folder.iterdir()} == {f"set.{suffix}", "set"}


def test_names_may_begin_with_a_dot_and_a_slash(put):
    body = tarred(member("./", tarfile.DIRTYPE), "./a.txt", "./x/./b.txt")
    assert put("set.tar", body) == {"a.txt": b"inside", "x/b.txt": b"inside"}


def test_modes_owners_and_set_uid_bits_are_not_taken_over(put):
    info = member("a.txt", mode=0o6777, uid=0)
    put("set.tar", tarred(info))
    mode = (put.folder / "set/a.txt").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


EVIL_NAMES = ["/etc/x", "../x", "a/../../x", "a/..", "C:/x", "c:x", "a\\b", "..\\x", "a//b", ""]


@pytest.mark.parametrize("name", [name for name in EVIL_NAMES if name])
def test_a_zip_entry_with_an_unsafe_name_is_refused(put, name):
    assert "the path" in refused(put, "set.zip", zipped(("good.txt", "1"), (name, "evil")))


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_tar_entry_with_an_unsafe_name_is_refused(put, name):
    text = refused(put, "set.tar", tarred("good.txt", name))
    assert "the path" in text or "a file named" in text


def test_a_name_that_hides_its_end_behind_a_zero_is_refused(put):
    body = zipped(("a.txtX.exe", "evil")).replace(b"a.txtX.exe", b"a.txt\0.exe")
    assert "a zero" in refused(put, "set.zip", body)


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE], ids=["chr", "blk", "fifo"]
)
def test_devices_and_pipes_are_refused(put, kind):
    assert "device" in refused(put, "set.tar", tarred("a.txt", member("dev", kind)))


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(put, mode):
    info = zipfile.ZipInfo("x")
    info.external_attr = (mode | 0o644) << 16
    assert "link or a device" in refused(put, "set.zip", zipped((info, "/etc/passwd")))


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "a/../../x", ".."])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_links_out_of_the_folder_are_refused(put, kind, target):
    text = refused(put, "set.tar", tarred("a/b.txt", member("link", kind, target)))
    assert "link" in text or "the path" in text


def test_links_inside_the_folder_are_kept(put):
    body = tarred(
        "x/a.txt",
        member("x/soft", tarfile.SYMTYPE, "../x/a.txt"),
        member("hard", tarfile.LNKTYPE, "x/a.txt"),
    )
    found = put("set.tar", body)
    assert found == {"x/a.txt": b"inside", "x/soft": b"inside", "hard": b"inside"}
    assert (put.folder / "set/x/soft").is_symlink()


def test_a_chain_of_links_that_leads_out_is_refused(put):
    body = tarred(
        "sub/a.txt",
        member("sub/up", tarfile.SYMTYPE, ".."),
        member("sub/out", tarfile.SYMTYPE, "up/.."),
    )
    assert "out of the folder" in refused(put, "set.tar", body)


def test_nothing_is_written_through_a_link(put):
    body = tarred("x/a.txt", member("d", tarfile.SYMTYPE, "x"), "d/evil.txt")
    assert "after the link 'd'" in refused(put, "set.tar", body)


@pytest.mark.parametrize(
    "pair",
    [("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("x/a", "X/b"), ("a", "a/b"), ("é", "e\u0301")],
)
@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_one_on_some_disks_are_refused(put, pair, suffix):
    body = zipped(*((name, "1") for name in pair)) if suffix == "zip" else tarred(*pair)
    assert "the same on some disks" in refused(put, f"set.{suffix}", body)


def test_a_folder_may_be_named_again(put):
    twice = [member("x", tarfile.DIRTYPE)] * 2
    assert put("set.tar", tarred(*twice, "x/a.txt")) == {"x/a.txt": b"inside"}


@pytest.mark.parametrize("suffix", ["zip", *PACK])
def test_more_bytes_than_the_limit_are_refused_and_as_many_are_not(put, suffix):
    entries = [("a", bytes(600)), ("b", bytes(400))]
    plain = tarred(*entries)
    body = zipped(*entries) if suffix == "zip" else PACK[suffix](plain)
    assert "more than 999 bytes" in refused(put, f"set.{suffix}", body, bytes=999)
    assert len(put(f"set.{suffix}", body, bytes=1000)) == 2


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_more_files_and_folders_than_the_limit_are_refused(put, suffix):
    names = ["x/y/a", "x/b"]
    body = zipped(*((name, "1") for name in names)) if suffix == "zip" else tarred(*names)
    assert "more than 3 files and folders" in refused(put, f"set.{suffix}", body, files=3)
    assert len(put(f"set.{suffix}", body, files=4)) == 2


def test_a_zip_whose_headers_lie_about_the_size_is_refused(put):
    body = bytearray(zipped(("a", bytes(9000))))
    for at in (22, body.index(b"PK\x01\x02") + 24):
        body[at : at + 4] = (10).to_bytes(4, "little")
    refused(put, "set.zip", bytes(body), bytes=100)


def test_a_bomb_takes_neither_disk_nor_memory(put):
    bomb = zipped(("bomb", bytes(200 << 20)))
    packed = gzip.compress(tarred(("bomb", bytes(200 << 20))), 1)
    tracemalloc.start()
    refused(put, "set.zip", bomb)
    (put.folder / "set.zip").unlink()
    refused(put, "set.tar.gz", packed)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_header_of_a_tar_that_asks_for_much_memory_is_refused(put):
    header = member("pax", tarfile.XHDTYPE)
    header.size = 100 << 20
    body = gzip.compress(header.tobuf() + bytes(100 << 20), 1)
    assert "a header of 104857600 bytes" in refused(put, "set.tar.gz", body)


def test_an_encrypted_zip_is_refused(put):
    body = bytearray(zipped(("a", "secret")))
    for at in (6, body.index(b"PK\x01\x02") + 8):
        body[at] |= 1
    assert "encrypted" in refused(put, "set.zip", bytes(body))


def test_zip_entries_that_share_their_bytes_are_refused(put):
    body = zipped(("a", os.urandom(500)), ("b", os.urandom(500)))
    first, second = (body.index(b"PK\x01\x02"), body.rindex(b"PK\x01\x02"))
    shared = bytearray(body)
    shared[second + 42 : second + 46] = shared[first + 42 : first + 46]
    assert "overlaps" in refused(put, "set.zip", bytes(shared))


@pytest.mark.parametrize("path", ["set.zip", "set.tar", "set.tar.gz"])
def test_an_archive_of_another_kind_is_refused(put, path):
    refused(put, path, b"case,score\n" * 100)


SOUND = {
    "set.zip": zipped(("a", os.urandom(3000)), ("b", os.urandom(3000))),
    **{
        f"set.{suffix}": pack(tarred(("a", os.urandom(3000)), "b")) for suffix, pack in PACK.items()
    },
}


@pytest.mark.parametrize("path", SOUND)
def test_an_archive_that_is_cut_off_is_refused(put, path):
    refused(put, path, SOUND[path][:2000])


@pytest.mark.parametrize("path", ["set.zip", "set.tar.gz", "set.tar.bz2", "set.tar.xz"])
def test_a_flipped_byte_is_found(put, path):
    body = bytearray(SOUND[path])
    body[len(body) // 3] ^= 255
    refused(put, path, bytes(body))


def test_a_damaged_header_amid_a_tar_is_not_taken_for_its_end(put):
    body = bytearray(tarred("a", "b", "c"))
    body[1024 + 10] ^= 255
    assert "damaged header" in refused(put, "set.tar", bytes(body))


def test_much_that_follows_the_end_of_a_tar_is_refused(put):
    body = gzip.compress(tarred("a") + bytes(20 << 20), 1)
    assert "after its end" in refused(put, "set.tar.gz", body)


def test_a_full_disk_leaves_the_older_folder(put, monkeypatch):
    body = zipped(("a", "new"))
    put("set.zip", zipped(("a", "old")))
    replace = os.replace

    def full(source, target):
        if str(source).endswith(".part"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(disk.os, "replace", full)
    with pytest.raises(ReplicateError, match="No space left on device"):
        put("set.zip", body)
    assert (put.folder / "set/a").read_text() == "old"
    assert {entry.name for entry in put.folder.iterdir()} == {"set.zip", "set"}
