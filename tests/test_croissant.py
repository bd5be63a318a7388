"""Every manifest is valid Croissant by the reference library, and its facts arrive there."""

import json

import mlcroissant as mlc
import pytest

from common import croissant, manifests
from common.errors import ReplicateError
from common.manifest_schema import Manifest

FACTS = {
    "dataset": "cells",
    "title": "Cells",
    "version": "2.1",
    "task": ["classification"],
    "modality": "microscopy",
    "subjects": 3,
    "images": 4,
    "classes": {"benign": 3, "malignant": None},
    "access": "open",
    "homepage": "https://example.org/cells",
    "citation": "A. Author, Cells, 2020.",
    "licence": {"name": "CC BY 4.0", "checked": "memory"},
    "source": {"base_url": "https://example.org/files"},
    "files": [
        {"path": "a set/one (1).png", "bytes": 7, "sha256": "a" * 64},
        {"path": "big.zip", "bytes": None, "url": "https://example.org/big.zip"},
    ],
    "layout": [{"glob": "a set/*.png", "count": 1, "what": "images"}],
    "used_by": ["toy"],
    "phantom": "cells-phantom",
    "faithfulness": "Half of the set.",
    "unchecked": {"subjects": "from memory"},
}


def exported(tmp_path, **changed) -> tuple[dict, mlc.Metadata]:
    found = croissant.export(Manifest.model_validate({**FACTS, **changed}))
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(found))
    return found, mlc.Dataset(path).metadata


@pytest.mark.parametrize("name", manifests.datasets())
def test_every_manifest_is_valid_croissant(name, tmp_path):
    manifest = manifests.load(name)
    # two thousand files of one kind are as valid as the first hundred, and take seconds
    shorter = manifest.model_copy(update={"files": manifest.files[:100]})
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(croissant.export(shorter)))
    metadata = mlc.Dataset(path).metadata
    assert not metadata.issues.errors
    assert metadata.name == name


def test_facts_arrive_where_the_vocabulary_has_a_word(tmp_path):
    _, metadata = exported(tmp_path)
    assert metadata.license == ["https://creativecommons.org/licenses/by/4.0/"]
    assert metadata.version == "2.1.0"
    assert metadata.url == "https://example.org/cells"
    (image,) = [one for one in metadata.distribution if isinstance(one, mlc.FileObject)]
    assert image.content_url == "https://example.org/files/a%20set/one%20%281%29.png"
    assert (image.sha256, image.content_size) == ("a" * 64, "7 B")
    assert image.encoding_formats == ["image/png"]
    (layout,) = [one for one in metadata.distribution if isinstance(one, mlc.FileSet)]
    assert layout.includes == ["a set/*.png"]


def test_a_file_without_a_checksum_is_left_out(tmp_path):
    found, _ = exported(tmp_path)
    assert "big.zip" not in json.dumps(found["distribution"])


def test_classes_can_be_read_as_records(tmp_path):
    exported(tmp_path)
    records = list(mlc.Dataset(tmp_path / "croissant.json").records("classes"))
    found = {record["classes/name"]: record["classes/cases"] for record in records}
    assert {str(name): count for name, count in found.items()} == {"benign": 3, "malignant": -1}


def test_what_has_no_word_is_told_as_a_limitation(tmp_path):
    _, metadata = exported(tmp_path)
    told = " ".join(metadata.data_limitations)
    for part in ("Half of the set.", "subjects (from memory)", "cells-phantom"):
        assert part in told


@pytest.mark.parametrize(("version", "shown"), [("3", "3.0.0"), ("commit 45b70ad", None)])
def test_a_version_that_is_no_number_is_not_made_one(version, shown, tmp_path):
    _, metadata = exported(tmp_path, version=version)
    assert metadata.version == shown


def test_what_the_library_refuses_is_one_error_with_its_report():
    manifest = Manifest.model_validate(FACTS)
    unsummed = manifest.files[0].model_copy(update={"sha256": ""})
    with pytest.raises(ReplicateError, match=r"(?s)manifest of cells gives no valid .*sha256"):
        croissant.export(manifest.model_copy(update={"files": (unsummed,)}))
