import numpy as np
import pytest

from common.phantoms import lesions


@pytest.mark.parametrize("roughness", [0.0, 0.2])
def test_a_lesion_has_the_volume_asked_for(roughness, rng):
    room = np.ones((40, 40, 40), bool)
    mask = lesions.grow(room, (20, 20, 20), 2000, rng=rng, roughness=roughness)
    assert mask.sum() == pytest.approx(2000, rel=0.02)


def test_roughness_raises_the_surface(rng):
    room = np.ones((96, 96), bool)

    def edge(roughness: float) -> float:
        mask = lesions.grow(room, (48, 48), 1500, rng=rng, roughness=roughness)
        return (mask[1:] != mask[:-1]).sum() / np.sqrt(mask.sum())

    smooth, ragged = np.mean([edge(0.0) for _ in range(5)]), np.mean([edge(0.6) for _ in range(5)])
    assert ragged > 1.3 * smooth


def test_it_keeps_to_allowed_tissue_and_in_one_piece(rng):
    from scipy.ndimage import label

    room = np.zeros((40, 40), bool)
    room[:, :18] = True
    mask = lesions.grow(room, (20, 15), 300, rng=rng, roughness=0.8)
    assert not mask[:, 18:].any()
    assert label(mask)[1] == 1


def test_spacing_and_stretch_are_in_the_unit_of_the_volume(rng):
    room = np.ones((40, 80), bool)
    mask = lesions.grow(room, (20, 40), 600, rng=rng, roughness=0, spacing=(2.0, 1.0))
    assert mask.sum() * 2 == pytest.approx(600, rel=0.02)
    rows, columns = (np.ptp(where) + 1 for where in np.nonzero(mask))
    assert rows * 2 == pytest.approx(columns, rel=0.15)
    long = lesions.grow(room, (20, 40), 600, rng=rng, roughness=0, stretch=(1, 3))
    rows, columns = (np.ptp(where) + 1 for where in np.nonzero(long))
    assert columns == pytest.approx(3 * rows, rel=0.15)


def test_no_tissue_gives_no_lesion_and_no_volume_is_refused(rng):
    nothing = np.zeros((5, 5), bool)
    assert not lesions.grow(nothing, (2, 2), 4, rng=rng).any()
    with pytest.raises(ValueError, match="`volume` must be above 0"):
        lesions.grow(~nothing, (2, 2), 0, rng=rng)


def test_layers_have_their_shares_from_outside_in(rng):
    lesion = lesions.grow(np.ones((60, 60), bool), (30, 30), 1000, rng=rng)
    codes = lesions.nested(lesion, [0.5, 0.3, 0.2])
    counts = [int((codes == code).sum()) for code in (1, 2, 3)]
    np.testing.assert_allclose(counts, np.array([0.5, 0.3, 0.2]) * lesion.sum(), atol=1)
    assert ((codes > 0) == lesion).all()
    far = [np.hypot(*(np.argwhere(codes == code) - 30).T).mean() for code in (1, 2, 3)]
    assert far[0] > far[1] > far[2]
    assert not (lesions.nested(lesion, [0.5, 0.0, 0.5]) == 2).any()


@pytest.mark.parametrize("shares", [[0.8, 0.8], [-0.1, 0.5]])
def test_shares_beyond_the_whole_are_refused(shares):
    with pytest.raises(ValueError, match="`shares` must be"):
        lesions.nested(np.ones((3, 3), bool), shares)
