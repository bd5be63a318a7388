import pytest

from common.errors import ReplicateError
from common.file_lists import read

HEADER = "path,bytes,sha256"
SUM = "0" * 64


@pytest.fixture
def read_text(tmp_path):
    def run(text: str):
        path = tmp_path / "toy.files.csv"
        path.write_text(text)
        return read(path)

    return run


def test_a_list_gives_its_files_in_the_order_of_its_lines(read_text):
    files = read_text(f'{HEADER},url\nb,4,{SUM},\n"a,c",5,{SUM},https://x.org/a\n')
    assert [(file.path, file.bytes, file.url) for file in files] == [
        ("b", 4, None),
        ("a,c", 5, "https://x.org/a"),
    ]


def test_an_empty_cell_is_a_fact_that_nobody_knows(read_text):
    (file,) = read_text(f"{HEADER}\na,,\n")
    assert (file.bytes, file.sha256) == (None, None)


def test_a_list_may_be_empty(read_text):
    assert read_text(f"{HEADER}\n") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path,bytes\na.csv,4\n", r"files\.csv:1 must be path,bytes,sha256"),
        ("", r"files\.csv:1 must be"),
        (f"{HEADER}\na.csv,4\n", r"files\.csv:2 must have 3 values, got 2"),
        (f"{HEADER}\na,4,{SUM}\nb,4,{SUM},x\n", r"files\.csv:3 must have 3 values, got 4"),
        (f"{HEADER}\na.csv,four,{SUM}", r"files\.csv:2: bytes: "),
        (f"{HEADER}\na,4,{SUM}\n../a,4,{SUM}", r"files\.csv:3: path: .*relative"),
        (f"{HEADER}\na,,{SUM}", r"files\.csv:2: .*needs `bytes`"),
        (f"{HEADER}\n" + f"a,4,{SUM}\n" * 2, r"files\.csv:3: 'a' is listed twice"),
    ],
)
def test_a_damaged_list_names_its_line(read_text, text, problem):
    with pytest.raises(ReplicateError, match=problem):
        read_text(text)


def test_a_list_that_is_no_text_is_one_readable_error(tmp_path):
    path = tmp_path / "toy.files.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ReplicateError, match=r"toy\.files\.csv cannot be read"):
        read(path)
