"""The commands on data sets, each asked as a reader would."""

import hashlib
import json

import pytest
from typer.testing import CliRunner

from common import manifests
from common.cli import app
from common.datasets import registry
from common.manifest_schema import Manifest
from common.phantoms.dials import Dial

BODY = b"case,score\n"
FACTS = """\
dataset: {dataset}
title: Toy
version: "1"
task: [classification]
modality: none
subjects: 12000
classes: {{benign: 3, malignant: null}}
access: {access}
citation: >-
  Nobody,
  2024.
licence: {{name: CC0, checked: memory}}
unchecked: {{licence.name: from memory, classes.benign: counted by eye, subjects: a guess}}
used_by: [ife]
faithfulness: none
{more}
"""
STEPS = 'obtain: [Register.]\nlayout: [{glob: "*/a.png", count: 2, what: pictures}]'


def replicate(*args):
    return CliRunner().invoke(app, ["data", *args])


@pytest.fixture
def toys(book, tmp_path, monkeypatch):
    """An open, a closed and a generated data set; the mirror holds the open one."""
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REPLICATE_MIRROR", str(tmp_path / "mirror"))
    files = (
        f"source: {{base_url: 'http://127.0.0.1:9/x'}}\nfiles:\n  - {{path: a.csv, "
        f"bytes: {len(BODY)}, sha256: {hashlib.sha256(BODY).hexdigest()}}}"
    )
    for dataset, access, more in [
        ("opened", "open", files),
        ("closed", "registration", f"{STEPS}\nphantom: ghost"),
        ("ghost", "generated", ""),
    ]:
        path = book / "data_manifests" / "datasets" / f"{dataset}.yml"
        path.write_text(FACTS.format(dataset=dataset, access=access, more=more))
    (tmp_path / "mirror" / "opened").mkdir(parents=True)
    (tmp_path / "mirror" / "opened" / "a.csv").write_bytes(BODY)
    return tmp_path


def test_status_says_what_is_here_what_is_missing_and_how_to_get_it(toys):
    rows = {row["dataset"]: row for row in json.loads(replicate("status", "--json").stdout)}
    assert rows["opened"]["folder"] == str(toys / "mirror" / "opened")
    assert [rows[name]["state"] for name in ("opened", "closed", "ghost")] == [
        "present",
        "missing",
        "not obtainable",
    ]
    assert [rows[name]["remedy"] for name in ("opened", "closed", "ghost")] == [
        "",
        "needs an account",
        "generated from a seed",
    ]
    table = replicate("status", "closed")
    assert "needs an account" in table.stdout
    assert "replicate data describe" in table.stderr


def test_describe_tells_every_fact_and_marks_what_nobody_checked(toys):
    text = replicate("describe", "closed").stdout
    assert "closed: Toy\n" in text
    assert "subjects: 12,000 [unchecked: a guess]" in text
    assert "classes: benign 3, malignant ? [unchecked: benign: counted by eye]" in text
    assert "licence: CC0; terms not read for this book [unchecked: name: from memory]" in text
    assert "cite: Nobody, 2024.\n" in text
    assert "on disk: missing, 0 of 2 files\n" in text
    assert "1. Register.\n" in text
    assert f"Put the files into {toys / 'data' / 'closed'}" in text
    assert "2 x */a.png: pictures" in text


def test_describe_leaves_no_field_of_the_schema_out(toys):
    shown = {"dataset", "title", "layout", "obtain", "unchecked", "files", "files_from", "module"}
    from common.cli.describe import _facts

    assert {field for field, _, _ in _facts(manifests.load("closed"))} | shown == set(
        Manifest.model_fields
    )


@pytest.mark.parametrize("dataset", ["closed", "ghost"])
def test_describe_shows_the_dials_of_the_phantom(toys, monkeypatch, dataset):
    class Phantom:
        DIALS = (Dial("noise", "1", 0.5, 0, 2, "More of it.", "measured", null=0),)

    seen = []
    monkeypatch.setattr(registry, "module_of", lambda name: seen.append(name) or Phantom)
    text = replicate("describe", dataset).stdout
    assert seen == ["ghost"]
    assert "Dials of ghost" in text
    assert "noise (1, 0 to 2; off at 0): More of it. Default 0.5, from measured" in text


def test_where_prints_the_folder_alone_and_ends_with_1_if_there_is_none(toys):
    found = replicate("where", "opened")
    assert (found.exit_code, found.stdout) == (0, f"{toys / 'mirror' / 'opened'}\n")
    absent = replicate("where", "closed")
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "1. Register." in absent.stderr
    assert replicate("where").stdout == f"opened: {toys / 'mirror' / 'opened'}\n"
    (toys / "mirror" / "opened" / "a.csv").unlink()
    assert replicate("where").exit_code == 1


def test_fetch_takes_several_and_ends_with_1_and_the_steps_for_what_is_closed(toys):
    result = replicate("fetch", "closed", "opened")
    assert result.exit_code == 1
    assert result.stdout == f"opened: complete in {toys / 'data' / 'opened'}\n"
    assert (toys / "data" / "opened" / "a.csv").read_bytes() == BODY
    assert "1. Register." in result.stderr
    assert f"Put the files into {toys / 'data' / 'closed'}" in result.stderr


def test_fetch_of_everything_leaves_out_what_cannot_be_downloaded(toys):
    result = replicate("fetch")
    assert result.exit_code == 0
    assert "closed: left out" in result.stderr
    assert "ghost: left out" in result.stderr
    assert "opened: complete" in result.stdout


def test_nothing_is_fetched_where_one_name_is_unknown(toys):
    result = replicate("fetch", "opened", "opend")
    assert result.exit_code == 2
    assert "Did you mean 'opened'?" in result.stderr
    assert not (toys / "data").exists()


def test_verify_says_what_was_checked_and_quick_leaves_the_cases_out(toys, monkeypatch):
    asked = []
    monkeypatch.setattr(registry, "module_of", lambda name: asked.append(name))
    assert "opened: 1 files, 0.0 kB, all checksums right" in replicate("verify", "--quick").stdout
    assert asked == []
    assert replicate("verify", "opened").exit_code == 0
    assert asked == ["opened"]
    (toys / "mirror" / "opened" / "a.csv").write_bytes(b"CASE,score\n")
    result = replicate("verify")
    assert result.exit_code == 1
    assert "failed check: 1 entries of opened" in result.stderr


def test_verify_of_counted_files_does_not_speak_of_checksums(toys):
    for name in ("x", "y"):
        (toys / "data" / "closed" / name).mkdir(parents=True)
        (toys / "data" / "closed" / name / "a.png").touch()
    assert replicate("verify", "closed").stdout == "closed: 2 files, 0.0 kB, counts right\n"


def test_schema_prints_json_that_knows_every_field(toys):
    schema = json.loads(replicate("schema").stdout)
    assert set(schema["properties"]) == set(Manifest.model_fields)
    assert "yaml-language-server" in replicate("schema", "--help").stdout


def test_croissant_prints_json_that_names_the_data_set(toys):
    name = manifests.datasets()[0]
    done = replicate("croissant", name)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["name"] == name


def test_names_in_the_status_are_never_cut(toys):
    assert all(name in replicate("status").stdout for name in manifests.datasets())
