import io
import json
import warnings
import zipfile

import pytest
from rocrate.rocrate import ROCrate

from common.runs import archives
from common.runs.files import sha256
from common.site import crates
from common.site.imprint import Imprint
from toy_book import add_paper, add_run, edit

IMPRINT = Imprint("Toy", "A. Writer", "https://example.org/toy/", "https://example.org/source")
HOSTILE = '</script> "quoted" \\ ````{raw} html'


@pytest.fixture
def archived(book):
    add_paper(book)
    add_run("toy", "standard")
    archives.archive("toy")
    return book


def unpacked(content, folder):
    """Unpack a crate, and read it with the library; it must warn of nothing."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        packed.extractall(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ROCrate(folder)


@pytest.fixture
def crate(archived, tmp_path):
    (content,) = crates.files("toy", IMPRINT).values()
    return unpacked(content, tmp_path / "crate")


def values(entities):
    return {entity["name"]: entity["value"] for entity in entities}


def test_chapter_without_an_archive_has_no_crate_and_no_link(book):
    add_paper(book)
    assert crates.files("toy", IMPRINT) == {}
    assert crates.links({}) == ""


def test_each_archived_profile_is_offered_beside_the_page(archived):
    found = crates.files("toy", IMPRINT)
    assert list(found) == ["notebooks/toy-standard.crate.zip"]
    assert "{download}`standard run <toy-standard.crate.zip>`" in crates.links(found)


def test_crate_says_that_it_is_an_ro_crate_1_1_with_everything_its_root_must_have(crate):
    metadata = json.loads((crate.source / "ro-crate-metadata.json").read_text())
    assert metadata["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    root = crate.root_dataset
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    assert root["license"].id == "https://spdx.org/licenses/BSD-3-Clause"
    assert root["datePublished"].startswith("2026-01-01T00:00:00")
    assert "A toy paper" in root["description"]
    assert root["isBasedOn"]["name"] == "A toy paper"


def test_every_file_of_the_archive_is_there_with_its_size_hash_and_licence(crate, archived):
    folder = archived / "book/results/toy/standard"
    originals = {path.name: path.read_bytes() for path in folder.iterdir()}
    originals["toy.py"] = (archived / "notebooks/toy.py").read_bytes()
    assert {entity.id for entity in crate.data_entities} == set(originals)
    for name, content in originals.items():
        entity = crate.get(name)
        assert (crate.source / name).read_bytes() == content
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == sha256(content)
        assert entity["license"].id == "https://spdx.org/licenses/BSD-3-Clause"


def test_run_is_an_action_with_parameters_versions_hardware_and_time(crate, archived):
    (action,) = crate.get_by_type("CreateAction")
    run = archives.read_archive("toy", "standard").provenance
    assert crate.root_dataset["mentions"] == action
    assert values(action["object"]) == {
        "n_cases": 9,
        "rate": 0.5,
        "loss": "dice",
        "widths": "[8, 16]",
        "limit": "null",
    }
    assert action["endTime"] == run["ended"]
    assert action["startTime"] == "2025-12-31T23:58:45+00:00", "75 s earlier"
    assert values(action["additionalProperty"])["wall time"] == 75.0
    notebook, *software, machine = action["instrument"]
    assert notebook.type == ["File", "SoftwareSourceCode"]
    assert notebook["programmingLanguage"]["name"] == "Python"
    assert notebook["codeRepository"] == "https://example.org/source"
    assert {each["name"]: each["softwareVersion"] for each in software} == run["versions"]
    assert values(machine["additionalProperty"]) == {"cores": 2}
    assert {each.id for each in action["result"]} == set(run["files"])


def test_data_sets_are_inputs_with_their_checksum_and_absent_ones_are_named(archived):
    archive = archives.read_archive("toy", "standard")
    archive.provenance["data"] = {"cells": "f" * 64, "look-alikes": "generated", "scans": "absent"}
    described = crates._describe(archive, crates.papers.load("toy"), IMPRINT)
    (action,) = described.get_by_type("CreateAction")
    assert "scans" in action["description"]
    inputs = {each["name"]: each for each in action["object"] if each.id.startswith("#data-")}
    assert set(inputs) == {"cells", "look-alikes"}
    assert "f" * 64 in inputs["cells"]["description"]
    assert inputs["cells"]["url"] == "https://example.org/toy/book/data/cells.html"


def test_packing_again_gives_the_same_bytes(archived):
    assert crates.files("toy", IMPRINT) == crates.files("toy", IMPRINT)


def test_crate_says_when_code_changed_since_the_run(archived, tmp_path):
    edit(archived / "notebooks/toy.py", "1 + 1", "1 + 2")
    (content,) = crates.files("toy", IMPRINT).values()
    described = unpacked(content, tmp_path / "crate").root_dataset["description"]
    assert "Since the run these changed: " in described


def test_damaged_archive_has_no_crate(archived):
    (archived / "book/results/toy/standard/verdicts.json").write_text("[]")
    assert crates.files("toy", IMPRINT) == {}


def test_archive_that_does_not_say_how_it_was_made_has_no_crate(archived):
    path = archived / "book/results/toy/standard/run.json"
    stamp = json.loads(path.read_text())
    del stamp["versions"]
    path.write_text(json.dumps(stamp))
    assert crates.files("toy", IMPRINT) == {}


def test_hostile_text_is_read_back_as_it_was(archived, tmp_path):
    edit(archived / "data_manifests/papers/toy/paper.yml", "A toy paper", json.dumps(HOSTILE))
    (content,) = crates.files("toy", IMPRINT).values()
    assert unpacked(content, tmp_path / "crate").root_dataset["isBasedOn"]["name"] == HOSTILE
