"""Random numbers of phantoms: named streams, exact proportions, one seed a case."""

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Make the generator of one named purpose; other names give independent numbers.

    Args:
        seed: seed of the phantom, not negative.
        names: what the numbers are for, such as ``"ife", "lanes"`` or a patient's number.

    Returns:
        A generator that is the same in every process and on every machine.

    Raises:
        ValueError: the seed is negative.

    Example:
        >>> a, b = stream(0, "noise"), stream(0, "noise")
        >>> float(a.random()) == float(b.random())
        True
    """
    if seed < 0:
        raise ValueError(f"`seed` must be 0 or more, got {seed!r}. Choose another.")
    text = "\x1f".join(str(name) for name in names).encode()
    word = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    return np.random.default_rng(np.random.SeedSequence([seed, word]))


def case_seeds(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one seed for each case; what a case draws then depends on no other case.

    Args:
        n: number of cases.
        rng: source of randomness.

    Returns:
        (n,) integers below 2**31.
    """
    return rng.integers(2**31, size=n)


def allocate(n: int, shares: ArrayLike) -> NDArray[np.int64]:
    """Deal ``n`` cases to classes in given proportions, by largest remainder.

    Args:
        n: number of cases, not negative.
        shares: weight of each class; they need not sum to one.

    Returns:
        (classes,) counts that sum to ``n``; each is within one of its exact share.

    Raises:
        ValueError: ``n`` is negative, or the shares are negative or all zero.

    Example:
        >>> allocate(10, [2, 1, 1]).tolist()
        [5, 3, 2]
    """
    weight = np.asarray(shares, dtype=float)
    if n < 0:
        raise ValueError(f"`n` must be 0 or more, got {n!r}. Raise it.")
    if weight.min(initial=0) < 0 or weight.sum() <= 0:
        raise ValueError(
            f"`shares` must not be negative and not all zero, got {weight.tolist()!r}."
        )
    exact = weight * n / weight.sum()
    count = np.floor(exact).astype(np.int64)
    count[np.argsort(count - exact, kind="stable")[: n - count.sum()]] += 1
    return count


def classes(n: int, shares: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw class codes in exact proportions and random order; see :func:`allocate`.

    Args:
        n: number of cases.
        shares: weight of each class.
        rng: source of randomness.

    Returns:
        (n,) codes 0 to classes - 1.
    """
    return rng.permutation(np.repeat(np.arange(np.size(shares)), allocate(n, shares)))
