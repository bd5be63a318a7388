"""Time the training of the gel network against the plainest honest one; fail below 1.5 times.

The plain training has the same network, losses, optimiser and batches, in float32, with torch's
DataLoader over tensors in memory. Both are one run in one process and alternate; the fastest repeat
of each counts. The bar is that of all threads, as torch would use them; one thread, as the chapter
trains beside other trainings, is printed before it.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from common.models.ife import decompose
from common.models.ife_losses import Pull, losses
from common.models.ife_training import (
    CLIP_NORM,
    MOMENTUM,
    WEIGHT_DECAY,
    Arm,
    fit,
    learning_rate,
)

N_GELS, SIZE, WIDTH, EPOCHS, BATCH = 640, (64, 48), 8, 2, 16
ARM = Arm(lr=0.03, pull=Pull(inner=0.3, inter=0.3))
BAR = 1.5
REPEATS = 5


def plain(image: np.ndarray, heavy: np.ndarray, light: np.ndarray) -> None:
    """Train as one would at first: float32, a DataLoader, nothing else."""
    torch.manual_seed(0)
    scaled = (torch.from_numpy(image).float() / 255 - 0.5) / 0.5
    data = TensorDataset(scaled, torch.from_numpy(heavy), torch.from_numpy(light))
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    model = ARM.build(WIDTH).train()
    optimiser = torch.optim.SGD(
        model.parameters(), ARM.lr, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    n_steps, step = EPOCHS * len(loader), 0
    for _ in range(EPOCHS):
        for batch, own_heavy, own_light in loader:
            terms = losses(model(batch), {"heavy": own_heavy, "light": own_light}, ARM.pull)
            optimiser.param_groups[0]["lr"] = learning_rate(step, n_steps=n_steps, peak=ARM.lr)
            optimiser.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimiser.step()
            step += 1


def book(image: np.ndarray, heavy: np.ndarray, light: np.ndarray) -> None:
    """Train as the chapter does."""
    codes = {"heavy": heavy, "light": light}
    fit(
        lambda: ARM.build(WIDTH),
        image,
        codes,
        arm=ARM,
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=0,
    )


def rate(train: Callable[[], None]) -> float:
    """Return gels per second of one training."""
    start = time.perf_counter()
    train()
    return N_GELS * EPOCHS / (time.perf_counter() - start)


def main() -> int:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (N_GELS, 3, *SIZE)).astype(np.uint8)
    heavy, light = decompose(rng.integers(0, 9, N_GELS))
    ratios = []
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        best = {"plain": 0.0, "book": 0.0}
        for _ in range(REPEATS):
            for name, train in (("plain", plain), ("book", book)):
                best[name] = max(best[name], rate(partial(train, image, heavy, light)))
        ratios.append(best["book"] / best["plain"])
        print(
            f"{threads} thread(s): DataLoader and float32 {best['plain']:,.0f} gels/s, "
            f"the book {best['book']:,.0f} gels/s, {ratios[-1]:.2f} times (bar {BAR})"
        )
    return 0 if ratios[-1] >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
