"""The arms: which network is trained on what, how, and under which name it is recorded."""

from dataclasses import dataclass, replace

from common.models.shoulder_implant import NETWORKS

PROPOSED = "inception-resnet-v2"
# the first setting of a grid stands for it where nothing is tuned
RATES = {
    "sgd": (0.03, 0.01, 0.1),
    "adam": (0.001, 0.0003, 0.003),
    "adagrad": (0.01, 0.003, 0.03),
}
# Real X-rays have more images of fewer classes, and their own grid: the first of the phantom's SGD
# left the training loss where it was for some epochs, see the page's decision 16.
OPEN_RATES = {**RATES, "sgd": (0.01, 0.003, 0.03)}


@dataclass(frozen=True)
class Arm:
    """One way of training and testing.

    Args:
        name: of the arm in ``paper.yml``.
        cohort: setting of the phantom, or ``open``.
        task: ``seven``, ``depuy``, ``others`` or ``makers``.
        network: name, see :data:`common.models.shoulder_implant.NETWORKS`.
        optimiser: ``sgd``, ``adam`` or ``adagrad``.
        lr: learning rate; the tuned one if None.
        momentum: of ``sgd``.
        pretrained: whether the features start from the pretext task.
        augment: whether the copies of training images are altered.
        by_image: whether a patient's images may be divided between training and test.
        hold_out: whether a fifth of the training images chooses the epoch.
        shuffle: whether training labels are shuffled.
        as_long: whether epochs are added until there are as many steps as for all classes.
    """

    name: str
    cohort: str = "main"
    task: str = "seven"
    network: str = PROPOSED
    optimiser: str = "sgd"
    lr: float | None = None
    momentum: float = 0.9
    pretrained: bool = True
    augment: bool = True
    by_image: bool = False
    hold_out: bool = False
    shuffle: bool = False
    as_long: bool = False


def networks(task: str, cohort: str = "main") -> list[Arm]:
    """List the four networks on a task."""
    return [Arm(f"{task}-{name}", cohort, task, name) for name in NETWORKS]


def optimisers(task: str, cohort: str = "main") -> list[Arm]:
    """List the two other optimisers of the proposed network; the first is in :func:`networks`."""
    return [Arm(f"{task}-{name}", cohort, task, optimiser=name) for name in ("adam", "adagrad")]


def factors(task: str, cohort: str = "main") -> list[Arm]:
    """List three corners of pretrained or not, altered copies or not; the fourth is the network."""
    base = Arm("", cohort, task)
    return [
        replace(base, name=f"{task}-scratch", pretrained=False),
        replace(base, name=f"{task}-plain", augment=False),
        replace(base, name=f"{task}-scratch-plain", pretrained=False, augment=False),
    ]


def expert() -> list[Arm]:
    """List the networks of one side each, trained for as many steps as the joint one."""
    return [Arm(f"{side}-as-long", task=side, as_long=True) for side in ("depuy", "others")]


def grid(arm: Arm) -> tuple[float, ...]:
    """Return the learning rates that are tried for an arm; the first stands where none is."""
    return (OPEN_RATES if arm.task == "makers" else RATES)[arm.optimiser]


def tuned(n_rates: int, task: str = "seven", cohort: str = "main") -> list[Arm]:
    """List what is trained to find learning rates, ``n_rates`` times; nothing if that is once."""
    plain = Arm("", cohort, task)
    base = [replace(plain, network=name) for name in NETWORKS]
    base += [replace(plain, optimiser=name) for name in ("adam", "adagrad")]
    base += [replace(plain, pretrained=False), *(expert() if task == "seven" else [])]
    n = n_rates if n_rates > 1 else 0
    return [replace(arm, lr=lr) for arm in base for lr in grid(arm)[:n]]


def phantom() -> list[Arm]:
    """List every training on the phantom."""
    found = [arm for task in ("seven", "depuy", "others") for arm in networks(task)]
    found += [arm for task in ("seven", "depuy", "others") for arm in optimisers(task)]
    found += factors("seven")
    return [
        *found,
        *expert(),
        Arm("seven-literal", lr=1e-3, momentum=0.0),
        Arm("seven-held-out", hold_out=True),
        Arm("by-image", by_image=True),
        Arm("shared-by-patient", "shared"),
        Arm("shared-by-image", "shared", by_image=True),
        Arm("unshared-by-patient", "unshared"),
        Arm("unshared-by-image", "unshared", by_image=True),
        Arm("one-source", "one-source"),
        Arm("no-cues", "no-cues"),
    ]


def real(which: str = "all") -> list[Arm]:
    """List every training on the real X-rays.

    Args:
        which: ``all``, or ``networks`` for the four networks alone.
    """
    if which == "networks":
        return networks("makers", "open")
    return [
        *networks("makers", "open"),
        *optimisers("makers", "open"),
        *factors("makers", "open"),
        Arm("makers-held-out", "open", "makers", hold_out=True),
        Arm("makers-shuffled", "open", "makers", shuffle=True),
    ]
