"""The toy image of Fig. 2: its printed diagrams, its printed vectors, and an image that fits."""

import numpy as np

from common.papers import Paper

# Fig. 2 shows the values and the text does not; this image has exactly the printed diagrams.
IMAGE = np.array(
    [
        [1, 4, 3, 2, 5],
        [5, 3, 5, 3, 3],
        [1, 3, 3, 5, 4],
        [2, 5, 1, 4, 1],
        [1, 3, 5, 5, 5],
    ]
)


def intervals(paper: Paper, dimension: int) -> list[tuple[float, float]]:
    """Read the diagram that the paper prints for its toy image (Fig. 2)."""
    prose = paper.table("prose")
    mine = prose[prose["column"].str.startswith(f"PD{dimension} interval")]
    ends = mine["column"].str.extract(r"interval (\d+) (birth|death)")
    wide = mine.assign(number=ends[0].astype(int), end=ends[1]).pivot(
        index="number", columns="end", values="value"
    )
    return list(zip(wide["birth"], wide["death"], strict=True))


def vector(paper: Paper, dimension: int) -> list[int]:
    """Read the Betti vector that the paper prints for its toy image."""
    prose = paper.table("prose")
    mine = prose[prose["column"].str.startswith(f"Betti-{dimension} at threshold")]
    return [int(each) for each in mine["value"]]


def counts(alive: list[tuple[float, float]], n: int) -> list[int]:
    """Count the intervals that are alive at 1 to n.

    Example:
        >>> counts([(1, float("inf")), (1, 2)], 3)
        [2, 1, 1]
    """
    return [sum(born <= t < died for born, died in alive) for t in range(1, n + 1)]
