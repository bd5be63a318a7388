import itertools
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from PIL import Image

from common.datasets import tiff_windows
from common.datasets.tiff_windows import read_window, slide_shape
from common.errors import ReplicateError

SHAPE = (150, 217)
KINDS = [
    {"compression": compression, "byteorder": order, "predictor": predictor, **place}
    for (compression, predictor), order, place in itertools.product(
        [(None, None), ("zlib", None), ("zlib", True)],
        ["<", ">"],
        [{"tile": (32, 48)}, {"rowsperstrip": 7}, {"rowsperstrip": SHAPE[0]}],
    )
]


def slide(dtype=np.uint8):
    rows, columns = np.indices(SHAPE)
    return (rows * 251 + columns * 7).astype(dtype)


def whole(path):
    return read_window(path, top=0, left=0, height_px=SHAPE[0], width_px=SHAPE[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_windows_of_every_kind_of_file_are_those_of_the_whole(tmp_path, dtype, kind):
    path, array = tmp_path / "a.tif", slide(dtype)
    tifffile.imwrite(path, array, **kind)
    np.testing.assert_array_equal(whole(path), array)
    window = read_window(path, top=31, left=47, height_px=34, width_px=50)
    np.testing.assert_array_equal(window, array[31:65, 47:97])
    assert window.dtype == dtype
    assert window.dtype.isnative


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_what_libtiff_compressed_is_read(tmp_path, compression):
    Image.fromarray(slide()).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(whole(tmp_path / "a.tif"), slide())


def test_what_lies_beyond_the_slide_is_black(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", slide(), tile=(32, 48))
    window = read_window(tmp_path / "a.tif", top=-4, left=200, height_px=200, width_px=30)
    np.testing.assert_array_equal(window[4:154, :17], slide()[:, 200:])
    assert not window[:4].any()
    assert not window[154:].any()
    assert not window[:, 17:].any()
    assert not read_window(tmp_path / "a.tif", top=150, left=0, height_px=5, width_px=5).any()
    assert slide_shape(tmp_path / "a.tif") == SHAPE


def test_a_slide_that_was_replaced_is_read_anew(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", slide())
    assert slide_shape(tmp_path / "a.tif") == SHAPE
    tifffile.imwrite(tmp_path / "a.tif", slide()[:40], tile=(16, 16))
    assert slide_shape(tmp_path / "a.tif") == (40, SHAPE[1])


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, -1), (1 << 20, 1 << 20)])
def test_an_empty_and_a_giant_window_are_errors_of_the_caller(tmp_path, height, width):
    tifffile.imwrite(tmp_path / "a.tif", slide())
    with pytest.raises(ValueError, match="a window must have from 1 to"):
        read_window(tmp_path / "a.tif", top=0, left=0, height_px=height, width_px=width)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 20, 3), np.uint8), "3 channels of 8 bit"),
        (np.zeros((20, 20), np.float32), "1 channels of 32 bit"),
        (np.zeros((20, 20), np.int16), "1 channels of 16 bit"),
    ],
)
def test_colour_and_other_numbers_are_refused(tmp_path, array, message):
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(ReplicateError, match=f"a.tif must be a sound TIFF slide, got: {message}"):
        slide_shape(tmp_path / "a.tif")


def test_another_compression_is_refused_with_the_remedy(tmp_path):
    Image.fromarray(slide()).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(ReplicateError, match=r"compression 7, .*convert it to an uncompressed"):
        whole(tmp_path / "a.tif")


def patch(path, tag, value):
    """Change the first value of a tag in the first directory of a little-endian file."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[tag].offset
    kind = struct.unpack_from("<H", data, offset + 2)[0]
    struct.pack_into("<I" if kind == 4 else "<H", data, offset + 8, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        ("ImageLength", 60_000, "parts of"),
        ("ImageWidth", 0, "got: "),
        ("ImageWidth", 65_000, "part 0 of"),
        ("StripOffsets", 1 << 30, "parts that end behind"),
    ],
)
def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path, tag, value, message):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, slide(), byteorder="<", rowsperstrip=SHAPE[0])
    patch(path, tag, value)
    with pytest.raises(ReplicateError, match=message):
        read_window(path, top=0, left=0, height_px=5, width_px=5)


def test_compressed_parts_are_not_unpacked_beyond_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, slide(), compression="zlib", rowsperstrip=SHAPE[0])
    monkeypatch.setattr(tiff_windows, "MAX_SEGMENT_BYTES", 10_000)
    with pytest.raises(ReplicateError, match="compressed parts of 32,550 bytes, limit 10,000"):
        whole(path)


def test_damaged_compressed_data_and_no_tiff_at_all_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, slide(), compression="zlib", rowsperstrip=SHAPE[0])
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        first = file.pages[0].dataoffsets[0]
    data[first : first + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(ReplicateError, match=r"a.tif must be a sound TIFF slide"):
        whole(path)
    path.write_bytes(b"II*\0")
    with pytest.raises(ReplicateError, match=r"a.tif must be a sound TIFF slide"):
        whole(path)
    with pytest.raises(ReplicateError, match="No such file"):
        whole(tmp_path / "absent.tif")


# the peak of resource.getrusage would count the parent's memory too, from before the exec
READ_ALL = """
    import sys
    from pathlib import Path
    import numpy, tifffile
    from PIL import Image
    from common.datasets.lks_slides import overview
    from common.datasets.tiff_windows import read_window

    def peak():
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    before, path, side = peak(), Path(sys.argv[1]), 12_000
    total = sum(
        int(read_window(path, top=top, left=left, height_px=1500, width_px=1500).sum())
        for top in range(0, side, 1500)
        for left in range(0, side, 1500)
    )
    small = overview(path, top=0, left=0, side_px=side, shrink=40)
    print(total, int(small[7, 290]), small.shape[0], peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read where Linux keeps it")
@pytest.mark.parametrize("place", [{"tile": (512, 512), "compression": "zlib"}, {}], ids=str)
def test_memory_stays_small_while_a_large_slide_is_read(tmp_path, place):
    path, side = tmp_path / "large.tif", 12_000
    # 144 MB; every block of 40 x 40 pixels has one value
    array = np.repeat(np.repeat(np.arange(90_000).reshape(300, 300) % 251, 40, 0), 40, 1)
    array = array.astype(np.uint8)
    tifffile.imwrite(path, array, compressionargs={"level": 1} if place else None, **place)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ_ALL), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    total, block, n_blocks, grown_mb = map(int, run.stdout.split())
    assert total == int(array.sum(dtype=np.int64))
    assert (block, n_blocks) == (int(array[7 * 40, 290 * 40]), side // 40)
    assert grown_mb < 130, f"{grown_mb} MB for a slide of 137 MB"
