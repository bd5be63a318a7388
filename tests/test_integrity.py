import hashlib

import pytest

from common import integrity
from common.integrity import Problem, file_problems, layout_problems, mismatch, sha256
from common.manifest_schema import File, Manifest

BODY = bytes(range(256)) * 10_000
KNOWN = {"path": "a.bin", "bytes": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


def manifest(**changes: object) -> Manifest:
    facts = {
        "dataset": "toy",
        "title": "Toy",
        "version": "1",
        "task": ["none"],
        "modality": "none",
        "access": "private",
        "citation": "Nobody.",
        "licence": {"name": "CC0", "checked": "memory"},
        "used_by": [],
        "faithfulness": "none",
    }
    return Manifest.model_validate(facts | changes)


def test_the_checksum_of_a_stream_is_that_of_the_whole_and_counts_its_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(BODY)
    read = []
    assert sha256(path, advance=read.append) == KNOWN["sha256"]
    assert sum(read) == len(BODY)
    assert len(read) > 1


def test_a_mismatch_names_size_and_checksum(tmp_path):
    path, file = tmp_path / "a.bin", File.model_validate(KNOWN)
    assert mismatch(file, path) == "No such file or directory"
    path.write_bytes(BODY)
    assert mismatch(file, path) is None
    path.write_bytes(BODY[:-1] + b"x")
    assert str(mismatch(file, path)).startswith(f"{len(BODY)} bytes, sha256 ")
    path.unlink()
    path.mkdir()
    assert mismatch(file, path) == "Is a directory"


def test_of_a_file_without_a_checksum_the_size_is_compared_if_it_is_known(tmp_path):
    path = tmp_path / "a.bin"
    sized, vague = File(path="a.bin", bytes=3), File(path="a.bin")
    assert mismatch(vague, path) == "No such file or directory"
    path.write_bytes(b"four")
    assert mismatch(sized, path) == "4 bytes"
    assert mismatch(vague, path) is None


def test_every_file_that_differs_is_a_problem_and_progress_counts_all_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(integrity, "_SECONDS_BETWEEN_REPORTS", 0)
    archive = KNOWN | {
        "path": "c.zip",
        "unpack": "zip",
        "unpacked_limit": {"bytes": 1, "files": 1},
    }
    toy = manifest(files=[KNOWN, KNOWN | {"path": "b.bin"}, archive])
    (tmp_path / "a.bin").write_bytes(BODY)
    (tmp_path / "c.zip").write_bytes(BODY)
    seen = []
    problems = file_problems(toy, tmp_path, progress=lambda *step: seen.append(step))
    assert [(one.what, one.got) for one in problems] == [
        ("b.bin", "No such file or directory"),
        ("c", "no folder"),
    ]
    assert seen[-1] == ("c.zip", 2 * len(BODY), 3 * len(BODY))


def test_a_count_that_differs_from_the_layout_is_a_problem(tmp_path):
    for name in ("a.png", "b.png", "c.txt"):
        (tmp_path / name).touch()
    toy = manifest(layout=[{"glob": "*.png", "count": 3}, {"glob": "*.txt", "count": 1}])
    assert layout_problems(toy, tmp_path) == [Problem("*.png", "3 files", "2 files")]


@pytest.mark.parametrize("report", [None, lambda *arguments: pytest.fail("too early")])
def test_a_report_waits_for_its_time(report):
    integrity.throttled(report)("anything")
