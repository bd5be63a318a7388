"""The tests on trial: those that ``paper.yml`` can name, and the naive ones that must fail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from common.statistics import auc, bootstrap, design, froc, paired, procedures, proportions
from common.statistics.design import Sample
from common.statistics.detections import Detections
from common.statistics.procedures import Estimator, Procedure
from common.statistics.results import DesignError, Inference
from common.statistics.signed_rank import signed_rank_inference
from common.validation.curves import ClassStudy
from common.validation.simulate import Study, arm_names
from common.validation.tally import Tally, failure, of_inference, of_p

Kind = Literal["paired", "folds", "seeds", "arms", "arm_folds", "between", "classes", "detectors"]
Run = Callable[[Any, float, np.random.Generator, bool], Tally]

KINDS: tuple[Kind, ...] = get_args(Kind)
GROUPS = ("g0", "g1")  # names of the two sets of patients that ``between`` tests compare


@dataclass(frozen=True)
class Trial:
    """One test as it is tried.

    Args:
        name: as in ``paper.yml``, or of the naive test.
        run: takes a study, its true effect, a generator and whether to compute the interval.
        share: of the studies on which it is tried, the first ones; resampling takes long.
        interval_share: of the studies in which the interval is computed and compared with the
            p-value; intervals that are found by bisection take long.
        naive: whether it ignores what the data are made of; shown to fail.
        symmetric: whether its null is symmetry and not a mean of 0.
        interval: whether it gives an interval at all.
    """

    name: str
    run: Run
    share: float = 1.0
    interval_share: float = 1.0
    naive: bool = False
    symmetric: bool = False
    interval: bool = True


def _estimate(estimator: Estimator, *, averaged: bool = False) -> Run:
    def run(study: Study, truth: float, rng: np.random.Generator, interval: bool) -> Tally:
        sample = study.averaged if averaged else study.sample
        try:
            return of_inference(estimator(sample, rng), truth, interval=interval)
        except DesignError:
            return failure()

    return run


def _joint(test: Procedure) -> Run:
    def run(study: Study, truth: float, rng: np.random.Generator, interval: bool) -> Tally:
        arms = arm_names(1 if test.name.startswith("kruskal") else study.scores.shape[2])
        assert test.joint is not None
        return of_p(test.joint(study.paired, arms).p)

    return run


def _between(study: Study, truth: float, rng: np.random.Generator, interval: bool) -> Tally:
    """Compare the first 30 % of the patients with the others, whose scores vary twice as much."""
    n = len(study.sizes)
    left = np.arange(n) < round(0.3 * n)
    wide = ~left[study.cluster]
    scores = study.scores.copy()
    scores[:, wide] = truth + 2 * (scores[:, wide] - truth)
    records = Study(scores, study.cluster, study.fold).grouped(np.where(left, *GROUPS))
    one = design.sample(records, {arm_names(1)[0]: 1.0})
    found = procedures.welch_clustered(one, records, (GROUPS[0],), (GROUPS[1],))
    return of_inference(found, 0.0)


def _areas(study: ClassStudy, truth: float, rng: np.random.Generator, interval: bool) -> Tally:
    first, second = study.scores.T
    found = auc.auc_clustered_inference(first, second, study.labels, study.cluster)
    return of_inference(found, truth)


def _delong(study: ClassStudy, truth: float, rng: np.random.Generator, interval: bool) -> Tally:
    first, second = study.scores.T
    return of_inference(auc.auc_delong_inference(first, second, study.labels), truth)


def _cpm(
    study: tuple[Detections, Detections], truth: float, rng: np.random.Generator, interval: bool
) -> Tally:
    n_resamples = procedures.N_RESAMPLES
    return of_inference(froc.cpm_inference(*study, n_resamples=n_resamples, rng=rng), truth)


def _case_t(sample: Sample, rng: np.random.Generator) -> Inference:
    return paired.paired_t_inference(sample.value)


def _case_wilcoxon(sample: Sample, rng: np.random.Generator) -> Inference:
    return signed_rank_inference(sample.value)


def _case_bootstrap(sample: Sample, rng: np.random.Generator) -> Inference:
    return bootstrap.cluster_bootstrap(sample.value, n_resamples=procedures.N_RESAMPLES, rng=rng)


def _case_mcnemar(sample: Sample, rng: np.random.Generator) -> Inference:
    if not np.isin(sample.value, (-1.0, 0.0, 1.0)).all():
        raise DesignError("McNemar's test needs outcomes 0 or 1. Use another one.")
    first, second = int((sample.value > 0).sum()), int((sample.value < 0).sum())
    return proportions.PairedCounts(first, second, len(sample.value))


def _fold_t(sample: Sample, rng: np.random.Generator) -> Inference:
    return paired.paired_t_inference(sample.fold_means().to_numpy())


def _fold_bootstrap(sample: Sample, rng: np.random.Generator) -> Inference:
    return bootstrap.exact_folds(sample.fold_means().to_numpy())


def _naive(name: str, estimator: Estimator, *, share: float = 1.0) -> Trial:
    slow = "wilcoxon" in name
    return Trial(name, _estimate(estimator), share, 0.0 if slow else 1.0, naive=True)


NAIVE: dict[Kind, tuple[Trial, ...]] = {
    "paired": (
        _naive("mcnemar of cases", _case_mcnemar),
        _naive("paired t of cases", _case_t),
        _naive("wilcoxon of cases", _case_wilcoxon, share=0.25),
        _naive("bootstrap of cases", _case_bootstrap, share=0.05),
    ),
    "folds": (
        _naive("paired t of folds", _fold_t),
        _naive("bootstrap of folds", _fold_bootstrap, share=0.25),
        _naive("paired t of cases", _case_t),
    ),
    "classes": (Trial("delong of cases", _delong, naive=True),),
}

# Their data are not one number a case, so that they are run on arrays instead of by the register.
CURVES: dict[Kind, tuple[Trial, ...]] = {
    "classes": (Trial("auc_clustered", _areas),),
    "detectors": (Trial("cpm_bootstrap", _cpm, share=0.4),),
}


def kind(test: Procedure) -> Kind | None:
    """Tell on which kind of study a procedure is tried; None for :data:`CURVES`."""
    if test.estimate is None and test.joint is None and test.name != "welch_clustered":
        return None
    by_fold = test.unit.startswith("fold") or test.name.startswith("kruskal")
    if test.between:
        return "between"
    if test.joint is not None:
        return "arm_folds" if by_fold else "arms"
    if by_fold:
        return "folds"
    return "seeds" if test.seeds == "random" else "paired"


def trial(test: Procedure) -> Trial:
    """Turn a procedure into what can be tried."""
    if test.between:
        return Trial(test.name, _between)
    if test.joint is not None:
        return Trial(test.name, _joint(test), interval=False)
    assert test.estimate is not None
    by_bisection = "rank" in test.name or "wilcoxon" in test.name
    return Trial(
        test.name,
        _estimate(test.estimate),
        share=0.5 if "bootstrap" in test.name else 1.0,
        interval_share=0.05 if by_bisection else 1.0,
        symmetric="symmetric" in test.hypothesis,
    )


def trials(wanted: Kind) -> tuple[Trial, ...]:
    """Return the tests of one kind: a procedure that is new in the register is among them.

    Tests of clusters are tried on folds and on several training runs too, where they take the
    networks for given: naive, if the claim is about the methods.
    """
    register = procedures.PROCEDURES
    # McNemar's own test is the naive one of cases, and is tried under that name.
    found = [trial(each) for each in register.values() if kind(each) == wanted]
    found = [each for each in found if each.name != "mcnemar"] + list(CURVES.get(wanted, ()))
    if wanted in ("folds", "seeds"):
        found += [_blind(register["t_clustered"]), _blind(register["cluster_bootstrap"])]
    return (*found, *NAIVE.get(wanted, ()))


def _blind(test: Procedure) -> Trial:
    assert test.estimate is not None
    name = f"{test.name}, networks as given"
    return Trial(name, _estimate(test.estimate, averaged=True), naive=True)
