"""Atrial challenge 2018: NRRD files that this test writes in the published format."""

import gzip
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from common.datasets import atria2018 as reader
from common.errors import ReplicateError

SIDES = (6, 16, 18)  # z, y, x
SCANS = ("0RZDK210BSMWAA6467LU", "CASE_0097")
HEADER = (
    "NRRD0004\n# Complete NRRD file format specification at:\n"
    "# http://teem.sourceforge.net/nrrd/format.html\ntype: {type}\ndimension: 3\n"
    "space: left-posterior-superior\nsizes: {x} {y} {z}\n"
    "space directions: ({step},0,0) (0,0.625,0) (0,0,0.625)\nkinds: domain domain domain\n"
    "{extra}encoding: {encoding}\nspace origin: (-181,-151,-27.5)\n\n"
)


def write(
    path: Path,
    array: np.ndarray,
    *,
    encoding="gzip",
    sides=SIDES,
    extra="",
    step=0.625,
    kind="uchar",
) -> Path:
    """Header and data as the challenge's files have them."""
    z, y, x = sides
    head = HEADER.format(type=kind, x=x, y=y, z=z, encoding=encoding, extra=extra, step=step)
    data = gzip.compress(array.tobytes()) if encoding in ("gzip", "gz") else array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.encode() + data)
    return path


def scan(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([*name.encode()])
    image = rng.integers(0, 256, SIDES).astype(np.uint8)
    return image, rng.choice([0, 255], SIDES).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for name in SCANS:
        image, mask = scan(name)
        write(tmp_path / "Training Set" / name / "lgemri.nrrd", image)
        write(tmp_path / "Training Set" / name / "laendo.nrrd", mask)
        write(tmp_path / "Training Set" / name / "lawall.nrrd", mask)
    (tmp_path / "Training Set/CASE_0097/desktop.ini").touch()
    return tmp_path


def test_scans_come_back_with_the_cavity(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == list(SCANS)
    for name, case in zip(SCANS, cases, strict=True):
        image, mask = scan(name)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.target["mask"], mask == 255)
        assert (case.image.dtype, case.target["mask"].dtype) == (np.uint8, bool)
        assert case.spacing_mm == (0.625, 0.625, 0.625)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "gz"])
def test_encodings_give_the_same_volume(tmp_path, encoding):
    array = scan("a")[0]
    volume = reader.read_nrrd(write(tmp_path / "a.nrrd", array, encoding=encoding))
    np.testing.assert_array_equal(volume.array, array)
    assert volume.origin_mm == (-27.5, -151.0, -181.0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"extra": "data file: ../../secret.raw\n"}, "data in another file"),
        ({"extra": "datafile: LIST\n"}, "data in another file"),
        ({"encoding": "bzip2"}, "the encoding 'bzip2'"),
        ({"encoding": "hex"}, "the encoding 'hex'"),
        ({"sides": (60_000, 60_000, 60_000)}, "bytes"),
        ({"sides": (600, 160, 180)}, "bytes in a file of"),
        ({"step": "nan"}, "."),
        ({"step": 0.0}, "."),
        ({"kind": "block"}, "."),
    ],
)
def test_absurd_headers_are_refused_before_memory_is_taken(tmp_path, options, problem):
    path = write(tmp_path / "a.nrrd", np.zeros(SIDES, np.uint8), **options)
    tracemalloc.start()
    with pytest.raises(ReplicateError, match=rf"a.nrrd must be a sound NRRD file.*{problem}"):
        reader.read_nrrd(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_text_an_absent_file_and_cut_off_data_are_refused(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, SIDES).astype(np.uint8)
    cut = write(tmp_path / "a.nrrd", array, encoding="raw")
    cut.write_bytes(cut.read_bytes()[:-40])
    text = tmp_path / "b.nrrd"
    text.write_text("NRRD0004\nno header end")
    for path in (cut, text, tmp_path / "absent.nrrd"):
        with pytest.raises(ReplicateError, match=rf"{path.name} must be a sound NRRD file"):
            reader.read_nrrd(path)


def test_damages_are_named(root):
    folder = root / "Training Set" / SCANS[0]
    write(folder / "laendo.nrrd", np.ones(SIDES, np.uint8))
    with pytest.raises(
        ReplicateError, match=r"laendo.nrrd must hold label codes among 0, 255, got 1"
    ):
        reader.load(root)[0]
    write(folder / "laendo.nrrd", np.zeros((6, 16, 17), np.uint8), sides=(6, 16, 17))
    with pytest.raises(ReplicateError, match=r"laendo.nrrd must have the shape \(6, 16, 18\)"):
        reader.load(root)[0]
    (folder / "laendo.nrrd").unlink()
    with pytest.raises(ReplicateError, match=r"must hold one file named laendo.nrrd"):
        reader.load(root)
