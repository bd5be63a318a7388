from types import SimpleNamespace

import pytest

from common import disk
from common.disk import replace_folder, require_room, writing
from common.errors import ReplicateError


def test_room_is_compared_with_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    require_room(tmp_path / "not" / "yet", 1000)
    with pytest.raises(ReplicateError, match="1,001 bytes free, got 1,000"):
        require_room(tmp_path / "not" / "yet", 1001)


def test_what_the_disk_refuses_is_one_sentence_with_a_remedy(tmp_path):
    path = tmp_path / "absent" / "a"
    with (
        pytest.raises(ReplicateError, match=r"a cannot be written: No such file.*REPLICATE_DATA"),
        writing(path),
    ):
        path.touch()


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / f"{folder.name}.txt").touch()
    replace_folder(new, old)
    assert [path.name for path in tmp_path.rglob("*")] == ["old", "new.txt"]
