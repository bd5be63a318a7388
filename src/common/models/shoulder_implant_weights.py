"""Weights from elsewhere: converted ImageNet weights, and the features of a network trained before.

The weights themselves are not part of the book. Where Keras and its files are at hand, three lines
write them in the form that :func:`load_keras` reads::

    model = keras.applications.InceptionResNetV2(include_top=False)
    pairs = ((f"{layer.name}/{i}", w) for layer in model.layers
             for i, w in enumerate(layer.get_weights()))
    numpy.savez("inception-resnet-v2.npz", **dict(pairs))
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ReplicateError
from common.models.shoulder_implant_blocks import Classifier, Conv, SeparableConv, weighted

# blue, green, red: what Keras takes from the images that VGG16 sees
CAFFE_MEANS = (103.939, 116.779, 123.68)

Arrays = Mapping[str, NDArray[np.floating]]
State = Mapping[str, NDArray[Any]]  # a ``state_dict`` as arrays


def read_npz(path: Path) -> dict[str, NDArray[np.floating]]:
    """Read arrays by name; nothing in the file is executed.

    Raises:
        ReplicateError: the file is absent or is no archive of arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise ReplicateError(
            f"{path} cannot be read as arrays: {error}. Write it with numpy.savez as the module "
            "common.models.shoulder_implant_weights says."
        ) from None


def load_keras(model: Classifier, arrays: Arrays) -> Classifier:
    """Copy the weights of a Keras application into the features of the same network.

    Layers that Keras names are found by name; those that it numbers (``conv2d_7``) are taken in
    the order of their numbers, which is the order in which they were made.

    Args:
        model: at the published size, with a head of any number of classes, which stays as it is.
        arrays: ``<layer>/<place>``: kernels (height, width, in, out), shifts, means, variances.

    Returns:
        The same model.

    Raises:
        ReplicateError: a layer is missing or has another shape; nothing has been copied then.
    """
    numbered = {kind: iter(_numbered(arrays, kind)) for kind in ("conv2d", "batch_normalization")}

    def take(name: str | None, kind: str) -> str:
        found = name if name is not None else next(numbered[kind], None)
        if found is None or f"{found}/0" not in arrays:
            raise ReplicateError(
                f"the weights must hold a layer {found or kind!r}, got {len(arrays)} arrays "
                "without it. Write them from the same network, without its top."
            )
        return found

    copies: list[tuple[Tensor, Tensor]] = []
    for module in weighted(model.features):
        own = str(module.keras) if module.keras is not None else None
        name = take(own, "conv2d")
        copies += _kernels(module, name, arrays)
        norm = getattr(module, "norm", None)
        if norm is not None:
            norm_name = take(own and f"{own}_bn", "batch_normalization")
            copies += _norm(norm, norm_name, arrays)
    with torch.no_grad():
        for target, value in copies:
            target.copy_(value)
    return model


def _numbered(arrays: Arrays, kind: str) -> list[str]:
    """List the layers ``kind``, ``kind_1`` and so on by their numbers."""
    names = {key.split("/")[0] for key in arrays}
    tails = {name: name.removeprefix(kind).removeprefix("_") or "0" for name in names}
    mine = [name for name in names if name.startswith(kind) and tails[name].isdigit()]
    return sorted(mine, key=lambda name: int(tails[name]))


def _kernels(module: nn.Module, name: str, arrays: Arrays) -> list[tuple[Tensor, Tensor]]:
    if isinstance(module, SeparableConv):
        return [
            # depthwise kernels are (height, width, in, 1)
            _copy(module.depthwise.weight, f"{name}/0", arrays, (2, 3, 0, 1)),
            _copy(module.pointwise.weight, f"{name}/1", arrays, (3, 2, 0, 1)),
        ]
    conv = module.conv
    assert isinstance(conv, nn.Conv2d)
    found = [_copy(conv.weight, f"{name}/0", arrays, (3, 2, 0, 1))]
    if not isinstance(module, Conv):
        assert conv.bias is not None
        found.append(_copy(conv.bias, f"{name}/1", arrays))
    return found


def _norm(norm: nn.BatchNorm2d, name: str, arrays: Arrays) -> list[tuple[Tensor, Tensor]]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    targets: list[Tensor] = [norm.weight] if isinstance(norm.weight, nn.Parameter) else []
    targets += [norm.bias, norm.running_mean, norm.running_var]
    return [_copy(target, f"{name}/{i}", arrays) for i, target in enumerate(targets)]


def _copy(
    target: Tensor, key: str, arrays: Arrays, axes: tuple[int, ...] | None = None
) -> tuple[Tensor, Tensor]:
    if key not in arrays:
        raise ReplicateError(f"the weights must hold {key!r}, got none. Write them again.")
    value = torch.from_numpy(np.array(arrays[key], dtype=np.float32))
    value = value if axes is None else value.permute(axes)
    if value.shape != target.shape:
        raise ReplicateError(
            f"{key} must have shape {tuple(target.shape)} after its axes are turned, got "
            f"{tuple(value.shape)}. Build the network at its published size."
        )
    return target, value


def transfer(model: Classifier, state: State) -> Classifier:
    """Copy the features of a network of the same kind and size; the head stays as it is.

    Args:
        model: receives.
        state: arrays of the ``state_dict`` of the network trained before; ``means`` in it, if any,
            are taken from inputs, see :class:`common.models.shoulder_implant_blocks.Classifier`.

    Returns:
        The same model.

    Raises:
        ReplicateError: the features differ in name or shape.
    """
    features = {
        name.removeprefix("features."): torch.tensor(each)
        for name, each in state.items()
        if name.startswith("features.")
    }
    means = state.get("means")
    model.means = None if means is None else torch.tensor(means).reshape(1, 3, 1, 1)
    try:
        model.features.load_state_dict(features)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ReplicateError(
            f"the features must fit the network: {first} Train both at the same size."
        ) from None
    return model
