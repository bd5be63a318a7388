"""A slide of 40,000 x 40,000 pixels is read whole within a gigabyte of memory."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

SIDE, TILE = 40_000, 1_024
LIMIT_GB = 1.0
# VmHWM is the largest memory of this process alone; getrusage would carry over the parent's
READ = """
import sys
from pathlib import Path
from common.datasets import lks_slides

cases = lks_slides.load(Path(sys.argv[1]))
case = cases[0]
corner, middle = lks_slides.tile(case, 0, 0), lks_slides.tile(case, 20, 20)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(case.image.shape, case.image.max(), corner.max(), middle.max(), peak.split()[1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One slide, dark but for a tile in the middle, compressed to a few megabytes."""
    root = tmp_path_factory.mktemp("lks")
    for part in ("Train", "Test"):
        (root / part).mkdir()
        (root / f"{part}_Labels.csv").write_text("file,class\n")
    (root / "Train_Labels.csv").write_text("file,class\nT01.tif,AMA\n")
    across = -(-SIDE // TILE)
    dark, lit = np.zeros((TILE, TILE), np.uint8), np.full((TILE, TILE), 200, np.uint8)
    lit_at = across * (across // 2) + across // 2
    tifffile.imwrite(
        root / "Train/T01.tif",
        (lit if place == lit_at else dark for place in range(across**2)),
        shape=(SIDE, SIDE),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="zlib",
        compressionargs={"level": 1},
    )
    return root


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_a_slide_of_40000_pixels_is_read_within_a_gigabyte(folder):
    slide = folder / "Train/T01.tif"
    assert slide.stat().st_size < 20e6
    assert tifffile.TiffFile(slide).pages[0].shape == (SIDE, SIDE)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True
    )
    shape, peak_kb = done.stdout.split(")")[0] + ")", int(done.stdout.split()[-1])
    assert shape == "(1, 1000, 1000)"
    brightest, corner, middle = (int(word) for word in done.stdout.split(")")[1].split()[:3])
    # the overview, a dark tile, and one in the lit part
    assert (brightest, corner, middle) == (200, 0, 200)
    assert peak_kb / 1e6 < LIMIT_GB
