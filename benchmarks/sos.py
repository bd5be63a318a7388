"""Time training of SOS on this CPU against the plainest loop; fail below the bar.

The plain loop is what a tutorial would write: a DataLoader, single precision, one run that uses
all cores. The book keeps slides in memory, multiplies in bfloat16 where the processor can, lays
images out channels last, and gives each core a training of its own. Network, losses, slides and
batches are the same.
"""

import sys
import time

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from torch.utils.data import DataLoader, Dataset

from common.chapters.sos import inputs
from common.models.sos import SOSNetwork
from common.models.sos_losses import losses
from common.models.sos_training import ARMS, Settings, build, fastest, training_step
from common.training import train

BAR = 1.5
N_SLIDES, EPOCHS, REPEATS = 160, 2, 3  # the fastest repeat counts
SETTINGS = Settings(epochs=EPOCHS, batch_size=8, width=16, tile_width=8)
SOS = next(arm for arm in ARMS if arm.name == "sos")


class Slides(Dataset):
    """Slides one by one, as a DataLoader asks for them."""

    def __init__(self, slides: inputs.Slides) -> None:
        self.slides = slides

    def __len__(self) -> int:
        return len(self.slides.label)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        tiles = torch.from_numpy(self.slides.tiles[i]).float() / 255
        return torch.from_numpy(self.slides.low[i]), tiles, int(self.slides.label[i])


def plain(slides: inputs.Slides) -> float:
    """Return slides per second of the plain loop."""
    torch.set_num_threads(cpu_count())
    torch.manual_seed(0)
    network = SOSNetwork(SOS.design, width=SETTINGS.width, tile_width=SETTINGS.tile_width)
    optimiser = torch.optim.Adam(network.parameters(), lr=SETTINGS.lr)
    loader = DataLoader(Slides(slides), batch_size=SETTINGS.batch_size, shuffle=True)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        for low, tiles, label in loader:
            loss = sum(losses(network(low, tiles), label, which=SOS.losses).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return EPOCHS * len(slides.label) / (time.perf_counter() - start)


def one_training(slides: inputs.Slides, seed: int) -> None:
    """Train as the chapter does, in a process of its own."""
    torch.set_num_threads(1)
    data = {
        "low": torch.from_numpy(np.array(slides.low)),
        "tiles": torch.from_numpy(np.array(slides.tiles)),
        "label": torch.from_numpy(np.array(slides.label)),
    }
    train(
        lambda: build(SOS, SETTINGS),
        training_step(SOS, SETTINGS),
        data,
        epochs=EPOCHS,
        batch_size=SETTINGS.batch_size,
        seed=seed,
        lr=SETTINGS.lr,
        fabric=fastest(device="cpu"),
    )


def chapter(slides: inputs.Slides, pool: Parallel, at_once: int) -> float:
    """Return slides per second of as many trainings at once as there are cores."""
    start = time.perf_counter()
    pool(delayed(one_training)(slides, seed) for seed in range(at_once))
    return at_once * EPOCHS * len(slides.label) / (time.perf_counter() - start)


def main() -> int:
    """Measure both, alternately, and compare the fastest of each."""
    slides = inputs.phantom_slides(N_SLIDES, 0, size=256, tile=64, shrink=8)
    at_once = cpu_count()
    precision = fastest(device="cpu")._precision.precision
    rates = {"plain": 0.0, "chapter": 0.0}
    with Parallel(n_jobs=at_once) as pool:
        chapter(slides, pool, at_once)  # starts the processes
        for _ in range(REPEATS):
            rates["plain"] = max(rates["plain"], plain(slides))
            rates["chapter"] = max(rates["chapter"], chapter(slides, pool, at_once))
    ratio = rates["chapter"] / rates["plain"]
    print(f"plain loop: {rates['plain']:.0f} slides/s (DataLoader, 32-true, 1 training)")
    print(f"chapter: {rates['chapter']:.0f} slides/s ({precision}, {at_once} trainings at once)")
    print(f"ratio: {ratio:.2f} (bar {BAR})")
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
