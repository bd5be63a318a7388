"""Chapters whose truth is known: what the verdicts say of it.

A chapter compares a method with nine others whose true effects are drawn from a list: none, below
the margin, at it, and above it, in both directions.  Its claims are judged as those of a paper
are, from records, with Holm's correction inside two families.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from common.papers import Direction, Paper
from common.records import Recorder
from common.statistics.verdicts import judge
from common.validation import engine
from common.validation.simulate import Scenario, draw_latent, marginals, score
from common.validation.tally import monte_carlo_se

Design = tuple[str, int, int, float]

# name, patients, training runs, share of the training runs' variance
DESIGNS: tuple[Design, ...] = (
    ("one training", 30, 1, 0.0),
    ("one training", 100, 1, 0.0),
    ("five trainings", 50, 5, 0.01),
)
MARGIN = {"dice": 0.05, "binary": 0.10}
# True effects in units of the margin; at the margin an effect counts as one that matters.
TRUTHS = (0.0, 0.0, 0.25, -0.25, 0.5, -0.5, 0.9, -0.9, 1.0, -1.0, 1.5, -1.5)
WORST = {"equivalent": (-1.0, 1.0), "value": (-1.0, 1.0), "non_inferior": (-1.0,)}
# How far i and j lie below ours: all alike, in order, reversed, the last two the wrong way round.
ORDERS = ((0.0, 0.0), (0.5, 1.0), (-0.5, -1.0), (0.75, 0.5))
WHERE = ["design", "chapters", "family"]
_CHUNK = 10


@dataclass(frozen=True)
class Plan:
    """One claim of every chapter.

    Args:
        id: of the claim.
        direction: as in ``paper.yml``.
        others: the arms that the method ``ours`` is compared with; ``value`` has none.
        outcome: ``dice`` or ``binary``.
        tests: the test with one training run, and with several.
        family: of the correction.
        margin: whether the claim states one.
    """

    id: str
    direction: Direction
    others: tuple[str, ...]
    outcome: str
    tests: tuple[str, str]
    family: str
    margin: bool = True


PLANS = (
    Plan("greater", "greater", ("a",), "dice", ("sign_flip_clustered", "crossed_t"), "main"),
    Plan("less", "less", ("b",), "dice", ("t_clustered", "crossed_t"), "main"),
    Plan("differ", "differ", ("c",), "dice", ("wilcoxon_clustered", "crossed_t"), "main"),
    Plan("right", "greater", ("d",), "binary", ("mcnemar_clustered", "crossed_t"), "main"),
    Plan("best", "greater", ("a", "e"), "dice", ("t_clustered", "crossed_t"), "main", False),
    Plan("equivalent", "equivalent", ("f",), "dice", ("t_clustered", "crossed_t"), "margins"),
    Plan(
        "all equivalent",
        "equivalent",
        ("f", "g"),
        "dice",
        ("sign_flip_clustered", "crossed_t"),
        "margins",
    ),
    Plan(
        "non-inferior",
        "non_inferior",
        ("h",),
        "binary",
        ("mcnemar_clustered", "crossed_t"),
        "margins",
    ),
    Plan("value", "value", (), "dice", ("t_clustered", "crossed_t"), "margins"),
    Plan("order", "order", ("i", "j"), "dice", ("page", "page"), "main", False),
)
RIVALS = tuple(dict.fromkeys(arm for plan in PLANS for arm in plan.others))


@dataclass(frozen=True)
class Chapter:
    """The truth of one chapter.

    Args:
        design: see :data:`DESIGNS`.
        number: of the chapter.
        effects: for every rival, ours minus the rival in units of the margin.
        value_gap: our true mean minus the value claimed, in units of the margin.
    """

    design: Design
    number: int
    effects: dict[str, float]
    value_gap: float


def draw_chapter(design: Design, number: int, *, rng: np.random.Generator) -> Chapter:
    """Draw what is true in one chapter.

    1. Every third chapter is the worst case: no effect where claims are about a side, an effect
       at the margin, of either sign, where they are about the margin.
    2. In the others each rival's effect is one of :data:`TRUTHS`, as is the gap to the value
       claimed; the order of ours, ``i`` and ``j`` is drawn as a whole: one of :data:`ORDERS`.
    """
    worst = number % 3 == 0
    least = {arm: WORST.get(plan.direction, (0.0,)) for plan in PLANS for arm in plan.others}
    effects = {arm: float(rng.choice(least[arm] if worst else TRUTHS)) for arm in RIVALS}
    order = ORDERS[0] if worst else ORDERS[int(rng.integers(len(ORDERS)))]
    gap = float(rng.choice(WORST["value"] if worst else TRUTHS))
    return Chapter(design, number, effects | dict(zip("ij", order, strict=True)), gap)


def differences(plan: Plan, chapter: Chapter) -> tuple[float, ...]:
    """Return the true differences that a claim is about, in units of the margin.

    They are those of the arms compared: ours with each other, all pairs for equality, neighbours
    for an order, or the gap to the value.

    Example:
        >>> chapter = Chapter(DESIGNS[0], 0, {"f": 1.0, "g": 0.5}, 0.0)
        >>> plan = next(plan for plan in PLANS if plan.id == "all equivalent")
        >>> differences(plan, chapter)
        (1.0, 0.5, -0.5)
    """
    if plan.direction == "value":
        return (chapter.value_gap,)
    own = tuple(chapter.effects[arm] for arm in plan.others)
    if plan.direction == "order":
        return (own[0], own[1] - own[0])
    if plan.direction == "equivalent" and len(own) == 2:
        return (*own, own[1] - own[0])
    return own


def true_words(direction: Direction, effects: Sequence[float], *, margin: bool) -> set[str]:
    """List the verdicts that are right about a claim; ``inconclusive`` always is.

    Args:
        direction: of the claim.
        effects: the true differences in units of the margin, see :func:`differences`.
        margin: whether the claim states its margin.

    Returns:
        ``equivalent`` is right only if every difference lies strictly inside the margin.  A
        claim that the first is greater (or stands in order) is supported rightly if no
        difference points the other way and one points its way, for ``greater`` every one; it is
        contradicted rightly if one points the other way.

    Example:
        >>> sorted(true_words("greater", [0.25], margin=True))
        ['equivalent', 'inconclusive', 'supported']
        >>> sorted(true_words("equivalent", [1.0], margin=True))
        ['contradicted', 'inconclusive']
    """
    found = {"inconclusive"}
    inside = all(abs(effect) < 1 for effect in effects)
    if direction in ("equivalent", "value", "non_inferior"):
        good = min(effects) > -1 if direction == "non_inferior" else inside
        return found | {"supported" if good else "contradicted"}
    if margin and inside:
        found.add("equivalent")
    if direction == "differ":
        return found | ({"supported"} if any(effects) else set())
    along = [-effect for effect in effects] if direction == "less" else list(effects)
    if min(along) < 0:
        found.add("contradicted")
    elif min(along) > 0 or (direction == "order" and any(along)):
        found.add("supported")
    return found


def paper(chapter: Chapter) -> Paper:
    """Declare the claims of one chapter."""
    single = chapter.design[2] == 1
    ours = marginals("dice", 0.0)[1].mean()
    claims: list[dict[str, Any]] = []
    for plan in PLANS:
        claims.append(
            {
                "id": plan.id,
                "text": "A claim whose truth is known.",
                "where": "nowhere",
                "metric": plan.outcome,
                "arms": ["ours", *plan.others],
                "direction": plan.direction,
                "margin": MARGIN[plan.outcome] if plan.margin else 0.0,
                "test": plan.tests[0 if single else 1],
                "family": plan.family,
                "evidence": {"replication": {}},
            }
        )
        if plan.direction == "value":
            claims[-1]["value"] = ours - chapter.value_gap * MARGIN[plan.outcome]
    arms = ("ours", *RIVALS)
    return Paper.model_validate(
        {
            "slug": "planted",
            "title": "A chapter with a known truth",
            "authors": ["Nobody"],
            "year": 2000,
            "venue": "None",
            "kind": "report",
            "citation": "none",
            "summary": "Simulated.",
            "task": ["classification"],
            "modality": "none",
            "datasets": [{"id": "simulated", "source": "phantom", "role": "all"}],
            "arms": [{"id": arm, "label": arm, "sources": ["phantom"]} for arm in arms],
            "metrics": [{"id": name, "label": name, "unit": "fraction"} for name in MARGIN],
            "tables": [],
            "families": {"main": {"method": "holm"}, "margins": {"method": "holm"}},
            "claims": claims,
            "profiles": {"quick": {"parameters": {}, "minutes": 1, "memory_gb": 1}},
        }
    )


def records(chapter: Chapter, *, rng: np.random.Generator) -> pd.DataFrame:
    """Run one chapter's methods on simulated patients and record their scores.

    Rivals differ from ours by their true effect; both metrics are scored on the same cases.
    """
    _, n_clusters, n_seeds, seed_share = chapter.design
    arms = ("ours", *RIVALS)
    recorder = Recorder(paper="planted", run="r1", profile="standard", source="phantom")
    for outcome in ("dice", "binary"):
        scenario = Scenario(
            outcome,
            n_clusters,
            0.2,
            n_arms=len(arms),
            n_seeds=n_seeds,
            seed_share=seed_share,
        )
        means = [-chapter.effects.get(arm, 0.0) * MARGIN[outcome] for arm in arms]
        functions = [marginals(outcome, mean)[0] for mean in means]
        study = score(draw_latent(scenario, rng), functions)
        for number, arm in enumerate(arms):
            for seed in range(n_seeds):
                recorder.add(
                    outcome,
                    study.scores[seed, :, number],
                    arm=arm,
                    seed=seed,
                    case=np.arange(len(study.cluster)),
                    cluster=study.cluster,
                )
    return recorder.frame()


@dataclass(frozen=True)
class _Piece:
    design: Design
    start: int
    stop: int
    seed: int


def _judge(piece: _Piece) -> pd.DataFrame:
    """Judge some chapters: one row per claim."""
    rows = []
    for number in range(piece.start, piece.stop):
        rng = engine.stream(piece.seed, "planted", str(piece.design), number)
        chapter = draw_chapter(piece.design, number, rng=rng)
        verdicts = judge(
            paper(chapter),
            records(chapter, rng=rng),
            layer="replication",
            source="phantom",
            profile="standard",
            rng=rng,
        )
        for plan, verdict in zip(PLANS, verdicts, strict=True):
            effects = differences(plan, chapter)
            right = verdict.verdict in true_words(plan.direction, effects, margin=plan.margin)
            rows.append(
                {
                    "design": f"{piece.design[0]}, {piece.design[1]} patients",
                    "chapters": "worst case" if number % 3 == 0 else "mixed",
                    "chapter": number,
                    "family": plan.family,
                    "claim": plan.id,
                    "test": verdict.test,
                    "truth": truth_class(effects),
                    "verdict": verdict.verdict,
                    "false": not right and verdict.verdict != "untested",
                }
            )
    return pd.DataFrame(rows)


def truth_class(effects: Sequence[float]) -> str:
    """Put the largest true difference into a class; differences of both signs make their own.

    Example:
        >>> [truth_class([x]) for x in (0.0, -0.5, 1.0, 1.5)]
        ['none', 'below margin', 'at margin', 'above margin']
    """
    if min(effects) < 0 < max(effects):
        return "both signs"
    size = max(abs(effect) for effect in effects)
    if size == 0:
        return "none"
    if size < 1:
        return "below margin"
    return "at margin" if size == 1 else "above margin"


def judge_chapters(
    n: int, *, seed: int, jobs: int = 1, say: engine.Say | None = None
) -> pd.DataFrame:
    """Judge ``n`` chapters of each design.

    Returns:
        One row per claim of every chapter, with its truth, its verdict and whether it is false.
    """
    pieces = [
        _Piece(design, start, min(start + _CHUNK, n), seed)
        for design in DESIGNS
        for start in range(0, n, _CHUNK)
    ]
    results = engine.run(_judge, pieces, jobs=jobs, name="planted truth", say=say)
    return pd.concat(results, ignore_index=True)


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of every kind of claim and truth, and the families with a false one.

    Returns:
        ``wrong_side`` is the share of false supported and contradicted verdicts, and
        ``wrong_equal`` that of false equivalent ones, with their Monte-Carlo error; rows of
        ``claim`` "any of the family" count families in which at least one claim is so.
    """
    equal = judged["false"] & (judged["verdict"] == "equivalent")
    table = judged.assign(wrong_equal=equal, wrong_side=judged["false"] & ~equal)
    rows = []
    for by in ([*WHERE, "claim", "test", "truth"], [*WHERE, "claim"]):
        for key, group in table.groupby(by, sort=True):
            names = dict(zip(by, key, strict=True))
            rows.append({"test": "all", "truth": "all"} | names | _shares(group))
    chapters = table.groupby([*WHERE, "chapter"], sort=True)
    families = chapters[["wrong_side", "wrong_equal"]].any().reset_index()
    for key, group in families.groupby(WHERE, sort=True):
        names = dict(zip(WHERE, key, strict=True)) | {"claim": "any of the family"}
        rows.append({"test": "all", "truth": "all"} | names | _errors(group))
    columns = [*WHERE, "claim", "test", "truth", "n"]
    found = pd.DataFrame(rows)
    return found[columns + [name for name in found if name not in columns]]


def _errors(group: pd.DataFrame) -> dict[str, float]:
    n = len(group)
    side, same = float(group["wrong_side"].mean()), float(group["wrong_equal"].mean())
    return {
        "n": n,
        "wrong_side": side,
        "wrong_side_se": monte_carlo_se(side, n),
        "wrong_equal": same,
        "wrong_equal_se": monte_carlo_se(same, n),
    }


def _shares(group: pd.DataFrame) -> dict[str, float]:
    words = ("supported", "contradicted", "equivalent", "inconclusive", "untested")
    return _errors(group) | {word: float((group["verdict"] == word).mean()) for word in words}
