"""From an experiment to its test: the tables of the page "Which test, and why".

The least design of a test is not written here: it comes from what the test can reach at all
(:mod:`common.statistics.reach`) and from where it was measured to hold its level
(:mod:`common.statistics.validity`).
"""

from dataclasses import dataclass
from html import escape

import pandas as pd

from common import display
from common.display import Shown
from common.statistics import reach, validity
from common.statistics.results import DesignError

ALPHA = 0.05


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        independent: what was drawn independently.
        test: in words.
        functions: module and name in :mod:`common.statistics`.
        names: what ``paper.yml`` calls the test.
        least: the least design where nothing was measured, in words.
    """

    independent: str
    test: str
    functions: tuple[str, ...]
    names: tuple[str, ...] = ()
    least: str = ""


TABLES: dict[str, tuple[Row, ...]] = {
    "right or wrong": (
        Row("case", "McNemar", ("proportions.mcnemar",), ("mcnemar",)),
        Row(
            "patient",
            "clustered McNemar",
            ("proportions.mcnemar_clustered",),
            ("mcnemar_clustered", "mcnemar_obuchowski"),
        ),
        Row(
            "patient, each counting equally",
            "clustered McNemar by Durkalski",
            ("proportions.mcnemar_clustered",),
            ("mcnemar_durkalski",),
        ),
        Row("patient", "sign flips", ("paired.sign_flip",), ("sign_flip_clustered",)),
    ),
    "scores": (
        Row("patient", "t over patients' means", ("paired.paired_t",), ("t_clustered",)),
        Row("patient", "sign flips", ("paired.sign_flip",), ("sign_flip_clustered",)),
        Row(
            "patient",
            "signed ranks of cases",
            ("signed_rank_clustered.signed_rank_clustered",),
            ("signed_rank_clustered",),
        ),
        Row(
            "patient",
            "signed ranks of patients' means",
            ("paired.wilcoxon",),
            ("wilcoxon_clustered",),
        ),
        Row(
            "patient",
            "bootstrap",
            ("bootstrap.cluster_bootstrap",),
            ("cluster_bootstrap", "cluster_bootstrap_studentised"),
        ),
        Row(
            "patient",
            "bootstrap, BCa",
            ("bootstrap.cluster_bootstrap",),
            ("cluster_bootstrap_bca",),
        ),
        Row("patient and seed", "crossed t", ("paired.crossed_t",), ("crossed_t",)),
        Row(
            "patient and seed",
            "crossed bootstrap",
            ("bootstrap.crossed",),
            ("crossed_bootstrap",),
        ),
        Row(
            "training run, several tasks",
            "interquartile mean",
            ("seeds.interquartile_mean_difference",),
            least="5 seeds",
        ),
        Row(
            "fold",
            "corrected t",
            ("folds.corrected_t", "folds.corrected_t_clustered"),
            ("corrected_t", "corrected_t_clustered"),
        ),
        Row(
            "fold and patient",
            "two-level bootstrap",
            ("bootstrap.two_level",),
            ("two_level_bootstrap",),
        ),
        Row(
            "patient, in two groups",
            "Welch's t",
            ("unpaired.welch_inference",),
            ("welch_clustered",),
        ),
    ),
    "curves": (
        Row("case", "DeLong", ("auc.auc_delong",), ("auc_delong",), "10 cases of each class"),
        Row("patient", "clustered DeLong", ("auc.auc_clustered",), ("auc_clustered",)),
        Row("scan", "bootstrap of CPM", ("froc.cpm_test",), ("cpm_bootstrap",)),
    ),
    "several methods": (
        Row("patient", "Friedman", ("ranking.friedman",), ("friedman_clustered",)),
        Row("fold or data set", "Friedman", ("ranking.friedman",), ("friedman",)),
        Row("patient", "order: Page's trend", ("ranking.page",), ("page",)),
        Row("fold", "order: Page's trend", ("ranking.page",), ("page_folds",)),
        Row(
            "patient, one method",
            "do folds differ? Kruskal-Wallis",
            ("unpaired.kruskal",),
            ("kruskal_folds",),
        ),
    ),
}
_ARMS = 3  # methods for which the reach of joint tests is stated


def table(kind: str, *, caption: str) -> Shown:
    """Show the tests of one kind of outcome with their names and least designs.

    Args:
        kind: a key of :data:`TABLES`.
        caption: what the table holds.
    """
    rows = [
        {
            "independent": row.independent,
            "test": row.test,
            "function and name": _code(row.functions, row.names),
            "least design": _lines(least_design(row)),
        }
        for row in TABLES[kind]
    ]
    return display.table(pd.DataFrame(rows), caption=caption, index=False)


def least_design(row: Row) -> tuple[str, ...]:
    """Say what a test needs to reach 5 % at all, and where it was measured to hold it.

    Of several names the first counts.

    Example:
        >>> least_design(Row("case", "McNemar", (), ("mcnemar",)))
        ('reaches 0.05 from 6 cases that differ on',)
    """
    if not row.names:
        return (row.least,)
    found = [_reach(row.names[0]), _measured(row.names[0])]
    return tuple(text for text in found if text) or (row.least,)


def _reach(name: str) -> str:
    units = {
        "n_discordant": "cases that differ",
        "n_clusters": "patients",
        "n_folds": "folds",
    }
    for unit, words in units.items():
        if unit == "n_discordant" and name != "mcnemar":
            continue
        try:
            least = reach.units_to_reach(name, ALPHA, unit=unit, n_arms=_ARMS)  # type: ignore[arg-type]
        except DesignError:
            continue
        # tests that could reject with two or three units are not limited by their reach
        if least > _ARMS:
            return f"reaches {ALPHA:g} from {least} {words} on"
        return ""
    return ""


def _measured(name: str) -> str:
    known = validity.validity(name)
    if known is None:
        return ""
    if known.never:
        return "too many rejections in every design tried"
    needs = [
        f"{least} {unit}"
        for least, unit in (
            (known.min_clusters, "scans" if name.startswith("cpm") else "patients"),
            (known.min_folds, "folds"),
            (known.min_seeds, "seeds"),
        )
        if least
    ]
    skewed = known.min_clusters_skewed
    tail = f", with skewed differences from {skewed} on" if skewed > known.min_clusters else ""
    return f"holds its level from {', '.join(needs)} on{tail}" if needs else ""


def _code(functions: tuple[str, ...], names: tuple[str, ...]) -> Shown:
    """Show functions, then the names in ``paper.yml``, each on a line of its own."""
    own = [f"<code>{escape(name)}</code>" for name in functions]
    own += [f"<code><strong>{escape(name)}</strong></code>" for name in names]
    return Shown(plain=", ".join((*functions, *names)), html="<br>".join(own))


def _lines(texts: tuple[str, ...]) -> Shown:
    return Shown(plain="; ".join(texts), html="<br>".join(map(escape, texts)))
