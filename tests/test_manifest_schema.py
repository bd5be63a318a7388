import json

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from common import manifests, strict_yaml
from common.manifest_schema import File, Manifest, json_schema

SUM = "0" * 64
LIMIT = {"bytes": 10, "files": 2}
BASE = {
    "dataset": "toy",
    "title": "Toy",
    "version": "1",
    "task": ["classification"],
    "modality": "none",
    "access": "open",
    "citation": "Nobody.",
    "licence": {"name": "CC0", "checked": "read", "note": "LICENSE"},
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
    assert one_file(path=path, unpack="tar", unpacked_limit=LIMIT).unpacked == folder


def test_only_an_archive_can_be_unpacked():
    with pytest.raises(ValidationError, match=r"scan\.nii\.gz"):
        one_file(path="scan.nii.gz", unpack="tar", unpacked_limit=LIMIT)


def test_an_archive_states_the_most_that_it_holds():
    with pytest.raises(ValidationError, match="needs `unpacked_limit`"):
        one_file(path="a.zip", unpack="zip")
    for limit in ({"bytes": 0, "files": 1}, {"bytes": 1, "files": 0}, {"bytes": 1}):
        with pytest.raises(ValidationError):
            one_file(path="a.zip", unpack="zip", unpacked_limit=limit)


def test_a_file_may_be_described_without_its_content_but_is_then_not_fetchable():
    assert one_file().fetchable
    assert not one_file(sha256=None).fetchable
    assert not one_file(sha256=None, bytes=None).fetchable
    with pytest.raises(ValidationError, match="needs `bytes`"):
        one_file(bytes=None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"files": [BASE["files"][0]] * 2}, "listed twice: a.csv"),
        ({"files_from": "toy.files.csv"}, "not both"),
        ({"files": [], "files_from": "other.csv"}, r"must be toy\.files\.csv"),
        ({"source": None}, "no `source` and no `url` for a.csv"),
        ({"access": "registration"}, "obtain"),
        ({"files": []}, "obtain"),
        ({"files": [{"path": "a.csv", "bytes": 3}]}, "obtain"),
        ({"source": {"base_url": "https://example.org", "commit": "abc"}}, "contain the commit"),
        ({"source": {"base_url": "https://example.org", "hosts": ["https://x"]}}, "hosts"),
        ({"acess": "open"}, "acess"),
        ({"access": "free"}, "access"),
        ({"licence": {"name": "CC0", "checked": "guessed"}}, "checked"),
        ({"licence": {"name": "CC0", "checked": "read"}}, "`url` or a `note`"),
        ({"layout": [{"glob": "*.csv", "count": 0}]}, "count"),
        ({"layout": [{"glob": "../*.csv", "count": 1}]}, "relative"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"module": "Toy"}, "module"),
        ({"module": "a.b"}, "module"),
        ({"doi": "11.1/x"}, "doi"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        manifest(**changes)


@pytest.mark.parametrize(
    "field", ["titel", "doi", "classes.b", "classes.b.c", "title.x", "files.0.sha256", "licence.x"]
)
def test_only_facts_that_are_stated_can_be_unchecked(field):
    with pytest.raises(ValidationError, match="must name fields with a value"):
        manifest(classes={"a": 1, "b": None}, unchecked={field: "from memory"})


def test_facts_of_any_depth_can_be_unchecked():
    reasons = {"title": "memory", "licence.name": "memory", "classes.a": "memory", "subjects": "?"}
    made = manifest(classes={"a": 0}, subjects=0, unchecked=reasons)
    assert made.unchecked == reasons


def test_hosts_that_a_download_may_be_sent_to_are_named_by_the_source():
    assert manifest().hosts == frozenset()
    source = {"base_url": "https://example.org", "hosts": ["cdn.example.org"]}
    assert manifest(source=source).hosts == {"cdn.example.org"}
    assert manifest(source=None, files=[], access="private").hosts == frozenset()


def test_a_reader_has_the_name_of_its_data_set_unless_another_is_given():
    assert manifest(dataset="toy-2d").module_name == "toy_2d"
    assert manifest(module="other").module_name == "other"


def test_the_schema_for_editors_is_up_to_date(checkout):
    kept = checkout / "data_manifests" / "dataset.schema.json"
    assert kept.read_text(encoding="utf-8") == json_schema(), (
        "run `replicate data schema > data_manifests/dataset.schema.json`"
    )


def test_the_schema_for_editors_accepts_every_manifest_and_finds_a_wrong_key(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    validator = Draft202012Validator(json.loads(json_schema()))
    for dataset in manifests.datasets():
        content = strict_yaml.read(checkout / "data_manifests" / "datasets" / f"{dataset}.yml")
        assert [problem.message for problem in validator.iter_errors(content)] == [], dataset
        assert not validator.is_valid(content | {"acess": "open"})


def test_data_that_are_private_or_generated_need_no_steps():
    for access in ("private", "generated"):
        assert manifest(access=access, files=[], source=None).access == access


def test_a_layout_in_words_has_no_patterns():
    assert manifest(layout="one folder a case").patterns == ()
    assert manifest(layout=[{"glob": "*/*.png", "count": 2}]).patterns[0].count == 2
