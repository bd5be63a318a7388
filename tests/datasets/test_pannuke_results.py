"""Scores on PanNuke: the real files, and small ones in the same structure."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.datasets import pannuke_results as reader
from common.errors import ReplicateError

N_IMAGES = {"split1": 5, "split3": 3}
TISSUES = ("Adrenal_gland", "Breast", "Bile-duct", "Breast", "HeadNeck")
PLACES = (
    "CellViTHV/ViT256/Best-Setting",
    "CellViTHV/SAM-H",
    "CellViTStarDist/RN50/Our-Setting",
    "CellViTStarDist/RN50/CPP-Net-Setting",
)


def path_of(root: Path, place: str, fold: int) -> Path:
    return root / "cellvit" / place / f"Fold-{fold}" / "inference_results.json"


def scores(place: str, fold: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng([fold, len(place)])
    prefix, n = (0, N_IMAGES["split3"]) if fold == 3 else (2, N_IMAGES["split1"])
    return {
        f"{prefix}_{i}.png": dict(zip(("Dice", "Jaccard", "bPQ"), rng.random(3), strict=True))
        for i in range(n)
    }


def write_scores(path: Path, metrics: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"dataset": {}, "image_metrics": metrics}))


@pytest.fixture
def root(tmp_path) -> Path:
    for split, n in N_IMAGES.items():
        (tmp_path / "types" / split).mkdir(parents=True)
        np.save(tmp_path / "types" / split / "types.npy", np.array(TISSUES[:n]))
    for place in PLACES:
        for fold in (1, 2, 3):
            write_scores(path_of(tmp_path, place, fold), scores(place, fold))
    return tmp_path


@pytest.fixture
def real(mirror):
    return reader.load(mirror(reader.DATASET))


def test_the_real_scores_are_2722_2722_and_2656_a_model(real):
    counts = real.groupby(["model", "fold"]).size().unstack()
    assert counts.to_numpy().tolist() == [[2722, 2722, 2656]] * 4
    assert len(real) == 32400


def test_real_tissue_means_are_those_that_the_files_print(mirror, real):
    folder = mirror(reader.DATASET)
    for model, place in reader.MODELS.items():
        for fold in (1, 2, 3):
            printed = json.loads(path_of(folder, place, fold).read_text())["tissue_metrics"]
            part = real[(real["model"] == model) & (real["fold"] == fold)]
            means = part.groupby(part["tissue"].str.lower())[["dice", "jaccard", "bpq"]].mean()
            assert sorted(printed) == means.index.tolist()
            for tissue, values in printed.items():
                wanted = [values["Dice"], values["Jaccard"], values["bPQ"]]
                np.testing.assert_allclose(means.loc[tissue], wanted, rtol=1e-6)


def test_the_real_folds_1_and_2_hold_the_same_images_and_other_scores(real):
    one = real[(real["model"] == "cellvit-256") & (real["fold"] == 1)]
    two = real[(real["model"] == "cellvit-256") & (real["fold"] == 2)]
    assert one["case"].tolist() == two["case"].tolist()
    assert not np.array_equal(one["dice"], two["dice"])
    three = real[real["fold"] == 3]
    assert set(three["case"]).isdisjoint(one["case"])


def test_real_images_without_nuclei_have_no_quality_and_a_dice_of_zero(real):
    empty = real[real["bpq"].isna()]
    assert len(empty) == 4 * (114 + 114 + 116)
    assert (empty["dice"] == 0).all()
    assert real[real["jaccard"].isna()].index.isin(empty.index).all()


def test_scores_and_tissues_come_back(root):
    table = reader.load(root)
    assert list(table.columns) == [
        "model",
        "fold",
        "test_fold",
        "case",
        "tissue",
        "dice",
        "jaccard",
        "bpq",
    ]
    assert len(table) == 4 * (5 + 5 + 3)
    row = table[(table["model"] == "stardist-rn50") & (table["fold"] == 3)].iloc[2]
    wanted = scores(PLACES[2], 3)["0_2.png"]
    assert row[["case", "tissue"]].tolist() == ["0_2", "Bile-duct"]
    assert row[["dice", "jaccard", "bpq"]].tolist() == list(wanted.values())
    assert table.groupby("fold")["test_fold"].unique().map(list).tolist() == [[3], [3], [1]]


def test_undefined_scores_become_nan(root):
    metrics = scores(PLACES[1], 1)
    metrics["2_3.png"]["bPQ"] = float("nan")
    write_scores(path_of(root, PLACES[1], 1), metrics)
    table = reader.load(root)
    absent = table[table["bpq"].isna()]
    assert absent[["model", "fold", "case"]].to_numpy().tolist() == [["cellvit-sam-h", 1, "2_3"]]


def test_an_absent_file_is_named(root):
    path_of(root, PLACES[0], 2).unlink()
    with pytest.raises(ReplicateError, match=r"Fold-2/inference_results.json must be a sound JSON"):
        reader.load(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: scores(PLACES[0], 3),
        lambda found: dict(list(found.items())[:-1]),
        lambda found: dict(reversed(found.items())),
        lambda found: [],
    ],
)
def test_the_images_of_another_fold_or_order_are_refused(root, change):
    write_scores(path_of(root, PLACES[0], 1), change(scores(PLACES[0], 1)))
    with pytest.raises(ReplicateError, match=r"must hold image_metrics of 2_0.png to 2_4.png"):
        reader.load(root)


@pytest.mark.parametrize("value", [1.5, -0.1])
def test_a_score_that_is_no_fraction_is_refused(root, value):
    metrics = scores(PLACES[3], 2)
    metrics["2_1.png"]["Jaccard"] = value
    write_scores(path_of(root, PLACES[3], 2), metrics)
    with pytest.raises(ReplicateError, match=f"must hold fractions from 0 to 1, got .*{value}"):
        reader.load(root)


def test_an_image_without_a_score_is_refused(root):
    metrics = scores(PLACES[3], 2)
    del metrics["2_1.png"]["bPQ"]
    write_scores(path_of(root, PLACES[3], 2), metrics)
    with pytest.raises(ReplicateError, match="must hold Dice, Jaccard, bPQ of every image"):
        reader.load(root)


def test_a_tissue_list_of_numbers_is_refused(root):
    np.save(root / "types/split3/types.npy", np.arange(3))
    with pytest.raises(ReplicateError, match="must hold one tissue name an image, got int64"):
        reader.load(root)
