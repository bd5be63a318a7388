"""Where the tests that ``paper.yml`` can name hold their level, and what to say where they do not.

The ranges come from simulations (``make validate``, the page of their tables): levels between 3.5
and 6.5 % of a test at 5 %, and intervals at 95 % that cover between 93 and 97 %.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Validity:
    """The range of one test.

    Args:
        note: what was measured, in short.
        min_clusters: independent units from which it holds its level.
        min_folds: folds, for tests of folds.
        min_seeds: training runs, for tests that take them as random.
        conservative: whether it may reject less often than its level inside its range.
    """

    note: str
    min_clusters: int = 0
    min_folds: int = 0
    min_seeds: int = 0
    conservative: bool = False


RANGES: dict[str, Validity] = {"t_clustered": Validity("levels and coverage hold", min_clusters=20)}


def validity(name: str) -> Validity | None:
    """Return the range of a test; None if none was measured.

    Example:
        >>> validity("t_clustered").min_clusters
        30
    """
    return RANGES.get(name)


def conservative(name: str) -> bool:
    """Tell whether a test may reject less often than its level inside its range."""
    known = RANGES.get(name)
    return known is not None and known.conservative


def holds(name: str, *, n_clusters: int, n_folds: int = 0, n_seeds: int = 1) -> bool:
    """Tell whether a test holds its level in a design; False if nothing was measured.

    Args:
        name: as in ``paper.yml``.
        n_clusters: independent units.
        n_folds: folds; 0 without folds.
        n_seeds: training runs.

    Example:
        >>> holds("t_clustered", n_clusters=100), holds("t_clustered", n_clusters=5)
        (True, False)
    """
    return name in RANGES and not warn(name, n_clusters=n_clusters, n_folds=n_folds, n_seeds=n_seeds)


def warn(name: str, *, n_clusters: int, n_folds: int = 0, n_seeds: int = 1) -> tuple[str, ...]:
    """Say where a design lies outside the range of its test.

    Args:
        name: as in ``paper.yml``.
        n_clusters: independent units.
        n_folds: folds; 0 without folds.
        n_seeds: training runs.

    Returns:
        One sentence for each limit that is not met; none for a test without a stated range.

    Example:
        >>> warn("t_clustered", n_clusters=100)
        ()
    """
    known = RANGES.get(name)
    if known is None:
        return ()
    asked = (
        (n_clusters, known.min_clusters, "clusters"),
        (n_folds, known.min_folds, "folds"),
        (n_seeds, known.min_seeds, "training seeds"),
    )
    return tuple(
        f"{name} is calibrated from {least} {unit} on, here {given}: {known.note}"
        for given, least, unit in asked
        if given < least
    )
