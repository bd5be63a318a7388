"""Tables and figures of the gel page: made of the right numbers."""

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.ife import figures, tables
from common.chapters.ife.gels import make
from common.datasets.ife_phantom import COUNTS
from common.statistics.audit import Check


@pytest.fixture(scope="module")
def paper():
    return papers.load("ife")


def records(arm, metric, values, *, seeds=(0,), group=""):
    rows = [
        {
            "arm": arm,
            "metric": metric,
            "source": "phantom",
            "seed": seed,
            "case": f"g{i}",
            "cluster": f"g{i}",
            "group": group,
            "value": value,
        }
        for seed in seeds
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_a_table_is_shown_as_printed(paper) -> None:
    shown = tables.printed(paper, "table1")
    assert shown.shape == (4, 5)
    assert shown.loc["Our Method", "Acc (%)"] == "95.43 ± 0.10"
    assert shown.index[0] == "Multi-class"
    assert tables.printed(paper, "table2").shape == (5, 5)


def test_published_numbers_stand_beside_the_replicated_ones_in_percent(paper) -> None:
    own = pd.concat(
        [
            records("full", "correct", [1, 1, 1, 0]),
            records("full", "macro_f1", [0.5]),
            records("multiclass", "m1_correct", [1.0]),
        ]
    )
    numbers = tables.published_and_replicated(
        paper, "table1", own, None, rng=np.random.default_rng(0)
    )
    found = numbers.set_index(["metric", "row", "kind"])["value"]
    label = paper.arm("full").label
    assert found["Acc (%)", label, "published"] == 95.43
    assert found["Acc (%)", label, "this run"] == 75
    assert found["F1-score (%)", label, "this run"] == 50
    # one gel of the smallest class gives no interval and is left out
    assert ("M1-Acc (%)", paper.arm("multiclass").label, "this run") not in found.index


def test_arms_are_averaged_inside_runs_and_spread_over_them(paper) -> None:
    own = pd.concat(
        [records("mt", "accuracy", [0.8]), records("mt", "accuracy", [0.9], seeds=(1,))]
    )
    table = tables.by_arm(paper, own, None, ["mt", "full"])
    assert table.loc[("this run", "Two tasks"), "Acc"] == "85.0 ± 7.1"
    assert len(table) == 1
    assert tables.by_arm(paper, own, None, ["tau-2"]).empty


def test_the_counts_of_the_phantom_have_the_printed_ratios(paper) -> None:
    label = np.repeat(np.arange(9), COUNTS)
    table = tables.imbalance(label)
    assert table["IR"].tolist() == ["0.006", "0.042", "0.188"]
    assert table.loc["nine-way", "smallest"] == 63


def test_print_allows_little(paper) -> None:
    """Unpaired z 0.56 and 1.10; McNemar allows 17 and 37 disagreements; Welch p 0.16 and 0.12."""
    table = tables.print_allows(paper).set_index(["comparison", "metric"])
    acc, fnr = (table.loc[("whole method – nine-way", metric)] for metric in ("Acc", "Fnr"))
    assert acc["images"] == "+9 of 2,908"
    assert fnr["images"] == "-13 of 837"
    assert acc["p, unpaired"] == pytest.approx(0.58, abs=0.01)
    assert fnr["p, unpaired"] == pytest.approx(0.27, abs=0.005)
    assert acc["may disagree on"] == 17
    assert fnr["may disagree on"] == 37
    assert acc["p, Welch"] == pytest.approx(0.16, abs=0.01)
    assert fnr["p, Welch"] == pytest.approx(0.12, abs=0.01)


def test_class_sizes_are_drawn_as_they_are() -> None:
    figure = figures.class_sizes(COUNTS)
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    assert heights[0] == list(COUNTS)
    assert [len(each) for each in heights] == [9, 4, 3]
    assert "0.188" in figure.axes[2].get_title(loc="left")


def test_kept_maps_hold_one_gel_of_each_class_shown_and_the_arms_shown() -> None:
    gels = make(40, seed=0, part="test", size=(32, 32), dials={"imbalance": 0.2})
    maps = {f"{arm}/light": np.random.default_rng(0).random((40, 4)) for arm in ("full", "share-0")}
    kept = figures.kept_maps(gels, maps)
    assert kept["label"].tolist() == list(figures.SHOWN)
    assert set(kept) == {"image", "label", "band_row", "full/light"}
    figure = figures.attention(kept)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 6
    lines = [len(axes.lines) for axes in drawn]  # a dashed line where there is a band
    assert lines == [int(row >= 0) for row in kept["band_row"]]


def test_entropies_are_split_by_sign() -> None:
    own = pd.concat(
        [
            records("full", "attention_entropy", [0.9, 0.8, 0.7], group="negative"),
            records("full", "attention_entropy", [0.5, 0.4], group="positive"),
        ]
    )
    figure = figures.entropies(own, {"full": "whole", "mt": "two tasks"})
    assert [len(axes.collections) > 0 for axes in figure.axes] == [True, False]


def test_p_of_mcnemar_rises_with_the_disagreements() -> None:
    line = figures.disagreement(9).axes[0].lines[0]
    x, p = line.get_xdata(), line.get_ydata()
    assert x[0] == 9
    assert max(x[p < 0.05]) == 17
    assert (np.diff(p) > 0).all()


def test_the_softmax_figure_draws_what_the_losses_compute() -> None:
    shares = [line.get_ydata() for line in figures.softmaxed(5.0).axes[1].lines[:3]]
    assert all(np.sum(each) == pytest.approx(1) for each in shares)
    assert np.max(shares[1]) < np.max(shares[0]) < np.max(shares[2])


def test_a_check_is_one_line_with_what_is_printed_and_what_is_found() -> None:
    some = [Check("A1", "same", "fail", 0.06, 0.0063, "off"), Check("A2", "x", "pass")]
    found = tables.findings(some)["finding"].tolist()
    assert found == ["printed: 0.06; recomputed: 0.0063; off", "–"]
