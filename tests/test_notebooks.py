"""Every chapter: its pair in sync, its size, its checked cells executed and compared."""

import os
import re
import subprocess
import sys

import jupytext
import pytest

from common import pairs, papers, paths, records, skeleton
from common.display import LONGEST_CELL
from common.runs import execute


def cells(slug, kind):
    return [c for c in jupytext.read(paths.notebook(slug)).cells if c.cell_type == kind]


@pytest.mark.parametrize("slug", papers.slugs())
def test_the_pair_is_in_sync_and_holds_outputs_of_checked_cells_only(slug):
    pairs.check(slug)


@pytest.mark.parametrize("slug", papers.slugs())
def test_sections_come_in_the_order_of_the_book(slug):
    text = "\n".join(cell.source for cell in cells(slug, "markdown"))
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == skeleton.SECTIONS


@pytest.mark.parametrize("slug", papers.slugs())
def test_no_code_cell_is_longer_than_a_page_can_show(slug):
    for cell in cells(slug, "code"):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


@pytest.mark.parametrize("slug", papers.slugs())
def test_two_quick_runs_with_the_same_seed_give_identical_records(slug):
    first, second = (
        records.read(execute(slug, profile="quick", force=True).folder / "records.parquet")
        for _ in "ab"
    )
    assert first.equals(second)


@pytest.mark.parametrize("slug", papers.slugs())
def test_checked_cells_print_what_the_pair_says(slug, tmp_path):
    notebook = paths.notebook(slug).with_suffix(".ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "common.pairs", "-q", "-n", "0"]
    command += ["-p", "no:cacheprovider", "--no-header", "--override-ini=addopts=", str(notebook)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"[1-9]\d* passed", done.stdout)
