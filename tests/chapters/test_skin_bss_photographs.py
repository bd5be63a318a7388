"""Photographs go through the same steps as the phantom."""

import numpy as np
import pytest

from common import papers
from common.chapters.skin_bss import audit, cohorts, photographs
from common.datasets import mednode_two
from common.datasets.cases import Case
from common.errors import UsageError


@pytest.fixture(scope="module")
def options():
    matrix = audit.empirical_matrix(papers.load("skin-bss"))
    return cohorts.Options(24, 0.4, 10, matrix, srgb=True)


@pytest.fixture
def case(rng):
    """A dark disc on skin, as bytes."""
    y, x = np.mgrid[:40, :60]
    light = np.where((y - 20) ** 2 + (x - 30) ** 2 < 120, 90.0, 180.0)
    image = light * np.array([1.0, 0.75, 0.6])[:, None, None] + rng.normal(0, 3, (3, 40, 60))
    return Case("disc", "disc", np.rint(image).astype(np.uint8), {"label": 1})


def test_shrinking_averages_blocks_and_keeps_the_kind():
    image = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
    small = photographs.shrink(image, 2)
    assert small.shape == (3, 2, 2)
    assert small.dtype == np.uint8
    assert small[0, 0, 0] == np.rint(image[0, :2, :2].mean())
    assert np.array_equal(photographs.shrink(image, 1), image)
    with pytest.raises(UsageError, match="`factor`"):
        photographs.shrink(image, 6)


def test_a_disc_is_outlined_and_classical_deoxyhaemoglobin_is_negative(case, options):
    found = photographs.separate(case, options)
    assert found.mask.sum() == pytest.approx(np.pi * 120, rel=0.05)
    assert (found.S["classical"][1] < 0).all()
    assert (found.S["sca-nmf"] >= 0).all()
    assert photographs.summary(found)["negative (%)"] == 100


def test_without_photographs_the_page_says_how_to_get_them(options):
    assert photographs.pair(None, options) == []
    assert "replicate data fetch mednode-two" in photographs.banner(None)[1]
    assert "at hand" in photographs.show([]).plain
    assert photographs.summaries([]).empty
    assert len(photographs.orders(None, options)) == 8


def test_the_two_real_photographs_have_no_positive_deoxyhaemoglobin(mirror, options):
    cases = mednode_two.load(mirror("mednode-two"))
    small = cases.map(
        lambda each: Case(
            each.case, each.cluster, photographs.shrink(each.image, 4), dict(each.target)
        )
    )
    records = photographs.records(small, options)
    share = records[records["metric"] == "photo_negative_share"]
    classical = share[share["arm"] == "classical"]["value"]
    assert len(classical) == 2
    assert (classical > 0.99).all()
    assert (share[share["arm"] == "sca-nmf"]["value"] == 0).all()
    assert set(records["group"]) == {"naevus", "melanoma"}
