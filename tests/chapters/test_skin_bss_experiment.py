"""The experiment: every claim has its records, and the same seed gives the same ones."""

from dataclasses import replace

import numpy as np
import pytest

from common import papers
from common.chapters.skin_bss import audit, cohorts, exclusion, experiment
from common.models import skin_bss
from common.records import Recorder

SIZES = {"seed": 3, "n_cohorts": 2, "n_images": 10, "size": 32, "zone_length": 8}


@pytest.fixture(scope="module")
def paper():
    return papers.load("skin-bss")


@pytest.fixture(scope="module")
def options(paper):
    return cohorts.Options(8, 0.4, 15, audit.empirical_matrix(paper))


def run(options, **changes):
    return experiment.run(
        cohorts.SETTINGS, **{"n_restarts": 2, "jobs": 1, **SIZES, "options": options, **changes}
    )


@pytest.fixture(scope="module")
def records(options):
    return run(options)


@pytest.fixture(scope="module")
def excluded(options):
    return exclusion.run(**SIZES, options=options, jobs=1)


@pytest.fixture(scope="module")
def every(records, excluded):
    recorder = Recorder(paper="skin-bss", run="r", profile="quick", source="phantom")
    for part in (records, excluded, experiment.hair_pairs(records)):
        recorder.extend(part)
    return recorder.frame()


def test_every_claim_on_the_phantom_finds_its_records(paper, every):
    for claim in paper.claims:
        evidence = claim.on("replication")
        if evidence.source != "phantom":
            continue
        groups = {evidence.group} if evidence.group else set()
        if evidence.between:
            groups = {*evidence.between.left, *evidence.between.right}
        for arm in evidence.arms:
            mine = every[(every["metric"] == evidence.metric) & (every["arm"] == arm)]
            assert len(mine), (claim.id, arm)
            assert groups <= set(mine["group"]), claim.id
            assert mine["value"].notna().all()


def test_arms_and_metrics_of_records_are_declared(paper, every):
    assert set(every["arm"]) <= {arm.id for arm in paper.arms}
    assert set(every["metric"]) <= {metric.id for metric in paper.metrics}


def test_each_image_is_scored_once_per_arm_metric_and_start(records):
    assert not records.duplicated(["arm", "metric", "case", "seed"]).any()
    images = records[(records["metric"] == "source_r") & (records["arm"] == "sca-nmf")]
    assert len(images) == 2 * 10 * len(cohorts.SETTINGS)


def test_the_same_seed_gives_the_same_records_whatever_the_number_of_processes(options, records):
    assert run(options, jobs=2).equals(records)


def test_another_seed_gives_other_records(options, records):
    assert not run(options, seed=4)["value"].equals(records["value"])


def test_settings_show_the_same_lesions(records):
    """The blue criterion moves little when zones outside the lesion change."""
    blue = records[(records["arm"] == "blue") & (records["metric"] == "identification")]
    main, impure = (
        blue[blue["case"].str.startswith(name)]["value"].to_numpy()
        for name in ("main", "floor 0.5")
    )
    assert np.corrcoef(main, impure)[0, 1] > 0.98


def test_twins_share_case_and_class_and_differ_in_hair(records):
    pairs = experiment.hair_pairs(records)
    wide = pairs.pivot(index=["case", "group"], columns="arm", values="value")
    assert len(wide) == 20
    assert wide.notna().all().all()
    assert (wide["with-hair"] != wide["without-hair"]).any()


def test_true_maps_give_the_criterion_of_the_truth(options):
    cohort = cohorts.draw(6, 1, size=32, zone_length=8.0)
    exact = skin_bss.contributions(cohort.mixing, cohort.sources, cohort.mask)
    means = skin_bss.band_means(cohort.X, cohort.mask)
    # eight bits are all that stands between light and truth
    np.testing.assert_allclose(exact.sum(axis=2), means, rtol=0.03)


def test_the_known_matrix_of_the_phantom_has_its_bands_from_blue_to_red():
    cohort = cohorts.draw(2, 1, size=32, zone_length=8.0)
    np.testing.assert_allclose(cohort.mixing[0], cohorts.TRUE_MIXING)
    assert (cohorts.TRUE_MIXING[0] == 1).all()  # blue is the reference


def test_blind_separation_finds_the_truth_in_clean_zones(options):
    cohort = cohorts.draw(6, 11, size=64, zone_length=16.0)
    clean = replace(options, slice_length=16, max_iter=40)
    A, S = cohorts.blind(cohort.X, clean)["sca-nmf"]
    assert np.median(experiment.mean_correlation(S, cohort.sources)) > 0.99
    ratios = A[:, 1:] / A[:, :1]
    true = cohorts.TRUE_MIXING[1:] / cohorts.TRUE_MIXING[0]
    assert np.median(np.abs(ratios - true)) < 0.05


def test_the_start_of_least_cost_is_chosen_image_by_image(records):
    """No random start can beat it in cost, so its score is that of one of the starts."""
    main = records[records["case"].str.startswith("main")]
    best = main[(main["metric"] == "identification") & (main["arm"] == "best-start")]
    starts = main[(main["metric"] == "identification_start") & (main["arm"] == "random-nmf")]
    table = starts.pivot(index="case", columns="seed", values="value").loc[best["case"]]
    assert (table.to_numpy() == best["value"].to_numpy()[:, None]).any(axis=1).all()


def test_in_order_needs_every_step():
    values = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0], [1.0, 1.0, 2.0]])
    assert experiment.in_order(values).tolist() == [1, 0, 0, 0]


def test_threads_are_restored_after_a_task():
    import torch

    before = torch.get_num_threads()
    assert cohorts.single_threaded(torch.get_num_threads)() == 1
    assert torch.get_num_threads() == before
