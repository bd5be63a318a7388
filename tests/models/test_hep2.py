"""The HEp-2 network and losses: printed shapes, parameter counts by hand, losses by hand."""

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss
from monai.networks.nets import EfficientNetBNFeatures
from torch import nn

from common.models.hep2 import (
    Decoder,
    DoubleConv,
    EfficientNetB4Encoder,
    MultiTaskUNet,
    NarrowEncoder,
    Up,
    decoder_parameters,
    dice_loss,
    head_parameters,
    predict_intensity,
    task_losses,
)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def full() -> MultiTaskUNet:
    return MultiTaskUNet(EfficientNetB4Encoder(), image_size=384).eval()


@pytest.fixture
def narrow() -> MultiTaskUNet:
    torch.manual_seed(0)
    return MultiTaskUNet(NarrowEncoder(), image_size=32, heads="pooled", hidden=16)


def test_the_full_encoder_delivers_the_printed_sizes(full: MultiTaskUNet) -> None:
    with torch.inference_mode():
        shapes = [tuple(f.shape[1:]) for f in full.encoder(torch.zeros(1, 1, 384, 384))]
    printed = [(48, 192, 192), (32, 96, 96), (56, 48, 48), (160, 24, 24), (448, 12, 12)]
    assert shapes == printed


def test_monai_itself_starts_with_24_channels_where_the_report_prints_48() -> None:
    net = EfficientNetBNFeatures("efficientnet-b4", pretrained=False).eval()
    with torch.inference_mode():
        channels = [f.shape[1] for f in net(torch.zeros(1, 3, 64, 64))]
    assert channels == [24, 32, 56, 160, 448]


def test_the_full_network_has_the_outputs_of_the_report(full: MultiTaskUNet) -> None:
    with torch.inference_mode():
        outputs = full(torch.rand(1, 1, 384, 384))
    assert {task: tuple(o.shape) for task, o in outputs.items()} == {
        "mask": (1, 1, 384, 384),
        "label": (1, 7),
        "intensity": (1,),
    }


def test_the_full_heads_have_the_weights_worked_by_hand(full: MultiTaskUNet) -> None:
    # 448 x 12 x 12 = 64,512 inputs: 64,512 x 512 = 33,030,144 weights and 512 biases, then
    # 512 x 7 + 7 = 3,591 or 512 + 1 = 513.
    assert count(full.outputs["label"]) == 33_030_144 + 512 + 3_591 == 33_034_247
    assert count(full.outputs["intensity"]) == 33_030_144 + 512 + 513
    assert head_parameters(64_512, 512, 7) == count(full.outputs["label"])
    assert head_parameters(64_512, 512, 1) == count(full.outputs["intensity"])


def test_the_full_decoder_has_the_weights_worked_by_hand(full: MultiTaskUNet) -> None:
    # A convolution from n to m channels has 9 n m + m values, its normalisation 2 m.
    steps = [(608, 304, 80), (136, 68, 28), (60, 30, 16), (64, 32, 48)]
    by_hand = [(9 * a * b + 3 * b) + (9 * b * c + 3 * c) for a, b, c in steps]
    assert by_hand == [1_883_520, 100_656, 20_658, 32_496]
    assert [count(up) for up in full.outputs["mask"].ups] == by_hand
    assert decoder_parameters(full.encoder.channels) == sum(by_hand) + 48 + 1
    assert decoder_parameters(full.encoder.channels) == count(full.outputs["mask"])


def test_the_decoder_has_the_released_widths(full: MultiTaskUNet) -> None:
    convs = [m for m in full.outputs["mask"].modules() if isinstance(m, nn.Conv2d)]
    widths = [(c.in_channels, c.out_channels) for c in convs]
    expected = [(608, 304), (304, 80), (136, 68), (68, 28), (60, 30), (30, 16), (64, 32), (32, 48)]
    assert widths == [*expected, (48, 1)]
    assert all(c.bias is not None for c in convs)


def test_every_parameter_of_the_full_network_can_learn(full: MultiTaskUNet) -> None:
    # 64 pixels and pooled heads keep this small; encoder and decoder are the same modules.
    network = MultiTaskUNet(full.encoder, image_size=64, heads="pooled", hidden=4)
    outputs = network(torch.rand(2, 1, 64, 64))
    sum(o.float().square().mean() for o in outputs.values()).backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    network.zero_grad()
    assert missing == []


def test_the_shared_stage_starts_with_the_convolution_after_the_fourth_features(full) -> None:
    stage = full.encoder.last_stage()
    assert stage[0].shape == (960, 160, 1, 1)
    assert sum(p.numel() for p in stage) < count(full.encoder)


@pytest.mark.parametrize("channels", [(8, 16, 32), (4, 8), (6, 12, 24, 48)])
def test_the_closed_form_counts_any_decoder(channels: tuple[int, ...]) -> None:
    assert decoder_parameters(channels) == count(Decoder(channels))


def test_double_conv_keeps_the_size_and_is_never_negative() -> None:
    block = DoubleConv(3, 5, n_mid=4)
    out = block(torch.randn(2, 3, 6, 6))
    assert out.shape == (2, 5, 6, 6)
    assert out.min() >= 0
    assert count(block) == (9 * 3 * 4 + 4 + 8) + (9 * 4 * 5 + 5 + 10)


def test_up_interpolates_with_aligned_corners_and_keeps_the_skip() -> None:
    up = Up(2, 1)
    seen: list[torch.Tensor] = []
    up.convolve.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    skip = torch.full((1, 1, 2, 4), 7.0)
    up(torch.tensor([[[[0.0, 3.0]]]]), skip)
    torch.testing.assert_close(seen[0][0, 0, 0], torch.tensor([0.0, 1.0, 2.0, 3.0]))
    torch.testing.assert_close(seen[0][:, 1:], skip)


def test_the_narrow_encoder_halves_the_size_and_doubles_the_channels() -> None:
    encoder = NarrowEncoder(width=4, depth=4)
    shapes = [tuple(f.shape[1:]) for f in encoder(torch.zeros(1, 1, 32, 32))]
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert encoder.last_stage()[0].shape == (32, 16, 3, 3)


def test_the_mask_logits_are_the_same_size_as_the_image(narrow: MultiTaskUNet) -> None:
    assert narrow(torch.zeros(3, 1, 32, 32))["mask"].shape == (3, 1, 32, 32)


def test_pooled_heads_do_not_see_positions_and_flattened_heads_do(narrow: MultiTaskUNet) -> None:
    features = torch.rand(2, 32, 4, 4)
    turned = features.flip(2)
    pooled = narrow.outputs["label"]
    torch.testing.assert_close(pooled(features), pooled(turned))
    flat = MultiTaskUNet(NarrowEncoder(), image_size=32, hidden=16).outputs["label"]
    assert count(flat) == head_parameters(32 * 16, 16, 7)
    assert not torch.allclose(flat(features), flat(turned), atol=1e-4)


@pytest.mark.parametrize("task", ["mask", "label", "intensity"])
def test_a_single_task_network_is_the_same_network_with_one_output(task: str) -> None:
    one = MultiTaskUNet(NarrowEncoder(), image_size=32, heads="pooled", hidden=16, tasks=(task,))
    assert list(one(torch.zeros(2, 1, 32, 32))) == [task]
    all_ = MultiTaskUNet(NarrowEncoder(), image_size=32, heads="pooled", hidden=16)
    assert count(one) == count(all_.encoder) + count(all_.outputs[task])


def test_one_tasks_loss_reaches_the_shared_encoder_but_no_other_output(narrow) -> None:
    narrow(torch.rand(2, 1, 32, 32))["intensity"].sum().backward()
    assert all(p.grad is not None for p in narrow.encoder.parameters())
    assert all(p.grad is None for p in narrow.outputs["label"].parameters())
    assert all(p.grad is None for p in narrow.outputs["mask"].parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "`image_size` must be a multiple of 8, got 30"),
        ({"image_size": 32, "tasks": ("depth",)}, "`tasks` must be some of"),
        ({"image_size": 32, "tasks": ()}, "`tasks` must be some of"),
        ({"image_size": 32, "heads": "deep"}, "`heads` must be flatten or pooled, got 'deep'"),
    ],
)
def test_impossible_networks_are_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiTaskUNet(NarrowEncoder(), **options)


def batch(n: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(n, 1, 5, 5, generator=generator) < 0.3).float()
    return {"mask": mask, "label": torch.arange(n) % 7, "intensity": torch.arange(n) % 2.0}


def test_the_dice_loss_is_the_released_formula() -> None:
    g = batch()["mask"]
    logits = torch.randn(g.shape, generator=torch.Generator().manual_seed(1))
    p = torch.sigmoid(logits)
    channels = [(p, g), (1 - p, 1 - g)]
    by_hand = 1 - sum(2 * (a * b).sum() / ((a + b).sum() + 1e-7) for a, b in channels) / 2
    torch.testing.assert_close(dice_loss(logits, g), by_hand)


def test_the_dice_loss_is_over_the_batch_not_the_mean_over_images() -> None:
    g = torch.zeros(2, 1, 1, 4)
    g[0, 0, 0, :3] = 1
    g[1, 0, 0, 0] = 1
    logits = torch.tensor([[[[9.0, 9, 9, -9]]], [[[-9.0, -9, 9, 9]]]]) * 10
    # Batch: foreground 2 x 3 / (5 + 4), background 2 x 2 / (3 + 4).
    expected = 1 - (6 / 9 + 4 / 7) / 2
    assert float(dice_loss(logits, g)) == pytest.approx(expected, abs=1e-6)
    per_image = DiceLoss(sigmoid=True, batch=False)(logits, g)
    assert abs(float(per_image) - expected) > 0.02


def test_the_dice_loss_is_zero_when_right_and_one_when_wrong_everywhere() -> None:
    g = batch()["mask"]
    assert float(dice_loss((2 * g - 1) * 50, g)) == pytest.approx(0.0, abs=1e-6)
    assert float(dice_loss((1 - 2 * g) * 50, g)) == pytest.approx(1.0, abs=1e-6)


def test_the_dice_loss_does_not_prefer_foreground_or_background() -> None:
    g = batch()["mask"]
    logits = torch.randn(g.shape, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(dice_loss(logits, g), dice_loss(-logits, 1 - g))


def test_the_dice_loss_passes_the_gradient_check() -> None:
    g = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]], dtype=torch.float64)
    logits = torch.tensor([[[[0.3, -0.2], [0.5, 1.0]]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(dice_loss(logits, g), logits)
    for i in range(4):
        shift = torch.zeros(4)
        shift[i] = 1e-2
        up, down = (dice_loss(logits.detach() + s * shift.view(1, 1, 2, 2), g) for s in (1, -1))
        assert float(gradient.flatten()[i]) == pytest.approx(float(up - down) / 2e-2, abs=1e-4)


def test_task_losses_by_hand_at_logits_of_zero() -> None:
    zeros = {
        "mask": torch.zeros(3, 1, 5, 5),
        "label": torch.zeros(3, 7),
        "intensity": torch.zeros(3),
    }
    losses = task_losses(zeros, batch(), mask_loss="bce")
    expected = {"mask": np.log(2), "label": np.log(7), "intensity": np.log(2)}
    assert {task: float(loss) for task, loss in losses.items()} == pytest.approx(expected)


def test_only_the_networks_tasks_have_a_loss_and_the_mask_loss_can_be_chosen() -> None:
    reference = batch()
    outputs = {"mask": torch.full((3, 1, 5, 5), 0.7)}
    dice, bce = (task_losses(outputs, reference, mask_loss=name) for name in ("dice", "bce"))
    assert set(dice) == set(bce) == {"mask"}
    torch.testing.assert_close(dice["mask"], dice_loss(outputs["mask"], reference["mask"]))
    assert not torch.allclose(dice["mask"], bce["mask"])
    with pytest.raises(ValueError, match="`mask_loss` must be dice or bce, got 'focal'"):
        task_losses(outputs, reference, mask_loss="focal")


def test_the_released_threshold_calls_positive_only_above_0_622() -> None:
    p = np.array([0.49, 0.51, 0.62, 0.623])
    logit = np.log(p / (1 - p))
    assert predict_intensity(logit).tolist() == [False, True, True, True]
    assert predict_intensity(logit, threshold_on="logit").tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="`threshold_on` must be probability or logit"):
        predict_intensity(logit, threshold_on="odds")
