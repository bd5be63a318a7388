"""What a chapter's ``paper.yml`` says, as typed objects: bibliography, arms, claims, profiles.

The file is the pre-registration of a chapter: claims, tests, margins and profiles stand in it
before the run that judges them.
"""

import difflib
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import pandas as pd
from pydantic import Field, field_validator, model_validator

from common import paths
from common.errors import ReplicateError, UsageError
from common.strict_yaml import Strict, load as load_yaml

Layer = Literal["published", "reanalysis", "replication"]
Source = Literal["phantom", "open", "authors", "published"]
Direction = Literal[
    "greater", "less", "equivalent", "non_inferior", "differ", "order", "value", "absent"
]
AnalysisUnit = Literal["patient", "scan", "image", "slice", "patch", "object", "pixel"]
Value = TypeVar("Value")

LAYERS: tuple[Layer, ...] = ("published", "reanalysis", "replication")
TABLE_COLUMNS = ("row", "column", "metric", "value", "spread", "spread_kind", "n", "note")


class Arm(Strict):
    """One method or configuration that a chapter compares.

    ``simplified`` says in words what was left out where an arm is not the paper's own.
    """

    id: str
    label: str
    sources: tuple[Source, ...]
    simplified: str | None = None


class Metric(Strict):
    """One measured quantity; ``unit`` is ``fraction`` where figures show percent."""

    id: str
    label: str
    unit: str
    better: Literal["higher", "lower"] = "higher"


class Cell(Strict):
    """The place of one published number: the row and column it is printed in."""

    row: str
    column: str


class Published(Strict):
    """Where the paper prints the numbers of a claim, and what they are means of.

    Args:
        table: id of a table of this paper.
        metric: the table's name of the metric.
        cells: for every arm of the claim, the row and column of its number.
        n: cases behind each number.
        clusters: independent units behind each number.
        scale: what a printed number is divided by to give the metric's unit (100 for percent).
        statistic: how the number arises from cases: a share of right cases, a mean overlap
            score in [0, 1], or another mean.
    """

    table: str
    metric: str
    cells: dict[str, Cell]
    n: int | None = None
    clusters: int | None = None
    scale: float = 1.0
    statistic: Literal["proportion", "overlap", "mean"] = "proportion"


class Between(Strict):
    """Two sets of groups of cases whose scores are compared within one arm (unpaired)."""

    left: tuple[str, ...]
    right: tuple[str, ...]


class Evidence(Strict):
    """How one layer tests a claim; what is not given is taken from the claim.

    Args:
        source: where the cases come from.
        arms: two arms give first minus second; one arm is compared with the claim's ``value``;
            three or more are compared all with all (``equivalent``: every pair must be, so the
            largest p counts; ``differ``, ``order``: one test over all).
        contrast: a weight per arm, summing to zero, in place of ``arms``.
        between: two sets of groups compared within the one arm named.
        group: only the cases of this group.
        untested: why this layer cannot say anything.
    """

    source: Source | None = None
    metric: str | None = None
    arms: tuple[str, ...] | None = None
    contrast: dict[str, float] | None = None
    between: Between | None = None
    group: str | None = None
    direction: Direction | None = None
    margin: float | None = None
    test: str | None = None
    published: Published | None = None
    untested: str | None = None

    @field_validator("contrast")
    @classmethod
    def _sums_to_zero(cls, contrast: dict[str, float] | None) -> dict[str, float] | None:
        if contrast is not None and abs(sum(contrast.values())) > 1e-9:
            raise ValueError(
                f"contrast weights must sum to 0, got {sum(contrast.values())!r}; "
                "give one side positive and the other negative weights"
            )
        return contrast


class Unit(Strict):
    """The unit of analysis: the scored case and the independent unit it belongs to."""

    case: str
    cluster: str


class Claim(Strict):
    """A comparison the paper makes (or ours, marked so) that data can support or contradict.

    Args:
        id: short name, unique in the chapter (``C1``).
        text: the claim in our own words.
        where: its place in the paper.
        ours: True where the book, not the paper, poses the claim.
        metric, arms, direction, margin, test: defaults for every layer. ``arms`` of a two-arm
            claim are (better, other); the effect is first minus second (see
            :class:`Evidence` for one arm and for more than two).
        margin: in the metric's unit; required for equivalence and non-inferiority.
        value: what one arm is compared with; required for direction ``value``.
        unit: case and cluster.
        family: multiplicity is controlled inside a family and layer.
        evidence: the layers that test it; a layer that is not named does not exist for it.
        changed: what was altered after results were seen, and why; None if nothing was.
    """

    id: str
    text: str
    where: str
    ours: bool = False
    metric: str | None = None
    arms: tuple[str, ...] = ()
    direction: Direction
    margin: float = 0.0
    value: float | None = None
    unit: Unit | None = None
    test: str | None = None
    family: str = "main"
    evidence: dict[Layer, Evidence] = Field(min_length=1)
    changed: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.direction in ("equivalent", "non_inferior") and self.margin <= 0:
            raise ValueError(
                f"claim {self.id}: margin must be > 0 for direction {self.direction!r}, "
                f"got {self.margin!r}; state the smallest difference that matters"
            )
        if self.direction == "value" and self.value is None:
            raise ValueError(f"claim {self.id}: direction 'value' needs the key `value`")
        for layer, evidence in self.evidence.items():
            if evidence.untested is None and self.direction == "absent":
                raise ValueError(
                    f"claim {self.id}: an absent claim cannot be tested on layer {layer!r}; "
                    "say why under `untested`"
                )
            if layer == "published" and evidence.untested is None and evidence.published is None:
                raise ValueError(
                    f"claim {self.id}: the published layer needs `published` or `untested`"
                )
        return self

    def on(self, layer: Layer) -> Evidence:
        """Return the evidence of a layer with the claim's defaults filled in.

        Raises:
            ReplicateError: the claim does not name that layer.
        """
        if layer not in self.evidence:
            raise ReplicateError(
                f"claim {self.id} has no layer {layer!r}, only {sorted(self.evidence)}. "
                "Declare it under `evidence` in paper.yml."
            )
        own = self.evidence[layer]
        defaults: dict[str, Any] = {
            "metric": self.metric,
            "arms": self.arms,
            "direction": self.direction,
            "margin": self.margin,
            "test": self.test,
        }
        filled = {key: value for key, value in defaults.items() if getattr(own, key) is None}
        return own.model_copy(update=filled)


class Table(Strict):
    """One published table and how its numbers were rounded."""

    id: str
    caption: str
    where: str
    decimals: int | None = None


class Range(Strict):
    """The allowed values of a parameter, for sweeps."""

    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] | None = None


class Profile(Strict):
    """A named set of parameters with the cost that was measured for it."""

    parameters: dict[str, Any]
    minutes: float
    memory_gb: float
    note: str = ""


class Family(Strict):
    """How multiplicity is controlled inside a family of claims."""

    method: Literal["holm", "fdr_bh", "none"] = "holm"
    alpha: float = 0.05


class Code(Strict):
    """Code that the authors released."""

    url: str
    commit: str | None = None
    licence: str


class DatasetUse(Strict):
    """A data set of the chapter and the source it provides."""

    id: str
    source: Source
    role: str


class Stated(Strict, Generic[Value]):
    """One thing that a paper reports or leaves out, and the place where that can be checked."""

    value: Value
    where: str


class Reporting(Strict):
    """How a paper reports its evidence; read for statistics over all papers, never for a verdict.

    Args:
        interval: whether a result is printed with an interval that a sample or a repetition gives.
        test: whether a comparison is put to a statistical test.
        unit: what the printed scores count or average over.
        seeds: trainings behind a printed number; None where the paper does not say.
        code: whether the authors released code.
        data: how a reader gets the images.
    """

    interval: Stated[bool]
    test: Stated[bool]
    unit: Stated[AnalysisUnit]
    seeds: Stated[int | None]
    code: Stated[bool]
    data: Stated[Literal["public", "request", "private", "not stated"]]


class Paper(Strict):
    """One paper: everything a chapter declares before it runs."""

    slug: str
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str
    kind: Literal["journal", "conference", "preprint", "report", "thesis"]
    citation: str
    doi: str | None = None
    url: str | None = None
    code: Code | None = None
    reporting: Reporting | None = None
    summary: str
    task: tuple[str, ...]
    modality: str
    datasets: tuple[DatasetUse, ...]
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    tables: tuple[Table, ...]
    families: dict[str, Family] = Field(default_factory=lambda: {"main": Family()})
    claims: tuple[Claim, ...]
    parameters: dict[str, Range] = Field(default_factory=dict)
    profiles: dict[Literal["quick", "standard", "full"], Profile]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(_reference_problems(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def arm(self, arm: str) -> Arm:
        """Return an arm by id."""
        return _by_id(self.arms, arm, "arm")

    def metric(self, metric: str) -> Metric:
        """Return a metric by id."""
        return _by_id(self.metrics, metric, "metric")

    def claim(self, claim: str) -> Claim:
        """Return a claim by id."""
        return _by_id(self.claims, claim, "claim")

    def table(self, table: str) -> pd.DataFrame:
        """Read a published table.

        Returns:
            One row per published number, columns ``row, column, metric, value, spread,
            spread_kind, n, note``; ``value`` and ``spread`` are floats, the rest text.

        Raises:
            ReplicateError: unknown table, missing file, or a file without those columns.
        """
        declared = _by_id(self.tables, table, "table")
        return read_table(paths.paper_dir(self.slug) / f"{declared.id}.csv")

    def published(self, evidence: Published) -> dict[str, float]:
        """Return the published number of every arm of a claim, in the metric's unit.

        Raises:
            ReplicateError: a cell names a row or column that the table lacks.
        """
        table = self.table(evidence.table)
        table = table[table["metric"] == evidence.metric]
        numbers = {}
        for arm, cell in evidence.cells.items():
            found = table[(table["row"] == cell.row) & (table["column"] == cell.column)]
            if len(found) != 1:
                raise ReplicateError(
                    f"{self.slug}: {evidence.table} has {len(found)} numbers at row {cell.row!r}, "
                    f"column {cell.column!r}, metric {evidence.metric!r}; exactly 1 is needed. "
                    "Mend the cell in paper.yml."
                )
            numbers[arm] = float(found["value"].iloc[0]) / evidence.scale
        return numbers


def _by_id(items: tuple[Any, ...], wanted: str, kind: str) -> Any:
    for item in items:
        if item.id == wanted:
            return item
    known = [item.id for item in items]
    raise ReplicateError(f"unknown {kind} {wanted!r}. Known: {', '.join(known)}.")


def _reference_problems(paper: Paper) -> Any:
    """Yield every name that paper.yml uses without declaring it, and every duplicate."""
    for kind, items in (
        ("arm", paper.arms),
        ("metric", paper.metrics),
        ("table", paper.tables),
        ("claim", paper.claims),
    ):
        ids = [item.id for item in items]
        for double in sorted({name for name in ids if ids.count(name) > 1}):
            yield f"{kind} {double!r} is declared twice"
    arms, metrics = {a.id for a in paper.arms}, {m.id for m in paper.metrics}
    tables = {t.id for t in paper.tables}
    for claim in paper.claims:
        if claim.family not in paper.families:
            yield f"claim {claim.id}: family {claim.family!r} is not declared"
        for layer in claim.evidence:
            evidence = claim.on(layer)
            used = {*(evidence.arms or ()), *(evidence.contrast or ())}
            if evidence.published is not None:
                used |= set(evidence.published.cells)
                if evidence.published.table not in tables:
                    yield f"claim {claim.id}: table {evidence.published.table!r} is not declared"
            for arm in sorted(used - arms):
                yield f"claim {claim.id}: arm {arm!r} is not declared"
            if evidence.metric is not None and evidence.metric not in metrics:
                yield f"claim {claim.id}: metric {evidence.metric!r} is not declared"
            if evidence.untested is None and layer != "published" and evidence.test is None:
                yield f"claim {claim.id}, layer {layer}: needs `test` or `untested`"


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV of published numbers in long form; see :meth:`Paper.table`."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Restore the table.") from None
    if tuple(table.columns) != TABLE_COLUMNS:
        raise ReplicateError(
            f"{path} must have the columns {', '.join(TABLE_COLUMNS)}, got "
            f"{', '.join(table.columns)}. Rename or add them."
        )
    for column in ("value", "spread"):
        table[column] = pd.to_numeric(table[column].replace("", None))
    return table


def slugs() -> list[str]:
    """List the papers that have a ``paper.yml``, in alphabetical order."""
    return sorted(path.parent.name for path in paths.paper_dir("x").parent.glob("*/paper.yml"))


def require_slug(slug: str) -> str:
    """Return the slug if it is a paper of this book.

    Raises:
        UsageError: unknown, naming the nearest known slug.
    """
    known = slugs()
    if slug in known:
        return slug
    near = difflib.get_close_matches(slug, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"unknown chapter {slug!r}.{hint} Known: {', '.join(known) or 'none'}.")


def load(slug: str) -> Paper:
    """Read a paper's declaration.

    Raises:
        UsageError: unknown slug.
        ReplicateError: ``paper.yml`` is not valid, with every problem and its place.
    """
    require_slug(slug)
    path = paths.paper_dir(slug) / "paper.yml"
    paper = load_yaml(path, Paper)
    if paper.slug != slug:
        raise ReplicateError(
            f"{path}: slug must be the folder's name {slug!r}, got {paper.slug!r}. Rename one."
        )
    return paper
