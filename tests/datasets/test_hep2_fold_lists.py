import pytest

from common.datasets.hep2_fold_lists import list_path, read_csv
from common.errors import ReplicateError


def test_a_table_without_a_header_counts_its_lines_from_one(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("a,b\nc,d\n")
    assert read_csv(path, names=["x", "y"]).to_numpy().tolist() == [["a", "b"], ["c", "d"]]
    path.write_text("a,b\nc\n")
    with pytest.raises(ReplicateError, match="fewer in line 2"):
        read_csv(path, names=["x", "y"])


def test_a_table_with_a_header_counts_the_header_as_line_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n1,2\n3\n")
    with pytest.raises(ReplicateError, match="fewer in line 3"):
        read_csv(path)


def test_a_list_is_named_after_fold_and_part(tmp_path):
    path = list_path(tmp_path, "C", "train").relative_to(tmp_path).as_posix()
    assert path == "source/dataset/crossValidationTables/train/foldC_train.csv"
