"""The audit of the pruning paper: complete numbers, bounds that hold, checks with known answers."""

import csv
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from common import papers
from common.chapters.polyp_pruning import audit
from common.chapters.polyp_pruning.allocations import (
    best_found,
    bilinear_unet,
    contains,
    even,
    nearest,
    outline,
    own_kernel_outline,
    own_kernel_shares,
    rounds_to,
    unet,
    upper_bound,
)
from common.models.polyp_pruning import Layout, count, layout


@pytest.fixture(scope="module")
def paper():
    return papers.load("polyp-pruning")


@pytest.fixture(scope="module")
def found(paper):
    return {check.id: check for check in audit.checks(paper)}


def random_allocation(network, n_remove, rng):
    kept = network.filters.copy()
    for _ in range(n_remove):
        room = np.flatnonzero((kept > 1) & network.prunable)
        kept[rng.choice(room)] -= 1
    return kept


def test_sizes_are_those_of_the_network_itself():
    network, rng = unet(8), np.random.default_rng(0)
    plan = layout(8)
    for n_remove in (0, 100, 300):
        kept = random_allocation(network, n_remove, rng)
        own = count(Layout(tuple(int(n) for n in kept), plan.raised), 256)
        assert network.parameters(kept) == own.parameters
        assert network.macs(kept) == own.macs


def test_known_networks_have_their_known_sizes():
    assert unet().n_filters == 2944
    assert unet().parameters(unet().filters) == 7_763_041
    assert bilinear_unet(encoder_only=True).n_filters == 2944
    whole = bilinear_unet(encoder_only=False)
    assert whole.n_filters == 4416
    # the parameters that the widely used bilinear U-Net reports for one class
    assert whole.parameters(whole.filters) == 17_262_977


def test_no_allocation_exceeds_the_bound_and_the_search_comes_near():
    network, rng = unet(4), np.random.default_rng(1)
    n_remove = 120
    for towards in ((1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (-0.4, 0.6)):
        bound = upper_bound(network, towards, n_remove)
        values = [
            network.shares(random_allocation(network, n_remove, rng)) @ np.array(towards)
            for _ in range(60)
        ]
        best = best_found(network, network.direction(towards), n_remove, rng=rng)
        assert best.sum() == network.n_filters - n_remove
        top = float(network.shares(best) @ np.array(towards))
        assert max(values) <= bound
        assert max(values) - 1e-9 <= top <= bound + 1e-9


def test_the_bound_is_exact_where_everything_can_be_tried():
    # only six layers may lose filters, so that all allocations can be listed
    full = unet(1)
    may = np.zeros(18, dtype=bool)
    may[[0, 1, 3, 4, 14, 16]] = True
    network = replace(full, prunable=may)
    counts = [range(1, n + 1) if free else [n] for n, free in zip(full.filters, may, strict=True)]
    every = np.array(list(itertools.product(*counts)))
    shares = network.shares(every)
    removed = (full.filters - every).sum(axis=1)
    for towards in ((1.0, 0.0), (1.0, 0.5), (0.0, -1.0), (-1.0, 0.7)):
        values = shares @ np.array(towards)
        gaps = [
            upper_bound(network, towards, n) - values[removed == n].max()
            for n in range(removed.max() + 1)
        ]
        assert min(gaps) >= -1e-12
        # both ends are corners, where the envelope touches
        assert gaps[0] == pytest.approx(0, abs=1e-12)
        assert gaps[-1] == pytest.approx(0, abs=1e-12)
        assert max(gaps) < 0.1


def test_a_corner_drawn_by_chance_has_the_allocation_as_its_mean():
    # the step of the proof: independent ends with the right means keep both means
    network, rng = unet(2), np.random.default_rng(5)
    kept = random_allocation(network, 70, rng)
    upper = (kept - 1) / np.maximum(network.filters - 1, 1)
    drawn = np.where(rng.random((200_000, 18)) < upper, network.filters, 1)
    np.testing.assert_allclose(drawn.sum(axis=1).mean(), kept.sum(), rtol=0.002)
    np.testing.assert_allclose(network.shares(drawn).mean(axis=0), network.shares(kept), rtol=0.01)


def test_an_exhibit_prints_as_the_pair_it_was_searched_for():
    network, rng = unet(4), np.random.default_rng(6)
    hidden = random_allocation(network, 100, rng)
    point, half = np.round(network.shares(hidden), 3), np.full(2, 0.0005)
    found = nearest(network.shares, network, point, half, 100, rng=rng)
    assert network.n_filters - found.sum() == 100
    assert ((found >= 1) & (found <= network.filters)).all()
    assert rounds_to(network.shares(found), point, half)
    far = nearest(network.shares, network, np.ones(2), half, 100, rng=rng, starts=2)
    assert not rounds_to(network.shares(far), np.ones(2), half)


def test_own_kernels_are_counted_by_hand():
    network = unet()
    kept = network.filters.copy()
    kept[0] -= 2  # each has 27 weights and two entries of the normalisation
    shares = own_kernel_shares(network, kept)
    assert shares[0] == pytest.approx(1 - 2 * 29 / 7_763_041)
    assert shares[1] == pytest.approx(1 - 2 * 27 * 256**2 / network.macs(network.filters))


def test_the_outline_holds_every_allocation():
    network, rng = unet(4), np.random.default_rng(2)
    corners = outline(network, 100)
    for _ in range(40):
        assert contains(corners, network.shares(random_allocation(network, 100, rng)))
    assert not contains(corners, (1.0, 1.0))


def test_a_filter_that_costs_its_kernel_alone_costs_less():
    network = unet()
    assert contains(own_kernel_outline(network, 956), (0.864, 0.477))
    # removing from layers that nothing narrow reads: by hand for one layer
    least = own_kernel_outline(network, 1)[:, 0].min()
    widest = (9 * 512 + 2) / 7_763_041
    assert least == pytest.approx(1 - widest, abs=2e-6)


def test_even_pruning_is_nearly_the_square_of_what_is_kept():
    parameters, macs = even(unet(), 0.325)
    assert 0.675**2 < parameters < 0.675
    assert 0.675**2 < macs < 0.675
    assert np.allclose(even(unet(), 0.0), 1)


def test_the_printed_pair_cannot_be_left(found):
    for number in range(11, 15):
        assert found[f"A{number}"].status == "fail"
    # the numbers of the digest's own search, which are no proof
    assert float(found["A11"].recomputed.split()[-1]) == pytest.approx(0.82, abs=0.005)
    assert float(found["A12"].recomputed.split()[-1]) == pytest.approx(0.889, abs=0.002)
    assert found["A15"].status == "pass"
    assert "956 removed: found 0.86" in found["A16"].recomputed
    # 736: a pair that no search reached is not called reached
    assert "736 removed: none found" in found["A16"].recomputed
    assert "excludes neither pair" in found["A16"].note


def test_exhibits_lie_within_the_printed_digits(found):
    told = re.findall(r"found ([\d.]+) and ([\d.]+)", found["A15"].recomputed)
    for (p, m), (printed_p, printed_m) in zip(told, ((0.864, 0.477), (0.922, 0.54)), strict=True):
        assert float(p) == pytest.approx(printed_p, abs=0.0006)
        assert float(m) == pytest.approx(printed_m, abs=0.0051 if printed_m == 0.54 else 0.0006)


def test_checks_come_out_as_worked_by_hand(found):
    status = {id: check.status for id, check in found.items()}
    assert [status[f"A{k}"] for k in range(1, 11)] == [
        "pass",  # 736 = 2944 / 4
        "pass",  # 1500 / 2944 = 51 %
        "pass",  # 13.6 % and 0.477
        "pass",  # 0.5795 / 0.99 = 0.585
        "pass",  # 0.477
        "fail",  # 0.54
        "fail",  # 2.10 against 1.43
        "fail",  # 1.85 against 1.35
        "pass",
        "fail",
    ]
    assert "2.10 times fewer operations, 1.43 times as fast" in found["A7"].recomputed
    assert "1.85 times fewer operations, 1.35 times as fast" in found["A8"].recomputed
    assert len(found) == 22


def test_printed_points_are_read_from_the_transcription(paper):
    assert audit.printed(paper, "left") == {
        "removed": 956,
        "images": 39,
        "parameters": 0.864,
        "macs": 0.477,
        "iou": 0.5795,
        "time": 30,
    }
    assert audit.printed(paper, "right")["removed"] == 736
    assert audit.total_filters(paper) == 2944


def test_every_published_number_is_transcribed(paper, checkout):
    path = checkout.parent / "shared" / "papers" / "polyp-pruning" / "tables" / "prose.csv"
    if not path.is_file():
        pytest.skip("the independent transcription is not at hand")
    with path.open(encoding="utf-8") as stream:
        wanted = [
            (row["row_label"], row["column_label"], row["metric"], float(row["value"]))
            for row in csv.DictReader(stream)
        ]
    own = paper.table("prose")
    columns = (own[name] for name in ("row", "column", "metric", "value"))
    assert list(zip(*columns, strict=True)) == wanted
