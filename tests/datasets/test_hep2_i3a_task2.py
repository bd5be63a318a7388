"""The reader on files in the report's format, and the dials of the phantom, measured."""

import numpy as np
import pytest
from PIL import Image

from common.datasets.hep2_i3a_task2 import CLASSES, load, phantom
from common.datasets.hep2_phantom import PATIENTS_PER_PATTERN
from common.errors import ReplicateError

SIZE = 384
NAMES = {
    "00013_p0_patch0": ("homogeneous ", "intermediate"),
    "00013_p3_patch14": ("homogeneous ", "intermediate"),
    "00224_p1_patch7": ("numem ", "positive"),
}


def write(folder, names=NAMES):
    """Patches, masks and the list as the report has them: no header, a blank behind patterns."""
    rng = np.random.default_rng(0)
    images = {}
    for name in names:
        images[name] = rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
        mask = np.where(images[name] > 128, 255, 0).astype(np.uint8)
        Image.fromarray(images[name]).save(folder / f"{name}.tif")
        Image.fromarray(mask).save(folder / f"{name}_Mask.tif")
    lines = [f"{name}.tif,{name}_Mask.tif,{a},{b}" for name, (a, b) in NAMES.items()]
    listed = folder / "final_patches.csv"
    listed.write_text("\n".join(lines) + "\n")
    return images, listed


def test_patches_are_read_with_mask_pattern_intensity_and_patient(tmp_path):
    images, listed = write(tmp_path)
    cases = load(tmp_path, labels=listed)
    assert cases.table["cluster"].tolist() == ["00013", "00013", "00224"]
    assert cases.table[["specimen", "patch"]].to_numpy().tolist() == [[0, 0], [3, 14], [1, 7]]
    for case in cases:
        np.testing.assert_array_equal(case.image[0], images[case.case])
        np.testing.assert_array_equal(case.target["mask"], images[case.case] > 128)
    assert [CLASSES[case.target["label"]] for case in cases] == ["homogeneous"] * 2 + ["numem"]
    assert [case.target["intensity"] for case in cases] == [0, 0, 1]


def test_a_patch_that_is_not_listed_is_refused(tmp_path):
    _, listed = write(tmp_path, [*NAMES, "00001_p0_patch0"])
    with pytest.raises(ReplicateError, match=r"00001_p0_patch0\.tif must be named"):
        load(tmp_path, labels=listed)


def test_a_missing_or_other_mask_is_refused(tmp_path):
    _, listed = write(tmp_path)
    mask = tmp_path / "00013_p0_patch0_Mask.tif"
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(mask)
    with pytest.raises(ReplicateError, match=r"as large as its mask, got \(384, 384\) and \(10"):
        load(tmp_path, labels=listed)[0]
    mask.unlink()
    with pytest.raises(ReplicateError, match=r"00013_p0_patch0_Mask\.tif must be a sound image"):
        load(tmp_path, labels=listed)[0]


def test_an_unknown_pattern_names_its_line(tmp_path):
    _, listed = write(tmp_path)
    listed.write_text(listed.read_text().replace("numem ", "nuclear"))
    with pytest.raises(ReplicateError, match=r"final_patches\.csv:3 must name one of homogeneous"):
        load(tmp_path, labels=listed)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    _, listed = write(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReplicateError, match="replicate data describe hep2-i3a-task2"):
        load(tmp_path / "empty", labels=listed)


# --- the phantom -------------------------------------------------------------------------------


def arrays(n=42, **changed):
    return phantom(n, 0, **{"size": 48, "n_specimens": 1, "n_patches": 1, **changed}).arrays()


def test_patterns_and_intensities_come_in_the_contests_proportions():
    table = phantom(252, 0, size=48, n_specimens=4, n_patches=15).table
    assert len(table) == 252 * 60
    patients = table.drop_duplicates("cluster")
    assert np.bincount(patients["label"]).tolist() == list(PATIENTS_PER_PATTERN)
    assert patients["intensity"].mean() == pytest.approx(110 / 252, abs=0.08)


def between_patterns(evidence: float) -> float:
    """How far fine structure differs between patterns, relative to differences inside them."""
    found = arrays(84, evidence=evidence, debris=0.0, patient_sd=0.2)
    image = found["image"][:, 0]
    fine = np.abs(np.diff(image, axis=2)).mean(axis=(1, 2)) / image.mean(axis=(1, 2))
    groups = [fine[found["label"] == label] for label in range(len(CLASSES))]
    inside = np.mean([group.var() for group in groups if len(group) > 2])
    return float(np.var([group.mean() for group in groups]) / inside)


def test_evidence_separates_the_patterns_and_its_null_removes_the_difference():
    none, half, whole = (between_patterns(value) for value in (0.0, 0.5, 1.0))
    assert none < 0.5
    assert none < half < whole


def brightness_gap(shift: float) -> float:
    found = arrays(126, intensity_shift=shift, patient_sd=0.5, debris=0.0)
    bright = np.log(found["image"].mean(axis=(1, 2, 3)))
    return bright[found["intensity"] == 1].mean() - bright[found["intensity"] == 0].mean()


def test_the_intensity_shift_is_seen_in_brightness_and_its_null_removes_it():
    assert abs(brightness_gap(0.0)) < 0.12
    assert brightness_gap(0.4) < brightness_gap(0.8)
    assert brightness_gap(0.8) > 0.3


def light_outside(debris: float) -> float:
    found = arrays(42, debris=debris)
    outside = ~found["mask"]
    return float(np.percentile(found["image"][:, 0][outside], 97))


def test_debris_lights_up_outside_the_mask():
    assert light_outside(0.0) < light_outside(0.3) < light_outside(0.7)


def contrast_of_mask(shared: float) -> float:
    found = arrays(42, shared=shared, debris=0.0)
    image, mask = found["image"][:, 0], found["mask"]
    kept = mask.any(axis=(1, 2)) & ~mask.all(axis=(1, 2))
    inside = [
        one[m].mean() - one[~m].mean() for one, m in zip(image[kept], mask[kept], strict=True)
    ]
    return float(np.mean(inside))


def test_masks_mark_the_nuclei_where_the_dial_says_so():
    assert contrast_of_mask(0.0) < contrast_of_mask(1.0)


def spread_of_patients(patient_sd: float) -> float:
    found = arrays(84, patient_sd=patient_sd, intensity_shift=0.0, evidence=0.0, debris=0.0)
    return float(np.log(found["image"].mean(axis=(1, 2, 3))).std())


def test_patients_differ_by_the_dial_and_are_alike_at_its_null():
    assert spread_of_patients(0.0) < 0.4 * spread_of_patients(1.0) < 0.4 * spread_of_patients(2.0)


def test_patches_of_one_specimen_come_from_one_image():
    whole = phantom(2, 3, size=48, n_specimens=1, n_patches=15)
    apart = [case.image for case in whole][::-1]
    backward = [whole[position].image for position in range(len(whole) - 1, -1, -1)]
    for one, other in zip(apart, backward, strict=True):
        np.testing.assert_array_equal(one, other)
