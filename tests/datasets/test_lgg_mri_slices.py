import numpy as np
import pytest
from PIL import Image

from common.datasets.lgg_mri_slices import DATASET, load
from common.errors import ReplicateError

SCANS = {"TCGA_DU_7294_19890104": 11, "TCGA_HT_7602_19951103": 2}
HEADER = "Patient,RNASeqCluster,neoplasm_histologic_grade,age_at_initial_pathologic,death01"


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path, rng):
    """TIFF slices of three channels and their masks; the second patient lacks the last sequence."""
    for scan, count in SCANS.items():
        for number in range(1, count + 1):
            image = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
            if "7602" in scan:
                image[..., 2] = image[..., 1]
            save(tmp_path / scan / f"{scan}_{number}.tif", image)
            mask = np.zeros((256, 256), np.uint8)
            mask[:number, 100:110] = 255
            save(tmp_path / scan / f"{scan}_{number}_mask.tif", mask)
    rows = [HEADER, "TCGA_DU_7294,3,2,53,0", "TCGA_HT_7602,1,1,,0"]
    (tmp_path / "data.csv").write_text("\n".join(rows))
    return tmp_path


def test_slices_are_grouped_by_patient_and_ordered_by_number(folder):
    table = load(folder).table
    assert table.groupby("cluster").size().to_dict() == {"TCGA_DU_7294": 11, "TCGA_HT_7602": 2}
    assert table["slice"].tolist() == [*range(1, 12), 1, 2]
    assert table["site"].tolist() == ["DU"] * 11 + ["HT"] * 2


def test_what_is_known_of_a_patient_is_in_every_row(folder):
    table = load(folder).table
    assert set(table.query("site == 'DU'")["age"]) == {53.0}
    assert set(table["grade"]) == {1.0, 2.0}
    assert table.query("site == 'HT'")["age"].isna().all()


def test_pixels_and_masks_come_back_as_written(folder):
    for number, case in enumerate(load(folder)[:11], start=1):
        scan = case.case.rpartition("_")[0]
        stored = np.asarray(Image.open(folder / scan / f"{case.case}.tif"))
        np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))
        assert case.target["mask"].sum() == 10 * number
        assert case.target["mask"][0, 100]


def test_a_channel_that_repeats_flair_is_named(folder):
    cases = load(folder)
    assert cases[0].info["copied"] == ()
    assert cases[12].info["copied"] == ("post",)


def test_a_slice_without_mask_or_of_an_unknown_patient_is_refused(folder):
    scan = folder / "TCGA_HT_7602_19951103"
    mask = scan / "TCGA_HT_7602_19951103_2_mask.tif"
    away = mask.rename(folder / "away.tif")
    with pytest.raises(ReplicateError, match=r"19951103_2.tif must have a mask"):
        load(folder)
    away.rename(mask)
    (folder / "data.csv").write_text(f"{HEADER}\nTCGA_DU_7294,3,2,53,0\n")
    with pytest.raises(ReplicateError, match=r"data.csv must list patient TCGA_HT_7602"):
        load(folder)


def test_a_slice_in_another_patients_folder_is_refused(folder):
    for ending in (".tif", "_mask.tif"):
        name = f"TCGA_HT_7602_19951103_2{ending}"
        (folder / "TCGA_HT_7602_19951103" / name).rename(folder / "TCGA_DU_7294_19890104" / name)
    with pytest.raises(ReplicateError, match="be named after its folder and the slice's number"):
        load(folder)


def test_a_grey_slice_a_small_mask_and_a_broken_file_are_refused(folder):
    home = folder / "TCGA_DU_7294_19890104"
    save(home / "TCGA_DU_7294_19890104_1.tif", np.zeros((256, 256), np.uint8))
    save(home / "TCGA_DU_7294_19890104_2_mask.tif", np.zeros((255, 256), np.uint8))
    (home / "TCGA_DU_7294_19890104_3.tif").write_bytes(b"II*\x00")
    cases = load(folder)
    with pytest.raises(ReplicateError, match="must have three channels"):
        cases[0]
    with pytest.raises(ReplicateError, match="256 x 256 pixels, got 255 x 256"):
        cases[1]
    with pytest.raises(ReplicateError, match="must be a sound image"):
        cases[2]


def test_the_real_slices_are_54_of_two_patients_and_15_show_tumour(mirror):
    cases = load(mirror(DATASET))
    assert cases.table.groupby("cluster").size().to_dict() == {
        "TCGA_DU_7294": 34,
        "TCGA_HT_7602": 20,
    }
    assert cases.table.groupby("cluster")["age"].first().tolist() == [53.0, 21.0]
    tumour = {"TCGA_DU_7294": 0, "TCGA_HT_7602": 0}
    for case in cases:
        assert case.image.shape == (3, 256, 256)
        assert case.info["copied"] == ()
        tumour[case.cluster] += bool(case.target["mask"].any())
    assert tumour == {"TCGA_DU_7294": 8, "TCGA_HT_7602": 7}


def test_the_real_tumours_are_brightest_in_the_channel_that_is_called_flair(mirror):
    cases = load(mirror(DATASET))
    contrast = np.zeros(3)
    for case in cases:
        mask = case.target["mask"]
        brain = (case.image[1] > 30) & ~mask
        if mask.any():
            contrast += [channel[mask].mean() - channel[brain].mean() for channel in case.image]
    assert contrast.argmax() == 1
