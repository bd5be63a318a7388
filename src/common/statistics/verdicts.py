"""Claims and records in, verdicts out.

:func:`judge` pairs the cases, runs the test that the claim names, corrects inside families and
applies the rule :func:`common.statistics.decisions.decide`.  What could not be used is said in
the verdict and not hidden.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from common.errors import ReplicateError
from common.papers import Claim, Direction, Evidence, Layer, Paper, Source
from common.statistics import design, multiplicity, power, reach, validity
from common.statistics.decisions import (
    Finding,
    Verdict,
    Word,
    about_margin,
    acceptance,
    decide,
    from_json,
    number,
    to_frame,
    to_json,
)
from common.statistics.mcnemar import PairedCounts
from common.statistics.printed import judge_published
from common.statistics.procedures import (
    N_RESAMPLES,
    PROCEDURES,
    Procedure,
    procedure,
    welch_clustered,
)
from common.statistics.results import Array, DesignError, Inference, equivalence_p, outside_p
from common.statistics.unvaried import Unvaried

__all__ = [
    "FEW_CLUSTERS",
    "PROCEDURES",
    "Verdict",
    "decide",
    "from_json",
    "judge",
    "judge_published",
    "to_frame",
    "to_json",
]

FEW_CLUSTERS = 10  # below it, the laws of large numbers behind most tests do not hold
QUICK = "quick run: too small to settle a claim"


@dataclass(frozen=True)
class _Case:
    """One claim on one layer with everything that its test needs."""

    claim: Claim
    evidence: Evidence
    test: Procedure
    better: str
    alpha: float
    fraction: bool

    @property
    def direction(self) -> Direction:
        return self.evidence.direction or self.claim.direction

    @property
    def margin(self) -> float:
        return self.evidence.margin or 0.0

    @property
    def about_margin(self) -> bool:
        """Whether the claim's own hypothesis is about its margin."""
        return about_margin(self.direction)


def judge(
    paper: Paper,
    records: pd.DataFrame,
    *,
    layer: Layer,
    source: Source,
    profile: str,
    rng: np.random.Generator,
    alpha: float | None = None,
) -> list[Verdict]:
    """Judge every claim of a layer on the records of one source.

    Multiplicity is controlled inside each family over the claims that were tested here, with the
    family's method; the p-values of equivalence of directed claims are corrected the same way.
    Intervals are not corrected.  On the replication layer a quick run leaves every tested claim
    inconclusive.

    Args:
        paper: the chapter's declaration.
        records: see :mod:`common.records`; other sources in it are ignored.
        layer: ``reanalysis`` or ``replication``; :func:`judge_published` does the third.
        source: where the cases come from; claims that name another source are passed over.
        profile: profile of the run.
        rng: source of resampling; each claim draws from a stream of its own.
        alpha: level; None takes each family's.

    Returns:
        One verdict per claim, in the order of ``paper.yml``; ``untested`` with the reason in
        ``note`` where a claim cannot be tested.

    Raises:
        ReplicateError: layer ``published``, or a claim names an unknown test.
    """
    if layer == "published":
        raise ReplicateError("`layer` must be reanalysis or replication; use `judge_published`.")
    own = records[records["source"] == source]
    claims = [claim for claim in paper.claims if layer in claim.evidence]
    claims = [claim for claim in claims if claim.on(layer).source in (None, source)]
    verdicts: dict[str, Verdict] = {}
    found: dict[str, tuple[_Case, Finding]] = {}
    for claim, stream in zip(claims, rng.spawn(len(claims)), strict=True):
        evidence = claim.on(layer)
        unit = (claim.unit.case, claim.unit.cluster) if claim.unit else ("case", "cluster")
        blank = Verdict(claim.id, layer, source, profile, "untested", unit)
        verdicts[claim.id] = replace(blank, test=evidence.test, note=evidence.untested or "")
        if evidence.untested is not None or evidence.test is None:
            continue
        metric = paper.metric(evidence.metric) if evidence.metric else None
        better = metric.better if metric else "higher"
        fraction = metric is not None and metric.unit == "fraction"
        level = alpha if alpha is not None else paper.families[claim.family].alpha
        case = _Case(claim, evidence, procedure(evidence.test), better, level, fraction)
        try:
            size, finding = _find(own, case, stream)
        except ReplicateError as reason:
            verdicts[claim.id] = replace(verdicts[claim.id], note=str(reason))
            continue
        found[claim.id] = (case, finding)
        verdicts[claim.id] = _describe(verdicts[claim.id], size, case, finding)
    _settle(paper, verdicts, found)
    return list(verdicts.values())


def _pair(records: pd.DataFrame, case: _Case) -> design.Paired:
    evidence = case.evidence
    arms = tuple(evidence.contrast) if evidence.contrast else tuple(evidence.arms or ())
    if not arms or evidence.metric is None:
        raise DesignError("the claim names no arms or no metric to test.")
    return design.pair(records, metric=evidence.metric, arms=arms, group=evidence.group)


def _find(
    records: pd.DataFrame, case: _Case, rng: np.random.Generator
) -> tuple[design.Size, Finding]:
    """Run the claim's test in the form that its arms and direction call for."""
    test, between = case.test, case.evidence.between
    if test.directions and case.direction not in test.directions:
        raise DesignError(
            f"{test.name} decides direction {', '.join(test.directions)} only, got "
            f"{case.direction!r}. Name a test that gives an interval."
        )
    if test.between != (between is not None):
        raise DesignError(f"{test.name} and the key `between` go together; name both or neither.")
    if test.detected is not None:
        return _detected(records, case, rng)
    scores = _pair(records, case)
    arms = tuple(case.evidence.arms or ())
    if test.joint is not None:
        ascending = arms[::-1] if case.better == "higher" else arms
        finding = test.joint(scores, ascending if case.direction == "order" else arms)
        beyond = _beyond_reach(case, scores.size, n_arms=len(arms))
        return scores.size, replace(finding, warnings=(*finding.warnings, *beyond))
    if between is not None and test.scored is None:
        if len(arms) != 1:
            raise DesignError(f"{test.name} compares groups in one arm, got {len(arms)} arms.")
        one = design.sample(scores, {arms[0]: 1.0})
        inference = welch_clustered(one, scores, between.left, between.right)
        return scores.size, _finding(inference, case, scores.size)
    if test.name == "mcnemar" and len(arms) != 2:
        raise DesignError(f"mcnemar compares two arms, got {len(arms)}. Use mcnemar_clustered.")
    comparisons = _comparisons(case)
    findings = []
    for weights, minus in comparisons:
        if test.scored is not None and between is not None:
            findings.append(
                _finding(test.scored(scores, weights, minus, between), case, scores.size)
            )
            continue
        assert test.estimate is not None
        sample = design.sample(scores, weights, minus=minus)
        limits = _limits(scores, weights, minus)
        finding = _finding(test.estimate(sample, rng), case, scores.size, limits)
        outside = _beyond_range(case, scores.size, sample)
        findings.append(replace(finding, warnings=(*finding.warnings, *outside)))
    return scores.size, _combine(findings, [weights for weights, _ in comparisons], case)


def _detected(
    records: pd.DataFrame, case: _Case, rng: np.random.Generator
) -> tuple[design.Size, Finding]:
    """Run a test of detectors, whose candidates differ from arm to arm."""
    assert case.test.detected is not None
    own = records[records["metric"] == case.evidence.metric]
    comparisons, findings = _comparisons(case), []
    for weights, minus in comparisons:
        inference, size = case.test.detected(own, weights, minus, rng=rng)
        findings.append(_finding(inference, case, size))
    return size, _combine(findings, [weights for weights, _ in comparisons], case)


def _comparisons(case: _Case) -> list[tuple[dict[str, float], float]]:
    """Return the weights of the arms, and what to take off, of every comparison of the claim."""
    arms, value = tuple(case.evidence.arms or ()), case.claim.value or 0.0
    minus = value if case.direction == "value" or len(arms) == 1 else 0.0
    if case.direction == "order":
        raise DesignError(f"{case.test.name} cannot decide an order. Name page or page_folds.")
    if case.evidence.contrast is not None:
        return [(dict(case.evidence.contrast), value if case.direction == "value" else 0.0)]
    if len(arms) == 1:
        return [({arms[0]: 1.0}, minus)]
    if len(arms) > 2 and case.direction == "value":
        raise DesignError(f"a value claim needs one or two arms, got {len(arms)}.")
    everyone = case.direction in ("equivalent", "differ")
    pairs = combinations(arms, 2) if everyone else ((arms[0], other) for other in arms[1:])
    return [({first: 1.0, second: -1.0}, minus) for first, second in pairs]


def _limits(
    scores: design.Paired, weights: Mapping[str, float], minus: float
) -> tuple[float, float]:
    """Return the lowest and the highest value that a weighted difference of shares can have.

    Infinite where the scores are no shares, or differences of shares.
    """
    table = scores.scores[list(weights)].to_numpy(dtype=np.float64)
    floor = 0.0 if table.min() >= 0 else -1.0
    if table.min() < -1 or table.max() > 1:
        return -math.inf, math.inf
    lowest = sum(weight * (floor if weight > 0 else 1.0) for weight in weights.values())
    highest = sum(weight * (1.0 if weight > 0 else floor) for weight in weights.values())
    return lowest - minus, highest - minus


def _unvaried(
    inference: Inference, case: _Case, size: design.Size, limits: tuple[float, float]
) -> Unvaried:
    """Say what units without any spread tell, where a standard error of 0 would tell everything.

    Units of a crossed design are as many as its shorter side.  Folds share their training cases,
    so that equal folds tell nothing.
    """
    units = size.n_clusters if case.test.seeds == "averaged" else min(size.n_clusters, size.n_seeds)
    if case.test.unit == "fold" or not case.fraction:
        limits = (-math.inf, math.inf)
    # means of equal numbers can pass the limit by a rounding error
    effect = min(max(inference.effect, limits[0]), limits[1])
    return Unvaried(effect, units, *limits)


def _finding(
    inference: Inference,
    case: _Case,
    size: design.Size,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Finding:
    interval = inference.interval(1 - case.alpha)
    warnings = []
    detectable = _detectable(inference, case, size)
    if inference.se == 0:
        inference = _unvaried(inference, case, size, limits)
        warnings.append("no spread between units: p and interval are bounds from their number")
        detectable = math.nan
        if math.isfinite(inference.low):
            interval = inference.interval(1 - case.alpha)
    p_inside, p_outside = _margin_p(inference, case)
    sums = getattr(inference, "sums", None)  # clusters that do not differ cannot lower p
    differing = size.n_clusters if sums is None else int(np.count_nonzero(sums))
    discordant = None
    if isinstance(inference, PairedCounts):
        discordant = inference.first_only + inference.second_only
    warnings += _beyond_reach(case, size, n_differing=differing, n_discordant=discordant)
    return Finding(
        effect=inference.effect,
        interval=interval,
        p=inference.p(),
        p_inside=p_inside,
        p_outside=p_outside,
        detectable=detectable,
        warnings=tuple(warnings),
    )


def _beyond_range(
    case: _Case, size: design.Size, sample: design.Sample | None = None
) -> tuple[str, ...]:
    """Say so where the design, or the differences themselves, lie outside the test's range."""
    differing, skewness = None, None
    if sample is not None:
        means = sample.cluster_means().to_numpy(dtype=np.float64)
        differing = int(np.count_nonzero(means))
        skewness = float(stats.skew(means)) if np.ptp(means) > 0 else None
    return validity.warn(
        case.test.name,
        n_clusters=size.n_clusters,
        n_folds=size.n_folds,
        n_seeds=size.n_seeds,
        n_differing=differing,
        skewness=skewness,
    )


def _beyond_reach(
    case: _Case,
    size: design.Size,
    *,
    n_arms: int | None = None,
    n_differing: int | None = None,
    n_discordant: int | None = None,
) -> list[str]:
    """Say so where the design cannot reach a p below the level, whatever the data."""
    clusters = size.n_clusters if n_differing is None else n_differing
    least = reach.reach(
        case.test.name,
        n_clusters=max(clusters, 1),
        n_folds=size.n_folds or None,
        n_arms=n_arms,
        n_discordant=n_discordant,
        n_resamples=N_RESAMPLES,
        sides=1 if case.about_margin else 2,
    )
    if least < case.alpha:
        return []
    if n_discordant is not None:
        units = f"{n_discordant} discordant cases"
    elif case.test.unit == "fold":
        units = f"{size.n_folds} folds"
    else:
        units = f"{clusters} clusters" + (" that differ" if clusters < size.n_clusters else "")
    return [f"{units}: p cannot fall below {least:.2g}"]


def _detectable(inference: Inference, case: _Case, size: design.Size) -> float:
    """Return the smallest effect found, or margin shown, with 80 % power at this standard error."""
    se, df = inference.se, inference.df
    if not se > 0 or not df > 0 or size.n_clusters < 2:
        return power.smallest_effect(se, df, alpha=case.alpha)
    plan = power.fitted_plan(case.test.name, se=se, df=df, n_clusters=size.n_clusters)
    if not case.about_margin:
        return plan.smallest_effect(alpha=case.alpha)
    # a value claim is judged by its 1 - alpha interval
    alpha = case.alpha / 2 if case.direction == "value" else case.alpha
    return plan.smallest_margin(alpha=alpha, one_sided=case.direction == "non_inferior")


def _margin_p(inference: Inference, case: _Case) -> tuple[float, float]:
    """Return the p of lying outside and of lying inside the claim's margin.

    A value claim is judged by its 1 - alpha interval, so that both its p-values count twice.
    """
    if case.margin <= 0 and case.direction != "value":
        return math.nan, math.nan
    bounds = acceptance(case.direction, case.margin, case.better)
    sides = 2.0 if case.direction == "value" else 1.0
    inside = sides * equivalence_p(inference, *bounds) if case.margin > 0 else math.nan
    outside = sides * outside_p(inference, *bounds) if case.about_margin else math.nan
    return min(1.0, inside), min(1.0, outside)


def _combine(findings: list[Finding], weights: list[dict[str, float]], case: _Case) -> Finding:
    """Judge a claim of several comparisons by the one that decides it.

    All must hold: claims about a margin take the largest p, and are contradicted by one
    comparison beyond Bonferroni's level; "the first is greater than each other" takes the largest
    p too, unless some comparison points the other way, when the strongest of those counts with
    Bonferroni's correction.  ``differ`` needs one pair, corrected.
    """
    if len(findings) == 1:
        return findings[0]
    count = len(findings)
    sign = -1.0 if case.direction == "less" else 1.0
    against = [each for each in findings if sign * each.effect < 0]
    if case.about_margin:
        chosen = max(findings, key=lambda each: each.p_inside)
        p = chosen.p
    elif case.direction == "differ" or against:
        chosen = min(against if case.direction != "differ" else findings, key=lambda each: each.p)
        p = min(1.0, count * chosen.p)
    else:
        chosen = max(findings, key=lambda each: each.p)
        p = chosen.p
    arms = " minus ".join(weights[findings.index(chosen)])
    inside = [each.p_inside for each in findings]
    outside = [each.p_outside for each in findings]
    return replace(
        chosen,
        p=p,
        p_inside=max(inside) if not any(map(math.isnan, inside)) else math.nan,
        p_outside=min(1.0, count * min(outside)) if case.about_margin else math.nan,
        note=f"decided by {arms}, of {count} comparisons",
    )


def _describe(blank: Verdict, size: design.Size, case: _Case, finding: Finding) -> Verdict:
    """Fill in what does not depend on the other claims."""
    warnings: list[str] = list(finding.warnings)
    if size.n_clusters < FEW_CLUSTERS:
        warnings.append(f"fewer than {FEW_CLUSTERS} clusters ({size.n_clusters})")
    if case.test.estimate is None:  # of the others the sample of differences was looked at
        warnings.extend(_beyond_range(case, size))
    if size.n_seeds == 1:
        warnings.append("one training seed: the spread between trainings is not seen")
    elif case.test.seeds == "averaged":
        warnings.append("seeds are averaged: the spread between trainings is not tested")
    if case.test.unit == "case" and size.n_cases > size.n_clusters:
        warnings.append(f"{case.test.name} takes the cases of one cluster for independent")
    missing = math.nan
    return replace(
        blank,
        effect=number(finding.effect),
        low=number(finding.interval.low if finding.interval else missing),
        high=number(finding.interval.high if finding.interval else missing),
        p=number(_own_p(case, finding)),
        n_cases=size.n_cases,
        n_clusters=size.n_clusters,
        n_seeds=size.n_seeds,
        detectable=number(finding.detectable),
        note="; ".join(filter(None, (finding.note, *size.notes))),
        warnings=tuple(warnings),
    )


def _own_p(case: _Case, finding: Finding) -> float:
    """Return the p of the claim's own hypothesis."""
    return finding.p_inside if case.about_margin else finding.p


def _settle(
    paper: Paper, verdicts: dict[str, Verdict], found: dict[str, tuple[_Case, Finding]]
) -> None:
    """Correct the p-values inside families and decide.

    A claim that can be decided in two ways has two nulls of which one is true, so each kind of p
    is corrected among its own.
    """
    methods = {name: family.method for name, family in paper.families.items()}
    families = [case.claim.family for case, _ in found.values()]

    def adjusted(values: list[float]) -> Array:
        return multiplicity.adjust_families(values, families, methods=methods)

    own = adjusted([_own_p(*each) for each in found.values()])
    inside = adjusted([math.nan if c.about_margin else f.p_inside for c, f in found.values()])
    outside = adjusted([finding.p_outside for _, finding in found.values()])
    for number_, (name, (case, finding)) in enumerate(found.items()):
        p = float(own[number_])
        word: Word = decide(
            case.direction,
            effect=finding.effect,
            p=finding.p if case.about_margin else p,
            p_inside=p if case.about_margin else float(inside[number_]),
            p_outside=float(outside[number_]),
            margin=case.margin,
            in_order=finding.in_order,
            alpha=case.alpha,
        )
        verdict = replace(verdicts[name], verdict=word, p_adjusted=number(p))
        if verdict.layer == "replication" and verdict.profile == "quick":
            verdict = replace(verdict, verdict="inconclusive", warnings=(QUICK, *verdict.warnings))
        verdicts[name] = verdict
