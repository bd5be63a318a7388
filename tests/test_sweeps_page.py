"""The page of a sweep: self-contained, safe, complete, and readable without seeing the figures."""

import re
from html.parser import HTMLParser

import pytest

from common.runs import store
from common.runs.files import write_json
from common.runs.sweeps import charts, collect as collecting, page, summary, surface as surfaces
from test_sweeps_collect import SEEDED, add_sweep, grid
from toy_book import add_paper, edit


@pytest.fixture
def toy(book):
    edit(add_paper(book), *SEEDED)
    return book


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def written(sweep):
    collected = collecting.collect(sweep.id)
    path = page.write(collected, collected.records.parent)
    return path.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_and_every_figure_has_a_text(toy):
    sweep, _ = add_sweep(grid())
    elements = Elements(written(sweep))
    assert elements.open == []
    images = [attributes for tag, attributes in elements.found if tag == "img"]
    # two parameters, a map for each of two arms, the cost
    assert len(images) == 5
    for image in images:
        assert image["src"].startswith("data:image/svg+xml;base64,")
        assert len(image["alt"]) > 40
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "object"}
    addresses = [
        value
        for _, each in elements.found
        for name, value in each.items()
        if name in ("src", "href")
    ]
    assert all(address.startswith("data:") for address in addresses)


def test_names_that_look_like_markup_stay_text(toy):
    edit(
        toy / "data_manifests/papers/toy/paper.yml",
        "title: A toy paper",
        "title: A <script>alert(1)</script> paper",
    )
    edit(toy / "data_manifests/papers/toy/paper.yml", "label: One", 'label: "<b>$One$"')
    sweep, run_ids = add_sweep(grid(seeds=1), left_out=(0,))
    failed = store.runs_dir("toy") / "failed" / run_ids[0] / "failure.json"
    write_json(failed, {"error": "toy: <img src=x onerror=1>", "cell": 2})
    html = written(sweep)
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert "&lt;b&gt;" in html


def test_the_page_shows_missing_points_parameters_and_where_runs_were_made(toy):
    sweep, run_ids = add_sweep(grid(), left_out=(3,))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", written(sweep)))
    for part in (
        "23 of 24 points have a complete run, 1 not run",
        run_ids[3],
        "rate = 0.1, loss = dice, seed = 3",
        "A processor, 2 cores, 8 GB",
        "a" * 12,
        "n_cases 4",
        "All cases are of the phantom",
        "chosen and judged on the same data",
    ):
        assert part in text, part


def test_the_same_sweep_gives_the_same_bytes(toy):
    sweep, _ = add_sweep(grid(seeds=3))
    assert written(sweep) == written(sweep)


def test_a_sweep_of_seeds_alone_has_a_page(toy):
    sweep, _ = add_sweep([{"seed": seed} for seed in range(3)], varied=("seed",))
    html = written(sweep)
    assert "the profile&#39;s parameters" in html
    assert "nothing was selected" in html


def test_values_of_any_kind_have_a_chart(toy):
    points = [
        {"limit": limit, "widths": widths, "loss": loss}
        for limit in (None, 3)
        for widths in ([8, 16], [16, 32])
        for loss in ("dice", "bce")
    ]
    sweep, _ = add_sweep(points, varied=("limit", "widths", "loss"), n_clusters=2)
    found = surfaces.surface(collecting.collect(sweep.id))
    drawn = charts.charts(found, "Score", 1.0)
    assert [one.title for one in drawn] == [
        "Score over limit",
        "Score over widths",
        "Score over loss",
        "Score against cost",
    ]
    assert "no interval: 1 seed" in drawn[0].caption
    assert "2 other varied parameters" in drawn[0].caption


def test_a_random_search_over_two_parameters_is_a_scatter_and_not_an_empty_grid(toy):
    points = [{"rate": 0.001 * 1.7**k, "n_cases": 1 + k} for k in range(9)]
    sweep, _ = add_sweep(points, varied=("rate", "n_cases"), n_clusters=2)
    collected = collecting.collect(sweep.id)
    found = surfaces.surface(collected)
    drawn = charts.charts(found, summary.scale(collected).label, 100.0)
    assert "Each point" in drawn[2].caption
    assert drawn[2].figure.axes[0].get_xscale() == "log"


def test_the_points_in_a_chart_are_those_of_the_table(toy):
    sweep, _ = add_sweep(grid())
    found = surfaces.surface(collecting.collect(sweep.id))
    axes = charts.charts(found, "Score (%)", 100.0)[0].figure.axes[0]
    points, _ = surfaces.marginal(found, "rate")
    shown = sorted(y for part in axes.collections[::2] for _, y in part.get_offsets())
    assert shown == pytest.approx(sorted(points["mean"] * 100))
