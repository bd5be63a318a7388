"""Records: one row a value, written whole or not at all."""

import numpy as np
import pandas as pd
import pytest

from common import records
from common.errors import ReplicateError
from common.runs import compact


def some(**changes) -> pd.DataFrame:
    recorder = records.Recorder(paper="toy", run="r1", profile="quick", source="phantom")
    options = {"arm": "a", "case": ["i1", "i2", "i3"], "cluster": ["p1", "p1", "p2"]} | changes
    recorder.add("correct", [1, 0, 1], **options)
    return recorder.frame()


def test_records_have_the_columns_of_the_long_table_in_order():
    assert tuple(some().columns) == records.COLUMNS


def test_records_survive_writing_and_reading(tmp_path):
    table = some(fold=["A", "A", "B"], group="x", seed=3)
    back = records.read(records.write(table, tmp_path / "deep" / "records.parquet"))
    pd.testing.assert_frame_equal(table, back)


def test_a_compact_table_keeps_every_row_and_four_digits(tmp_path):
    whole = some(fold=["A", "A", "B"], group=["x", "y", "x"])
    whole["value"] = whole["value"] + 0.123456
    stored = records.read(compact.write(whole, tmp_path / "records.parquet"))
    key = list(records.KEY)
    assert len(stored) == len(whole)
    both = whole.astype(dict.fromkeys(key, str)).merge(
        stored.astype(dict.fromkeys(key, str)), on=key, suffixes=("", "_kept"), validate="1:1"
    )
    assert len(both) == len(whole)
    assert both["value_kept"].tolist() == [float(f"{v:.4g}") for v in both["value"]]
    assert (both["value_kept"] != both["value"]).any()


def test_a_value_recorded_twice_is_refused():
    with pytest.raises(ReplicateError, match="1 records were made twice, the first"):
        some(case=["i1", "i1", "i3"])


def test_an_unknown_source_is_refused():
    with pytest.raises(ReplicateError, match="`source` must be one of phantom, open"):
        records.Recorder(paper="toy", run="r", profile="quick", source="hearsay")


def test_missing_and_unknown_columns_are_named():
    table = some().drop(columns="seed").assign(extra=1)
    with pytest.raises(ReplicateError, match=r"missing: \['seed'\], unknown: \['extra'\]"):
        records.check(table)


def test_a_truncated_file_is_named_with_the_remedy(tmp_path):
    path = records.write(some(), tmp_path / "records.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReplicateError, match=r"records\.parquet is not a readable table"):
        records.read(path)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.pq, "write_table", full)
    with pytest.raises(ReplicateError, match="No space left on device"):
        records.write(some(), tmp_path / "records.parquet")
    assert list(tmp_path.iterdir()) == []


def test_arms_are_paired_case_by_case():
    table = pd.concat([some(), some(arm="b", case=["i1", "i2", "i9"])], ignore_index=True)
    pairs = records.outcomes(table, metric="correct", arms=("a", "b"))
    assert list(pairs.columns) == ["a", "b"]
    assert pairs.index.get_level_values("case").tolist() == ["i1", "i2"]
    np.testing.assert_array_equal(pairs.to_numpy(), [[1, 1], [0, 0]])


def test_pairing_names_an_arm_without_records():
    with pytest.raises(ReplicateError, match="no record of metric 'correct' for arm z"):
        records.outcomes(some(), metric="correct", arms=("a", "z"))


def test_records_made_elsewhere_take_the_name_of_the_run():
    recorder = records.Recorder(paper="toy", run="r2", profile="standard", source="phantom")
    recorder.extend(some())
    frame = recorder.frame()
    assert set(frame["run"]) == {"r2"}
    assert set(frame["profile"]) == {"standard"}
