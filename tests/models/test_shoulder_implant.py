"""The four networks: published counts, outputs of an independent implementation, shapes."""

import zlib

import numpy as np
import pytest
import torch

from common.chapters.shoulder_implant import experiment
from common.errors import ReplicateError
from common.models import shoulder_implant_pretext, shoulder_implant_weights as weights
from common.models.shoulder_implant import (
    BLOCK_A,
    NETWORKS,
    PUBLISHED_COUNTS,
    SMALLEST_PX,
    Residual,
    build,
)
from common.models.shoulder_implant_blocks import (
    Conv,
    Scale,
    SeparableConv,
    ShiftNorm,
    count,
    layers,
    pool_same,
    weighted,
)
from common.models.shoulder_implant_training import Settings, fit

NARROW = Scale(0.125, 0.1)

# Mean, spread, first and last pooled feature of Keras 3.15.1 (weights=None, 96 px), with weights
# and image as `made` and `arrays_of` below make them from the names of its layers.
KERAS = {
    "vgg16": (7.39725, 7.12579, 0.103158, 19.1082),
    "xception": (894346.0, 899715.0, 145839.0, 695660.0),
    "inception-v3": (0.339559, 0.543722, 1.87368, 1.51194),
    "inception-resnet-v2": (9.41246, 13.9096, 18.7416, 35.2542),
}


def made(key, shape):
    """Numbers that depend on the name of an array alone."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if len(shape) == 1:
        return rng.uniform(0.5, 1.5, shape).astype("f")
    fan = shape[0] * shape[1] * (1 if shape[3] == 1 else shape[2])
    return (rng.standard_normal(shape) * np.sqrt(2 / fan)).astype("f")


def arrays_of(model):
    """Arrays as Keras would give them for a model of this kind."""
    found, numbers = {}, {"conv2d": 0, "batch_normalization": 0}

    def name(given, kind):
        if given is not None:
            return given
        number = numbers[kind]
        numbers[kind] += 1
        return f"{kind}_{number}" if number else kind

    for module in weighted(model.features):
        own = module.keras
        layer = name(own, "conv2d")
        if isinstance(module, SeparableConv):
            a, b = module.depthwise.weight.shape[0], module.pointwise.weight.shape[0]
            shapes = [(3, 3, a, 1), (1, 1, a, b)]
        else:
            b, a, h, w = module.conv.weight.shape
            shapes = [(h, w, a, b)] + ([] if isinstance(module, Conv) else [(b,)])
        norm = getattr(module, "norm", None)
        keys = {f"{layer}/{i}": shape for i, shape in enumerate(shapes)}
        if norm is not None:
            layer = name(own and f"{own}_bn", "batch_normalization")
            n = 3 if norm.weight is None else 4
            keys |= {f"{layer}/{i}": (norm.num_features,) for i in range(n)}
        found |= {key: made(key, shape) for key, shape in keys.items()}
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_published_parameters_and_outputs_of_keras_within_two_in_ten_thousand(name):
    model = build(name, 4).eval()
    assert count(model.features) == PUBLISHED_COUNTS[name]
    weights.load_keras(model, arrays_of(model))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 96, 96)).astype("f")
    with torch.no_grad():
        pooled = model.features(torch.from_numpy(image)).mean(dim=(2, 3))[0].numpy()
    found = (pooled.mean(), pooled.std(), pooled[0], pooled[-1])
    np.testing.assert_allclose(found, KERAS[name], rtol=2e-4)


def test_counts_with_a_head_of_1000_classes_are_the_published_ones():
    heads = {"xception": 22_910_480, "inception-v3": 23_851_784, "inception-resnet-v2": 55_873_736}
    with torch.device("meta"):
        for name, published in heads.items():
            assert count(build(name, 1000)) == published
        n = count(build("vgg16", 1000).features)
    # its own head: two layers of 4,096 after 7 x 7 x 512 features
    n += (25_088 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert n == 138_357_544


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [SMALLEST_PX, 96])
def test_narrow_variants_take_small_grey_images(name, size):
    model = build(name, 7, NARROW).eval()
    assert model(torch.rand(2, 1, size, size)).shape == (2, 7)
    assert count(model) < 0.03 * PUBLISHED_COUNTS[name]


def test_maps_of_inception_resnet_have_the_published_sizes_and_channels():
    model = build("inception-resnet-v2", 4)
    x, seen = torch.rand(1, 3, 224, 224), []
    with torch.no_grad():
        for module in model.features:
            x = module(x)
            seen.append((x.shape[1], x.shape[2]))
    assert [seen[1], seen[12], seen[33], seen[-1]] == [(320, 25), (1088, 12), (2080, 5), (1536, 5)]
    assert sum(isinstance(each, Residual) for each in model.features) == 40


def test_a_block_adds_s_times_its_branches_before_the_rectifier():
    torch.manual_seed(0)
    block = Residual(BLOCK_A, 16, s=0.17, scale=Scale(0.125), keras="").eval()
    x = torch.randn(2, 16, 6, 6)
    added = block.up(block.branches(x))
    torch.testing.assert_close(block(x.clone()), torch.relu(x + 0.17 * added))
    block.relu = False
    torch.testing.assert_close(block(x.clone()), x + 0.17 * added)


def test_a_separable_convolution_is_a_full_one_of_rank_one_kernels():
    torch.manual_seed(1)
    conv = SeparableConv(3, 5, keras="").eval()
    kernel = conv.pointwise.weight * conv.depthwise.weight.transpose(0, 1)
    x = torch.randn(1, 3, 7, 7)
    full = torch.nn.functional.conv2d(x, kernel, padding=1)
    torch.testing.assert_close(conv(x), conv.norm(full))
    assert sum(p.numel() for p in (conv.depthwise.weight, conv.pointwise.weight)) == 9 * 3 + 3 * 5


@pytest.mark.parametrize(("n", "expected"), [(4, [5.0, 7.0]), (5, [6.0, 8.0, 9.0])])
def test_pooling_pads_as_tensorflow_does(n, expected):
    """An even side is padded at its end alone: windows begin at the first pixel."""
    rows = {4: torch.tensor([5.0, 1, 2, 7]), 5: torch.tensor([4.0, 6, 8, 1, 9])}[n]
    image = rows.expand(1, 1, n, n)
    assert pool_same(image)[0, 0, 0].tolist() == expected


def test_average_pooling_leaves_the_border_out_of_its_mean():
    module, n = layers("avg", 1, Scale())
    assert n == 1
    assert bool((module(torch.ones(1, 1, 4, 4)) == 1).all())


@pytest.mark.parametrize("token", ["64", "64:3", "max2", "64:3x3/v"])
def test_a_layer_that_is_none_is_refused(token):
    with pytest.raises(ValueError, match="a layer must be"):
        layers(token, 3, Scale())


@pytest.mark.parametrize("width", [0.0, -1.0, 1.5])
def test_a_scale_outside_its_range_is_refused(width):
    with pytest.raises(ValueError, match="`width` must lie in"):
        Scale(width)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="vgg16, xception"):
        build("resnet", 4)


def test_weights_of_another_network_or_size_are_refused_and_nothing_is_copied():
    model = build("vgg16", 4, NARROW)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    arrays = arrays_of(model)
    short = {key: each for key, each in arrays.items() if not key.startswith("block5_conv1")}
    with pytest.raises(ReplicateError, match="block5_conv1"):
        weights.load_keras(model, short)
    with pytest.raises(ReplicateError, match="must have shape"):
        weights.load_keras(build("vgg16", 4, Scale(0.25, 0.1)), arrays)
    assert all(bool((before[name] == each).all()) for name, each in model.state_dict().items())


def test_weights_are_read_from_a_file_of_arrays_and_from_nothing_else(tmp_path):
    model = build("vgg16", 4, NARROW)
    arrays = arrays_of(model)
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    weights.load_keras(model, weights.read_npz(path))
    kernel = torch.from_numpy(arrays["block1_conv1/0"]).permute(3, 2, 0, 1)
    torch.testing.assert_close(model.features[0].conv.weight.detach(), kernel)
    path.write_bytes(b"no archive")
    with pytest.raises(ReplicateError, match="cannot be read"):
        weights.read_npz(path)


def arrays_from(model):
    return {name: each.numpy() for name, each in model.state_dict().items()}


def test_vgg16_of_keras_sees_blue_green_and_red_less_their_means():
    """Pixels of 0 to 255 go in as Keras takes them, and one grey value gives three numbers."""
    torch.manual_seed(3)
    first, second = build("vgg16", 3, NARROW), build("vgg16", 3, NARROW).eval()
    means = np.array(weights.CAFFE_MEANS, np.float32)
    weights.transfer(second, {**arrays_from(first), "means": means})
    pixels = torch.randint(0, 256, (2, 3, 75, 75)).float()  # red, green, blue
    expected = pixels[:, [2, 1, 0]] - torch.tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(second.prepare(pixels / 127.5 - 1), expected, atol=1e-3, rtol=0)
    logits = second.head(second.features(expected).mean(dim=(2, 3)))
    torch.testing.assert_close(second(pixels / 127.5 - 1), logits, atol=1e-3, rtol=1e-4)
    assert second.prepare(torch.zeros(1, 1, 2, 2)).shape == (1, 3, 2, 2)
    weights.transfer(second, arrays_from(first))
    assert second.prepare(torch.ones(1, 1, 2, 2)).max() == 1


def test_converted_weights_take_the_place_of_the_pretext_ones(tmp_path):
    """The folder holds a file of each network; VGG16 gets the means of its inputs with it."""
    for name in NETWORKS:
        np.savez(tmp_path / f"{name}.npz", **arrays_of(build(name, 4, NARROW)))
    found = experiment.converted(str(tmp_path), NARROW)
    assert set(found) == set(NETWORKS)
    assert [name for name, state in found.items() if "means" in state] == ["vgg16"]
    images = np.random.default_rng(0).random((4, 1, 75, 75), dtype=np.float32)
    settings = Settings("vgg16", NARROW, epochs=1, n_copies=1, lr=0.0)
    start = found["vgg16"]
    model = fit(images, np.arange(4) % 2, settings, n_classes=2, seed=0, start=start).model
    kernel = torch.from_numpy(start["features.0.conv.weight"])
    torch.testing.assert_close(model.features[0].conv.weight.detach(), kernel)
    assert model.means.flatten().tolist() == pytest.approx(weights.CAFFE_MEANS)
    assert experiment.converted("", NARROW) == {}
    with pytest.raises(ReplicateError, match="cannot be read"):
        experiment.converted(str(tmp_path / "none"), NARROW)


def test_transfer_copies_features_and_leaves_the_head():
    torch.manual_seed(2)
    first, second = build("xception", 12, NARROW), build("xception", 7, NARROW)
    head = second.head.weight.detach().clone()
    weights.transfer(second, arrays_from(first))
    for one, other in zip(first.features.parameters(), second.features.parameters(), strict=True):
        assert bool((one == other).all())
    assert bool((second.head.weight == head).all())
    with pytest.raises(ReplicateError, match="must fit"):
        weights.transfer(build("vgg16", 7, NARROW), arrays_from(first))


def test_a_normalisation_without_scale_has_ones_for_it_where_torch_needs_them():
    """Without them a GPU has no gradient of the shift; with them nothing else may change."""
    torch.manual_seed(0)
    plain = torch.nn.BatchNorm2d(3, eps=1e-3)
    plain.register_parameter("weight", None)
    image, found = torch.randn(4, 3, 5, 5), []
    for norm in (ShiftNorm(3), plain):
        own = image.clone().requires_grad_()
        (norm(own).relu() ** 2).sum().backward()
        found.append((norm(image), own.grad, norm.bias.grad, norm.running_var))
    for first, second in zip(*found, strict=True):
        assert torch.equal(first, second)
    assert torch.equal(ShiftNorm(3).weight, torch.ones(3))
    assert [name for name, _ in ShiftNorm(3).named_parameters()] == ["bias"]
    assert "weight" not in ShiftNorm(3).state_dict()
    assert isinstance(Conv(3, 4, (1, 1)).norm, ShiftNorm)


def test_large_pictures_are_drawn_without_a_warning():
    pictures, _ = shoulder_implant_pretext.shapes(60, 0, size=224)
    assert np.isfinite(pictures).all()
