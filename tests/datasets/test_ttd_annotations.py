"""Trauma THOMPSON's lists: the real ones, and small ones with their line ends and blanks."""

from collections import Counter
from pathlib import Path

import pytest

from common.datasets import ttd_annotations as reader
from common.errors import ReplicateError

LABELS = ("0\tpalpate landmark", "1\ttake swab", "2\tattach kelly and tube", "3\ttake landmark ")
CLIPS = (
    "P01_01_0 60 0 0",
    "P01_01_1 240 1 1",
    "P01_01_2 60 1 ",
    "P05_42_0 50 2 110",
    "P05_42_1 550 3 ",
)


def write(root: Path, *, labels=LABELS, clips=CLIPS) -> Path:
    """Write both lists with the line ends of the release; the map ends without one."""
    (root / "label_map_regular.txt").write_bytes("\r\n".join(labels).encode())
    text = "".join(f"{line}\r\n" for line in clips)
    (root / "mmaction_train_annotations.txt").write_bytes(text.encode())
    return root


def test_the_real_label_map_has_124_actions_of_42_verbs_and_42_nouns(mirror):
    table = reader.actions(mirror(reader.DATASET))
    assert len(table) == table["action"].nunique() == 124
    assert (table["verb_code"].nunique(), table["noun_code"].nunique()) == (42, 42)
    assert table.loc[105, ["action", "verb", "noun"]].tolist() == [
        "advance catheter",
        "advance",
        "catheter",
    ]
    assert table.loc[51, "noun"] == "kelly and tube"


def test_the_real_videos_and_clips_have_the_counted_numbers(mirror):
    folder = mirror(reader.DATASET)
    cases = reader.load(folder)
    assert len(cases) == 141
    assert cases.table["label"].value_counts(sort=False).to_dict() == {
        0: 29,
        1: 27,
        2: 24,
        3: 30,
        4: 31,
    }
    assert cases.table.groupby("label")["n_actions"].median().tolist() == [23, 27, 21, 10.5, 8]
    text = (folder / "mmaction_train_annotations.txt").read_text()
    third = Counter(int(line.split(" ")[2]) for line in text.splitlines())
    read = Counter(code for case in cases for code in case.target["sequence"].tolist())
    assert read == third
    assert sum(read.values()) == 2477


def test_real_verbs_are_counted_as_in_the_lists(mirror):
    folder = mirror(reader.DATASET)
    names = dict(reader.actions(folder)[["verb_code", "verb"]].to_numpy().tolist())
    counts = Counter(
        names[code] for case in reader.load(folder) for code in case.target["verbs"].tolist()
    )
    assert counts.most_common(4) == [("take", 532), ("drop", 372), ("remove", 251), ("insert", 244)]


def test_actions_are_split_after_the_first_word_and_lose_blanks(tmp_path):
    table = reader.actions(write(tmp_path))
    assert table["action"].tolist()[2:] == ["attach kelly and tube", "take landmark"]
    assert table["verb"].tolist() == ["palpate", "take", "attach", "take"]
    assert table["noun"].tolist() == ["landmark", "swab", "kelly and tube", "landmark"]
    assert table["verb_code"].tolist() == [1, 2, 0, 2]
    assert table["noun_code"].tolist() == [1, 2, 0, 1]


def test_videos_come_back_as_sequences_of_the_third_column(tmp_path):
    cases = reader.load(write(tmp_path))
    assert cases.table.to_dict("list") == {
        "case": ["P01_01", "P05_42"],
        "cluster": ["P01_01", "P05_42"],
        "label": [0, 4],
        "n_actions": [3, 2],
    }
    found = {name: value for name, value in cases[1].target.items() if name != "label"}
    assert {name: value.tolist() for name, value in found.items()} == {
        "sequence": [2, 3],
        "verbs": [0, 2],
        "nouns": [0, 1],
        "frames": [50, 550],
    }
    assert cases[1].target["label"] == 4
    assert cases[0].target["sequence"].tolist() == [0, 1, 1]
    assert cases[0].image is None


@pytest.mark.parametrize(
    "labels",
    [
        ("0\ttake swab", "2\tdrop swab"),
        ("1\ttake swab",),
        ("0\ttake",),
        ("take swab",),
        ("0\ttake swab", "0\ttake swab"),
    ],
)
def test_a_label_map_that_does_not_count_up_is_refused(tmp_path, labels):
    with pytest.raises(ReplicateError, match=r"label_map_regular.txt must count actions up from 0"):
        reader.actions(write(tmp_path, labels=labels))


@pytest.mark.parametrize(
    "line", ["P01_01_0 60 4 0", "P01_01_0 60", "P06_01_0 60 1 1", "P01_01 60 1 1", "clip"]
)
def test_a_line_that_is_no_clip_is_refused(tmp_path, line):
    with pytest.raises(ReplicateError, match=f"actions below 4, got '{line}'"):
        reader.load(write(tmp_path, clips=(line,)))


@pytest.mark.parametrize("clips", [CLIPS[1:], CLIPS[:1] + CLIPS[2:], (CLIPS[0], CLIPS[0])])
def test_a_video_with_a_gap_or_a_clip_twice_is_refused(tmp_path, clips):
    with pytest.raises(ReplicateError, match="must count the clips of P01_01 up from 0"):
        reader.load(write(tmp_path, clips=clips))


@pytest.mark.parametrize("name", ["label_map_regular.txt", "mmaction_train_annotations.txt"])
def test_an_absent_list_is_named(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must be a sound text file"):
        reader.load(tmp_path)
