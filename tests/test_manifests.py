import hashlib
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from common import downloads, manifests
from common.errors import ReplicateError, UsageError

# Nothing listens on the discard port of this machine: a download from there fails at once.
NOWHERE = "http://127.0.0.1:9/original"
FILES = {"a.csv": b"1,2\n", "sub folder/b,c.txt": b"hello", "sub folder/d.bin": bytes(1000)}

BODY = """\
dataset: {dataset}
title: Toy
version: "1"
task: [classification]
modality: none
access: {access}
citation: Nobody.
licence: {{name: CC0, checked: read}}
used_by: []
faithfulness: none
{more}
"""


def write_manifest(book: Path, dataset: str, *, access: str = "open", more: str = "") -> None:
    path = book / "data_manifests" / "datasets" / f"{dataset}.yml"
    path.write_text(BODY.format(dataset=dataset, access=access, more=more))


def write_list(book: Path, dataset: str, files: dict[str, bytes]) -> None:
    lines = ["path,bytes,sha256"]
    for path, body in files.items():
        quoted = f'"{path}"' if "," in path else path
        lines.append(f"{quoted},{len(body)},{hashlib.sha256(body).hexdigest()}")
    path = book / "data_manifests" / "datasets" / f"{dataset}.files.csv"
    path.write_text("\n".join(lines) + "\n")


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


@pytest.fixture
def toy(book, tmp_path, monkeypatch):
    """A book with the open data set ``toy`` of three files, an empty data folder, no mirror."""
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("REPLICATE_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write_manifest(
        book, "toy", more=f"files_from: toy.files.csv\nsource: {{base_url: '{NOWHERE}'}}"
    )
    write_list(book, "toy", FILES)
    return SimpleNamespace(book=book, data=tmp_path / "data" / "toy", mirror=tmp_path / "mirror")


@pytest.fixture
def mirrored(toy, monkeypatch):
    """The same, with a mirror folder that holds every file."""
    write_files(toy.mirror / "toy", FILES)
    monkeypatch.setenv("REPLICATE_MIRROR", str(toy.mirror))
    return toy


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_unknown_data_set_names_the_nearest_known_one(toy):
    write_manifest(toy.book, "other", access="private")
    with pytest.raises(UsageError, match=r"unknown data set 'tooy'\. Did you mean 'toy'"):
        manifests.load("tooy")


def test_a_manifest_under_another_name_is_refused(toy):
    path = toy.book / "data_manifests/datasets/toy.yml"
    path.rename(path.with_name("twin.yml"))
    with pytest.raises(ReplicateError, match="must be the file's name 'twin', got 'toy'"):
        manifests.load("twin")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path,bytes\na.csv,4\n", r"files\.csv:1 must be path,bytes,sha256"),
        ("", r"files\.csv:1 must be"),
        ("path,bytes,sha256\na.csv,4\n", r"files\.csv:2"),
        ("path,bytes,sha256\na.csv,four," + "0" * 64, r"files\.csv:2(.|\n)*bytes"),
        ("path,bytes,sha256\n../a,4," + "0" * 64, r"files\.csv:2(.|\n)*relative"),
        (
            "path,bytes,sha256\n" + f"a,4,{'0' * 64}\n" * 2,
            r"files\.csv:3: 'a' is listed twice",
        ),
    ],
)
def test_a_damaged_file_list_names_its_line(toy, text, problem):
    (toy.book / "data_manifests/datasets/toy.files.csv").write_text(text)
    with pytest.raises(ReplicateError, match=problem):
        manifests.load("toy")


def test_a_missing_file_list_is_one_readable_error(toy):
    (toy.book / "data_manifests/datasets/toy.files.csv").unlink()
    with pytest.raises(ReplicateError, match=r"toy\.files\.csv cannot be read"):
        manifests.load("toy")


def test_the_data_folder_defaults_to_the_users_cache(toy, monkeypatch):
    monkeypatch.delenv("REPLICATE_DATA")
    assert "replication-book" in manifests.data_dir().parts


def test_status_counts_files_and_bytes_from_missing_to_present(toy):
    status = manifests.status("toy")
    assert (status.state, status.n_present, status.n_files) == ("missing", 0, 3)
    assert (status.bytes_present, status.n_bytes, status.folder) == (0, 1009, None)
    write_files(toy.data, {"a.csv": FILES["a.csv"]})
    status = manifests.status("toy")
    assert (status.state, status.n_present, status.bytes_present) == ("partial", 1, 4)
    assert manifests.locate("toy") is None
    write_files(toy.data, FILES)
    status = manifests.status("toy")
    assert (status.state, status.n_present, status.bytes_present) == ("present", 3, 1009)
    assert manifests.locate("toy") == status.folder == toy.data


def test_a_file_of_the_wrong_size_does_not_count(toy):
    write_files(toy.data, FILES | {"a.csv": b"1,2"})
    assert manifests.status("toy").state == "partial"
    assert manifests.locate("toy") is None


def test_a_mirror_folder_is_used_in_place_and_the_readers_own_copy_comes_first(mirrored):
    assert manifests.locate("toy") == mirrored.mirror / "toy"
    write_files(mirrored.data, {"a.csv": FILES["a.csv"]})
    assert manifests.locate("toy") == mirrored.mirror / "toy"
    write_files(mirrored.data, FILES)
    assert manifests.locate("toy") == mirrored.data


def test_a_mirror_that_is_neither_folder_nor_address_is_refused(toy, monkeypatch):
    monkeypatch.setenv("REPLICATE_MIRROR", str(toy.mirror / "absent"))
    with pytest.raises(ReplicateError, match="`REPLICATE_MIRROR` must be an existing folder"):
        manifests.locate("toy")


def test_verify_reads_every_byte_and_lists_every_problem(toy):
    write_files(toy.data, FILES)
    verified = manifests.verify("toy")
    assert (verified.folder, verified.n_files, verified.n_bytes) == (toy.data, 3, 1009)
    (toy.data / "a.csv").write_bytes(b"1,3\n")
    (toy.data / "sub folder/b,c.txt").unlink()
    with pytest.raises(ReplicateError) as raised:
        manifests.verify("toy")
    text = str(raised.value)
    assert text.startswith("failed check: 2 entries of toy")
    assert f"a.csv: 4 bytes, sha256 {hashlib.sha256(FILES['a.csv']).hexdigest()}" in text
    assert f"a.csv: 4 bytes, sha256 {hashlib.sha256(b'1,3' + chr(10).encode()).hexdigest()}" in text
    assert "sub folder/b,c.txt: No such file" in text
    assert "d.bin" not in text
    assert all(f"  {part}: " in text for part in ("expected", "got", "done", "likely cause"))


def test_verifying_what_is_not_there_says_how_to_get_it(toy):
    with pytest.raises(ReplicateError, match="`replicate data fetch toy`"):
        manifests.verify("toy")


def test_fetch_copies_from_the_mirror_and_reports_progress(mirrored):
    seen = []
    folder = manifests.fetch("toy", progress=lambda *step: seen.append(step))
    assert folder == mirrored.data
    assert below(folder) == FILES
    assert seen == [
        ("a.csv", 4, 1009),
        ("sub folder/b,c.txt", 9, 1009),
        ("sub folder/d.bin", 1009, 1009),
    ]


def test_fetch_goes_on_where_it_stopped_and_mends_damaged_files(mirrored):
    write_files(mirrored.data, {"a.csv": b"1,3\n", "sub folder/d.bin": FILES["sub folder/d.bin"]})
    seen = []
    manifests.fetch("toy", progress=lambda *step: seen.append(step))
    assert [path for path, _, _ in seen] == ["a.csv", "sub folder/b,c.txt"]
    assert below(mirrored.data) == FILES


def test_fetching_what_is_there_copies_nothing(toy):
    write_files(toy.data, FILES)
    assert manifests.fetch("toy", progress=lambda *step: pytest.fail(str(step))) == toy.data


def test_an_interrupted_fetch_keeps_whole_files_only(mirrored):
    (mirrored.mirror / "toy/sub folder/b,c.txt").write_bytes(b"hullo")
    with pytest.raises(ReplicateError, match=r"fetching sub folder/b,c\.txt"):
        manifests.fetch("toy")
    assert below(mirrored.data) == {"a.csv": FILES["a.csv"]}


@pytest.mark.parametrize("role", ["mirror", "original"])
def test_fetch_downloads_from_a_mirror_address_or_the_original_one(toy, monkeypatch, role):
    handler = partial(SimpleHTTPRequestHandler, directory=str(toy.mirror))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{http.server_port}"
    if role == "mirror":
        write_files(toy.mirror / "toy", FILES)
        monkeypatch.setenv("REPLICATE_MIRROR", address)
    else:
        write_files(toy.mirror / "original", FILES)
        source = f"source: {{base_url: '{address}/original'}}"
        write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\n{source}")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        assert below(manifests.fetch("toy")) == FILES
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def test_the_mirror_is_asked_before_the_original(toy, monkeypatch):
    monkeypatch.setenv("REPLICATE_MIRROR", "http://127.0.0.1:9/copies/")
    write_list(toy.book, "toy", {"sub folder/b,c.txt": b"hello"})
    with pytest.raises(ReplicateError) as raised:
        manifests.fetch("toy")
    first = str(raised.value).index("http://127.0.0.1:9/copies/toy/sub%20folder/b%2Cc.txt")
    assert first < str(raised.value).index(f"{NOWHERE}/sub%20folder/b%2Cc.txt")


def test_fetch_without_room_writes_nothing(mirrored, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda place: SimpleNamespace(free=1008))
    with pytest.raises(ReplicateError, match="1,009 bytes free, got 1,008"):
        manifests.fetch("toy")
    assert not mirrored.data.exists()


def test_fetch_into_a_folder_that_cannot_be_written_is_one_readable_error(mirrored):
    mirrored.data.parent.write_text("a file where the data folder should be")
    with pytest.raises(ReplicateError, match="cannot be written"):
        manifests.fetch("toy")


STEPS = "obtain: [Register at the site., Download everything.]"


def test_data_by_registration_come_with_numbered_steps(toy):
    write_manifest(toy.book, "closed", access="registration", more=STEPS)
    with pytest.raises(ReplicateError) as raised:
        manifests.fetch("closed")
    text = str(raised.value)
    assert "1. Register at the site.\n  2. Download everything.\n  3. Put the files into " in text
    assert str(manifests.data_dir() / "closed") in text
    assert manifests.status("closed").state == "missing"


def test_private_and_generated_data_are_not_obtainable(toy):
    write_manifest(toy.book, "secret", access="private", more="phantom: ghost")
    write_manifest(toy.book, "ghost", access="generated")
    assert manifests.status("secret").state == manifests.status("ghost").state == "not obtainable"
    with pytest.raises(ReplicateError, match=r"secret is private.*phantom 'ghost'"):
        manifests.fetch("secret")
    with pytest.raises(ReplicateError, match=r"generated from a seed.*nothing to fetch"):
        manifests.fetch("ghost")


def test_data_without_checksums_are_found_by_their_layout(toy):
    layout = 'layout: [{glob: "*/image_*.png", count: 2}, {glob: labels.csv, count: 1}]'
    write_manifest(toy.book, "closed", access="registration", more=f"{STEPS}\n{layout}")
    files = {"x/image_1.png": b"1", "y/image_2.png": b"22", "y/other.png": b"333"}
    folder = write_files(manifests.data_dir() / "closed", files)
    status = manifests.status("closed")
    assert (status.state, status.n_present, status.n_files) == ("partial", 2, 3)
    assert (status.bytes_present, status.n_bytes) == (3, None)
    with pytest.raises(ReplicateError, match=r"labels\.csv: 1 files"):
        manifests.verify("closed")
    write_files(folder, {"labels.csv": b"4444"})
    assert manifests.fetch("closed") == manifests.locate("closed") == folder
    assert manifests.verify("closed").n_bytes == 7
    before = manifests.checksum("closed")
    (folder / "y/image_2.png").rename(folder / "y/image_3.png")
    assert manifests.checksum("closed") != before


def test_the_digest_says_when_data_are_absent_or_generated(toy):
    assert manifests.checksum("toy") == "absent"
    write_files(toy.data, {"a.csv": FILES["a.csv"]})
    assert manifests.checksum("toy") == "absent"
    write_manifest(toy.book, "ghost", access="generated")
    assert manifests.checksum("ghost") == "generated"


def test_the_digest_depends_on_contents_not_on_place_or_order(mirrored, monkeypatch):
    in_mirror = manifests.checksum("toy")
    manifests.fetch("toy")
    monkeypatch.delenv("REPLICATE_MIRROR")
    assert manifests.checksum("toy") == in_mirror
    write_list(mirrored.book, "toy", dict(reversed(FILES.items())))
    assert manifests.checksum("toy") == in_mirror
    lines = sorted(f"{hashlib.sha256(body).hexdigest()}  {path}" for path, body in FILES.items())
    assert in_mirror == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    write_list(mirrored.book, "toy", FILES | {"a.csv": b"1,3\n"})
    assert manifests.checksum("toy") != in_mirror


def test_an_archive_counts_as_present_only_when_it_is_unpacked(toy, monkeypatch, tmp_path):
    source = write_files(tmp_path / "inside", {"x/a.txt": b"inside"})
    shutil.make_archive(str(tmp_path / "set"), "zip", source)
    body = (tmp_path / "set.zip").read_bytes()
    entry = f"{{path: set.zip, bytes: {len(body)}, sha256: {hashlib.sha256(body).hexdigest()}"
    write_manifest(
        toy.book,
        "packed",
        more=f"source: {{base_url: '{NOWHERE}'}}\nfiles:\n  - {entry}, unpack: zip}}",
    )
    write_files(toy.mirror / "packed", {"set.zip": body})
    monkeypatch.setenv("REPLICATE_MIRROR", str(toy.mirror))
    assert manifests.locate("packed") is None
    folder = manifests.fetch("packed")
    assert (folder / "set/x/a.txt").read_bytes() == b"inside"
    assert manifests.locate("packed") == folder
    shutil.rmtree(folder / "set")
    assert manifests.locate("packed") is None
    assert (manifests.fetch("packed") / "set/x/a.txt").is_file()
    (folder / "set.zip").write_bytes(b"an older release")
    (folder / "set/x/stale.txt").touch()
    assert below(manifests.fetch("packed")) == {"set.zip": body, "set/x/a.txt": b"inside"}


def test_every_manifest_of_the_book_is_sound(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    known = manifests.datasets()
    assert {"hep2-author-results", "hep2-i3a-task2", "hep2-phantom"} <= set(known)
    for dataset in known:
        manifest = manifests.load(dataset)
        if manifest.phantom is not None:
            assert manifests.load(manifest.phantom).access == "generated", dataset


def test_the_manifest_of_the_hep2_results_lists_the_release(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    manifest = manifests.load("hep2-author-results")
    assert len(manifest.files) == sum(pattern.count for pattern in manifest.patterns) == 191
    assert sum(file.bytes for file in manifest.files) == 8_486_148
    address = manifest.url(manifest.files[0])
    assert address is not None
    assert address.startswith("https://raw.githubusercontent.com/pasotech/Medical-Imaging/45b70ad6")
    assert "alpha0%2C06/confusion%20matrix/numpy%20arrays/" in address
    patients = sum(part["patients"] for part in manifest.splits.parts.values())
    assert patients == manifest.subjects == 252
    assert sum(manifest.classes.values()) == manifest.counts["patches"] == 252 * 60


def test_the_real_files_of_the_hep2_results_have_the_listed_checksums(mirror):
    mirror("hep2-author-results")
    verified = manifests.verify("hep2-author-results")
    assert (verified.n_files, verified.n_bytes) == (191, 8_486_148)
