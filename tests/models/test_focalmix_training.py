"""Training: targets that flip with their volumes, fair and repeatable batches, learning at all."""

from collections.abc import Iterator

import pytest
import torch

from common.datasets import lung_nodule_phantom
from common.models import focalmix_training
from common.models.detection import BETWEEN, match_anchors
from common.models.focalmix_targets import FLIPS, flip
from common.models.focalmix_training import (
    SUPERVISED,
    Recipe,
    Scans,
    anchors_for,
    detect,
    prepare,
    train,
)
from common.training import runtime

SIZE = 24
CPU = runtime(device="cpu")
SMALL = {"width": 8, "batch_size": 2, "lr": 2e-3, "fabric": CPU}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Volumes this small are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scans() -> Scans:
    cases = list(lung_nodule_phantom.phantom(6, 5, size=SIZE, nodules=2.0))
    image = torch.stack([torch.as_tensor(case.image) for case in cases])
    boxes = [torch.as_tensor(case.target["boxes"]) + 0.5 for case in cases]
    return prepare(image, boxes, anchors_for(SIZE))


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_every_object_has_an_anchor_and_those_between_do_not_count(scans: Scans) -> None:
    anchors = anchors_for(SIZE)
    for i, boxes in enumerate(scans.boxes):
        match = match_anchors(anchors.boxes, boxes)
        assert set(match[scans.target[i] == 1].tolist()) == set(range(len(boxes)))
        assert torch.equal(scans.counted[i] == 0, match == BETWEEN)
    assert (scans.target * scans.counted).sum() == scans.target.sum()
    assert (scans.offsets[scans.target == 0] == 0).all()


@pytest.mark.parametrize("axes", [FLIPS[1], FLIPS[6], FLIPS[7]])
def test_a_flipped_volume_has_the_targets_of_a_volume_that_was_flipped_first(
    scans: Scans, axes: tuple[int, ...]
) -> None:
    anchors = anchors_for(SIZE)
    flipped = scans.flipped([axes] * len(scans.image), anchors)
    again = prepare(flip(scans.image, axes), list(flipped.boxes), anchors)
    assert torch.equal(flipped.image, again.image)
    torch.testing.assert_close(flipped.target, again.target)
    torch.testing.assert_close(flipped.offsets, again.offsets, atol=1e-4, rtol=1e-4)


def test_the_same_seed_gives_the_same_network_and_another_seed_another(scans: Scans) -> None:
    recipe = Recipe(k=2, confident=0.0)  # every prediction is an object: all parts run
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(runs))  # the global state must not matter
        runs.append(train(recipe, scans, scans.image, steps=3, seed=seed, **SMALL))
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert not same(runs[0][0], runs[2][0])


def test_a_run_without_weight_on_unlabelled_volumes_and_without_mixup_is_supervised(
    scans: Scans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(focalmix_training, "normalised", _labelled_only)
    recipe = Recipe(k=1, mix_images=False, mix_objects=False, ramp=1e9)
    other = train(recipe, scans, scans.image, steps=3, seed=0, **SMALL)[0]
    plain = train(SUPERVISED, scans, None, steps=3, seed=0, **SMALL)[0]
    for a, b in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def _labelled_only(loss: torch.Tensor, target: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Divide by the positives of annotated volumes alone, so that both runs divide alike."""
    n = SMALL["batch_size"]
    assert (loss[n:] < 1e-12).all()
    return (loss * counted).sum() / (target[:n] * counted[:n]).sum().clamp(min=1)


def test_the_weight_of_unlabelled_volumes_rises_over_the_ramp(
    scans: Scans, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    inner = focalmix_training._losses

    def spy(*args: object, share: float, **kwargs: object) -> object:
        shares.append(share)
        return inner(*args, share=share, **kwargs)

    monkeypatch.setattr(focalmix_training, "_losses", spy)
    off = {"mix_images": False, "mix_objects": False}
    train(Recipe(k=1, ramp=0.5, **off), scans, scans.image, steps=8, seed=0, **SMALL)
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    shares.clear()
    train(Recipe(k=1, ramp=0.0, **off), scans, scans.image, steps=2, seed=0, **SMALL)
    assert shares == [1.0, 1.0]


def test_the_history_says_what_the_targets_look_like(scans: Scans) -> None:
    _, history = train(Recipe(k=2), scans, scans.image, steps=4, seed=0, **SMALL)
    seen = history.pivot(index="step", columns="metric", values="value")
    assert seen.index.tolist() == [1, 2, 3, 4]
    assert set(seen) == {"score_loss", "box_loss", "target_mass", "targets_found", "objects"}
    # before training every anchor has a probability of one in a hundred, sharpened to less
    assert 0 < seen.loc[1, "target_mass"] < 0.02 * len(anchors_for(SIZE).boxes)
    assert seen.loc[1, "objects"] == 0


def test_it_learns_to_find_the_objects_of_a_few_volumes(scans: Scans) -> None:
    kept = scans.take([i for i, boxes in enumerate(scans.boxes) if len(boxes)][:2])
    network, history = train(SUPERVISED, kept, None, steps=150, seed=0, **(SMALL | {"lr": 5e-3}))
    loss = history[history["metric"] == "score_loss"]["value"].tolist()
    assert loss[-1] < 0.5 * loss[0]
    for boxes, found in zip(kept.boxes, detect(network, kept.image, fabric=CPU), strict=True):
        best = (found.boxes[: len(boxes), :3] + found.boxes[: len(boxes), 3:]) / 2
        middle = (boxes[:, :3] + boxes[:, 3:]) / 2
        assert torch.cdist(middle, best).min(dim=1).values.max() < 3.0


def test_too_few_volumes_for_a_batch_are_refused(scans: Scans) -> None:
    with pytest.raises(ValueError, match="1 to 6"):
        train(SUPERVISED, scans, None, steps=1, seed=0, **(SMALL | {"batch_size": 7}))
    with pytest.raises(ValueError, match="`steps`"):
        train(SUPERVISED, scans, None, steps=0, seed=0, **SMALL)
