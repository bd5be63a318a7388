"""The arms of the ToFi-ML chapter: what is trained on what, and what is done before the split."""

from dataclasses import dataclass
from typing import Literal

from common.models.tofi_ml_pipelines import Pipeline

Before = Literal["", "under", "over", "smote", "select"]
Target = Literal["label", "grade"]

PLAIN = Pipeline()  # XGBoost on all features
N_SELECTED = {"dr": 159, "amd": 58}  # Section 5.2
N_GRID = (10, 25, 50, 255)  # beside the paper's 100 thresholds


@dataclass(frozen=True)
class Arm:
    """One arm.

    Args:
        name: as in ``paper.yml``.
        x: the feature matrix of the study, or ``photos`` for the network.
        pipeline: see :class:`common.models.tofi_ml_pipelines.Pipeline`.
        before: what is done to all images before they are dealt into folds: nothing, the commoner
            class undersampled, the rarer one repeated or extended by SMOTE, or features selected.
            Only undersampling leaves the test images honest.
        target: ``label`` (two classes) or ``grade`` (five).
        per_image: whether ``correct`` and ``score`` are recorded for every image.
        shifted: whether it is also tested on the study's altered images.
        single: whether it is also run on the one split of the paper.
    """

    name: str
    x: str = "all"
    pipeline: Pipeline = PLAIN
    before: Before = ""
    target: Target = "label"
    per_image: bool = False
    shifted: bool = False
    single: bool = False


def retinopathy() -> tuple[Arm, ...]:
    """List the arms on images with and without retinopathy (APTOS in the paper)."""
    select = Pipeline(n_selected=N_SELECTED["dr"])
    return (
        *(Arm(f"dr-{x}", x, single=True) for x in ("gray1", "gray01", "rgb")),
        Arm("dr-all", per_image=True, single=True),
        Arm("dr-select", pipeline=select, per_image=True, single=True),
        Arm("dr5-select", pipeline=select, target="grade", per_image=True, single=True),
        Arm("dr-rf", pipeline=Pipeline("forest")),
        Arm("dr-knn", pipeline=Pipeline("knn")),
        *(Arm(f"dr-n{n}", f"n{n}") for n in N_GRID),
        Arm("dr-super", "super"),
        Arm("dr-own-grid", "own_grid"),
        Arm("dr-cnn", "photos", per_image=True),
        Arm("dr5-cnn", "photos", target="grade", per_image=True),
    )


def degeneration() -> tuple[Arm, ...]:
    """List the arms on images with and without macular degeneration (IChallenge-AMD)."""
    select = Pipeline(n_selected=N_SELECTED["amd"])
    over = Pipeline(n_selected=N_SELECTED["amd"], balance="smote")
    return (
        *(Arm(f"amd-{x}", x, single=True) for x in ("gray1", "gray01", "rgb")),
        Arm("amd-all", per_image=True, single=True),
        Arm("amd-select", pipeline=select, per_image=True, shifted=True, single=True),
        Arm("amd-smote", pipeline=over, per_image=True, single=True),
        Arm("amd-smote-leak", pipeline=select, before="smote"),
        Arm("amd-select-leak", before="select"),
        Arm("amd-rf", pipeline=Pipeline("forest")),
        Arm("amd-knn", pipeline=Pipeline("knn")),
        Arm("amd-luma", "luma"),
        Arm("amd-cnn", "photos", per_image=True, shifted=True),
    )


def glaucoma() -> tuple[Arm, ...]:
    """List the arms on images with and without glaucoma (ORIGA), where the paper uses kNN."""
    near = Pipeline("knn")
    return (
        Arm("gl-knn", pipeline=near, per_image=True, single=True),
        Arm("gl-under", pipeline=Pipeline("knn", balance="under"), per_image=True),
        Arm("gl-test-k", pipeline=Pipeline("knn_test"), per_image=True),
        Arm("gl-leak", pipeline=near, before="over"),
        *(Arm(f"gl-{x}", x, near, "under", single=True) for x in ("gray1", "gray01", "rgb")),
        Arm("gl-all", "all", near, "under", single=True),
        Arm("gl-cnn", "photos", before="under"),
    )


def sizes() -> dict[str, tuple[Arm, ...]]:
    """List the arms of the size dial, by the set of images that each is run on."""
    return {
        "single": (Arm("size-single"),),
        "mixed": (Arm("size-mixed"),),
        "null": (Arm("size-null", per_image=True),),
        "confounded": (
            Arm("size-confounded", per_image=True),
            Arm("size-only", "side", per_image=True),
        ),
        "normalised": (Arm("size-normalised", per_image=True),),
    }
