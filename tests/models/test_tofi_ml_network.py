"""The small network: its size, its input, its turns, and that it learns what can be learnt."""

import numpy as np
import torch
from scipy.special import softmax

from common.models import tofi_ml_network as network


def test_the_number_of_weights_is_what_the_layers_add_up_to():
    widths = (16, 32, 64)
    expected = sum(
        9 * n_in * n_out + 9 * n_out * n_out + 4 * n_out
        for n_in, n_out in zip((3, 16, 32), widths, strict=True)
    )
    expected += 64 * 5 + 5
    assert sum(p.numel() for p in network.SmallNet(5).parameters()) == expected


def test_shrinking_by_a_whole_factor_keeps_the_mean():
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    small = network.shrink(image, 16)
    assert small.shape == (3, 16, 16)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), image.mean(axis=(1, 2)), atol=1.5)
    flat = np.full((3, 50, 70), 77, dtype=np.uint8)
    assert (network.shrink(flat, 20) == 77).all()


def test_floats_and_bytes_shrink_alike():
    image = np.random.default_rng(1).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    as_floats = (image / 255).astype(np.float32)
    np.testing.assert_array_equal(network.shrink(image, 8), network.shrink(as_floats, 8))


def test_turns_are_the_eight_of_a_square_and_each_image_has_its_own():
    torch.manual_seed(0)
    one = torch.arange(27.0).reshape(1, 3, 3, 3)
    found = network.turned(one.repeat(200, 1, 1, 1))
    kinds = {tuple(each.ravel().tolist()) for each in found}
    square = one[0]
    expected = set()
    for k in range(4):
        turned = torch.rot90(square, k, (1, 2))
        expected |= {tuple(turned.ravel().tolist()), tuple(turned.flip(-1).ravel().tolist())}
    assert kinds == expected


def test_it_learns_a_bright_class_and_gives_probabilities():
    rng = np.random.default_rng(2)
    label = np.arange(60) % 2
    photos = rng.integers(0, 100, (60, 3, 16, 16)) + 100 * label[:, None, None, None]
    photos = photos.astype(np.uint8)
    model = network.fit(photos, label, epochs=8, seed=0, batch_size=16)
    prob = network.probabilities(model, photos, at_once=7)
    assert ((prob[:, 1] > 0.5) == label).mean() > 0.95
    with torch.inference_mode():
        logits = model(torch.from_numpy(photos[:4]).float() / 127.5 - 1).double().numpy()
    np.testing.assert_allclose(prob[:4], softmax(logits, axis=1), atol=1e-5)


def test_the_same_seed_trains_the_same_network():
    photos = np.random.default_rng(3).integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
    label = np.arange(24) % 2
    first, second, other = (
        network.probabilities(network.fit(photos, label, epochs=1, seed=seed), photos)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-6
