"""How the detectors are trained: arms, augmentation, the training-only branch, prediction.

Source: Wen, Wang et al., "Context Matters: Cross-Domain Cell Detection in Histopathology Images via
Contextual Regularization", section 2.4; the stain augmentation is no part of the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.cell_detection import Detector, Geometry, Losses, OneStage, TwoStage
from common.models.cell_detection_regularisation import ContextualRegularisation, Regularisation
from common.phantoms.stains import EOSIN, HAEMATOXYLIN
from common.training import Batch, Fitted, runtime, train

_PROBED = 32  # training patches on which the masks are described after each epoch


@dataclass(frozen=True)
class Arm:
    """One configuration that the chapter compares.

    Attributes:
        name: the arm's id in the records.
        regularisation: the branch, if any.
        stages: 2 for Faster R-CNN, 1 for RetinaNet's heads.
        stain: strength of the stain augmentation, 0 for none.
        levels: which levels of the pyramid the branch sees, 0 for the finest.
    """

    name: str
    regularisation: Regularisation = field(default_factory=Regularisation)
    stages: Literal[1, 2] = 2
    stain: float = 0.0
    levels: tuple[int, ...] = (1, 2)


class Trainee(nn.Module):
    """A detector and, while it is trained, the regularising branch beside it.

    Without reference boxes only the detector runs: what predicts has the same graph and the same
    parameters in every arm.

    Args:
        arm: see :class:`Arm`.
        geometry: sizes of the detector.
    """

    def __init__(self, arm: Arm, geometry: Geometry) -> None:
        super().__init__()
        self.arm = arm
        # The detector is built first, and the branch leaves no trace in the random numbers, so that
        # one seed gives the same detector, samples and augmentation in every arm.
        self.detector: Detector = (TwoStage if arm.stages == 2 else OneStage)(geometry)
        self.branch: ContextualRegularisation | None = None
        if arm.regularisation.masking != "none":
            with torch.random.fork_rng(devices=[]):
                self.branch = ContextualRegularisation(
                    arm.regularisation,
                    channels=geometry.channels,
                    sizes=[geometry.sizes[level] for level in arm.levels],
                )

    def forward(self, image: Tensor, boxes: Tensor | None = None) -> Any:
        """Return the losses of a batch, or without boxes what the detector finds.

        Source:
            Equation 10: L = L_cls + L_loc + lambda L_reg.
        """
        if boxes is None:
            return self.detector(image)
        losses, features = self.detector(image, boxes)
        if self.branch is not None:
            weight = self.arm.regularisation.weight
            losses["regularisation"] = weight * self.branch(self._seen(features))
        return losses

    def _seen(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [features[level].float() for level in self.arm.levels]

    def report(self, image: Tensor) -> dict[str, float]:
        """Describe the branch on some images; the size of the features for every arm."""
        features = self._seen(self.detector.pyramid(image - 0.75))
        if self.branch is not None:
            return self.branch.report(features)
        power = torch.stack([x.square().mean() for x in features]).mean()
        return {"feature_rms": float(power.sqrt())}


def stain_matrix() -> Tensor:
    """Return the optical densities of haematoxylin, eosin and a residual at right angles (3, 3)."""
    pair = np.array([HAEMATOXYLIN, EOSIN])
    rows = np.vstack([pair, np.cross(*pair)])
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()


def augment_stain(image: Tensor, *, strength: float) -> Tensor:
    """Vary the amount of each stain at random, image by image.

    ``c' = a c + b`` with the concentrations c of optical density, ``a`` uniform in 1 plus or minus
    ``strength`` and ``b`` uniform in plus or minus ``strength``, both for each stain and image.

    Args:
        image: (N, 3, H, W) in [0, 1].
        strength: 0 changes nothing.

    Returns:
        Images in [0, 1].

    Source:
        Tellez et al., IEEE Trans Med Imaging 37:2126 (2018).
    """
    matrix = stain_matrix().to(image.device)
    density = -image.clamp_min(1 / 255).log()
    amount = torch.einsum("nchw,cs->nshw", density, torch.linalg.inv(matrix))
    a, b = (2 * torch.rand(2, len(image), 3, 1, 1, device=image.device) - 1) * strength
    changed = torch.einsum("nshw,sc->nchw", (1 + a) * amount + b, matrix)
    return torch.exp(-changed).clamp(0, 1)


def turn(image: Tensor, boxes: Tensor, quarter: int) -> tuple[Tensor, Tensor]:
    """Turn a batch by quarters of a circle, mirrored first from 4 on; cells have no upright.

    Args:
        image: (N, C, S, S).
        boxes: (N, G, 4); absent ones stay zero.
        quarter: 0 to 7.

    Example:
        >>> image, boxes = turn(torch.zeros(1, 1, 8, 8), torch.tensor([[[0., 1, 2, 4]]]), 1)
        >>> boxes.tolist()
        [[[4.0, 0.0, 7.0, 2.0]]]
    """
    size = image.shape[-1]
    y0, x0, y1, x1 = boxes.unbind(dim=2)
    if quarter >= 4:
        image, (x0, x1) = image.flip(3), (size - x1, size - x0)
    for _ in range(quarter % 4):  # counter-clockwise: right becomes top
        image = image.rot90(1, (2, 3))
        y0, x0, y1, x1 = size - x1, y0, size - x0, y1
    moved = torch.stack([y0, x0, y1, x1], dim=2)
    present = (boxes[..., 2:] > boxes[..., :2]).all(dim=2, keepdim=True)
    return image.contiguous(), torch.where(present, moved, 0.0)


def train_arm(
    arm: Arm,
    image: NDArray[np.uint8],
    boxes: NDArray[np.floating],
    *,
    geometry: Geometry,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    averaged: float = 0.25,
    fabric: Fabric | None = None,
    progress: bool = False,
) -> Fitted:
    """Train one arm on the patches of one scanner.

    The rate stays constant and the weights after the last epochs are averaged, which takes the
    place of a rate that falls (the paper's framework divides it by ten, twice).

    Args:
        arm: the configuration.
        image: patches (N, 3, S, S) uint8.
        boxes: their mitotic figures (N, G, 4), zeros where there are fewer.
        geometry: sizes of the detector; its size must be S.
        epochs: passes over the patches (the paper: 32).
        batch_size: patches per step (the paper's framework: 2).
        lr: learning rate of Adam (the paper: SGD at 1e-3 from COCO weights).
        seed: seed of weights, order, augmentation, sampling and masks.
        averaged: share of the epochs, at the end, whose weights are averaged; 0 takes the last.
        fabric: device and precision; chosen automatically if left out.
        progress: show a progress bar.

    Returns:
        The trained network; its history also holds, after each epoch, what
        :meth:`Trainee.report` says.

    Raises:
        ValueError: the patches are not squares of the geometry's size, or a box has no length of
            4 numbers.
    """
    if image.shape[1:] != (3, geometry.size, geometry.size) or boxes.shape[2:] != (4,):
        raise ValueError(
            f"`image` and `boxes` must have shapes (N, 3, {geometry.size}, {geometry.size}) and "
            f"(N, G, 4), got {image.shape} and {boxes.shape}. Set `geometry.size` to the patches'."
        )
    built: list[Trainee] = []

    def build() -> nn.Module:
        built.append(Trainee(arm, geometry))
        return built[0]

    def step(model: nn.Module, batch: Batch) -> Losses:
        turned, moved = turn(batch["image"], batch["boxes"], int(torch.randint(8, ())))
        if arm.stain > 0:
            turned = augment_stain(turned, strength=arm.stain)
        losses: Losses = model(turned, moved)
        return losses

    def probe(model: nn.Module, epoch: int) -> Mapping[str, float]:
        return built[0].report(probed.to(built[0].detector.places.device))

    data = {"image": _pixels(image), "boxes": torch.tensor(boxes, dtype=torch.float32)}
    probed = data["image"][:_PROBED]
    kept = range(epochs - max(1, round(averaged * epochs)) + 1, epochs + 1)
    fitted = train(
        build,
        step,
        data,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        lr=lr,
        evaluate=probe,
        evaluate_at=range(1, epochs + 1),
        keep=kept,
        fabric=fabric,
        progress=progress,
    )
    built[0].load_state_dict(mean_weights(list(fitted.snapshots.values())))
    return replace(fitted, snapshots={})


def mean_weights(snapshots: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average the parameters of several epochs; counters keep their last value.

    Source:
        Izmailov et al., "Averaging weights leads to wider optima", UAI 2018.

    Example:
        >>> mean_weights([{"w": torch.tensor(1.0)}, {"w": torch.tensor(2.0)}])
        {'w': tensor(1.5000)}
    """
    last = snapshots[-1]
    return {
        name: torch.stack([each[name] for each in snapshots]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }


def _pixels(image: NDArray[np.uint8]) -> Tensor:
    """Copy grey levels into a tensor in [0, 1] with the strides of its shape, whatever made it."""
    return torch.tensor(np.ascontiguousarray(image)).float() / 255


def predict(
    model: nn.Module,
    image: NDArray[np.uint8],
    *,
    batch_size: int = 64,
    fabric: Fabric | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Detect mitotic figures in patches.

    Args:
        model: from :func:`train_arm`.
        image: patches (N, 3, S, S) uint8.
        batch_size: patches at a time; does not change the result.
        fabric: device and precision; chosen automatically if left out.

    Returns:
        Boxes (N, K, 4) and scores (N, K) by falling score; a score of 0 marks an absent box.
    """
    device = (runtime() if fabric is None else fabric).device
    found: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode():
        for first in range(0, len(image), batch_size):
            chunk = _pixels(image[first : first + batch_size])
            boxes, scores = model(chunk.to(device))
            found.append((boxes.float().cpu(), scores.float().cpu()))
    boxes, scores = (torch.cat(parts).double().numpy() for parts in zip(*found, strict=True))
    return boxes, scores
