"""Where the tests that ``paper.yml`` can name hold their level, and what to say where they do not.

The ranges come from simulations (``make validate``; its tables are archived): a test at 5 % rejects
a true null in 3.5 to 6.5 % of studies, and a 95 % interval covers in 93 to 97 %.  Studies have
patients of unequal size and differences that correlate inside them by 0 to 0.6.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Validity:
    """The range of one test.

    Args:
        note: what was measured, in short: rejections at 5 %.
        min_clusters: independent units from which it holds its level.
        min_clusters_skewed: the same where the differences are skewed, as they are if one method
            fails rarely but badly; 0 if it makes no difference.
        min_differing: clusters in which the methods differ at all; with fewer it rejects too
            rarely, as few outcomes are possible.
        min_folds: folds, for tests of folds.
        min_seeds: training runs, for tests that take them as random.
        conservative: whether it may reject less often than 3.5 % inside its range too.
        never: whether it failed in every design tried.
    """

    note: str
    min_clusters: int = 0
    min_clusters_skewed: int = 0
    min_differing: int = 0
    min_folds: int = 0
    min_seeds: int = 0
    conservative: bool = False
    never: bool = False


SKEWED = 1.0  # skewness of the clusters' differences from which they count as skewed
_SYMMETRY = "tests symmetry, no mean: 17 to 100 % where skewed differences have mean 0"

RANGES: dict[str, Validity] = {
    "mcnemar_clustered": Validity(
        "2.9 to 5.2 % with 20 or 30 clusters, 1 to 3 % with few that differ; with skewed "
        "differences 5.3 to 7.4 % with 20 to 50",
        min_clusters=100,
        min_clusters_skewed=250,
        min_differing=20,
    ),
    "mcnemar_obuchowski": Validity(
        "2.4 to 4.7 % with 20 or 30 clusters, 1 to 3 % with few that differ; with skewed "
        "differences 5.1 to 6.9 % with 20 to 50",
        min_clusters=100,
        min_clusters_skewed=250,
        min_differing=20,
    ),
    "mcnemar_durkalski": Validity(
        "3 to 4.5 % with 20 clusters; with skewed differences 6.4 to 8.4 % with 20 or 30, up to "
        "6.2 % with 50",
        min_clusters=30,
        min_clusters_skewed=100,
        min_differing=20,
    ),
    "sign_flip_clustered": Validity(
        "3 to 5.7 % with 20 clusters, with few that differ 0.4 to 2.5 %; with skewed differences 6 "
        "to 9 % with 20 or 30, up to 7.5 % with 50",
        min_clusters=30,
        min_clusters_skewed=250,
        min_differing=20,
    ),
    "wilcoxon_clustered": Validity(_SYMMETRY, min_clusters=30, min_differing=20),
    "signed_rank_clustered": Validity(_SYMMETRY, min_clusters=30, min_differing=20),
    "t_clustered": Validity(
        "3.3 to 5.1 % with 20 clusters; with skewed differences 6.6 to 8.9 % with 20 or 30, up to "
        "6.2 % with 50",
        min_clusters=30,
        min_clusters_skewed=100,
        min_differing=20,
    ),
    "cluster_bootstrap": Validity(
        "with 20, 30, 50, 100 clusters up to 10, 9, 8 and 6.4 %",
        min_clusters=250,
        min_clusters_skewed=250,
        min_differing=20,
    ),
    "cluster_bootstrap_studentised": Validity(
        "with 20, 30, 50, 100 clusters up to 10, 9, 8 and 7 %, with few that differ up to 14.5 %",
        min_clusters=250,
        min_clusters_skewed=250,
        min_differing=100,
    ),
    "cluster_bootstrap_bca": Validity(
        "with 20, 30, 50, 100, 250 clusters up to 16, 14, 12, 9 and 8 %",
        never=True,
    ),
    "corrected_t": Validity(
        "4.1 to 5.7 % where folds overlap as it assumes, 1.4 to 2.5 % with trained classifiers",
        min_folds=5,
        conservative=True,
    ),
    "corrected_t_clustered": Validity(
        "4.1 to 5.7 % where folds overlap as it assumes, 1.4 to 2.5 % with trained classifiers",
        min_folds=5,
        conservative=True,
    ),
    "two_level_bootstrap": Validity(
        "9 to 17 % with 5 or 10 folds that overlap as the corrected t assumes", never=True
    ),
    "crossed_t": Validity(
        "3.1 to 7.5 % with 3 seeds, 3.6 to 5.5 % with 5 or 10",
        min_clusters=30,
        min_seeds=5,
        conservative=True,
    ),
    "crossed_bootstrap": Validity(
        "3.1 to 11 % with 3 seeds, 2.5 to 7.5 % with 5, 3.9 to 5.7 % with 10",
        min_clusters=30,
        min_seeds=10,
        conservative=True,
    ),
    "welch_clustered": Validity("3.6 % with 20 clusters, 3.9 to 5.9 % from 30 on", min_clusters=30),
    "friedman_clustered": Validity("3.8 to 5.3 %", min_clusters=20),
    "page": Validity(
        "4.1 to 5.5 % without ties, about 1 % with right and wrong answers",
        min_clusters=20,
        conservative=True,
    ),
    "friedman": Validity("3.1 % with 5 folds, 4.5 % with 10", min_folds=5, conservative=True),
    "page_folds": Validity("2.9 % with 5 folds, 3.7 % with 10", min_folds=5, conservative=True),
    "kruskal_folds": Validity("4.6 to 4.7 %", min_clusters=50, min_folds=5, conservative=True),
    "auc_clustered": Validity(
        "5.2 to 7.1 % with 20 clusters, 5.9 to 6.3 % with 30, 4.9 to 5.9 % from 50 on",
        min_clusters=50,
    ),
    "cpm_bootstrap": Validity("6 to 7 % with 20 or 30 scans, 5 % with 50 or 100", min_clusters=50),
}


def validity(name: str) -> Validity | None:
    """Return the range of a test; None if none was measured.

    Example:
        >>> validity("t_clustered").min_clusters
        30
    """
    return RANGES.get(name)


def conservative(name: str) -> bool:
    """Tell whether a test may reject too rarely inside its range.

    Example:
        >>> conservative("corrected_t"), conservative("t_clustered")
        (True, False)
    """
    known = RANGES.get(name)
    return known is not None and known.conservative


def holds(
    name: str,
    *,
    n_clusters: int,
    n_folds: int = 0,
    n_seeds: int = 1,
    n_differing: int | None = None,
    skewness: float | None = None,
) -> bool:
    """Tell whether a test holds its level in a design; False if nothing was measured.

    Args:
        name, n_clusters, n_folds, n_seeds, n_differing, skewness: as in :func:`warn`.

    Example:
        >>> holds("t_clustered", n_clusters=50), holds("t_clustered", n_clusters=50, skewness=-2.0)
        (True, False)
    """
    return name in RANGES and not warn(
        name,
        n_clusters=n_clusters,
        n_folds=n_folds,
        n_seeds=n_seeds,
        n_differing=n_differing,
        skewness=skewness,
    )


def warn(
    name: str,
    *,
    n_clusters: int,
    n_folds: int = 0,
    n_seeds: int = 1,
    n_differing: int | None = None,
    skewness: float | None = None,
) -> tuple[str, ...]:
    """Say where a design lies outside the range of its test.

    Args:
        name: as in ``paper.yml``.
        n_clusters: independent units.
        n_folds: folds; 0 without folds.
        n_seeds: training runs.
        n_differing: clusters whose summed difference is not 0; None leaves it out of account.
        skewness: of the clusters' mean differences; None leaves it out of account.

    Returns:
        One sentence for each limit that is not met; none for a test without a stated range.

    Example:
        >>> warn("t_clustered", n_clusters=100)
        ()
    """
    known = RANGES.get(name)
    if known is None:
        return ()
    if known.never:
        return (f"{name} held its level in no design tried: {known.note}",)
    skewed = skewness is not None and abs(skewness) >= SKEWED
    asked = [
        (n_clusters, known.min_clusters, "clusters"),
        (n_folds, known.min_folds, "folds"),
        (n_seeds, known.min_seeds, "training seeds"),
    ]
    if n_differing is not None and n_differing < n_clusters >= known.min_clusters:
        asked.append((n_differing, known.min_differing, "clusters that differ"))
    if skewed and n_clusters >= known.min_clusters:
        asked.append((n_clusters, known.min_clusters_skewed, "clusters with skewed differences"))
    return tuple(
        f"{name} is calibrated from {least} {unit} on, here {given}: {known.note}"
        for given, least, unit in asked
        if given < least
    )
