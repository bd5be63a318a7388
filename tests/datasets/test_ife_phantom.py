"""The gel phantom: printed counts, stain where it is said to be, dials that act."""

import numpy as np
import pytest

from common.datasets.ife_phantom import COUNTS, DIALS, HEAVY, LIGHT, NATIVE, draw, phantom


def stain(case) -> np.ndarray:
    """Stain in grey levels, measured as on the released images: red and green less blue."""
    dark = 255 * (1 - case.image)
    return dark[:2].mean(0) - dark[2]


def lane_profiles(case) -> np.ndarray:
    """Mean stain along each of the six lanes, (6, rows)."""
    picture, centre = stain(case), np.clip(case.info["lanes"], 5, NATIVE[1] - 6)
    return np.array([picture[:, int(x) - 4 : int(x) + 5].mean(1) for x in centre])


def peak(case, lane: int, row: float) -> float:
    """Sharpness of the stain at a row: its level less the mean of the levels 12 px away."""
    line, row = lane_profiles(case)[lane], round(row)
    return line[row - 1 : row + 2].mean() - (line[row - 12] + line[row + 12]) / 2


def balanced(n: int = 36, **dials):
    return phantom(n, 3, **{"size": NATIVE, "imbalance": 0, "label_noise": 0, **dials})


def test_the_default_classes_meet_every_printed_count_and_ratio() -> None:
    table = draw(14_540, 0)
    counts = np.bincount(table.label, minlength=9)
    assert counts.tolist() == list(COUNTS)
    assert counts[1] == 63
    assert counts[0] > 10_000
    light = np.bincount(table.light, minlength=3)
    heavy = np.bincount(table.heavy, minlength=4)
    assert round(counts.min() / counts.max(), 3) == 0.006
    assert round(light.min() / light.max(), 3) == 0.188
    assert round(heavy.min() / heavy.max(), 3) == 0.042


def test_lanes_and_stain_lie_in_the_ranges_measured_on_the_released_images() -> None:
    cases = phantom(60, 0, size=NATIVE, offset=0, imbalance=1, label_noise=0)
    table = cases.table
    assert table.left.between(16, 30).all()
    assert table.top.between(19, 35).all()
    assert table.pitch.between(44.5, 49.5).all()
    assert table.pitch.mean() == pytest.approx(47, abs=0.4)
    lines = np.array([lane_profiles(case) for case in cases])
    albumin = [line[0, round(top)] for line, top in zip(lines, table.top, strict=True)]
    assert 175 < np.median(albumin) < 205
    smear = np.median(lines[:, 1:].max(2), axis=0)
    for measured, low, high in zip(
        smear, (95, 95, 20, 95, 70), (160, 135, 65, 145, 130), strict=True
    ):
        assert low < measured < high


def test_the_band_row_is_where_the_stain_is_in_the_lanes_that_name_the_class() -> None:
    cases = balanced(72)
    sharp = {"named": [], "other": []}
    for case in cases:
        true = case.info["true_label"]
        if not true or draw_strength(cases, case) < 0.3:
            continue
        lanes = {0, 3 + LIGHT[true], HEAVY[true]} if HEAVY[true] else {0, 3 + LIGHT[true]}
        assert set(np.flatnonzero(~np.isnan(case.info["rows"]))) == lanes
        assert case.info["band_row"] == case.info["rows"][0]
        for lane in range(1, 6):
            row = case.info["rows"][lane]
            found = peak(case, lane, case.info["band_row"] if np.isnan(row) else row)
            sharp["other" if np.isnan(row) else "named"].append(found)
    assert np.mean(np.array(sharp["named"]) > 20) > 0.9
    assert np.median(sharp["named"]) > 4 * max(np.median(sharp["other"]), 5)


def draw_strength(cases, case) -> float:
    table = cases.table
    return float(table.concentration[table.case == case.case].iloc[0])


def test_targets_are_the_codes_of_the_released_label_file() -> None:
    case = balanced(9)[4]
    label = case.target["label"]
    assert set(case.target) == {"label", "heavy", "light"}
    assert (case.target["heavy"], case.target["light"]) == (HEAVY[label], LIGHT[label])
    table = draw(90, 0, imbalance=0)
    recombined = np.where(table.light == 0, 0, 2 * table.heavy + table.light)
    assert (recombined == table.label).all()


def test_signal_sets_the_contrast_of_bands_and_at_null_positives_look_like_negatives() -> None:
    def contrast(signal: float) -> float:
        found = [
            peak(
                case,
                3 + LIGHT[case.target["label"]],
                case.info["rows"][3 + LIGHT[case.target["label"]]],
            )
            for case in balanced(signal=signal, distractors=0)
            if case.target["label"]
        ]
        return float(np.median(found))

    usual, high = contrast(1.0), contrast(2.0)
    assert high > 1.3 * usual > 40
    kappa = phantom(36, 3, size=NATIVE, imbalance=0, label_noise=0, signal=0, distractors=0)
    bare = {"kappa": [], "lambda": []}
    for case in kappa:
        if case.target["label"]:
            shown = "kappa" if case.target["light"] == 1 else "lambda"
            bare[shown].append(peak(case, 4, case.info["band_row"]))
    # at null the kappa lane is as sharp whether the label is kappa or lambda: 16 gels each whose
    # smears bend by a standard deviation of about 15 grey levels, so a standard error of 5
    assert np.mean(bare["kappa"]) == pytest.approx(np.mean(bare["lambda"]), abs=15)


def test_colocation_puts_the_bands_of_all_lanes_in_one_row() -> None:
    def apart(colocation: float) -> np.ndarray:
        rows = [
            case.info["rows"] for case in balanced(colocation=colocation) if case.target["label"]
        ]
        return np.array([np.nanmax(row) - np.nanmin(row) for row in rows])

    assert apart(1).max() < 8
    assert np.median(apart(1)) < np.median(apart(0.5)) < np.median(apart(0))
    table = draw(4_000, 0, colocation=0, imbalance=0)
    positive = table[table.label > 0]
    # no correlation of rows: sampling error 1 / sqrt(3,556) = 0.017
    assert abs(np.corrcoef(positive.row_elp, positive.row_light)[0, 1]) < 0.06


def test_factored_decides_in_which_lane_the_light_chain_of_iga_is_seen() -> None:
    def agreement(factored: float) -> dict[bool, float]:
        right = {True: [], False: []}
        for case in balanced(90, size=(48, 72), factored=factored):
            if case.target["label"]:
                shown = np.flatnonzero(~np.isnan(case.info["rows"][4:]))[0] + 1
                right[case.target["heavy"] == 2].append(shown == case.target["light"])
        return {is_a: float(np.mean(values)) for is_a, values in right.items()}

    assert agreement(1.0) == {True: 1.0, False: 1.0}
    assert agreement(0.0) == {True: 0.0, False: 1.0}
    assert 0.1 < agreement(0.5)[True] < 0.9


def test_distractors_put_a_dense_band_into_one_lane_of_negatives_only() -> None:
    for share in (0.0, 0.25, 0.6):
        table = draw(4_000, 0, distractors=share)
        negative = table[table.label == 0]
        # binomial sampling error at most sqrt(0.25 / 2,848) = 0.009
        assert (negative.distractor == "band").mean() == pytest.approx(share, abs=0.03)
        expected = min(0.6 * share, 1 - share)
        assert (negative.distractor == "smear").mean() == pytest.approx(expected, abs=0.03)
        assert (table.distractor[table.true_label > 0] == "none").all()
    with_band = phantom(80, 1, size=NATIVE, distractors=1, label_noise=0)
    without = phantom(80, 1, size=NATIVE, distractors=0, label_noise=0)
    chosen = np.flatnonzero(with_band.table.label == 0)[:12]
    for i in chosen:
        row = with_band.table.iloc[i]
        lane, place = int(row.distractor_lane), row.top + row.distractor_row
        assert peak(with_band[int(i)], lane, place) > peak(without[int(i)], lane, place) + 15


def test_offset_shifts_the_lanes_and_null_leaves_the_measured_spread() -> None:
    spread = [draw(2_000, 0, offset=px).left.std() for px in (0, 4, 20)]
    assert spread[0] == pytest.approx(14 / np.sqrt(12), rel=0.05)
    assert spread[1] == pytest.approx(np.hypot(4.04, 4), rel=0.05)
    assert spread[2] == pytest.approx(np.hypot(4.04, 20), rel=0.05)

    def first_lane(case) -> float:
        columns = stain(case)[round(case_top[case.case]) - 3 : round(case_top[case.case]) + 4].mean(
            0
        )
        return float(np.average(np.arange(70), weights=np.clip(columns[:70], 1, None)))

    for px in (0, 10):
        cases = phantom(40, 0, size=NATIVE, offset=px)
        case_top = dict(zip(cases.table.case, cases.table.top, strict=True))
        seen = [first_lane(case) for case in cases]
        assert np.corrcoef(seen, cases.table.left)[0, 1] > 0.9


def test_imbalance_runs_from_equal_classes_to_the_printed_ratio() -> None:
    ratio = []
    for power in (0.0, 0.5, 1.0):
        counts = np.bincount(draw(14_540, 0, imbalance=power).label, minlength=9)
        ratio.append(counts.min() / counts.max())
    assert ratio[0] > 0.999
    assert ratio[1] == pytest.approx(np.sqrt(63 / 10_355), rel=0.02)
    assert ratio[2] == pytest.approx(63 / 10_355, rel=1e-9)


def test_label_noise_hides_faint_positives_among_the_negatives_and_keeps_the_counts() -> None:
    for rate in (0.0, 0.005, 0.1):
        table = draw(14_540, 0, label_noise=rate)
        wrong = table[table.label != table.true_label]
        assert len(wrong) == round(rate * 4_185)
        assert (wrong.label == 0).all()
        assert wrong.concentration.between(0.08, 0.12).all()
        assert np.bincount(table.label, minlength=9).tolist() == list(COUNTS)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


def test_a_gel_too_small_for_its_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 24"):
        phantom(4, 0, size=(16, 72))
