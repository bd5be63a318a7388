import json

import pandas as pd
import pytest

from common.errors import ReplicateError
from common.validation import __main__ as command, archive
from common.validation.__main__ import main


@pytest.fixture
def table():
    return pd.DataFrame({"test": ["a", "b"], "rejected": [0.05123456, 0.2]})


def test_tables_come_back_with_four_digits(tmp_path, table):
    archive.write({"calibration": table}, archive.provenance(seed=1), to=tmp_path)
    again = archive.read("calibration", of=tmp_path)
    assert again["test"].tolist() == ["a", "b"]
    assert again["rejected"].tolist() == [0.05123, 0.2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calibration.csv", "run.json"]


def test_the_run_tells_its_versions_and_whether_it_is_stale(tmp_path, table):
    archive.write({"calibration": table}, archive.provenance(seed=1, studies=9), to=tmp_path)
    run = archive.read_run(of=tmp_path)
    assert (run["seed"], run["studies"], run["stale"]) == (1, 9, False)
    assert set(run["packages"]) == set(archive.PACKAGES)
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "statistics_sha256": "other"}))
    assert archive.read_run(of=tmp_path)["stale"]


def test_a_missing_archive_says_how_to_make_one(tmp_path):
    with pytest.raises(ReplicateError, match="make validate"):
        archive.read("calibration", of=tmp_path)
    with pytest.raises(ReplicateError, match="make validate"):
        archive.read_run(of=tmp_path)


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path, table):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ReplicateError, match="cannot be written"):
        archive.write({"calibration": table}, {}, to=blocked / "inside")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(
        command, "QUICK", {"studies": 5, "confirm": 1, "chapters": 1, "power_studies": 1}
    )


@pytest.mark.usefixtures("tiny")
def test_a_part_of_a_quick_run_prints_what_it_does_and_writes_where_asked(tmp_path, capsys):
    part = ["--quick", "--jobs", "1", "--test", "welch_clustered", "--to", str(tmp_path)]
    assert main(part) == 0
    assert "[validation] calibration:" in capsys.readouterr().out
    written = archive.read("calibration", of=tmp_path)
    assert set(written["test"]) == {"welch_clustered"}
    assert written["n"].isin([5, 10]).all()
    assert archive.read_run(of=tmp_path)["studies"] == 5


@pytest.mark.usefixtures("tiny")
def test_a_part_does_not_replace_the_archive(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(archive, "folder", lambda: tmp_path / "archive")
    assert main(["--quick", "--jobs", "1", "--test", "welch_clustered"]) == 0
    assert "nothing written" in capsys.readouterr().out
    assert not (tmp_path / "archive").exists()
