"""Time the training of the gel network against the plainest honest one; fail below 1.5 times.

The plain training has the same network, losses, optimiser and batches, in float32, with torch's
DataLoader over tensors in memory, and uses all cores. The book multiplies in bfloat16 where the
processor can and gives each core a training of its own, as the chapter does. Both alternate in one
process, and the fastest repeat of each counts; the same comparison on one thread is printed first.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
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
REPEATS = 2


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


def one_training(image: np.ndarray, heavy: np.ndarray, light: np.ndarray) -> None:
    """Train on one core, in a process of its own."""
    torch.set_num_threads(1)
    book(image, heavy, light)


def rate(train: Callable[[], object], trainings: int = 1) -> float:
    """Return gels per second of some trainings."""
    start = time.perf_counter()
    train()
    return trainings * N_GELS * EPOCHS / (time.perf_counter() - start)


def main() -> int:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (N_GELS, 3, *SIZE)).astype(np.uint8)
    gels = (image, *decompose(rng.integers(0, 9, N_GELS)))
    at_once = cpu_count()
    best = {"plain, one thread": 0.0, "book, one thread": 0.0, "plain": 0.0, "book": 0.0}
    with Parallel(n_jobs=at_once) as pool:
        side_by_side = partial(pool, [delayed(one_training)(*gels)] * at_once)
        side_by_side()  # starts the processes
        for _ in range(REPEATS):
            torch.set_num_threads(1)
            now = {"plain, one thread": rate(partial(plain, *gels))}
            now["book, one thread"] = rate(partial(book, *gels))
            torch.set_num_threads(at_once)
            now["plain"] = rate(partial(plain, *gels))
            now["book"] = rate(side_by_side, at_once)
            best = {name: max(best[name], now[name]) for name in best}
    for name, gels_per_second in best.items():
        print(f"{name}: {gels_per_second:,.0f} gels/s")
    ratio = best["book"] / best["plain"]
    print(f"one thread: {best['book, one thread'] / best['plain, one thread']:.2f} times")
    print(f"all {at_once} cores: {ratio:.2f} times (bar {BAR})")
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
