"""Non-negative matrix factorisation by alternating least squares with clipping, for many images.

All work on pixels is three products of small matrices with the image; the normal equations are 3 x
3 and solved for all images of a block at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import UsageError

Array = NDArray[np.float64]

RIDGE = 1e-9  # keeps the normal equations solvable when a row of S or a column of A is zero
# images that are worked on together: their pixels then stay in the processor's cache
_BLOCK = 8


@dataclass(frozen=True)
class Factorisation:
    """X = A S as far as it goes.

    Args:
        A (n, 3, 3): mixing matrices, not negative.
        S (n, 3, N): sources, not negative.
        cost (n,): ||X - A S||^2 / 2.
        n_iter (n,): rounds that were made.
    """

    A: Array
    S: Array
    cost: Array
    n_iter: NDArray[np.int64]


def als(
    X: Array,
    start: Array,
    *,
    tolerance: float = 1e-8,
    max_iter: int = 100,
    device: str | torch.device = "cpu",
) -> Factorisation:
    """Factorise images by the paper's updates until the cost falls below a threshold.

    One round: S = (A'A)^-1 A'X, negatives to 0; A = X S' (S S')^-1, negatives to 0.

    Args:
        X (n, 3, N): absorbances.
        start (n, 3, 3): first mixing matrices.
        tolerance: the threshold, as a share of ||X||^2 / 2.
        max_iter: most rounds; the loop need not reach the threshold.
        device: where to compute.

    Returns:
        The state after the last round of each image. The sums of each image are made in one order,
        whatever the other images are.

    Raises:
        UsageError: shapes do not fit, or a limit is out of range.

    Source:
        Equations 17 to 19 and steps 2 and 3 of the algorithm (Section 2.2).
    """
    n = len(X)
    if X.ndim != 3 or X.shape[1] != 3 or start.shape != (n, 3, 3):
        raise UsageError(
            f"`X` and `start` must have shapes (n, 3, N) and (n, 3, 3), got {X.shape} and "
            f"{start.shape}."
        )
    if max_iter < 1 or tolerance < 0:
        raise UsageError(
            f"`max_iter` must be at least 1 and `tolerance` not negative, got {max_iter!r} and "
            f"{tolerance!r}."
        )
    place = torch.device(device)
    block = _BLOCK if place.type == "cpu" else max(n, 1)
    whole = torch.as_tensor(np.ascontiguousarray(X), device=place)
    A = torch.as_tensor(np.ascontiguousarray(start), device=place).clone()
    S = torch.empty_like(whole)
    cost, n_iter = torch.zeros(n, dtype=whole.dtype), torch.zeros(n, dtype=torch.int64)
    for first in range(0, n, block):
        part = slice(first, first + block)
        A[part], S[part], cost[part], n_iter[part] = _block(
            whole[part], A[part], tolerance, max_iter
        )
    return Factorisation(*(each.cpu().numpy() for each in (A, S, cost, n_iter)))


def _block(
    X: torch.Tensor, A: torch.Tensor, tolerance: float, max_iter: int
) -> tuple[torch.Tensor, ...]:
    """Run the loop for one block; images that have reached the threshold leave it."""
    power = X.square().sum(dim=(1, 2)) / 2
    done_A, done_S = A.clone(), torch.zeros_like(X)
    cost = torch.full_like(power, torch.inf)
    n_iter = torch.zeros(len(X), dtype=torch.int64, device=X.device)
    left = torch.arange(len(X), device=X.device)
    for round_ in range(1, max_iter + 1):
        S, A, now = _round(X, A, power[left])
        stop = (now <= tolerance * power[left]) | (round_ == max_iter)
        if stop.any():
            at = left[stop]
            done_A[at], done_S[at], cost[at], n_iter[at] = A[stop], S[stop], now[stop], round_
            left, X, A = left[~stop], X[~stop], A[~stop]
        if not len(left):
            break
    return done_A, done_S, cost, n_iter


def _round(
    X: torch.Tensor, A: torch.Tensor, power: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Update S, then A, and give the cost of both."""
    S = torch.bmm(_solve(A.mT @ A, A.mT), X).clamp_(min=0)
    SS, XS = torch.bmm(S, S.mT), torch.bmm(X, S.mT)
    A = _solve(SS, XS.mT).mT.clamp(min=0)
    # ||X - AS||^2 from matrices of 3 x 3, without another pass over the pixels
    cost = power - (A * XS).sum(dim=(1, 2)) + ((A.mT @ A) * SS).sum(dim=(1, 2)) / 2
    return S, A, cost.clamp_(min=0)


def _solve(gram: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve the normal equations gram x = right for each image."""
    ridge = RIDGE * torch.eye(3, dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram + ridge, right)


def costs(X: Array, start: Array, *, max_iter: int, clip: bool = True) -> Array:
    """Follow the cost of one image over the rounds, with or without clipping.

    Args:
        X (3, N): absorbances.
        start (3, 3): first mixing matrix.
        max_iter: rounds.
        clip: whether negatives are set to 0; without, any invertible start is exact at once.

    Returns:
        (max_iter,): cost as a share of ||X||^2 / 2.
    """
    pixels, A = torch.as_tensor(X)[None], torch.as_tensor(start)[None].clone()
    power, path = pixels.square().sum() / 2, []
    for _ in range(max_iter):
        if clip:
            _, A, cost = _round(pixels, A, power[None])
        else:
            S = torch.bmm(_solve(A.mT @ A, A.mT), pixels)
            A = _solve(S @ S.mT, S @ pixels.mT).mT
            cost = (pixels - A @ S).square().sum()[None] / 2
        path.append(float(cost[0] / power))
    return np.array(path)
