"""Time the pruning chapter on this machine; fail beyond the bars.

1. Training the U-Net at 128 px against what a tutorial would write: a DataLoader and single
   precision. Network, loss, augmentation, frames and batches are the same; both alternate, and the
   fastest repeat counts. Twice: one training against one, both with all cores, and as the chapter
   does it, one training a core, against one that uses all cores.
2. Scoring all filters on 235 frames at 128 px in single precision, with all cores, after one batch
   to warm up.
3. The pruned network's speed against its operations, in turn, with bootstrap intervals. The
   network is trained for a few steps on generated frames, so that its scores mean something. No
   bar: how much of the operations a machine turns into time is what is asked.
"""

import sys
import time

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from torch.utils.data import DataLoader, TensorDataset

from common.chapters.polyp_pruning import inputs
from common.models.polyp_pruning import UNet, count, layout, prune
from common.models.polyp_pruning_scores import (
    keep_best,
    segmentation_error,
    taylor,
    taylor_terms,
)
from common.models.polyp_pruning_training import (
    Settings,
    augmented,
    fit,
    interleaved_seconds,
    time_ratio,
    to_input,
)

BAR, SECONDS = 1.3, 60.0
SIZE, WIDTH, N, BATCH, REPEATS = 128, 16, 64, 16, 2
N_SCORED, N_TIMED, ROUNDS, EPOCHS = 235, 20, 10, 4


def frames(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise with masks; its content does not change the time."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (n, 3, SIZE, SIZE)).astype(np.uint8)
    return image, rng.random((n, SIZE, SIZE)) < 0.15


def plain(image: np.ndarray, mask: np.ndarray) -> float:
    """Return frames per second of the plain loop."""
    torch.set_num_threads(cpu_count())
    torch.manual_seed(0)
    model = UNet(layout(WIDTH))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = TensorDataset(torch.from_numpy(image), torch.from_numpy(mask)[:, None])
    start = time.perf_counter()
    for batch, target in DataLoader(data, batch_size=BATCH, shuffle=True):
        x, t = augmented(batch.float() / 127.5 - 1, target.float())
        loss = segmentation_error(model(x.contiguous()), t.contiguous()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return len(image) / (time.perf_counter() - start)


def book(image: np.ndarray, mask: np.ndarray, threads: int) -> float:
    """Return frames per second of one training of the book."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    fit(layout(WIDTH), image, mask, settings=Settings(epochs=1, batch_size=BATCH), seed=0)
    return len(image) / (time.perf_counter() - start)


def training_ratios() -> tuple[float, float]:
    """Return how many times as many frames per second the book trains on: alone, and together."""
    data, at_once = frames(N), cpu_count()
    best = {"plain": 0.0, "one": 0.0, "one a core": 0.0}
    with Parallel(n_jobs=at_once, max_nbytes=None) as pool:
        pool([delayed(book)(*data, 1)] * at_once)  # starts the processes
        for _ in range(REPEATS):
            best["plain"] = max(best["plain"], plain(*data))
            best["one"] = max(best["one"], book(*data, at_once))
            start = time.perf_counter()
            pool([delayed(book)(*data, 1)] * at_once)
            rate = at_once * N / (time.perf_counter() - start)
            best["one a core"] = max(best["one a core"], rate)
    for name, rate in best.items():
        print(f"training, {name}: {rate:.1f} frames/s")
    return best["one"] / best["plain"], best["one a core"] / best["plain"]


def scoring_seconds() -> float:
    """Return the seconds that scoring all 2,944 filters takes."""
    torch.set_num_threads(cpu_count())
    torch.manual_seed(0)
    model = UNet(layout(32)).eval()
    image, mask = frames(N_SCORED)
    x, t = to_input(torch.from_numpy(image)), torch.from_numpy(mask)[:, None].float()
    taylor_terms(model, x[:8], t[:8])  # warms up
    start = time.perf_counter()
    keep_best(taylor(taylor_terms(model, x, t)), 956)
    return time.perf_counter() - start


def pruned_speed() -> None:
    """Print how much of the operations saved becomes time saved."""
    torch.set_num_threads(cpu_count())
    drawn = inputs.load("phantom", size=SIZE, n=N + N_TIMED)
    train, rest = drawn.at(np.arange(N)), drawn.at(np.arange(N, N + N_TIMED))
    settings = Settings(epochs=EPOCHS, batch_size=8)
    model, _ = fit(layout(32), train.image, train.mask, settings=settings, seed=0)
    x, t = to_input(torch.from_numpy(rest.image)), torch.from_numpy(rest.mask)[:, None].float()
    scores = taylor(taylor_terms(model, x, t))
    models = {"whole": model} | {str(p): prune(model, keep_best(scores, p)) for p in (736, 956)}
    seconds = interleaved_seconds(models, x, repeats=ROUNDS)
    whole = count(model.plan, SIZE).macs
    for name in ("736", "956"):
        ratio, low, high = time_ratio(seconds[name], seconds["whole"], rng=np.random.default_rng(0))
        left = count(models[name].plan, SIZE).macs / whole
        print(
            f"{name} filters removed: {left:.2f} of the operations, {ratio:.2f} of the time "
            f"[{low:.2f}, {high:.2f}]"
        )


def main() -> int:
    alone, together = training_ratios()
    print(f"one training: {alone:.2f} times the plain loop (bar {BAR})")
    print(f"one training a core: {together:.2f} times the plain loop (bar {BAR})")
    scoring = scoring_seconds()
    print(f"scoring 2,944 filters on {N_SCORED} frames: {scoring:.1f} s (bar {SECONDS:.0f} s)")
    pruned_speed()
    good = min(alone, together) >= BAR and scoring <= SECONDS
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
