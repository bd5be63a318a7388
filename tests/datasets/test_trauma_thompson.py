"""Trauma THOMPSON: frames and list that this test writes in the published layout."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.datasets import trauma_thompson as reader
from common.datasets.trauma_thompson import choose_frames
from common.errors import ReplicateError

SIZE = (24, 32)
HEADER = "video_id,clip_id,start_frame,stop_frame,action,next_action"
# clip: frames kept, action
CLIPS = {
    "P01_01_00": (12, "take swab"),
    "P01_01_01": (10, "drop  swab"),
    "P05_02_00": (3, "take tourniquet"),
    "J01_01_00": (1, "insert kelly/tube"),
}


def write_frame(path: Path, grey: int, size=SIZE, mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], grey if mode == "L" else (grey, 255 - grey, 100)).save(path)


def grey(place: int) -> int:
    return 10 + 20 * place


def write_list(root: Path, clips=CLIPS, **changes) -> None:
    lines = [HEADER]
    for clip, (n, action) in clips.items():
        row = {
            "video_id": clip.rsplit("_", 1)[0],
            "clip_id": clip,
            "start_frame": 1,
            "stop_frame": n,
            "action": action,
            "next_action": "",
        }
        lines.append(",".join(str(value) for value in (row | changes).values()))
    (root / "annotations.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path):
    for clip, (n, _) in CLIPS.items():
        # one clip lies in the folder of its video, the others directly
        place = tmp_path / ("P05_02" if clip.startswith("P05") else ".") / clip
        for i in range(n):
            write_frame(place / f"img_{i + 1:05d}.jpg", grey(i))
    write_list(tmp_path)
    return tmp_path


def test_clips_come_back_with_labels_of_actions_verbs_and_nouns(root):
    table = pickle.loads(pickle.dumps(reader.load(root))).table
    assert table["case"].tolist() == list(CLIPS)
    assert table["cluster"].tolist() == ["P01_01", "P01_01", "P05_02", "J01_01"]
    # alphabetical: drop swab, insert kelly/tube, take swab, take tourniquet
    assert table["label"].tolist() == [2, 0, 3, 1]
    assert table["verb"].tolist() == [2, 0, 2, 1]
    assert table["noun"].tolist() == [1, 1, 2, 0]
    assert table["procedure"].tolist() == ["cricothyroidotomy"] * 2 + ["tourniquet", ""]
    assert table["action"].iloc[1] == "drop swab"


def test_frames_are_read_by_the_rule_with_time_behind_colour(root):
    cases = reader.load(root, n_frames=3)
    for case, (n, _) in zip(cases, CLIPS.values(), strict=True):
        chosen = choose_frames(n, 3)
        assert (case.image.shape, case.image.dtype) == ((3, 3, *SIZE), np.uint8)
        np.testing.assert_array_equal(case.info["frames"], chosen)
        red = case.image[0, :, 5, 5].astype(int)
        # JPEG changes flat colours by a level or two, neighbouring frames differ by 20
        assert np.abs(red - [grey(i) for i in chosen]).max() <= 3
        assert np.abs(case.image[1, :, 5, 5] - (255.0 - red)).max() <= 4


def test_all_frames_or_frames_at_a_stride_are_read(root):
    assert reader.load(root, n_frames=None)[0].image.shape == (3, 12, *SIZE)
    assert reader.load(root, n_frames=4, stride=2)[0].info["frames"].tolist() == [2, 4, 6, 8]


def test_only_the_chosen_frames_are_opened(root):
    for place in set(range(12)) - {3, 9}:
        (root / f"P01_01_00/img_{place + 1:05d}.jpg").write_bytes(b"")
    assert reader.load(root, n_frames=2)[0].info["frames"].tolist() == [3, 9]


@pytest.mark.parametrize("n_available", [1, 2, 7, 50, 317])
@pytest.mark.parametrize("stride", [None, 1, 4])
def test_chosen_frames_are_in_order_inside_the_clip_and_centred(n_available, stride):
    chosen = choose_frames(n_available, 8, stride=stride)
    assert len(chosen) == 8
    assert (np.diff(chosen) >= 0).all()
    assert chosen.min() >= 0
    assert chosen.max() <= n_available - 1
    assert abs(chosen.mean() - (n_available - 1) / 2) <= 1


def test_frames_are_ordered_by_number(tmp_path):
    for number in (9, 10, 100):
        write_frame(tmp_path / f"P01_01_00/img_{number}.jpg", number * 2)
    write_list(tmp_path, {"P01_01_00": (3, "take swab")})
    red = reader.load(tmp_path, n_frames=None)[0].image[0, :, 0, 0]
    assert np.abs(red.astype(int) - [18, 20, 200]).max() <= 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"action": "swab"}, "give each action as a verb and a noun, got 'swab'"),
        ({"start_frame": 20}, "give the first and last frame in order"),
        ({"stop_frame": "x"}, "give the first and last frame in order"),
        ({"clip_id": "../P01_01_00"}, "name videos and clips by plain names"),
        ({"video_id": ""}, "name videos and clips by plain names"),
        ({"clip_id": "P01_01_00"}, "name each clip once, got P01_01_00 twice"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(root, changes, problem):
    write_list(root, **changes)
    with pytest.raises(ReplicateError, match=rf"annotations.csv must {problem}"):
        reader.load(root)


def test_an_absent_clip_and_absent_frames_are_named(root):
    for path in (root / "J01_01_00").iterdir():
        path.unlink()
    with pytest.raises(ReplicateError, match=r"J01_01_00 must hold frames named img_\*.jpg"):
        reader.load(root)[3]
    (root / "J01_01_00").rmdir()
    with pytest.raises(ReplicateError, match=r"J01_01_00 must be the folder of a clip"):
        reader.load(root)


@pytest.mark.parametrize("options", [{"size": (24, 30)}, {"mode": "L"}])
def test_a_frame_of_another_size_or_without_colour_is_refused(root, options):
    write_frame(root / "P01_01_00/img_00010.jpg", 9, **options)
    with pytest.raises(ReplicateError, match=r"img_00010.jpg must have 3 channels and the size"):
        reader.load(root, n_frames=None)[0]


def test_numbers_below_1_are_refused(root):
    for options in ({"n_frames": 0}, {"stride": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            reader.load(root, **options)
