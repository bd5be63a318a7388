"""The tests that ``paper.yml`` can name: each states its unit and whether it gives an interval."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import ReplicateError
from common.papers import Between
from common.statistics import (
    bootstrap,
    design,
    folds,
    paired,
    permutation,
    proportions,
    ranking,
    scored,
    signed_rank_clustered,
    unpaired,
)
from common.statistics.decisions import Finding
from common.statistics.design import Paired, Sample
from common.statistics.replicates import Method
from common.statistics.results import Array, DesignError, Inference

N_RESAMPLES = 10_000

Estimator = Callable[[Sample, np.random.Generator], Inference]
Joint = Callable[[Paired, tuple[str, ...]], Finding]
Scored = Callable[[Paired, Mapping[str, float], float, Between], Inference]
Detected = Callable[..., tuple[Inference, design.Size]]


@dataclass(frozen=True)
class Procedure:
    """A test by name.

    Args:
        name: as in ``paper.yml``.
        unit: what counts as one observation.
        hypothesis: the null hypothesis.
        seeds: how training seeds enter: ``averaged`` (the networks are taken as fixed), or
            ``random``.
        estimate: for tests of one number per case: a score or a difference of arms.
        joint: for tests of all arms at once; they give no interval of the effect.
        scored: for tests of class scores; ``between`` names the groups of positive (left) and
            negative (right) cases.
        detected: for tests of a detector's candidates, see
            :func:`common.statistics.scored.cpm_contrast`.
        between: for tests that compare groups of cases inside one arm, or need their classes.
        directions: directions that it can decide; empty for all but ``order``.
    """

    name: str
    unit: str
    hypothesis: str
    seeds: str = "averaged"
    estimate: Estimator | None = None
    joint: Joint | None = None
    scored: Scored | None = None
    detected: Detected | None = None
    between: bool = False
    directions: tuple[str, ...] = ()

    @property
    def interval(self) -> bool:
        """Whether it gives an interval of the effect."""
        return self.joint is None


def _flip(sample: Sample, rng: np.random.Generator) -> Inference:
    cases = sample.over_seeds()
    return permutation.sign_flip_inference(
        cases.value, cluster=cases.cluster, n_resamples=N_RESAMPLES, rng=rng
    )


def _score(method: proportions.ClusteredMcNemar) -> Estimator:
    def estimate(sample: Sample, rng: np.random.Generator) -> Inference:
        cases = sample.over_seeds()
        return proportions.clustered_score(cases.value, cases.cluster, method=method)

    return estimate


def _signed_rank(sample: Sample, rng: np.random.Generator) -> Inference:
    cases = sample.over_seeds()
    return signed_rank_clustered.signed_rank_clustered_inference(
        cases.value, cases.cluster, rng=rng, n_resamples=N_RESAMPLES
    )


def _mcnemar(sample: Sample, rng: np.random.Generator) -> Inference:
    if sample.n_seeds > 1 or not np.isin(sample.value, (-1.0, 0.0, 1.0)).all():
        raise DesignError(
            "mcnemar needs two arms with outcomes 0 or 1 and one seed, got "
            f"{sample.n_seeds} seeds or other values. Use mcnemar_clustered."
        )
    return proportions.PairedCounts(
        int((sample.value > 0).sum()), int((sample.value < 0).sum()), len(sample.value)
    )


def _cluster_t(sample: Sample, rng: np.random.Generator) -> Inference:
    return paired.paired_t_inference(sample.cluster_means().to_numpy())


def _wilcoxon(sample: Sample, rng: np.random.Generator) -> Inference:
    means: Array = np.asarray(sample.cluster_means(), dtype=np.float64)
    if len(means) < 2:
        raise DesignError(f"wilcoxon_clustered needs 2 clusters, got {len(means)}.")
    return permutation.SignedRank(means)


def _cluster_bootstrap(method: Method) -> Estimator:
    def estimate(sample: Sample, rng: np.random.Generator) -> Inference:
        cases = sample.over_seeds()
        return bootstrap.cluster_bootstrap(
            cases.value,
            cluster=cases.cluster,
            fold=cases.fold,
            n_resamples=N_RESAMPLES,
            rng=rng,
            method=method,
        )

    return estimate


def _corrected_t(sample: Sample, rng: np.random.Generator) -> Inference:
    k = sample.n_folds()
    if k < 2:
        raise DesignError(f"corrected_t needs at least 2 folds, got {k}. Use a test of clusters.")
    return folds.corrected_t_inference(sample.fold_means().to_numpy(), test_train_ratio=1 / (k - 1))


def _corrected_t_clustered(sample: Sample, rng: np.random.Generator) -> Inference:
    k = sample.n_folds()
    if k < 2:
        raise DesignError(
            f"corrected_t_clustered needs at least 2 folds, got {k}. Use a test of clusters."
        )
    cases = sample.over_seeds()
    own = cases if (cases.fold != "").any() else sample
    split = np.char.add(np.char.add(own.seed.astype(str), "|"), own.fold.astype(str))
    return folds.corrected_t_clustered_inference(
        own.value, fold=split, cluster=own.cluster, test_train_ratio=1 / (k - 1)
    )


def _two_level(sample: Sample, rng: np.random.Generator) -> Inference:
    cases = sample.over_seeds()
    return bootstrap.two_level(
        cases.value, fold=cases.fold, cluster=cases.cluster, n_resamples=N_RESAMPLES, rng=rng
    )


def _matrix(sample: Sample) -> Array:
    matrix, left_out = sample.crossed()
    if left_out > len(matrix):
        raise DesignError(
            f"every seed must score the same clusters, got {len(matrix)} clusters scored by all "
            f"seeds and {left_out} not. Use the same test cases with each seed."
        )
    return matrix


def _crossed_t(sample: Sample, rng: np.random.Generator) -> Inference:
    # With one seed nothing is known of the spread between seeds; the verdict warns of it.
    if sample.n_seeds == 1:
        return _cluster_t(sample, rng)
    return paired.crossed_t_inference(_matrix(sample))


def _crossed_bootstrap(sample: Sample, rng: np.random.Generator) -> Inference:
    return bootstrap.crossed(_matrix(sample), n_resamples=N_RESAMPLES, rng=rng)


def _blocks(paired_scores: Paired, arms: tuple[str, ...], by: str) -> Array:
    """Return block means (n_blocks, n_arms); blocks are clusters or training splits."""
    columns = []
    for arm in arms:
        one = design.sample(paired_scores, {arm: 1.0})
        means = one.cluster_means() if by == "cluster" else one.fold_means()
        columns.append(means.to_numpy(dtype=np.float64))
    return np.stack(columns, axis=1)


def _friedman(by: str) -> Joint:
    def test(paired_scores: Paired, arms: tuple[str, ...]) -> Finding:
        blocks = _blocks(paired_scores, arms, by)
        found = ranking.friedman(blocks)
        n, k = blocks.shape
        needed = ranking.nemenyi_critical_difference(k, n)
        note = (
            f"effect in mean ranks (largest gap; Nemenyi needs {needed:.2f}); {n} blocks; "
            f"Iman-Davenport p {found.p_f:.3g}"
        )
        gap = float(found.ranks.max() - found.ranks.min())
        return Finding(gap, None, found.p, note=note)

    return test


def _page(by: str) -> Joint:
    def test(paired_scores: Paired, arms: tuple[str, ...]) -> Finding:
        blocks = _blocks(paired_scores, arms, by)
        found = ranking.page(blocks)
        p = min(1.0, 2 * min(found.p_claimed, found.p_reverse))
        note = "effect is the rank correlation with the claimed order"
        steps = [paired.paired_t_inference(step) for step in np.diff(blocks, axis=1).T]
        in_order = all(step.effect > 0 for step in steps)
        if not in_order:
            note += "; not all arms stand in it"
        elif found.effect > 0:
            # A trend is there if one arm stands out: an order needs every step to be shown.
            p = max(p, *(step.p() for step in steps))
            note += "; p is the largest of the trend and of its steps (paired t)"
        return Finding(found.effect, None, p, in_order=in_order, note=note)

    return test


def _kruskal_folds(paired_scores: Paired, arms: tuple[str, ...]) -> Finding:
    if len(arms) != 1 or paired_scores.n_seeds > 1:
        raise DesignError(
            f"kruskal_folds needs one arm and one seed, got {len(arms)} arms and "
            f"{paired_scores.n_seeds} seeds."
        )
    table = paired_scores.scores[arms[0]].reset_index()
    means = table.groupby(["fold", "cluster"])[arms[0]].mean().reset_index()
    found = unpaired.kruskal(means[arms[0]].to_numpy(), means["fold"].to_numpy())
    note = f"effect is the largest minus the smallest of {means['fold'].nunique()} fold means"
    return Finding(found.spread, None, found.p, note=note)


def welch_clustered(
    sample: Sample, paired_scores: Paired, left: tuple[str, ...], right: tuple[str, ...]
) -> Inference:
    """Compare the cluster means of two sets of groups by Welch's t.

    Raises:
        DesignError: a set without clusters, or a cluster with cases in both sets.
    """
    cases = sample.over_seeds()
    index = list(zip(cases.cluster, cases.case, strict=True))
    group = paired_scores.groups.reindex(index).to_numpy()
    sides = []
    for names in (left, right):
        mine = np.isin(group.astype(str), names)
        if not mine.any():
            raise DesignError(f"no case lies in the groups {', '.join(names)}. Check `between`.")
        sides.append((cases.value[mine], cases.cluster[mine]))
    both = np.intersect1d(sides[0][1], sides[1][1])
    if len(both):
        raise DesignError(
            f"each cluster must lie on one side, got {len(both)} on both. Use a paired test."
        )
    return unpaired.welch_inference(*(unpaired.cluster_means(*side) for side in sides))


_ZERO = "mean difference = 0"
_SYMMETRIC = "differences are symmetric around 0"
_ANY = ("differ",)

PROCEDURES: dict[str, Procedure] = {
    each.name: each
    for each in (
        Procedure("mcnemar", "case", "equal rates", "one seed", _mcnemar),
        Procedure("mcnemar_clustered", "cluster", "equal rates", "averaged", _score("pooled")),
        Procedure("mcnemar_obuchowski", "cluster", "equal rates", "averaged", _score("obuchowski")),
        Procedure("mcnemar_durkalski", "cluster", "equal rates", "averaged", _score("durkalski")),
        Procedure("sign_flip_clustered", "cluster", _SYMMETRIC, "averaged", _flip),
        Procedure("signed_rank_clustered", "cluster", _SYMMETRIC, "averaged", _signed_rank),
        Procedure("wilcoxon_clustered", "cluster mean", _SYMMETRIC, "averaged", _wilcoxon),
        Procedure("t_clustered", "cluster mean", _ZERO, "averaged", _cluster_t),
        Procedure(
            "cluster_bootstrap", "cluster", _ZERO, "averaged", _cluster_bootstrap("percentile")
        ),
        Procedure("cluster_bootstrap_bca", "cluster", _ZERO, "averaged", _cluster_bootstrap("bca")),
        Procedure(
            "cluster_bootstrap_studentised",
            "cluster",
            _ZERO,
            "averaged",
            _cluster_bootstrap("studentised"),
        ),
        Procedure("corrected_t", "fold", _ZERO, "averaged or own folds", _corrected_t),
        Procedure(
            "corrected_t_clustered", "fold", _ZERO, "averaged or own folds", _corrected_t_clustered
        ),
        Procedure("two_level_bootstrap", "fold, then cluster", _ZERO, "averaged", _two_level),
        Procedure("crossed_t", "cluster x seed", _ZERO, "random", _crossed_t),
        Procedure("crossed_bootstrap", "cluster x seed", _ZERO, "random", _crossed_bootstrap),
        Procedure("welch_clustered", "cluster mean", "equal group means", between=True),
        Procedure(
            "auc_delong",
            "case",
            "equal AUC",
            scored=partial(scored.auc_contrast, clustered=False),
            between=True,
        ),
        Procedure(
            "auc_clustered",
            "cluster",
            "equal AUC",
            scored=partial(scored.auc_contrast, clustered=True),
            between=True,
        ),
        Procedure("cpm_bootstrap", "scan", "equal CPM", detected=scored.cpm_contrast),
        Procedure(
            "friedman", "fold", "equal ranks", "as folds", joint=_friedman("fold"), directions=_ANY
        ),
        Procedure(
            "friedman_clustered",
            "cluster mean",
            "equal ranks",
            joint=_friedman("cluster"),
            directions=_ANY,
        ),
        Procedure(
            "page", "cluster mean", "no trend", joint=_page("cluster"), directions=("order",)
        ),
        Procedure(
            "page_folds", "fold", "no trend", "as folds", joint=_page("fold"), directions=("order",)
        ),
        Procedure(
            "kruskal_folds", "cluster mean", "equal folds", joint=_kruskal_folds, directions=_ANY
        ),
    )
}


def procedure(name: str) -> Procedure:
    """Return a test by the name that ``paper.yml`` gives it.

    Raises:
        ReplicateError: unknown, naming the nearest known one.

    Example:
        >>> procedure("crossed_t").unit
        'cluster x seed'
    """
    if name in PROCEDURES:
        return PROCEDURES[name]
    near = difflib.get_close_matches(name, PROCEDURES, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ReplicateError(f"unknown test {name!r}.{hint} Known: {', '.join(sorted(PROCEDURES))}.")
