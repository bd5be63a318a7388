"""The reduced comparators keep the idea of each: consensus, two rates, attention and recurrence."""

import pytest
import torch

from common.models.casualty_action_comparators import (
    TSN,
    ConvLSTM,
    EgoRNN,
    SlowFast,
    segment_frames,
)

WORDS = (5, 3, 4)


def clip(frames=6):
    return torch.rand(2, 3, frames, 32, 32, generator=torch.Generator().manual_seed(1))


def answer(model, video):
    with torch.no_grad():
        return model(video)["action"]


def test_segments_are_equal_parts_and_their_middles_are_seen():
    assert segment_frames(6, 3) == [1, 3, 5]
    assert segment_frames(9, 3) == [1, 4, 7]


def test_tsn_averages_segments_and_sees_nothing_between_them():
    torch.manual_seed(0)
    model, video = TSN(WORDS, n_frames=9).eval(), clip(9)
    unseen = video.clone()
    unseen[:, :, [2, 5, 8]] = 0  # neither chosen (1, 4, 7) nor before a chosen one (0, 3, 6)
    torch.testing.assert_close(answer(model, video), answer(model, unseen))
    # the order of segments does not matter to the consensus
    order = [6, 7, 8, 0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(answer(model, video), answer(model, video[:, :, order]))
    assert answer(model, video).shape == (2, 2, 5)


def test_only_the_motion_stream_of_tsn_sees_the_direction_of_time():
    torch.manual_seed(0)
    model = TSN(WORDS, n_frames=6).eval()
    still = clip(1).expand(-1, -1, 6, -1, -1)
    other = torch.rand(2, 3, 1, 32, 32).expand(-1, -1, 6, -1, -1)
    # nothing moves: the difference is zero whatever is shown
    torch.testing.assert_close(answer(model, still)[1], answer(model, other)[1])
    assert (answer(model, still)[0] - answer(model, other)[0]).abs().max() > 1e-4


def test_slowfast_sees_every_frame_in_the_fast_path_alone():
    torch.manual_seed(0)
    model, video = SlowFast(WORDS, n_frames=6, alpha=3).eval(), clip()
    changed = video.clone()
    changed[:, :, 3] = 0  # the slow path takes frames 1 and 4
    assert (answer(model, video) - answer(model, changed)).abs().max() > 1e-6
    with torch.no_grad():
        for lateral in model.lateral:
            lateral.weight.zero_()
        slow_only = model.heads.each["action"]
        slow_only.weight[:, -16:].zero_()
    torch.testing.assert_close(answer(model, video), answer(model, changed))


def test_slowfast_tells_a_clip_from_its_reverse():
    torch.manual_seed(0)
    model = SlowFast(WORDS, n_frames=6, alpha=3).eval()
    assert (answer(model, clip()) - answer(model, clip().flip(2))).abs().max() > 1e-6


def test_attention_of_ego_rnn_is_a_distribution_over_places_of_the_winning_class():
    torch.manual_seed(0)
    model = EgoRNN(WORDS)
    features = torch.rand(3, 64, 4, 4)
    weight = model.attention(features)
    torch.testing.assert_close(weight.sum(dim=(1, 2, 3)), torch.ones(3))
    winner = model.objects(features.mean(dim=(2, 3))).argmax(1)
    for k in range(3):
        maps = (model.objects.weight[winner[k]][:, None, None] * features[k]).sum(0)
        assert weight[k, 0].argmax() == maps.argmax()


def test_a_closed_inlet_leaves_the_state_of_a_convlstm_empty():
    cell = ConvLSTM(2, 3)
    torch.nn.init.zeros_(cell.gates.weight)
    torch.nn.init.zeros_(cell.gates.bias)
    with torch.no_grad():
        cell.gates.bias[:3] = -100.0
        assert cell(torch.rand(1, 4, 2, 5, 5)).abs().max() < 1e-6
        # with inlets half open and the new value 1: c_t = s(1) c + 0.5, after two frames
        cell.gates.bias[:3], cell.gates.bias[9:] = 0.0, 100.0
        keep = torch.sigmoid(torch.tensor(1.0))
        torch.testing.assert_close(
            cell(torch.rand(1, 2, 2, 5, 5)), torch.full((1, 3, 5, 5), 0.5) * (1 + keep)
        )


def test_ego_rnn_reads_frames_in_order():
    torch.manual_seed(0)
    model = EgoRNN(WORDS).eval()
    assert (answer(model, clip()) - answer(model, clip().flip(2))).abs().max() > 1e-6


def test_numbers_of_frames_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of alpha 4, got 6"):
        SlowFast(WORDS, n_frames=6, alpha=4)
    with pytest.raises(ValueError, match=r"from 1 to frames - 1 \(5\), got 6"):
        TSN(WORDS, n_frames=6, n_segments=6)
