"""Power as planned and power as found: the same tests on studies with a known effect."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.statistics import power, power_proportions, power_ranks
from common.statistics.power_plans import Plan
from common.statistics.procedures import PROCEDURES, procedure
from common.statistics.results import equivalence_p
from common.validation import engine
from common.validation.simulate import Outcome, Scenario, draw, draw_sizes, truth
from common.validation.tally import LEVEL, monte_carlo_se

EQUIVALENCE = "t_clustered, equivalence"
_CHUNK = 250
_FIXED = 7  # seed of the patients' sizes, which a plan knows


@dataclass(frozen=True)
class Design:
    """One planned study.

    Args:
        test: name of the procedure, or :data:`EQUIVALENCE`.
        scenario: what is drawn, with its true effect.
        margin: of equivalence.
        promised: whether the plan holds there; plans of means are for normal sums, and understate
            the power with few patients and scores that are mostly alike and sometimes far apart.
    """

    test: str
    scenario: Scenario
    margin: float = 0.0
    promised: bool = True

    @property
    def id(self) -> str:
        """A name that fixes the design's random numbers."""
        return f"{self.test} {self.scenario} {self.margin}"

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Cases of each patient: a draw that is the same in every study of this design."""
        return draw_sizes(self.scenario, np.random.default_rng(_FIXED))


_MCNEMAR: dict[str, power_proportions.ClusteredTest] = {
    "mcnemar_clustered": "pooled",
    "mcnemar_obuchowski": "obuchowski",
    "mcnemar_durkalski": "durkalski",
}
_PLANS: dict[str, Callable[..., Plan]] = {
    "t_clustered": power.cluster_t_plan,
    EQUIVALENCE: power.cluster_t_plan,
    "sign_flip_clustered": partial(power.sign_flip_plan, rng=np.random.default_rng(_FIXED)),
    "cluster_bootstrap": power.bootstrap_plan,
    "cluster_bootstrap_studentised": partial(power.bootstrap_plan, method="studentised"),
    "signed_rank_clustered": power_ranks.clustered_signed_rank_plan,
}


def planned(design: Design) -> float:
    """Return the power that the plan states, from the true spread and correlation."""
    one, sizes = design.scenario, design.sizes.astype(np.float64)
    known = truth(replace(one, n_seeds=1))
    sd = float(np.sqrt(known.variance))
    if design.test == "crossed_t":
        return _crossed(one).power(one.effect)
    if design.test == "wilcoxon_clustered":
        spread = known.se_means(sizes) * np.sqrt(len(sizes))
        return power_ranks.signed_rank_plan(spread, n=len(sizes)).power(one.effect)
    if design.test in _MCNEMAR:
        return power_proportions.mcnemar_clustered_power(
            one.effect,
            discordance=known.variance + one.effect**2,
            correlation=known.icc,
            sizes=sizes,
            rng=np.random.default_rng(_FIXED),
            method=_MCNEMAR[design.test],
        )
    plan = _PLANS[design.test](sd, correlation=known.icc, sizes=sizes)
    if design.test == EQUIVALENCE:
        assert isinstance(plan, power.StudentPlan)
        return plan.margin_power(one.effect, low=-design.margin, high=design.margin)
    return plan.power(one.effect)


def _crossed(one: Scenario) -> Plan:
    """Plan the crossed t of normal scores and patients of equal size, whose parts are known."""
    own = 2 * (1 - 0.35 - 0.05)
    patient = truth(replace(one, n_seeds=1)).patient_share
    rest = (1 - patient - one.seed_share) / one.mean_size
    return power.crossed_plan(
        sd_cluster=float(np.sqrt(own * patient)),
        sd_seed=float(np.sqrt(own * one.seed_share)),
        sd_residual=float(np.sqrt(own * rest)),
        n_clusters=one.n_clusters,
        n_seeds=one.n_seeds,
    )


def designs() -> list[Design]:
    """List the planned studies: effects of about 50 and 80 % power, for each test.

    Tests of a mean are planned for normal scores of 30 patients and for overlap-like scores of 100,
    McNemar's for right and wrong answers, and ranks and crossed designs for normal scores, as their
    plans are.  Overlap-like scores of 30 patients are shown, and nothing is promised for them.
    """
    found = []
    for steps in (2.0, 2.9):
        for test in (*_MEANS, EQUIVALENCE):
            few = _design(test, "gaussian", 30, steps)
            found += [replace(few, promised=test != _LESS), _design(test, "dice", 100, steps)]
            found.append(replace(_design(test, "dice", 30, steps), promised=False))
        for n in (30, 100):
            found += [_design(test, "binary", n, steps) for test in _MCNEMAR]
            found += [_design(test, "gaussian", n, steps) for test in _NORMAL]
    return found


_MEANS = (
    "t_clustered",
    "sign_flip_clustered",
    "cluster_bootstrap",
    "cluster_bootstrap_studentised",
)
_LESS = "cluster_bootstrap_studentised"  # its plan says that it promises too much with few clusters
_NORMAL = ("wilcoxon_clustered", "signed_rank_clustered", "crossed_t")


def _design(test: str, outcome: Outcome, n: int, steps: float) -> Design:
    """Return a design whose effect is a number of standard errors at no effect."""
    crossed = test == "crossed_t"
    alike = test in ("crossed_t", "wilcoxon_clustered")  # plans for patients of equal size
    one = Scenario(outcome, n, 0.2, spread=0.0 if alike else 0.7)
    if crossed:
        one = replace(one, n_seeds=5, seed_share=0.003)
    sizes = Design(test, one).sizes.astype(np.float64)
    se = truth(replace(one, n_seeds=1)).se_means(sizes)
    if crossed:
        se = float(np.sqrt(se**2 * 0.7 + 1.2 * one.seed_share / one.n_seeds))
    if test == EQUIVALENCE:
        return Design(test, replace(one, effect=round(0.3 * se, 4)), round((steps + 0.6) * se, 4))
    return Design(test, replace(one, effect=round(steps * se, 4)))


@dataclass(frozen=True)
class _Piece:
    design: Design
    start: int
    stop: int
    seed: int


def _found(piece: _Piece) -> int:
    """Count the studies in which the test finds what is there."""
    design, count = piece.design, 0
    test = procedure(design.test.split(",")[0])
    assert test.estimate is not None
    for replicate in range(piece.start, piece.stop):
        rng = engine.stream(piece.seed, design.id, replicate)
        study = draw(design.scenario, rng, sizes=design.sizes)
        inference = test.estimate(study.sample, rng)
        if design.test == EQUIVALENCE:
            count += equivalence_p(inference, -design.margin, design.margin) < LEVEL
        else:
            count += inference.p() < LEVEL
    return count


def compare(
    plans: list[Design], *, n: int, seed: int, jobs: int = 1, say: engine.Say | None = None
) -> pd.DataFrame:
    """Compare planned power with the share of ``n`` studies in which the test finds the effect.

    Designs whose test is not in the register are left out.

    Returns:
        One row per design: ``planned``, ``found``, its Monte-Carlo error and the difference.
    """
    known = [each for each in plans if _registered(each.test)]
    pieces = [
        _Piece(design, start, min(start + _CHUNK, n), seed)
        for design in known
        for start in range(0, n, _CHUNK)
    ]
    counts = engine.run(_found, pieces, jobs=jobs, name="power", say=say)
    found = {design.id: 0 for design in known}
    for piece, count in zip(pieces, counts, strict=True):
        found[piece.design.id] += count
    return pd.DataFrame([_row(design, found[design.id] / n, n) for design in known])


def _registered(test: str) -> bool:
    return test.split(",")[0] in PROCEDURES


def _row(design: Design, share: float, n: int) -> dict[str, Any]:
    one, expected = design.scenario, planned(design)
    return {
        "test": design.test,
        "outcome": one.outcome,
        "n_clusters": one.n_clusters,
        "n_seeds": one.n_seeds,
        "effect": one.effect,
        "margin": design.margin,
        "promised": design.promised,
        "n": n,
        "planned": expected,
        "found": share,
        "mc_se": monte_carlo_se(share, n),
        "difference": share - expected,
    }
