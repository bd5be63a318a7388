import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import common
from common import manifests, pairs, papers, skeleton
from common.errors import ReplicateError, UsageError
from common.runs import plan

TOC = """\
format: jb-book
root: book/index
# the parts of the book
parts:
  - caption: Start here
    chapters:
      - file: book/how-to-read
  - caption: Chapters
    chapters:
      - file: notebooks/hep2
"""


@pytest.fixture
def empty(book):
    """An empty book with a table of contents and a list of references."""
    (book / "_toc.yml").write_text(TOC)
    (book / "book/references.bib").write_text("@article{other,\n  year = {2000}\n}\n")
    return book


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_skeleton_holds_every_file_of_a_chapter_and_all_of_them_are_valid(empty):
    before = set(files(empty))
    written = {str(path.relative_to(empty)) for path in skeleton.write("my-paper")}
    assert set(files(empty)) - before == written - {"_toc.yml", "book/references.bib"}
    assert written == {
        "_toc.yml",
        "book/references.bib",
        "data_manifests/datasets/my-paper-data-phantom.yml",
        "data_manifests/datasets/my-paper-data.yml",
        "data_manifests/papers/my-paper/paper.yml",
        "data_manifests/papers/my-paper/table1.csv",
        "notebooks/my-paper.ipynb",
        "notebooks/my-paper.py",
        "src/common/datasets/my_paper_data.py",
        "src/common/models/my_paper.py",
        "tests/datasets/test_my_paper_data.py",
        "tests/models/test_my_paper.py",
    }
    assert papers.load("my-paper").table("table1").empty
    assert manifests.load("my-paper-data").used_by == ("my-paper",)
    phantom = manifests.load("my-paper-data").phantom
    assert manifests.load(phantom).module_name == "my_paper_data"
    pairs.check("my-paper")
    for profile in ("quick", "standard"):
        assert plan("my-paper", profile=profile).parameters["seed"] == 0
    for path in empty.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_its_notebook_has_the_sections_of_a_chapter_in_order(empty):
    skeleton.write("my-paper")
    lines = (empty / "notebooks/my-paper.py").read_text().splitlines()
    found = [line.removeprefix("# ## ") for line in lines if line.startswith("# ## ")]
    assert tuple(found) == skeleton.SECTIONS


def test_contents_and_references_gain_one_entry_and_keep_the_rest(empty):
    skeleton.write("my-paper")
    assert (empty / "_toc.yml").read_text() == TOC + "      - file: notebooks/my-paper\n"
    references = (empty / "book/references.bib").read_text()
    assert references.startswith("@article{other,\n  year = {2000}\n}\n\n@article{my_paper,")


def test_every_placeholder_is_listed_until_it_is_replaced(empty):
    skeleton.write("my-paper")
    found = skeleton.placeholders("my-paper")
    for line in (
        "book/references.bib: <title of my-paper>",
        "data_manifests/datasets/my-paper-data.yml: <version>",
        "data_manifests/papers/my-paper/paper.yml: <title of the paper>",
        "notebooks/my-paper.py: <What this replication cannot say.>",
        "src/common/datasets/my_paper_data.py: <the printed statistic behind the default>",
        "src/common/models/my_paper.py: <what the paper invents>",
    ):
        assert line in found
    for path in empty.rglob("*"):
        if path.is_file():
            path.write_text(re.sub(r"<[A-Za-z][^<>]*>", "Something", path.read_text()))
    assert skeleton.placeholders("my-paper") == []


def test_placeholders_of_another_chapter_and_other_angle_brackets_are_passed_over(empty):
    skeleton.write("other")
    skeleton.write("my-paper")
    path = empty / "notebooks/my-paper.py"
    path.write_text(path.read_text() + "# <b>bold</b>, 1 < 2 > 0\n")
    found = skeleton.placeholders("my-paper")
    assert found
    assert not [line for line in found if "other" in line or "<b>" in line or "< 2" in line]


def test_placeholders_of_an_unknown_chapter_are_refused(empty):
    skeleton.write("my-paper")
    with pytest.raises(UsageError, match="Did you mean 'my-paper'"):
        skeleton.placeholders("my-papr")


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff comes with the extra `lint`")
@pytest.mark.parametrize("slug", ["x", "a-paper-with-a-long-name"])
def test_a_skeleton_is_formatted_and_linted(empty, checkout, slug):
    shutil.copy(checkout / "pyproject.toml", empty)
    shutil.copy(checkout / "notebooks/ruff.toml", empty / "notebooks")
    written = [str(path) for path in skeleton.write(slug) if path.suffix in (".py", ".ipynb")]
    for rule in (["format", "--diff"], ["check"]):
        command = [sys.executable, "-m", "ruff", *rule, "--no-cache", *written]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_data_set_that_is_there_is_used_and_not_written_again(empty):
    skeleton.write("first", dataset="shared-data")
    manifest = (empty / "data_manifests/datasets/shared-data.yml").read_text()
    written = [path.name for path in skeleton.write("second", dataset="shared-data")]
    assert "shared-data.yml" not in written
    assert "shared_data.py" not in written
    assert (empty / "data_manifests/datasets/shared-data.yml").read_text() == manifest
    assert (
        "from common.datasets import shared_data as data"
        in (empty / "notebooks/second.py").read_text()
    )


@pytest.mark.parametrize(
    "slug", ["", "My-paper", "my_paper", "1paper", "my--paper", "-x", "x-", "../x", "é"]
)
def test_an_invalid_name_is_refused(empty, slug):
    before = files(empty)
    with pytest.raises(UsageError, match="`slug` must be lower-case letters"):
        skeleton.write(slug)
    assert files(empty) == before


def test_an_existing_chapter_is_refused_and_left_alone(empty):
    skeleton.write("my-paper")
    before = {path: (empty / path).read_text() for path in files(empty)}
    with pytest.raises(UsageError, match="exists"):
        skeleton.write("my-paper")
    assert {path: (empty / path).read_text() for path in files(empty)} == before


@pytest.mark.parametrize("allowed", [0, 3, 8, 10])
def test_an_error_in_the_middle_leaves_nothing_half_written(empty, monkeypatch, allowed):
    before = {path: (empty / path).read_text() for path in files(empty)}
    folders = sorted(path for path in empty.rglob("*") if path.is_dir())
    write, done = skeleton.write_text, []

    def until_full(path, text):
        if len(done) == allowed:
            done.append(None)
            raise ReplicateError("no space")
        done.append(path)
        return write(path, text)

    monkeypatch.setattr(skeleton, "write_text", until_full)
    with pytest.raises(ReplicateError, match="no space"):
        skeleton.write("my-paper")
    assert {path: (empty / path).read_text() for path in files(empty)} == before
    assert sorted(path for path in empty.rglob("*") if path.is_dir()) == folders


def test_contents_without_a_part_for_chapters_are_refused_before_anything_is_written(empty):
    (empty / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    before = files(empty)
    with pytest.raises(ReplicateError, match="must have a part with the caption 'Chapters'"):
        skeleton.write("my-paper")
    assert files(empty) == before


def test_the_tests_of_a_skeleton_fail_and_its_chapter_runs(empty):
    source = Path(common.__file__).parent
    shutil.copytree(source, empty / "src/common", ignore=shutil.ignore_patterns("__pycache__"))
    skeleton.write("my-paper")
    environment = {**os.environ, "PYTHONPATH": str(empty / "src")}

    def call(*args):
        command = [sys.executable, "-m", *args]
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False
        )

    tests = call("pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert tests.returncode == 1
    assert "5 failed" in tests.stdout
    assert "passed" not in tests.stdout
    run = call("common.cli", "run", "my-paper")
    assert run.returncode == 0, run.stderr
    assert "my-paper quick: done" in run.stdout
