"""The audit: the printed numbers against themselves, and against the public annotations."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from math import floor
from typing import Any

import numpy as np
import pandas as pd

from common.chapters.ton_vit.averages import AVERAGES, average, of
from common.chapters.ton_vit.recognition import ACCURACIES, confuse, pairs
from common.chapters.ton_vit.videos import PROCEDURES, Labels, Videos
from common.models.ton_vit import Array, distances, generate, is_acyclic, unit
from common.models.ton_vit_classify import Clusters, left_out
from common.papers import Paper
from common.statistics import agreement, proportions, ranking
from common.statistics.audit import Check, Status, check_mean
from common.statistics.digits import Printed
from common.statistics.paired import paired_t_inference

N_DOCTORS = 4
SIZES = (50, 60, 141)  # videos: two guesses from a challenge proposal, and the public list
MEAN = "Average Score"
# what the paper's text calls the five procedures in Table 1, in the order of PROCEDURES
ROWS = (
    "Cricothyroidotomy",
    "Tube thoracostomy",
    "Interosseous insertion",
    "Needle thoracostomy",
    "Tourniquet",
)


def scores(paper: Paper) -> pd.DataFrame:
    """Return Table 1 as a matrix: procedures in rows, doctors and the printed mean in columns."""
    table: Any = paper.table("table1").pivot_table("value", "row", "column", sort=False)
    return pd.DataFrame(table.reindex(list(ROWS)))


def ratings(paper: Paper) -> Array:
    """Return the printed scores (5 procedures, 4 doctors)."""
    return scores(paper).drop(columns=MEAN).to_numpy(dtype=np.float64)


def printed_distances(paper: Paper) -> tuple[float, float]:
    """Return the printed largest distance within procedures, and the smallest between them."""
    prose: Any = paper.table("prose").set_index("metric")["value"]
    return (
        float(prose["maximum within-class distance"]),
        float(prose["minimum between-class distance"]),
    )


def rating_records(paper: Paper) -> pd.DataFrame:
    """Write the printed scores as records of source ``published``: doctors rate all procedures."""
    table = ratings(paper)
    rows = [
        {"arm": f"meant-{short}", "case": f"doctor {d + 1}", "value": table[c, d]}
        for c, short in enumerate(PROCEDURES)
        for d in range(N_DOCTORS)
    ]
    constant: dict[str, Any] = {
        "metric": "score",
        "seed": 0,
        "fold": "",
        "group": "",
        "source": "published",
    }
    records = pd.DataFrame(rows)
    return records.assign(cluster=records["case"], **constant)


def doctors(paper: Paper) -> pd.DataFrame:
    """Give the mean score of each procedure its t interval over the four doctors.

    Returns:
        ``row``, ``kind`` (empty), ``effect``, ``low``, ``high`` in points.
    """
    rows = []
    for name, values in zip(ROWS, ratings(paper), strict=True):
        span = paired_t_inference(values).interval()
        rows.append((name, "", values.mean(), span.low, span.high))
    return pd.DataFrame(rows, columns=["row", "kind", "effect", "low", "high"])


def kendall_w(values: Array) -> float:
    """Compute Kendall's coefficient of concordance, corrected for ties.

    Args:
        values (subjects, raters): every rater rates every subject.

    Returns:
        0 for no agreement on the order to 1 for the same order.

    Example:
        >>> kendall_w(np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 9.0]]))
        1.0
    """
    found = ranking.friedman(values.T)
    n, raters = values.shape
    return float(found.statistic / (raters * (n - 1)))


def item_counts(values: Array, *, low: int = 1, high: int = 12, digits: int = 1) -> list[int]:
    """Find how many items of whole points a doctor's mean can be over, for all printed means.

    Args:
        values: printed means of scores from 1 to 5.
        low: fewest items tried.
        high: most items tried.
        digits: decimals printed.

    Returns:
        The numbers of items that give every printed mean, by one rule of rounding for all (half
        up, half to even, or cut off).

    Example:
        >>> item_counts(np.array([2.3, 4.0]), high=4)
        [3, 4]
    """
    wanted = {round(float(value) * 10**digits) for value in values.ravel()}
    fitting = []
    for n in range(low, high + 1):
        means = [Fraction(total * 10**digits, n) for total in range(n, 5 * n + 1)]
        half_up = {floor(mean + Fraction(1, 2)) for mean in means}
        half_even, cut = {round(mean) for mean in means}, {floor(mean) for mean in means}
        if any(wanted <= each for each in (half_up, half_even, cut)):
            fitting.append(n)
    return fitting


def printed_alone(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other."""
    return [
        check
        for part in (_table1, _raters, _bounds, _distances, _algorithms, _words)
        for check in part(paper)
    ]


def _table1(paper: Paper) -> Iterator[Check]:
    means = scores(paper)[MEAN].to_numpy(dtype=np.float64)
    for k, (row, values) in enumerate(zip(ROWS, ratings(paper), strict=True)):
        own = [Printed(float(value), 1) for value in values]
        name = f"the mean of four doctors for {row.lower()}"
        yield check_mean(f"A1.{k + 1}", name, rows=own, mean=Printed(float(means[k]), 1))


def _raters(paper: Paper) -> Iterator[Check]:
    values = ratings(paper)
    found = ranking.friedman(values.T)
    icc = agreement.rater_icc(values)
    yield _check(
        "A1.6",
        "the doctors agree on the order of the five procedures",
        found.p < 0.05,
        None,
        f"Friedman p = {found.p:.3f}, Kendall's W = {kendall_w(values):.2f}",
        f"one doctor's reliability, ICC(2,1), is {icc.effect:.2f} [{icc.low:.2f}, {icc.high:.2f}]",
    )
    twice = ratings(paper)[[3, 4]]
    yield _check(
        "A2.1",
        "needle thoracostomy and tourniquet have scores of their own",
        not np.array_equal(*twice),
        ", ".join(f"{value:g}" for value in twice[0]),
        ", ".join(f"{value:g}" for value in twice[1]),
        "both rows are the same",
    )
    fitting = item_counts(values)
    yield _check(
        "A2.2",
        "the scores are means over the three named criteria",
        3 in fitting,
        "correctness, completeness and clarity",
        f"fewest items that give all scores: {min(fitting, default=0)}",
        "means of three items end in 0, 3 or 7",
    )


def _bounds(paper: Paper) -> Iterator[Check]:
    bounds = [
        f"{100 * proportions.proportion_interval(n, n, method='exact').low:.1f} % for {n} videos"
        for n in SIZES
    ]
    yield _check(
        "A3",
        "100 % of leave-one-out tests says how often new videos are recognised",
        None,
        "100 %, number of videos not printed",
        "lower 95 % bounds: " + "; ".join(bounds),
    )


def _distances(paper: Paper) -> Iterator[Check]:
    within, between = printed_distances(paper)
    yield _check(
        "A5.1",
        "the printed distances leave a gap",
        within < between,
        f"{within:g} and {between:g}",
        f"cosines of {1 - within**2 / 2:.3f} and {1 - between**2 / 2:.3f}",
        "every two performances of a procedure would have to share nearly all edges in nearly the "
        "same order, and two procedures too",
    )


def _algorithms(paper: Paper) -> Iterator[Check]:
    rng = np.random.default_rng(0)
    q = rng.integers(0, 4, (6, 30)).astype(float)
    p = (q > 0).astype(float)
    kept = [AVERAGES["printed"](p, q, alpha)[0] for alpha in (0.01, 0.5, 1.0)]
    yield _check(
        "A6.1",
        "the threshold of Algorithm 2 removes edges",
        any((each < p.any(axis=0)).any() for each in kept),
        None,
        "the union of all videos at every threshold",
        "the nonzero entries of a matrix of zeros and ones have the mean 1",
    )
    yield _check(
        "A8.1",
        "Algorithm 1 ends",
        False,
        "while i ≤ N_A",
        "i and j are never increased",
        "it also indexes one set by both, and visits N_A + 1 actions",
    )
    steps = [("take", "swab"), ("prep", "site"), ("take", "swab")]
    yield _check(
        "A8.2",
        "the counter keeps the graph from running in circles",
        is_acyclic(generate(steps)),
        "to solve the cycling issue",
        "whoever repeats an action comes back to its noun, which is not counted",
    )
    yield _check(
        "A9",
        "Section 3.2 supports its conclusion that the graph improves the transformer",
        False,
        None,
        "no output of the transformer is used anywhere in Section 3",
    )


def _words(paper: Paper) -> Iterator[Check]:
    odd = [row for row in paper.table("table1")["row"].unique() if re.match("Interosseous", row)]
    yield _check(
        "A11",
        "the procedures are spelt as in the field",
        not odd,
        ", ".join(odd).lower(),
        "intraosseous insertion",
        "interosseous means between bones; Section 2.4 writes with-class for within-class",
    )


VARIANTS = ("length", "half of it", "largest", "sum", "number of actions", "edges alone")


def variants(videos: Videos, *, counted: bool = True) -> pd.DataFrame:
    """Try other normalisations of the ordinal vectors than the stated one.

    Args:
        videos: normal ones.
        counted: False for the merged form.

    Returns:
        One row a normalisation: largest and median distance within procedures, smallest between,
        and the share of pairs within that lie beyond the smallest between.
    """
    q = videos.ordinals(counted=counted)
    u = unit(q)
    n_actions = np.array([[len(each)] for each in videos.actions], dtype=float)
    forms = (
        u,
        u / 2,
        q / q.max(axis=1, keepdims=True),
        q / q.sum(axis=1, keepdims=True),
        q / n_actions,
        unit((q > 0).astype(float)),
    )
    rows = {}
    for name, x in zip(VARIANTS, forms, strict=True):
        square = (x**2).sum(axis=1)
        between = np.sqrt(np.maximum(0, square[:, None] + square - 2 * x @ x.T))
        within, outside = pairs(between, videos.label)
        rows[name] = {
            "max within": within.max(),
            "median within": np.median(within),
            "min between": outside.min(),
            "beyond (%)": 100 * np.mean(within > outside.min()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("divided by")


def edge_counts(videos: Videos) -> pd.DataFrame:
    """Count the edges of averages by both rules at a threshold of 1/2.

    Returns:
        One row a procedure: median edges of a video, edges of both averages.
    """
    rows = {}
    for c, short in enumerate(PROCEDURES):
        own = of(videos, c)
        graphs = videos.where(videos.label == c).graphs()
        rows[short] = {
            "a video": float(np.median([len(graph) for graph in graphs])),
            "printed": len(average(own, AVERAGES["printed"]).edges),
            "meant": len(average(own, AVERAGES["meant"]).edges),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("procedure")


def public_sequences(
    videos: Videos, said: Mapping[str, Labels], *, seed: int, n_repeats: int
) -> list[Check]:
    """Check the claims of the paper on the public annotations, audit A4 to A7 and A10.

    Args:
        videos: the public ones.
        said: what each arm recognised, see :func:`~.recognition.predictions`.
        seed: of wrong actions.
        n_repeats: draws of them.
    """
    parts = (
        partial(_recognised, said=said),
        _separable,
        _averaged,
        partial(_confused, seed=seed, n=n_repeats),
        _copies,
    )
    return [check for part in parts for check in part(videos)]


def _recognised(videos: Videos, *, said: Mapping[str, Labels]) -> Iterator[Check]:
    found = {arm: p == videos.label for arm, p in said.items()}
    n = len(videos)
    right = int(found["ton"].sum())
    others = "adjacency", "ton-raw", "ton-apart", "ton-nearest"
    yield _check(
        "A4.1",
        "leave-one-out SVM on unit ordinal vectors recognises every public video",
        right == n,
        "100 %",
        f"{right} of {n} ({100 * right / n:.1f} %)",
        "edges alone, not normalised, copies apart, nearest: "
        + ", ".join(f"{100 * found[arm].mean():.1f} %" for arm in others),
    )
    alone = left_out(np.arange(n))
    u = unit(videos.ordinals())
    shares = []
    for k in (3, 5, 10):
        nearest = [
            Clusters.fit(u[a], videos.label[a], n_components=k).distances(u[b]).argmin()
            for a, b in alone
        ]
        shares.append(f"{100 * np.mean(np.array(nearest) == videos.label):.1f} %")
    yield _check(
        "A4.2",
        "the Mahalanobis distance in PCA space does so too",
        None,
        None,
        f"{', '.join(shares)} with 3, 5 and 10 components",
        "the paper gives no number",
    )
    simple = {
        "bag of actions": "bag-raw",
        "last action": "last-action",
        "first action": "first-action",
        "number of actions": "length",
    }
    yield _check(
        "A4.3",
        "recognition needs the graph",
        bool(found["ton"].mean() - found["bag-raw"].mean() > 0.02),
        None,
        ", ".join(f"{name} {100 * found[arm].mean():.1f} %" for name, arm in simple.items()),
    )


def _separable(videos: Videos) -> Iterator[Check]:
    for number, (counted, form) in enumerate(((True, "counted"), (False, "merged")), start=2):
        row = variants(videos, counted=counted).loc[VARIANTS[0]]
        yield _check(
            f"A5.{number}",
            f"a threshold parts the public videos, repeats {form}",
            bool(row["max within"] < row["min between"]),
            "0.396 and 0.574",
            f"{row['max within']:.3f} and {row['min between']:.3f}",
            f"{row['beyond (%)']:.0f} % of pairs within lie beyond the nearest pair "
            f"between; median within {row['median within']:.2f}",
        )
    both = [variants(videos, counted=counted) for counted in (True, False)]
    gaps = pd.concat([each["min between"] - each["max within"] for each in both])
    yield _check(
        "A5.4",
        "some other normalisation leaves a gap",
        bool((gaps > 0).any()),
        None,
        f"none of {len(gaps)} tried",
    )


def _averaged(videos: Videos) -> Iterator[Check]:
    counts = edge_counts(videos)
    words = {name: ", ".join(f"{value:g}" for value in counts[name]) for name in counts}
    yield _check(
        "A6.2",
        "the printed average of public videos is about as large as a video",
        bool((counts["printed"] < 1.5 * counts["a video"]).any()),
        f"printed: {words['printed']} edges",
        f"a video has {words['a video']}",
        f"the meant average at α = 0.5 has {words['meant']}",
    )


def _confused(videos: Videos, *, seed: int, n: int) -> Iterator[Check]:
    shares = {
        accuracy: float(
            np.mean([confuse(videos, accuracy, seed=seed + k)["ton-noisy"] for k in range(n)])
        )
        for accuracy in ACCURACIES
    }
    yield _check(
        "A7",
        "the recognition of public videos survives the published accuracy of actions, 35 %",
        shares[0.35] > 0.95,
        "100 % with annotated actions",
        ", ".join(f"{100 * s:.0f} % at {100 * a:.0f} %" for a, s in shares.items()),
    )


def _copies(videos: Videos) -> Iterator[Check]:
    twins = videos.twins
    copies = np.bincount(twins)[twins] > 1
    between = distances(videos.ordinals())
    np.fill_diagonal(between, np.inf)
    near = between.min(axis=1) < 0.2
    yield _check(
        "A10",
        "leaving one public video out leaves no copy of it in",
        not copies.any(),
        None,
        f"{copies.sum()} of {len(videos)} videos have an exact copy",
        f"{near.sum()} have another nearer than 0.2; {len(np.unique(twins))} sequences differ",
    )


def _check(
    id: str,
    statement: str,
    holds: bool | None,
    printed: str | None = None,
    recomputed: str | None = None,
    note: str = "",
) -> Check:
    """Make a check; None stands for one that the numbers cannot decide."""
    word: Status = "undecidable" if holds is None else "pass" if holds else "fail"
    return Check(id, statement, word, printed, recomputed, note)
