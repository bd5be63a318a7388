import subprocess
import sys

import nbformat
import pytest

from common import pairs
from common.errors import ReplicateError
from common.runs import notebooks, store
from common.runs.results import RunResult
from toy_book import add_paper, edit

NOTEBOOK = """\
# %% [markdown]
# # Title

# %% tags=["parameters"]
n = 2  # number

# %%
print("n is", n)

# %%
class Shown:
    def __repr__(self):
        return "plain"

    def _repr_html_(self):
        return "<b>html</b>"

Shown()

# %% tags=["nbval-skip"]
print("trained")

# %% tags=["nbval-ignore-output"]
print("whatever")
"""


@pytest.fixture
def toy(book):
    """The notebook of a miniature book."""
    return add_paper(book, notebook=NOTEBOOK)


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def executed(slug="toy"):
    """What papermill would write, picture, page, warning, count and times included."""
    notebook = notebooks.read(slug)
    for number, cell in enumerate(notebooks.code_cells(notebook), start=1):
        cell.execution_count = number
        cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
        if cell.source.startswith("print"):
            cell.outputs = [stream("n is 2\n"), stream("a warning\n", "stderr")]
        elif cell.source.startswith("class"):
            data = {"text/plain": "plain", "text/html": "<b>html</b>", "image/png": "iVBOR"}
            output = nbformat.v4.new_output("execute_result", data, execution_count=number)
            cell.outputs = [output, nbformat.v4.new_output("display_data", {"image/png": "iVBOR"})]
    return notebook


@pytest.fixture
def with_outputs(toy, book, monkeypatch):
    """The same, with reference outputs from an execution."""
    path = store.write_notebook(book / "executed.ipynb", executed())
    result = RunResult("toy", "quick", notebook=path, folder=book)
    monkeypatch.setattr(pairs, "execute", lambda slug, profile: result)
    pairs.reference_outputs("toy")
    return toy


def read_pair():
    return nbformat.read(pairs.pair("toy"), as_version=4)


def test_a_sync_writes_a_pair_that_is_in_sync_and_a_second_one_changes_nothing(toy):
    assert pairs.sync("toy")
    before = pairs.pair("toy").read_bytes()
    pairs.check("toy")
    assert not pairs.sync("toy")
    assert pairs.pair("toy").read_bytes() == before
    nbformat.validate(read_pair())


def test_reference_outputs_are_the_text_of_checked_cells_alone(with_outputs):
    pairs.check("toy")
    code = [cell for cell in read_pair().cells if cell.cell_type == "code"]
    assert [[output.output_type for output in cell.outputs] for cell in code] == [
        [],
        ["stream"],
        ["execute_result"],
        [],
        [],
    ]
    assert code[1].outputs[0].text == "n is 2\n"
    assert dict(code[2].outputs[0].data) == {"text/plain": "plain"}
    assert [cell.execution_count for cell in code] == [1, 2, 3, None, None]
    assert code[2].outputs[0].execution_count == 3
    assert all("execution" not in cell.metadata for cell in code)


def test_a_sync_keeps_outputs_of_unchanged_cells_and_drops_those_of_edited_ones(with_outputs):
    edit(with_outputs, "# # Title", "# # Another title")
    edit(with_outputs, 'print("n is", n)', 'print("n was", n)')
    assert pairs.sync("toy")
    code = [cell for cell in read_pair().cells if cell.cell_type == "code"]
    assert [len(cell.outputs) for cell in code] == [0, 0, 1, 0, 0]


def test_equal_cells_have_ids_of_their_own(toy):
    toy.write_text(toy.read_text() + "\n# %%\nx = 1\n\n# %%\nx = 1\n")
    pairs.sync("toy")
    ids = [cell.id for cell in read_pair().cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 2  #", "n = 3  #", r"cell 2 differs \('n = 3"),
        ("# # Title", "# # Other", "cell 1 differs"),
        ('["nbval-skip"]', '["nbval-skip", "slow"]', "cell 5 has the tags"),
        ('print("whatever")\n', 'print("whatever")\n\n# %%\n1\n', "has 6 cells, the .py has 7"),
    ],
)
def test_a_pair_out_of_sync_is_told_with_place_and_remedy(toy, old, new, message):
    pairs.sync("toy")
    edit(toy, old, new)
    with pytest.raises(ReplicateError, match=message) as told:
        pairs.check("toy")
    assert "notebooks/toy.ipynb is out of sync with notebooks/toy.py" in str(told.value)
    assert "replicate sync toy" in str(told.value)
    pairs.sync("toy")
    pairs.check("toy")


def foreign_skip(cells):
    cells[4].outputs = [stream("trained\n")]


def foreign_picture(cells):
    cells[2].outputs = [nbformat.v4.new_output("display_data", {"image/png": "iVBOR"})]


def foreign_stderr(cells):
    cells[2].outputs = [stream("a warning\n", "stderr")]


def foreign_count(cells):
    cells[2].execution_count = 7


def foreign_times(cells):
    cells[2].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (foreign_skip, "cell 5 .* holds outputs, though nbval does not check it"),
        (foreign_picture, "cell 3 .* holds outputs other than text"),
        (foreign_stderr, "cell 3 .* holds outputs other than text"),
        (foreign_count, "cell 3 .* holds traces of an execution"),
        (foreign_times, "cell 3 .* holds traces of an execution"),
    ],
)
def test_foreign_outputs_are_found_and_removed_by_a_sync(toy, spoil, message):
    pairs.sync("toy")
    notebook = read_pair()
    spoil(notebook.cells)
    nbformat.write(notebook, pairs.pair("toy"))
    with pytest.raises(ReplicateError, match=message):
        pairs.check("toy")
    pairs.sync("toy")
    pairs.check("toy")


def test_a_missing_or_damaged_pair_is_one_clear_error(toy):
    with pytest.raises(ReplicateError, match=r"toy\.ipynb is out of sync .*: is missing"):
        pairs.check("toy")
    pairs.pair("toy").write_text('{"cells": [')
    with pytest.raises(ReplicateError, match=r"is damaged.*Delete it and run `replicate sync toy`"):
        pairs.check("toy")


def test_reference_outputs_of_a_failing_chapter_leave_the_pair_alone(with_outputs, monkeypatch):
    before = pairs.pair("toy").read_bytes()
    failed = RunResult("toy", "quick", error="toy: code cell 2 of 5 failed with KeyError: 'x'")
    monkeypatch.setattr(pairs, "execute", lambda slug, profile: failed)
    with pytest.raises(ReplicateError, match="code cell 2 of 5 failed"):
        pairs.reference_outputs("toy")
    assert pairs.pair("toy").read_bytes() == before


def nbval(path):
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "common.pairs", "-q"]
    options = ["-p", "no:cacheprovider", "--rootdir", str(path.parent), str(path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_nbval_passes_on_a_pair_with_the_outputs_that_its_cells_print(with_outputs):
    code, told = nbval(pairs.pair("toy"))
    assert code == 0, told
    assert "4 passed, 1 skipped" in told


def test_nbval_fails_where_a_checked_text_drifts_or_was_never_stored(with_outputs):
    edit(with_outputs, 'return "plain"', 'return "plainer"')
    pairs.sync("toy")
    edit(pairs.pair("toy"), "n is 2", "n is 3")
    code, told = nbval(pairs.pair("toy"))
    assert code == 1
    assert "2 failed, 2 passed, 1 skipped" in told
