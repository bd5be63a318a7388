"""The archived validation of the statistics, as tables and figures of a page.

Everything is read from ``book/results/validation``; nothing is simulated here.  Without an archive
each function returns the same note, which names the command that makes one.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

import pandas as pd

from common import comparison_figures, display
from common.display import Shown
from common.site import guide
from common.statistics import validity
from common.validation import archive
from common.validation.calibration import COVERAGE, LEVELS, in_range

_MISSING = "No validation run is archived yet."
_COMMAND = "make validate"
_PERCENT = 100.0
# rates of a test at its nominal value; beside them the marks of a rate above and below the band
_ABOVE, _BELOW = "▲", "▼"


def folder() -> Path:
    """Return the folder of the archive."""
    return archive.folder()


def stale() -> bool:
    """Tell whether the statistics changed since the archived run; False without an archive."""
    return _archived() and bool(archive.read_run()["stale"])


def _archived() -> bool:
    return (folder() / "run.json").is_file()


def _or_note(make: Callable[..., Shown]) -> Callable[..., Shown]:
    """Return a note in place of what an archive would show."""

    @wraps(make)
    def shown(*args: object, **options: object) -> Shown:
        if _archived():
            return make(*args, **options)
        return Shown(
            plain=f"{_MISSING} `{_COMMAND}` makes one.",
            html=f'<p class="rb-note">{_MISSING} <code>{_COMMAND}</code> makes one.</p>',
        )

    return shown


@_or_note
def origin() -> Shown:
    """Say when, and from how many simulated studies, the archive was made."""
    run = archive.read_run()
    text = (
        f"Archived run of {run['date']}: {run['studies']:,} studies of each kind, "
        f"{run['chapters']:,} chapters of each design, {run['power_studies']:,} studies of each "
        f"plan, seed {run['seed']}."
    )
    if run["stale"]:
        text += f" The statistics changed since; {_COMMAND} brings the tables up to date."
    return Shown(plain=text, html=f'<p class="rb-note">{text}</p>')


@_or_note
def levels(*, naive: bool = False) -> Shown:
    """Tabulate how often tests at 5 % reject where there is no effect, over numbers of clusters.

    Args:
        naive: whether to show the tests that ignore what is independent, or the others.
    """
    table = _tested(archive.read("calibration"))
    return _ranges(
        table[table["naive"] == naive],
        "rejected",
        LEVELS,
        caption="Rejections without an effect (%), by the number of clusters.",
    )


@_or_note
def coverage() -> Shown:
    """Tabulate how often 95 % intervals hold the true effect, over numbers of clusters."""
    table = _tested(archive.read("coverage"))
    return _ranges(
        table[~table["naive"]],
        "covered",
        COVERAGE,
        caption="95 % intervals that hold the truth (%), by the number of clusters.",
    )


def _tested(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out where a null is false, and name each test with its folds and seeds."""
    effect = table["effect"] if "effect" in table else pd.Series(0.0, index=table.index)
    skewed = (table["outcome"] == "skewed") | ((effect != 0) & (table["outcome"] != "gaussian"))
    kept = table[~(table["symmetric"] & skewed)]
    kept = kept.assign(promised=in_range(kept))
    return kept.assign(
        row=[_row(*each) for each in kept[["test", "n_folds", "n_seeds", "outcome"]].to_numpy()]
    )


def _row(test: str, n_folds: float, n_seeds: float, outcome: str) -> str:
    """Name a row of a table.

    Example:
        >>> _row("corrected_t", 5.0, 1.0, "dice"), _row("t_clustered", 0.0, 1.0, "skewed")
        ('corrected_t, 5 folds', 't_clustered, skewed')
    """
    folds = f", {n_folds:.0f} folds" if n_folds > 0 else ""
    repeats = "repeats" if folds else "seeds"
    several = f", {n_seeds:.0f} {repeats}" if n_seeds > 1 else ""
    return f"{test}{folds}{several}" + (", skewed" if outcome == "skewed" else "")


def _ranges(table: pd.DataFrame, column: str, band: tuple[float, float], *, caption: str) -> Shown:
    naive = bool(table["naive"].all())
    cells = table.groupby(["row", "n_clusters"], sort=False)
    ends = cells.agg(low=(column, "min"), high=(column, "max"), promised=("promised", "all"))
    texts = [
        _range(low, high, band, promised=bool(promised) or naive)
        for low, high, promised in ends.to_numpy()
    ]
    wide = pd.Series(texts, index=ends.index).unstack("n_clusters").sort_index(axis=1).fillna("–")
    wide = wide.loc[list(dict.fromkeys(table["row"]))]
    wide.columns = [str(n) for n in wide.columns]
    low, high = (_PERCENT * end for end in band)
    error = _PERCENT * table["mc_se"].median()
    note = "Smallest and largest share of studies, over all kinds of study. "
    note += f"{_ABOVE} above {high:g} %, {_BELOW} below {low:g} %; Monte-Carlo error of one share "
    note += f"about {error:.1f} points."
    if not naive:
        note += " In brackets: fewer clusters, folds or seeds than the test promises its level for."
        note += " Tests of symmetry are shown where differences are symmetric."
    return display.table(wide.rename_axis("test"), caption=caption, note=note)


def _range(low: float, high: float, band: tuple[float, float], *, promised: bool) -> str:
    """Write two rates in percent, marked outside a band, in brackets where nothing is promised.

    Example:
        >>> _range(0.041, 0.062, (0.035, 0.065), promised=True)
        '4.1–6.2'
        >>> _range(0.05, 0.21, (0.035, 0.065), promised=False)
        '(5.0–21.0 ▲)'
    """
    mark = (f" {_BELOW}" if low < band[0] else "") + (f" {_ABOVE}" if high > band[1] else "")
    first, last = f"{_PERCENT * low:.1f}", f"{_PERCENT * high:.1f}"
    text = (first if first == last else f"{first}–{last}") + mark
    return text if promised else f"({text})"


@_or_note
def levels_figure(
    tests: Sequence[str], *, outcome: str, highest: float | None = None, alt: str, caption: str
) -> Shown:
    """Draw rejections without an effect over clusters, a panel for each intraclass correlation.

    Args:
        tests: names of tests of two methods, in the order to draw.
        outcome: kind of score.
        highest: rates above are drawn as arrows with their number.
        alt: alternative text.
        caption: what is shown and how to read it.
    """
    table = archive.read("calibration")
    kind = (table["kind"] == "paired") & (table["outcome"] == outcome)
    usual = kind & (table["spread"] == table.loc[kind, "spread"].mode().max())
    chosen = table[usual & table["test"].isin(tests)].rename(columns={"rejected": "rate"})
    chosen = chosen.assign(place=chosen["test"].map(list(tests).index)).sort_values("place")
    chosen = chosen.sort_values(["icc", "place"], kind="stable")
    figure = comparison_figures.calibration(
        chosen, x="n_clusters", label_x="patients", panel="icc", band=LEVELS, highest=highest
    )
    return display.describe(figure, alt=alt, caption=caption)


@_or_note
def planted_families() -> Shown:
    """Tabulate how many simulated chapters got a false verdict, by design and family of claims."""
    table = archive.read("planted")
    found = table[table["claim"] == "any of the family"]
    rows = pd.DataFrame(
        {
            "design": found["design"],
            "claims": found["chapters"] + ": " + found["family"],
            "chapters": found["n"],
            "wrong side": _with_error(found, "wrong_side"),
            "wrongly equal": _with_error(found, "wrong_equal"),
        }
    )
    return display.table(
        rows,
        caption="Chapters with at least one false verdict in a family of claims (%).",
        index=False,
        note="Wrong side: supported or contradicted against the truth. Wrongly equal: called "
        "equivalent, non-inferior or of that value although the effect reaches the margin. "
        "± one Monte-Carlo error.",
    )


def _with_error(table: pd.DataFrame, column: str) -> "pd.Series[str]":
    pairs = zip(table[column], table[f"{column}_se"], strict=True)
    texts = [f"{_PERCENT * rate:.1f} ± {_PERCENT * error:.1f}" for rate, error in pairs]
    return pd.Series(texts, index=table.index, dtype=object)


@_or_note
def planted_verdicts() -> Shown:
    """Tabulate which verdicts claims get, by what is true of them, over all designs."""
    table = archive.read("planted")
    found = table[(table["test"] != "all") & (table["truth"] != "all")]
    words = ["supported", "contradicted", "equivalent", "inconclusive"]
    names = (found["family"] + ": " + found["truth"]).rename("family: truth")
    counted = found[words].mul(found["n"], axis=0).assign(n=found["n"])
    sums = counted.groupby(names).sum()
    rows = _PERCENT * sums[words].div(sums["n"], axis=0)
    rows.insert(0, "n", sums["n"].astype(int))
    return display.table(
        rows,
        caption="Verdicts by the truth that was planted, % of claims over all designs.",
        digits=1,
        formats={"n": "{:,}"},
        note="Margins are those of the claims; inconclusive is never false.",
    )


@_or_note
def power() -> Shown:
    """Tabulate the power that plans state beside the share of studies that found the effect."""
    table = archive.read("power")
    rows = pd.DataFrame(
        {
            "test": table["test"],
            "patients": table["n_clusters"],
            "planned (%)": _PERCENT * table["planned"],
            "found (%)": _PERCENT * table["found"],
            "difference": _PERCENT * table["difference"],
        }
    )
    error = _PERCENT * table["mc_se"].median()
    return display.table(
        rows,
        caption="Power as planned and as found.",
        digits=1,
        index=False,
        note=f"Differences in points; Monte-Carlo error about {error:.1f}.",
    )


def ranges() -> Shown:
    """Tabulate from which design on each test promises to hold its level."""
    rows = [
        {"test": name, "range": guide.held_from(name), "rejections measured": each.note}
        for name, each in validity.RANGES.items()
    ]
    return display.table(
        pd.DataFrame(rows),
        caption="Where each test holds its level.",
        index=False,
        note="Range: from how many on. Differences are skewed where one method fails rarely but "
        "badly. Outside its range, or where methods differ in few clusters, a verdict carries a "
        "warning.",
    )
