"""Pictures of another domain than faces."""

import numpy as np

from common.datasets.face_phantom_textures import textures


def test_textures_are_pictures_of_three_kinds_without_a_face() -> None:
    found = textures(6, 0, size=48)
    assert found.shape == (6, 3, 48, 48)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert (found.std(axis=(2, 3)).max(axis=1) > 0.02).all()
    np.testing.assert_array_equal(found[:2], textures(2, 0, size=48))
    assert not np.array_equal(found[0], textures(1, 1, size=48)[0])
