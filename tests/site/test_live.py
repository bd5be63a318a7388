"""Pages with running code: when they are executed, what they show, and how they fail."""

import importlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest
from nbformat.v4 import new_output

from common import paths
from common.errors import ReplicateError
from common.runs import notebooks, store
from common.site import live, staging
from common.validation import archive
from toy_book import edit

PAGE = """\
# %% [markdown]
# # A live page

# %%
from common.site import validation
from common.statistics import multiplicity

# %%
# three tests
print(multiplicity.adjust([0.01, 0.02, 0.9]).round(2))
"""
OWN = Path(__file__).resolve().parents[2] / "book" / "which-test.py"


@pytest.fixture
def source(book):
    path = book / "book/live.py"
    path.write_text(PAGE)
    return path


@pytest.fixture
def runs(monkeypatch):
    """Execute nothing: every code cell shows its number.  Returns the list of executions."""
    done = []

    def run(work):
        notebook = nbformat.read(work / "input.ipynb", as_version=4)
        for number, cell in enumerate(notebooks.code_cells(notebook), start=1):
            cell.outputs = [new_output("stream", name="stdout", text=f"cell {number}\n")]
        nbformat.write(notebook, work / "output.ipynb")
        (work / "ended.json").write_text('{"cell": 2, "name": null, "text": ""}')
        done.append(work)
        return 0

    monkeypatch.setattr(live, "_run", run)
    return done


def parts(source):
    return live.identity(notebooks.parse(source.read_text(), source.name))


def texts(page):
    return ["".join(cell["source"]) for cell in json.loads(page)["cells"]]


def printed(page):
    cells = [cell for cell in json.loads(page)["cells"] if cell["cell_type"] == "code"]
    return ["".join(map(stdout, cell["outputs"])) for cell in cells]


def stdout(output):
    return "".join(output["text"]) if output.get("name") == "stdout" else ""


def test_page_is_executed_once_and_shows_what_its_cells_print(source, monkeypatch):
    page = live.page(source)
    assert printed(page) == ["", "[0.03 0.04 0.9 ]\n"]
    assert "metadata" in json.loads(page)
    assert set(json.loads(page)["metadata"]) == {"kernelspec", "language_info"}
    monkeypatch.setattr(live, "_run", None)
    assert live.page(source) == page


def test_edited_prose_and_comments_cost_no_run_and_are_shown(source, runs):
    live.page(source)
    edit(source, "# # A live page", "# # A better title")
    edit(source, "# three tests", "# three tests of one family")
    page = live.page(source)
    assert len(runs) == 1
    assert texts(page)[0] == "# A better title"
    assert "one family" in texts(page)[2]
    assert printed(page) == ["cell 1\n", "cell 2\n"]


def test_edited_code_costs_a_run(source, runs):
    live.page(source)
    edit(source, "0.9", "0.8")
    live.page(source)
    assert len(runs) == 2


def test_identity_follows_imports_into_the_package_and_the_reader_of_archives(source):
    modules = parts(source)["modules"]
    assert {"common", "common.statistics.multiplicity", "common.statistics.results"} <= set(modules)
    assert {"common.site.validation", "common.paths"} <= set(modules)
    assert "common.site.staging" not in modules


def test_identity_depends_on_the_archive_only_where_the_page_reads_it(source, monkeypatch):
    before = parts(source)
    (archive.folder()).mkdir(parents=True)
    (archive.folder() / "calibration.csv").write_text("test,rate\n")
    (archive.folder() / "run.json").write_text(json.dumps({"statistics_sha256": "old"}))
    with_archive = parts(source)
    assert set(with_archive["data"]) == {"calibration.csv", "run.json", "stale"}
    monkeypatch.setattr(archive, "sources_digest", lambda: "old")
    assert len({json.dumps(each) for each in (before, with_archive, parts(source))}) == 3
    edit(source, "from common.site import validation\n", "")
    assert parts(source)["data"] == {}


def test_identity_depends_on_the_libraries_that_compute_and_draw(source, monkeypatch):
    before = parts(source)
    monkeypatch.setattr(live, "version", lambda name: "0")
    assert parts(source) != before


@pytest.mark.parametrize("content", ["", "{}", '{"cells": [], "metadata": {}, "nbformat": 4'])
def test_damaged_execution_is_made_again(source, runs, content):
    live.page(source)
    kept = paths.build_dir() / "pages/book/live.ipynb"
    assert kept.is_file()
    kept.write_text(content)
    assert printed(live.page(source)) == ["cell 1\n", "cell 2\n"]
    assert len(runs) == 2


def test_failing_page_is_an_error_that_names_page_cell_and_reason(source):
    source.write_text('# %%\n"one"\n\n# %%\n\nvalue = {"a": 1}["b"]\n')
    with pytest.raises(ReplicateError) as error:
        live.page(source)
    assert str(error.value).startswith(
        "book/live.py: code cell 2 of 2 ('value = {\"a\": 1}[\"b\"]') failed with KeyError: 'b'."
    )
    assert not (paths.build_dir() / "pages/book/live.ipynb").exists()


def test_killed_kernel_is_an_error_that_names_page_and_cell(source):
    source.write_text("# %%\nimport os\n\n# %%\nos._exit(3)\n")
    with pytest.raises(ReplicateError, match=r"book/live.py: code cell 2 of 2 .* DeadKernelError"):
        live.page(source)


def test_process_that_ends_without_a_word_is_told_with_the_end_of_its_log(source, monkeypatch):
    monkeypatch.setattr(live.sys, "executable", shutil.which("false"))
    with pytest.raises(ReplicateError, match=r"book/live.py: its process ended with code 1\."):
        live.page(source)


def test_interrupted_execution_leaves_no_process(source, monkeypatch):
    source.write_text("# %%\nimport time\n\ntime.sleep(60)\n")
    before = set(psutil.Process().children(recursive=True))

    def started():
        return set(psutil.Process().children(recursive=True)) - before

    def wait_and_interrupt(process, timeout=None):
        while len(started()) < 2:
            time.sleep(0.05)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", wait_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        live._run(prepared(source))
    psutil.wait_procs(started(), timeout=5)
    assert [each for each in started() if each.status() != psutil.STATUS_ZOMBIE] == []


def prepared(source):
    """Make the folder in which a page is executed."""
    folder = source.parents[1] / "work"
    store.write_notebook(folder / "input.ipynb", notebooks.parse(source.read_text(), source.name))
    return folder


def test_staging_puts_the_executed_page_in_place_of_its_source(source, runs):
    (source.parent / "index.md").write_text("# Index\n")
    (source.parent / "ruff.toml").write_text("line-length = 80\n")
    toc = source.parents[1] / "_toc.yml"
    toc.write_text("root: book/index\nchapters:\n  - file: book/live\n")
    (toc.parent / "_config.yml").write_text("title: Toy\n")
    folder = staging.stage([])
    names = {path.name for path in (folder / "book").iterdir()}
    assert names == {"index.md", "live.ipynb"}


def test_page_that_is_both_text_and_code_is_refused(source, runs):
    source.with_suffix(".md").write_text("# The same page\n")
    (source.parents[1] / "_toc.yml").write_text("root: book/live\n")
    (source.parents[1] / "_config.yml").write_text("title: Toy\n")
    with pytest.raises(ReplicateError, match=r"book/live must be one page, got both .md and .py"):
        staging.stage([])


def own_cells(kind):
    return [cell for cell in jupytext.read(OWN).cells if cell.cell_type == kind]


def test_own_page_reads_the_validation_and_imports_no_torch():
    cells = [cell.source for cell in own_cells("code")]
    lines = [line for cell in cells for line in cell.splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from ")) and "(" not in line]
    code = "\n".join([*imports, "import sys; sys.exit('torch' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert {"common.site.validation", "common.site.guide"} <= set(parts(OWN)["modules"])


def test_cells_of_the_own_page_are_short():
    folded = {True: 25, False: 15}
    long = [
        cell.source
        for cell in own_cells("code")
        if len(cell.source.splitlines()) > folded["hide-input" in cell.metadata.get("tags", [])]
    ]
    assert long == []


def test_functions_of_other_questions_on_the_own_page_exist():
    text = "\n".join(cell.source for cell in own_cells("markdown"))
    functions = re.findall(r"`(\w+)\.(\w+)`", text.partition("**Other questions**")[2])
    assert len(functions) > 10
    for module, function in functions:
        if module != "common" and (module, function) not in (
            ("which-test", "py"),
            ("paper", "yml"),
        ):
            found = importlib.import_module(f"common.statistics.{module}")
            assert callable(getattr(found, function)), (module, function)
