import pytest
from pydantic import ValidationError

from common.manifest_schema import File, Manifest

SUM = "0" * 64
BASE = {
    "dataset": "toy",
    "title": "Toy",
    "version": "1",
    "task": ["classification"],
    "modality": "none",
    "access": "open",
    "citation": "Nobody.",
    "licence": {"name": "CC0", "checked": "read"},
    "used_by": [],
    "faithfulness": "none",
    "source": {"base_url": "https://example.org/abc/"},
    "files": [{"path": "a.csv", "bytes": 3, "sha256": SUM}],
}


def manifest(**changes: object) -> Manifest:
    return Manifest.model_validate(BASE | changes)


def one_file(**changes: object) -> File:
    return File.model_validate({"path": "a.csv", "bytes": 3, "sha256": SUM} | changes)


def test_an_address_is_the_base_address_and_the_percent_encoded_path():
    file = one_file(path="alpha0,06/numpy arrays/a (1)#.npy")
    assert (
        manifest().url(file)
        == "https://example.org/abc/alpha0%2C06/numpy%20arrays/a%20%281%29%23.npy"
    )


def test_a_files_own_address_wins():
    assert manifest().url(one_file(url="https://other.org/x")) == "https://other.org/x"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a", "a/../../b", "a\\b", "a//b", "./a", ".", ""]
)
def test_a_path_that_could_leave_the_data_folder_is_refused(path):
    with pytest.raises(ValidationError, match="path"):
        one_file(path=path)


@pytest.mark.parametrize(
    "change",
    [{"bytes": -1}, {"sha256": "abc"}, {"sha256": SUM.replace("0", "G")}, {"url": "ftp://x/y"}],
)
def test_a_file_without_a_sound_size_sum_or_address_is_refused(change):
    with pytest.raises(ValidationError):
        one_file(**change)


@pytest.mark.parametrize(
    ("path", "folder"),
    [("a/Task04.tar", "a/Task04"), ("x.tar.gz", "x"), ("x.tgz", "x"), ("v1.2.zip", "v1.2")],
)
def test_an_archive_is_unpacked_into_a_folder_without_its_suffix(path, folder):
    assert one_file(path=path, unpack="tar").unpacked == folder


def test_only_an_archive_can_be_unpacked():
    with pytest.raises(ValidationError, match=r"scan\.nii\.gz"):
        one_file(path="scan.nii.gz", unpack="tar")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"files": [BASE["files"][0]] * 2}, "listed twice: a.csv"),
        ({"files_from": "toy.files.csv"}, "not both"),
        ({"files": [], "files_from": "other.csv"}, r"must be toy\.files\.csv"),
        ({"source": None}, "no `url` for a.csv"),
        ({"source": None, "files": [], "files_from": "toy.files.csv"}, "base_url"),
        ({"access": "registration"}, "obtain"),
        ({"files": []}, "obtain"),
        ({"source": {"base_url": "https://example.org", "commit": "abc"}}, "contain the commit"),
        ({"acess": "open"}, "acess"),
        ({"access": "free"}, "access"),
        ({"licence": {"name": "CC0", "checked": "guessed"}}, "checked"),
        ({"layout": [{"glob": "*.csv", "count": 0}]}, "count"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        manifest(**changes)


def test_data_that_are_private_or_generated_need_no_steps():
    for access in ("private", "generated"):
        assert manifest(access=access, files=[], source=None).access == access


def test_a_layout_in_words_has_no_patterns():
    assert manifest(layout="one folder a case").patterns == ()
    assert manifest(layout=[{"glob": "*/*.png", "count": 2}]).patterns[0].count == 2
