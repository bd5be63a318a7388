"""Time the pruning chapter on this CPU; fail below the bars.

1. Training the U-Net at 128 px against what a tutorial would write: a DataLoader, single precision,
   one run that uses all cores. The book keeps frames in memory, multiplies in bfloat16 where the
   processor can, lays images out channels last, and gives each core a training of its own.
   Network, loss, augmentation, frames and batches are the same; both alternate.
2. Scoring all filters on 235 frames at 128 px in single precision, on one thread.
3. The pruned network's speed against its operations, in turn, with bootstrap intervals. No bar:
   how much of the operations a machine turns into time is what is asked.
"""

import sys
import time

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from torch.utils.data import DataLoader, TensorDataset

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
SIZE, WIDTH, N, BATCH, REPEATS = 128, 16, 48, 16, 2  # the fastest repeat counts
N_SCORED, N_TIMED, ROUNDS = 235, 20, 10


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


def one_training(image: np.ndarray, mask: np.ndarray) -> None:
    """Train on one core, in a process of its own."""
    torch.set_num_threads(1)
    fit(layout(WIDTH), image, mask, settings=Settings(epochs=1, batch_size=BATCH), seed=0)


def training_ratio() -> float:
    """Return how many times as many frames per second the book trains on."""
    data, at_once = frames(N), cpu_count()
    best = {"plain": 0.0, "book": 0.0}
    with Parallel(n_jobs=at_once) as pool:
        pool([delayed(one_training)(*data)] * at_once)  # starts the processes
        for _ in range(REPEATS):
            best["plain"] = max(best["plain"], plain(*data))
            start = time.perf_counter()
            pool([delayed(one_training)(*data)] * at_once)
            best["book"] = max(best["book"], at_once * N / (time.perf_counter() - start))
    for name, rate in best.items():
        print(f"training, {name}: {rate:.1f} frames/s")
    return best["book"] / best["plain"]


def scoring_seconds() -> float:
    """Return the seconds that scoring all 2,944 filters takes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = UNet(layout(32)).eval()
    image, mask = frames(N_SCORED)
    start = time.perf_counter()
    x, t = to_input(torch.from_numpy(image)), torch.from_numpy(mask)[:, None].float()
    keep_best(taylor(taylor_terms(model, x, t)), 956)
    return time.perf_counter() - start


def pruned_speed() -> None:
    """Print how much of the operations saved becomes time saved."""
    torch.set_num_threads(cpu_count())
    torch.manual_seed(0)
    model = UNet(layout(32)).eval()
    image, mask = frames(N_TIMED)
    x, t = to_input(torch.from_numpy(image)), torch.from_numpy(mask)[:, None].float()
    scores = taylor(taylor_terms(model, x[:4], t[:4]))
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
    ratio = training_ratio()
    print(f"training: {ratio:.2f} times the plain loop (bar {BAR})")
    scoring = scoring_seconds()
    print(f"scoring 2,944 filters on {N_SCORED} frames: {scoring:.1f} s (bar {SECONDS:.0f} s)")
    pruned_speed()
    return 0 if ratio >= BAR and scoring <= SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
