"""A simplified Collocative Net: cut the gel into lanes, compare strips, classify the comparison.

The original segments lanes and strips by dynamic programming and feeds a deep network with the
similarity of strips. Here a comb of six lanes is fitted to the columns, lanes become profiles, and
a small network over the rows sees the profiles and how each lane goes with the ELP lane.

Source: idea after Wei et al., IEEE TMI 40(7), 2021; simplified, the code is not published with the
paper that this chapter replicates.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from common.models.ife import N_CLASSES, Answer

N_LANES = 6
# in shares of the width, measured on the released examples (283 px wide)
PITCH = 47 / 283
_PITCHES = PITCH * np.linspace(0.95, 1.05, 5)
_FIRST = np.linspace(-0.08, 0.25, 67)
_HALF_WIDTH = 0.3  # of a lane's window, in pitches
_ALBUMIN = 0.24  # share of the rows, from the top, that albumin lies in
_WINDOW = 9  # rows over which lanes are compared


def stain(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure the dye: how much darker red and green are than blue.

    Args:
        image (n, 3, H, W): values 0 to 255.

    Returns:
        (n, H, W) in grey levels; 0 for white, grey and black.
    """
    colour = image.astype(np.float32)
    return np.maximum(colour[:, 2] - colour[:, :2].mean(axis=1), 0)


def segment_lanes(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Find the centres of the six lanes: a comb on all columns, albumin for the first lane.

    Args:
        image (n, 3, H, W): values 0 to 255.

    Returns:
        Columns (n, 6) in pixels; a lane may lie outside the image.
    """
    height, width = image.shape[2:]
    dye = stain(image)
    first, pitch = (each.ravel() for each in np.meshgrid(_FIRST, _PITCHES, indexing="ij"))
    centres = width * (first[:, None] + pitch[:, None] * np.arange(N_LANES))
    lanes = _window(centres, width, width * PITCH)
    # Albumin is the only dye near the top, and only the first lane shows it.
    top = dye[:, : max(1, round(_ALBUMIN * height))].sum(axis=1)
    score = _fit(dye.sum(axis=1), lanes.sum(axis=1)) + _fit(top, lanes[:, 0])
    return centres[score.argmax(axis=1)]


def _fit(columns: NDArray[np.float32], teeth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate each gel's column sums (n, W) with each comb (k, W): (n, k)."""
    comb = teeth - teeth.mean(axis=1, keepdims=True)
    own = columns - columns.mean(axis=1, keepdims=True)
    comb /= np.linalg.norm(comb, axis=1, keepdims=True) + 1e-9
    return own @ comb.T / (np.linalg.norm(own, axis=1, keepdims=True) + 1e-9)


def _window(centres: NDArray[np.float64], width: int, pitch: float) -> NDArray[np.float64]:
    """Give the weight of each column in each lane, (..., 6, width)."""
    away = np.abs(np.arange(width) + 0.5 - centres[..., None])
    # an edge of one pixel, so that the centre may lie between pixels
    return np.clip(_HALF_WIDTH * pitch - away + 0.5, 0, 1)


def lane_profiles(image: NDArray[np.uint8], columns: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Average the stain across each lane.

    Args:
        image (n, 3, H, W): values 0 to 255.
        columns (n, 6): centres of the lanes (pixels).

    Returns:
        (n, 6, H); 0 for a lane outside the image.

    Raises:
        ValueError: there is not one row of columns for each image.
    """
    if columns.shape != (len(image), N_LANES):
        raise ValueError(
            f"`columns` must have shape ({len(image)}, {N_LANES}), got {columns.shape}. "
            "Segment these images."
        )
    width = image.shape[3]
    weights = _window(columns, width, width * PITCH)
    total = weights.sum(axis=2)
    profile = np.einsum("nhw,nlw->nlh", stain(image), weights, optimize=True)
    mean = profile / np.maximum(total, 1e-6)[:, :, None]
    mean[total < 0.5] = 0
    return np.round(mean).clip(0, 255).astype(np.uint8)


def colocation(profile: Tensor) -> Tensor:
    """Correlate each lane with the ELP lane, row by row, over a window of rows.

    Args:
        profile (N, 6, H): the first lane is ELP.

    Returns:
        (N, 5, H) in [-1, 1].
    """

    def smooth(x: Tensor) -> Tensor:
        return functional.avg_pool1d(x, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)

    detail = profile - smooth(profile)
    elp, others = detail[:, :1], detail[:, 1:]
    power = smooth(elp**2) * smooth(others**2)
    return smooth(elp * others) / (power + 1e-8).sqrt()


class StripNet(nn.Module):
    """Classify a gel from the profiles of its lanes and their co-location.

    Args:
        width: channels of the first of two layers over the rows.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(2 * N_LANES - 1, width, 7, 1, 3, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool1d(2),
            nn.Conv1d(width, 2 * width, 5, 1, 2, bias=False),
            nn.BatchNorm1d(2 * width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(2 * width, N_CLASSES)

    def forward(self, profile: Tensor) -> Answer:
        """Return the nine-way logits for profiles (N, 6, H) in [-1, 1]."""
        level = (profile.float() + 1) / 2
        features = self.features(torch.cat([level, colocation(level)], dim=1))
        return Answer({"label": self.head(features.amax(dim=2)).float()}, {"label": []})
