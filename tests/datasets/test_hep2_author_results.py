import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common import records
from common.datasets import hep2_author_results as reader
from common.datasets.hep2_author_results import CONFIGS, CONFIGURATIONS, load, outcome, to_records
from common.datasets.hep2_fold_lists import FOLDS, INTENSITIES, PATTERNS
from common.errors import ReplicateError

DATASET = "hep2-author-results"
LISTS = "source/dataset/crossValidationTables"
METRICS = "mask_loss,mask_accuracy,label_loss,label_accuracy,intensity_loss,intensity_accuracy"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lines_of(patient: int, label: int, intensity: int) -> list[str]:
    """The 60 lines of one patient; like the authors', a pattern ends in a space."""
    return [
        f"{patient:05d}_p{specimen}_patch{patch}.tif,{patient:05d}_p{specimen}_patch{patch}_Mask.tif,"
        f"{PATTERNS[label]} ,{INTENSITIES[intensity]}\n"
        for specimen in range(4)
        for patch in range(15)
    ]


def write_fold(root: Path, config, fold: str, truth: np.ndarray, rng) -> None:
    """Write the files of one test fold; ``truth`` (n, 2) holds the true codes."""
    label = np.where(rng.random(len(truth)) < 0.8, truth[:, 0], rng.integers(0, 7, len(truth)))
    intensity = np.where(rng.random(len(truth)) < 0.8, truth[:, 1], 1 - truth[:, 1])
    score = np.float32(rng.integers(120_000, 147_457, len(truth)) / 147_456)
    scored = config.series > 1
    rows = [
        (f"{float(s)}," if scored else "") + f"{t[0]},{p},{t[1]},{q}\n"
        for s, t, p, q in zip(score, truth, label, intensity, strict=True)
    ]
    header = (
        "dice_score," * scored + "label_true,label_predicted,intensity_true,intensity_predicted\n"
    )
    write(config.file(root, fold, "test_history.csv"), header + "".join(rows))
    right = (label == truth[:, 0]).mean(), (intensity == truth[:, 1]).mean()
    write(
        config.file(root, fold, "test_report.txt"),
        f"{config.stem(fold)}_Test Report\n{len(truth)} samples in the test set\n"
        f"dice score min value:{score.min()}\ndice score mean value:{score.mean()}\n"
        f"dice score max value:{score.max()}\n label classification accuracy %: {right[0]}\n"
        f" intensity classification accuracy %: {right[1]}",
    )
    for endpoint, column, guess, n in (("label", 0, label, 7), ("intensity", 1, intensity, 2)):
        counts = np.zeros((n, n), dtype=np.int64)
        np.add.at(counts, (truth[:, column], guess), 1)
        path = config.matrix(root, fold, endpoint)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, counts)


def write_release(root: Path) -> Path:
    """Write a release of ten patients (two a fold) in the published format."""
    rng = np.random.default_rng(7)
    patients = {number: (number % 7, number % 2) for number in range(1, 11)}
    lists = {number: lines_of(number, *codes) for number, codes in patients.items()}
    write(root / "source/dataset/final_patches.csv", "".join(itertools.chain(*lists.values())))
    for place, fold in enumerate(FOLDS):
        tested = (place + 1, place + 6)
        test = [line for number in tested for line in lists[number]]
        train = [line for number in patients if number not in tested for line in lists[number]]
        write(root / f"{LISTS}/test/fold{fold}_test.csv", "".join(test))
        write(root / f"{LISTS}/train/fold{fold}_train.csv", "".join(train))
        truth = np.repeat([patients[number] for number in tested], 60, axis=0)
        for config in CONFIGURATIONS:
            write_fold(root, config, fold, truth, rng)
            epochs = "".join(f"{e},0.2,0.9,{e}.5,0.5,0.3,0.8\n" for e in range(config.epochs))
            write(config.file(root, fold, "training_history.csv"), f",{METRICS}\n{epochs}")
    write(CONFIGURATIONS[1].file(root, "D", "training_report.txt"), "Train1_BCE_foldD_Report\n12")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def release(whole, tmp_path) -> Path:
    """A copy of the miniature release that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "release"))


def edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def test_the_six_configurations_come_in_the_order_of_the_reports_figures():
    assert CONFIGS == (
        "dice-30-0.06",
        "bce-30-0.06",
        "dice-35-0.06",
        "bce-35-0.06",
        "dice-30-0.12",
        "bce-30-0.12",
    )


def test_a_release_is_read_row_by_row(whole):
    results = load(whole)
    config = CONFIGURATIONS[5]
    raw = pd.read_csv(config.file(whole, "B", "test_history.csv"))
    part = results.patches.query("config == 'bce-30-0.12' and fold == 'B'")
    for column in ("label_true", "label_predicted", "intensity_true", "intensity_predicted"):
        assert part[column].tolist() == raw[column].tolist()
    assert part["pixel_accuracy"].tolist() == raw["dice_score"].tolist()
    assert part["patch"].iloc[[0, 16, 119]].tolist() == [
        "00002_p0_patch0",
        "00002_p1_patch1",
        "00007_p3_patch14",
    ]
    assert part["specimen"].iloc[[0, 16]].tolist() == ["00002_p0", "00002_p1"]
    assert part["patient"].iloc[[59, 60]].tolist() == ["00002", "00007"]


def test_files_without_a_score_give_nan(whole):
    patches = load(whole).patches
    without = patches["config"].isin(["dice-30-0.06", "bce-30-0.06"])
    assert (patches["pixel_accuracy"].isna() == without).all()


def test_the_patient_table_holds_fold_and_codes(whole):
    patients = load(whole).patients
    assert patients["patient"].tolist()[:3] == ["00001", "00006", "00002"]
    assert patients["fold"].tolist() == list("AABBCCDDEE")
    assert patients["label"].tolist()[:3] == [1, 6, 2]
    assert patients["intensity"].tolist()[:3] == [1, 0, 0]


def test_training_counts_epochs_from_one(whole):
    training = load(whole).training
    assert list(training.columns) == ["config", "fold", "epoch", "metric", "value"]
    assert len(training) == 5 * 6 * (4 * 30 + 2 * 35)
    part = training.query("config == 'dice-35-0.06' and fold == 'C' and metric == 'label_loss'")
    assert part["epoch"].tolist() == list(range(1, 36))
    assert part["value"].tolist() == [epoch + 0.5 for epoch in range(35)]


def test_reports_agree_with_the_predictions(whole):
    results = load(whole)
    right = outcome(results, "intensity").reshape(6, 5, 120).mean(axis=2)
    assert results.reports["n"].tolist() == [120] * 30
    np.testing.assert_allclose(results.reports["intensity_accuracy"], right.ravel())


def test_outcomes_are_nested_by_configuration_patient_specimen_and_patch(whole):
    results = load(whole)
    both, label = outcome(results, "both"), outcome(results, "label")
    assert both.shape == (6, 10, 4, 15)
    np.testing.assert_array_equal(both, label * outcome(results, "intensity"))
    row = results.patches.query("config == 'bce-35-0.06' and patch == '00008_p2_patch7'").iloc[0]
    place = results.patients["patient"].tolist().index("00008")
    assert label[3, place, 2, 7] == (row["label_true"] == row["label_predicted"])
    assert 0 < label.mean() < 1


def test_an_unknown_endpoint_is_refused(whole):
    with pytest.raises(ReplicateError, match="`endpoint` must be label, intensity or both"):
        outcome(load(whole), "mask")


def test_records_hold_every_value_once_and_nothing_else(whole):
    results = load(whole)
    table = to_records(results, run="r1", profile="standard")
    checked = records.check(table)
    assert list(table.columns) == list(records.COLUMNS)
    assert len(table) == 600 * (6 * 3 + 4)
    constant = table[["paper", "run", "profile", "source", "seed"]].drop_duplicates()
    assert constant.to_numpy().tolist() == [["hep2", "r1", "standard", "authors", 0]]
    assert (checked["value"] == table["value"]).all()
    assert table["value"].notna().all()
    for metric, endpoint in (("label_correct", "label"), ("both_correct", "both")):
        values = table.loc[table["metric"] == metric, "value"].to_numpy()
        np.testing.assert_array_equal(values, outcome(results, endpoint).ravel())
    row = table[(table["arm"] == "bce-30-0.12") & (table["case"] == "00005_p3_patch14")]
    assert row["metric"].tolist() == [
        "label_correct",
        "intensity_correct",
        "both_correct",
        "pixel_accuracy",
    ]
    assert row[["fold", "cluster", "group"]].drop_duplicates().to_numpy().tolist() == [
        ["E", "00005", "numem"]
    ]
    source = results.patches.query("config == 'bce-30-0.12' and patch == '00005_p3_patch14'")
    assert row["value"].iloc[3] == source["pixel_accuracy"].iloc[0]


HISTORY = "results/Dice/35epochs_alpha0,06/foldC/Train2_Dice_foldC_test_history.csv"
PLAIN = "results/BCE/30epochs_alpha0,06/foldA/Train1_BCE_foldA_test_history.csv"
TRAINING = "results/BCE/30epochs_alpha0,12/foldE/Train3_BCE_foldE_training_history.csv"
REPORT = "results/BCE/30epochs_alpha0,12/foldE/Train3_BCE_foldE_test_report.txt"
TEST_LIST = f"{LISTS}/test/foldB_test.csv"
TRAIN_LIST = f"{LISTS}/train/foldB_train.csv"


def swap_label(line: str, name: str) -> str:
    image, mask, _, intensity = line.split(",")
    return f"{image},{mask},{name} ,{intensity}"


DAMAGES = {
    "a row is missing": (HISTORY, lambda lines: lines[:-1], "120 rows(.|\n)*got: 119 rows"),
    "a row is cut between cells": (
        HISTORY,
        lambda lines: [*lines[:-1], lines[-1][:-5]],
        "fewer in line 121",
    ),
    "a row is cut inside its first cell": (
        HISTORY,
        lambda lines: [*lines[:60], lines[60][:5]],
        "fewer in line 61",
    ),
    "a column is unknown": (
        PLAIN,
        lambda lines: [lines[0].replace("label_predicted", "label_logit"), *lines[1:]],
        "columns label_true, label_predicted(.|\n)*got: label_true, label_logit",
    ),
    "a column was inserted": (
        PLAIN,
        lambda lines: [lines[0], *("7," + line for line in lines[1:])],
        "rows with more cells",
    ),
    "one row has a cell too many": (
        PLAIN,
        lambda lines: [*lines[:9], "9," + lines[9], *lines[10:]],
        "line 10",
    ),
    "the file is empty": (PLAIN, lambda lines: [], "damaged file"),
    "a true label differs": (
        PLAIN,
        lambda lines: [*lines[:5], "5" + lines[5][1:], *lines[6:]],
        "label_true 1 in line 6, as for patch 00001_p0_patch4(.|\n)*got: 5; 1 lines differ",
    ),
    "a true intensity differs": (
        PLAIN,
        lambda lines: [*lines[:5], "1,1,0,0\n", *lines[6:]],
        "intensity_true 1 in line 6",
    ),
    "a code is out of range": (
        PLAIN,
        lambda lines: [*lines[:5], "1,7,1,0\n", *lines[6:]],
        "label_predicted: codes from 0 to 6",
    ),
    "a code is text": (
        PLAIN,
        lambda lines: [*lines[:5], "1,golgi,1,0\n", *lines[6:]],
        "label_predicted: codes from 0 to 6",
    ),
    "a score is no fraction": (
        HISTORY,
        lambda lines: [lines[0], "1.5" + lines[1][lines[1].index(",") :], *lines[2:]],
        "dice_score: fractions from 0 to 1",
    ),
    "a training history is cut off": (
        TRAINING,
        lambda lines: lines[:-1],
        "epochs 0 to 29(.|\n)*got: 29 rows",
    ),
    "a test report is cut off": (REPORT, lambda lines: lines[:4], "only n, pixel_accuracy_min"),
    "a list is cut off": (TEST_LIST, lambda lines: lines[:-1], "got: 59 for patient 00007"),
    "a list is cut inside a line": (
        TEST_LIST,
        lambda lines: [*lines[:-1], lines[-1][:-4]],
        "in line 120",
    ),
    "a list has an unknown pattern": (
        TEST_LIST,
        lambda lines: [swap_label(lines[0], "cytoplasmic"), *lines[1:]],
        "cytoplasmic .*in line 1",
    ),
    "a patient has two labels": (
        TEST_LIST,
        lambda lines: [swap_label(lines[0], "golgi"), *lines[1:]],
        "two for patient 00002",
    ),
    "a patient has another label than elsewhere": (
        TEST_LIST,
        lambda lines: [*(swap_label(line, "golgi") for line in lines[:60]), *lines[60:]],
        "00002_p0_patch0, unknown or with other labels",
    ),
    "a patch stands twice": (
        TEST_LIST,
        lambda lines: [*lines, lines[-1]],
        "got: 61 for patient 00007",
    ),
    "patches are out of order": (
        TEST_LIST,
        lambda lines: [lines[1], lines[0], *lines[2:]],
        "patch 00002_p0_patch0 in line 1(.|\n)*got: 00002_p0_patch1",
    ),
    "a patient is in both train and test": (
        TRAIN_LIST,
        lambda lines: [*lines, *lines_of(7, 0, 1)],
        "got: 1 of them, the first: 00007",
    ),
    "a patient is in neither train nor test": (
        TRAIN_LIST,
        lambda lines: lines[60:],
        "00001_p0_patch0 0 times",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_error_that_names_it_and_the_remedy(release, damage):
    path, change, said = DAMAGES[damage]
    edit(release / path, change)
    with pytest.raises(ReplicateError, match=said) as raised:
        load(release)
    text = str(raised.value)
    assert text.startswith(f"failed check: reading {release / path}")
    assert f"`replicate data fetch {DATASET}`" in text
    assert all(f"\n  {part}: " in text for part in ("expected", "got", "done", "likely cause"))


def test_a_patient_tested_in_two_folds_is_found(release):
    both = (release / f"{LISTS}/test/foldA_test.csv").read_text()
    (release / f"{LISTS}/test/foldB_test.csv").write_text(both)
    train = (release / f"{LISTS}/train/foldA_train.csv").read_text()
    (release / f"{LISTS}/train/foldB_train.csv").write_text(train)
    with pytest.raises(ReplicateError, match=r"reading .*/test\n(.|\n)*00001_p0_patch0 2 times"):
        reader.read_fold_lists(release)


def test_a_missing_file_is_named_with_the_number_of_missing_ones(release):
    shutil.rmtree(release / "results/BCE/35epochs_alpha0,06/foldD")
    with pytest.raises(ReplicateError, match="got: 3 missing") as raised:
        load(release)
    assert "35epochs_alpha0,06/foldD/Train2_BCE_foldD_test_history.csv" in str(raised.value)


def test_an_empty_folder_is_one_readable_error(tmp_path):
    with pytest.raises(ReplicateError, match=r"got: 161 missing(.|\n)*the wrong folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (np.zeros((2, 2), dtype=np.int64), "7 x 7 integers"),
        (np.zeros((7, 7)), "float64"),
        (np.array([{"code": "run"}], dtype=object), "allow_pickle=False"),
    ],
)
def test_a_confusion_matrix_of_another_kind_is_refused(release, counts, said):
    np.save(CONFIGURATIONS[2].matrix(release, "A", "label"), counts, allow_pickle=True)
    with pytest.raises(ReplicateError, match=said):
        load(release)


def test_the_truncated_training_report_does_no_harm(release):
    for path in release.rglob("*_training_report.txt"):
        path.write_bytes(b"\xff")
    assert len(load(release).patches) == 3600


@pytest.fixture(scope="module")
def real(mirror):
    return load(mirror(DATASET))


def test_the_real_release_has_the_published_totals(real):
    assert len(real.patches) == 90_720
    assert len(real.patients) == 252
    assert real.patients.groupby("fold").size().tolist() == [51, 50, 51, 50, 50]
    # Report, section II: patches of each pattern in label order, and of each intensity.
    patches = real.patients["label"].value_counts().sort_index() * 60
    assert patches.tolist() == [3180, 3120, 3000, 3060, 600, 1260, 900]
    assert (real.patients["intensity"].value_counts().sort_index() * 60).tolist() == [8520, 6600]
    assert "golgi" not in {PATTERNS[code] for code in real.patients.query("fold == 'A'")["label"]}


def test_the_real_fold_accuracies_are_those_of_the_test_files_not_of_the_printed_table(real):
    label, intensity = (fold_means(real, endpoint) for endpoint in ("label", "intensity"))
    second = CONFIGS.index("bce-30-0.06")
    np.testing.assert_allclose(label[second, 3:], [0.73067, 0.84667], atol=5e-6)
    np.testing.assert_allclose(intensity[second, 3:], [0.77967, 0.91500], atol=5e-6)
    # Unweighted means over folds, in the order of CONFIGS.
    np.testing.assert_allclose(
        label.mean(axis=1), [0.8337, 0.8059, 0.8339, 0.8226, 0.8305, 0.8245], atol=6e-5
    )
    np.testing.assert_allclose(
        intensity.mean(axis=1), [0.8218, 0.8219, 0.8206, 0.8348, 0.8198, 0.8349], atol=6e-5
    )


def fold_means(results: reader.Results, endpoint: str) -> np.ndarray:
    right = outcome(results, endpoint)
    fold = results.patients["fold"].to_numpy()
    return np.stack([right[:, fold == name].mean(axis=(1, 2, 3)) for name in FOLDS], axis=1)


def test_the_real_reports_equal_the_test_files(real):
    for endpoint in ("label", "intensity"):
        np.testing.assert_allclose(
            real.reports[f"{endpoint}_accuracy"], fold_means(real, endpoint).ravel(), atol=1e-12
        )
    means = real.patches.groupby(["config", "fold"], observed=True)["pixel_accuracy"].mean()
    stored = means.notna().to_numpy()
    assert stored.sum() == 20
    np.testing.assert_allclose(
        real.reports["pixel_accuracy_mean"][stored], means[stored], atol=1e-6
    )


def test_the_real_confusion_matrices_equal_the_cross_tabulation(real):
    assert len(real.confusion) == 60
    for (config, fold, endpoint), counts in real.confusion.items():
        part = real.patches[(real.patches["config"] == config) & (real.patches["fold"] == fold)]
        tabulated = np.zeros_like(counts)
        np.add.at(tabulated, (part[f"{endpoint}_true"], part[f"{endpoint}_predicted"]), 1)
        np.testing.assert_array_equal(counts, tabulated)


def test_every_real_score_is_a_whole_number_of_pixels_out_of_384_squared(real):
    scores = real.patches["pixel_accuracy"].dropna().to_numpy()
    assert len(scores) == 60_480
    counts = scores * 384**2
    assert np.abs(counts - counts.round()).max() < 0.01


def test_the_real_training_curves_are_complete(real):
    lengths = real.training.groupby(["config", "fold"])["epoch"].max().unstack()
    for config in CONFIGURATIONS:
        assert (lengths.loc[config.id] == config.epochs).all()
    assert len(real.training) == 5 * 6 * (4 * 30 + 2 * 35)
    assert real.training["value"].notna().all()


def test_real_records_count_every_patch_metric_and_configuration(real):
    table = to_records(real, run="r", profile="quick")
    assert len(table) == 3 * 90_720 + 60_480
    patient_224 = table[(table["cluster"] == "00224") & (table["metric"] == "pixel_accuracy")]
    # One region of this patient's reference mask is wrong, so that every network fails there.
    assert patient_224["value"].min() < 0.3
    assert set(patient_224["group"]) == {"numem"}
