import hashlib
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import quote

import pandas as pd
import pytest
from filelock import FileLock

from common import disk, manifests
from common.datasets.cases import Case, Cases
from common.downloads import Patience
from common.errors import ReplicateError, UsageError
from web_server import serving

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
licence: {{name: CC0, checked: memory}}
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


def test_a_path_is_no_name_of_a_data_set(toy):
    for name in ("../datasets/toy", "toy/", ""):
        with pytest.raises(UsageError, match="unknown data set"):
            manifests.load(name)


def test_a_manifest_under_another_name_is_refused(toy):
    path = toy.book / "data_manifests/datasets/toy.yml"
    path.rename(path.with_name("twin.yml"))
    with pytest.raises(ReplicateError, match="must be the file's name 'twin', got 'toy'"):
        manifests.load("twin")


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
    with serving() as server:
        folder = "toy" if role == "mirror" else "original"
        for path, body in FILES.items():
            server.add(f"/{folder}/{quote(path)}", body)
        if role == "mirror":
            monkeypatch.setenv("REPLICATE_MIRROR", server.address)
        else:
            source = f"source: {{base_url: '{server.address}/original'}}"
            write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\n{source}")
        assert below(manifests.fetch("toy")) == FILES


def test_only_hosts_that_the_manifest_names_may_be_redirected_to(toy):
    with serving() as server:
        for path, body in FILES.items():
            server.add(f"/b/{quote(path)}", body)
            elsewhere = f"http://localhost:{server.server_port}/b/{quote(path)}"
            server.add(f"/a/{quote(path)}", redirect=elsewhere)
        source = f"base_url: '{server.address}/a'"
        write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\nsource: {{{source}}}")
        with pytest.raises(ReplicateError, match="a host that the manifest does not allow"):
            manifests.fetch("toy")
        source = f"{source}, hosts: [localhost]"
        write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\nsource: {{{source}}}")
        assert below(manifests.fetch("toy")) == FILES


def test_progress_of_a_fetch_counts_all_files_and_grows_while_a_file_comes(toy):
    seen = []
    with serving() as server:
        server.add("/a.csv", FILES["a.csv"])
        server.add("/sub%20folder/b%2Cc.txt", b"hello", trickle=True)
        server.add("/sub%20folder/d.bin", FILES["sub folder/d.bin"])
        source = f"source: {{base_url: '{server.address}'}}"
        write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\n{source}")
        manifests.fetch(
            "toy", progress=lambda *step: seen.append(step), patience=Patience(read_s=5)
        )
    assert [step for step in seen if step[1] in (4, 9, 1009)] == seen[:1] + seen[-2:]
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_two_processes_do_not_fetch_the_same_data_at_once(mirrored):
    lock = mirrored.data.parent / ".locks" / "toy.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(ReplicateError, match="by another process"):
        manifests.fetch("toy")
    assert not mirrored.data.exists()
    assert below(manifests.fetch("toy")) == FILES


def test_the_mirror_is_asked_before_the_original(toy, monkeypatch):
    monkeypatch.setenv("REPLICATE_MIRROR", "http://127.0.0.1:9/copies/")
    write_list(toy.book, "toy", {"sub folder/b,c.txt": b"hello"})
    with pytest.raises(ReplicateError) as raised:
        manifests.fetch("toy")
    first = str(raised.value).index("http://127.0.0.1:9/copies/toy/sub%20folder/b%2Cc.txt")
    assert first < str(raised.value).index(f"{NOWHERE}/sub%20folder/b%2Cc.txt")


def test_fetch_without_room_writes_nothing(mirrored, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda place: SimpleNamespace(free=1008))
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
    limit = "unpacked_limit: {bytes: 6, files: 2}"
    entry = f"{{path: set.zip, bytes: {len(body)}, sha256: {hashlib.sha256(body).hexdigest()}"
    write_manifest(
        toy.book,
        "packed",
        more=f"source: {{base_url: '{NOWHERE}'}}\nfiles:\n  - {entry}, unpack: zip, {limit}}}",
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


def test_status_says_how_to_get_what_is_missing(mirrored):
    assert manifests.status("toy").remedy == ""
    (mirrored.mirror / "toy/a.csv").unlink()
    assert manifests.status("toy").remedy == "replicate data fetch toy"
    write_manifest(mirrored.book, "ghost", access="generated")
    for access, remedy in [
        ("open", "needs steps by hand"),
        ("registration", "needs an account"),
        ("agreement", "needs a contract"),
        ("private", "private; phantom: ghost"),
    ]:
        write_manifest(mirrored.book, "closed", access=access, more=f"{STEPS}\nphantom: ghost")
        assert manifests.status("closed").remedy == remedy
    assert manifests.status("ghost").remedy == "generated from a seed"


def test_the_size_is_that_of_the_files_else_what_the_manifest_states(toy):
    write_manifest(toy.book, "closed", access="registration", more=f"{STEPS}\nsize_bytes: 5000")
    assert manifests.status("closed").n_bytes == 5000
    write_manifest(toy.book, "vague", access="registration", more=STEPS)
    assert manifests.status("vague").n_bytes is None


def vaguely_listed(toy, **known: str) -> None:
    """List a.csv with its sum, and b.csv with less."""
    (toy.book / "data_manifests/datasets/toy.files.csv").write_text(
        f"path,bytes,sha256\na.csv,4,{hashlib.sha256(FILES['a.csv']).hexdigest()}\n"
        f"b.csv,{known.get('bytes', '')},\n"
    )


def test_files_without_a_checksum_are_left_to_the_reader_after_all_others_were_fetched(toy):
    vaguely_listed(toy)
    with serving() as server:
        server.add("/a.csv", FILES["a.csv"])
        server.add("/b.csv", b"never asked for")
        source = f"source: {{base_url: '{server.address}'}}"
        write_manifest(toy.book, "toy", more=f"files_from: toy.files.csv\n{source}")
        with pytest.raises(ReplicateError) as raised:
            manifests.fetch("toy")
        text = str(raised.value)
        assert f"Download it yourself from {server.address}/b.csv" in text
        assert f"put it at {toy.data / 'b.csv'}" in text
        assert below(toy.data) == {"a.csv": FILES["a.csv"]}
        assert manifests.status("toy").state == "partial"
        write_files(toy.data, {"b.csv": b"brought by hand"})
        assert manifests.fetch("toy") == toy.data
        assert manifests.locate("toy") == toy.data
        assert manifests.verify("toy").n_bytes == 4 + 15
        assert server.asked_for("/b.csv") == []


def test_a_size_without_a_checksum_is_compared_all_the_same(toy):
    vaguely_listed(toy, bytes="5")
    write_files(toy.data, {"a.csv": FILES["a.csv"], "b.csv": b"four"})
    assert manifests.locate("toy") is None
    with pytest.raises(ReplicateError, match=r"b\.csv: 5 bytes, no checksum known"):
        manifests.verify("toy")
    write_files(toy.data, {"b.csv": b"fives"})
    assert manifests.locate("toy") == toy.data
    before = manifests.checksum("toy")
    vaguely_listed(toy)
    write_files(toy.data, {"b.csv": b"longer"})
    assert manifests.checksum("toy") != before


def test_an_open_data_set_gives_an_address_for_every_file_that_can_be_fetched(toy):
    write_manifest(toy.book, "toy", more="files_from: toy.files.csv")
    with pytest.raises(ReplicateError, match=r"toy\.files\.csv: 'a\.csv' must have an address"):
        manifests.load("toy")


class Reader(ModuleType):
    """Stands for a module of common.datasets whose reader knows the three files of toy."""

    def load(self, folder: Path) -> Cases:
        def read(row: dict) -> Case:
            if (folder / row["case"]).read_bytes() != FILES[row["case"]]:
                raise ReplicateError(f"{folder / row['case']} must be sound.")
            if row["case"].endswith("d.bin"):
                raise KeyError("odd")
            return Case(row["case"], row["cluster"], None, {})

        return Cases(pd.DataFrame({"case": list(FILES), "cluster": list(FILES)}), read)


@pytest.fixture
def reader():
    return Reader("toy")


def test_verify_reads_every_case_and_reports_its_error_with_the_case(toy, reader):
    write_files(toy.data, FILES | {"a.csv": b"1,3\n"})
    with pytest.raises(ReplicateError) as raised:
        manifests.verify("toy", reader=reader.load)
    text = str(raised.value)
    assert text.startswith("failed check: 3 entries of toy")
    assert f"case a.csv: {toy.data / 'a.csv'} must be sound." in text
    assert "case sub folder/d.bin: KeyError: 'odd'" in text
    assert "case sub folder/b,c.txt" not in text


def test_a_quick_check_leaves_the_reader_out(toy, reader):
    write_files(toy.data, FILES)
    assert manifests.verify("toy").n_cases is None
    with pytest.raises(ReplicateError, match="KeyError"):
        manifests.verify("toy", reader=reader.load)


def test_verify_counts_the_cases_that_were_read(toy, reader):
    write_files(toy.data, FILES)
    load = reader.load
    reader.load = lambda folder: load(folder)[:2]
    assert manifests.verify("toy", reader=reader.load).n_cases == 2


def test_a_reader_that_fails_before_the_first_case_is_a_problem_like_any_other(toy, reader):
    def load(folder):
        raise ReplicateError("the table must have rows.")

    write_files(toy.data, FILES)
    reader.load = load
    with pytest.raises(ReplicateError, match=r"all cases: the table must have rows\."):
        manifests.verify("toy", reader=reader.load)


def test_a_reader_of_a_table_has_no_cases_to_count(toy, reader):
    write_files(toy.data, FILES)
    reader.load = lambda folder: pd.DataFrame()
    assert manifests.verify("toy", reader=reader.load).n_cases is None


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
