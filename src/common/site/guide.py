"""From an experiment to its test: the tables of the page "Which test, and why".

The least design of a test is not written here: it comes from what the test can reach at all
(:mod:`common.statistics.reach`) and from where it was measured to hold its level
(:mod:`common.statistics.validity`).
"""

from dataclasses import dataclass, replace
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
    """

    independent: str
    test: str
    functions: tuple[str, ...]
    names: tuple[str, ...] = ()


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
        Row("case", "DeLong", ("auc.auc_delong",), ("auc_delong",)),
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
_FEW = 3  # units that every study has


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
            f"reaches {ALPHA:g}": reaches_from(row.names[0]) if row.names else "–",
            "holds 5 %": held_from(row.names[0]) if row.names else "–",
        }
        for row in TABLES[kind]
    ]
    shown = display.table(pd.DataFrame(rows), caption=caption, index=False)
    # all four tables are as wide as the page, whatever the length of their cells
    return replace(shown, html=shown.html.replace('"rb-table"', '"rb-table rb-wrap"', 1))


def reaches_from(name: str) -> str:
    """Say how many units a test needs before its p can fall below 0.05 at all.

    Args:
        name: as in ``paper.yml``.

    Returns:
        A dash where two or three units are enough.

    Example:
        >>> reaches_from("sign_flip_clustered"), reaches_from("t_clustered")
        ('6 patients', '–')
    """
    if name == "mcnemar":
        least = reach.units_to_reach(name, ALPHA, unit="n_discordant")
        return f"{least} cases that differ"
    for unit, words in (("n_clusters", "patients"), ("n_folds", "folds")):
        try:
            least = reach.units_to_reach(name, ALPHA, unit=unit, n_arms=_ARMS)  # type: ignore[arg-type]
        except DesignError:
            continue
        return f"{least} {words}" if least > _FEW else "–"
    return "–"


def held_from(name: str) -> str:
    """Say from which design on a test was measured to hold its level.

    Args:
        name: as in ``paper.yml``.
    """
    known = validity.validity(name)
    if known is None:
        return "not measured"
    if known.never:
        return "in no design tried"
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
    tail = f" ({skewed} if skewed)" if skewed > known.min_clusters else ""
    return f"{', '.join(needs)}{tail}"


def _code(functions: tuple[str, ...], names: tuple[str, ...]) -> Shown:
    """Show functions, then the names in ``paper.yml``, each on a line of its own."""
    own = [f"<code>{escape(name).replace('.', '.<wbr>')}</code>" for name in functions]
    own += [f"<code><strong>{escape(name)}</strong></code>" for name in names]
    return Shown(plain=", ".join((*functions, *names)), html="<br>".join(own))
