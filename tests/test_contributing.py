"""The page "Add your paper", done: its blocks applied to an empty book, its commands run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from common import pairs, paths, skeleton
from common.display import LONGEST_CELL
from common.runs import notebooks, read_archive, store

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = (CHECKOUT / "book/contributing.md").read_text(encoding="utf-8")
SLUG = "blob-threshold"
WIDTH = 80
BLOCK = re.compile(
    r"^(?P<fence>`{3,})(?P<kind>\{code-block\} )?(?P<language>\w+)\n"
    r"(?::caption: (?P<path>\S+) \((?P<how>[^\n]+)\)\n)?(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
# of another program, or too long for a test of one page
NOT_RUN = {
    "tools/setup.sh test,lint",
    "source .venv/bin/activate",
    'git add . && git commit -m "Try blob-threshold"',
    "make test",
    "make book",
    "replicate serve",
}
PROGRAMS = {
    "replicate": [sys.executable, "-m", "common.cli"],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
    "python": [sys.executable],
}


@dataclass(frozen=True)
class Block:
    """A fenced block: content of a file (``path``, and ``how`` it enters), commands or output."""

    language: str
    path: str | None
    how: str | None
    text: str


def blocks(page):
    found = [match.groupdict() for match in BLOCK.finditer(page)]
    return [Block(each["language"], each["path"], each["how"], each["text"]) for each in found]


def apply(root, block, begun):
    """Enter a block into its file; parts of one whole wait in ``begun`` for the last of them."""
    path, how, text = root / block.path, block.how, block.text
    assert path.is_file(), f"{block.path} is no file of the skeleton"
    if how == "changed lines":
        path.write_text(changed(path.read_text(), text))
        return
    part = re.fullmatch(r"(.*?)(?:, )?part (\d) of (\d)", how)
    whole, number, last = part.groups() if part else (how, "1", "1")
    waiting = begun.setdefault((path, whole), [])
    waiting.append(text)
    assert len(waiting) == int(number), f"{block.path} ({how}) is out of order"
    if number == last:
        enter(path, whole, begun.pop((path, whole)))


def enter(path, whole, parts):
    """Put the parts of a file, or of one section of a notebook, in their place."""
    if whole.startswith("section "):
        heading = f"# %% [markdown]\n# ## {whole.removeprefix('section ')}\n"
        before, found, after = path.read_text().partition(heading)
        assert found, f"{path.name} has no {whole}"
        start = after.find("# %% [markdown]\n# ## ")
        content = "\n".join(parts)
        assert content.startswith(heading), f"{whole} must begin with its heading"
        path.write_text(f"{before}{content}\n{after[start:]}")
    else:
        assert whole in ("", "whole file"), whole
        path.write_text(("\n\n" if path.suffix == ".py" else "").join(parts))


def changed(text, diff):
    """Replace each run of lines with ``-`` by the lines with ``+`` that follow it."""
    hunks = re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, flags=re.MULTILINE)
    assert "".join(old + new for old, new in hunks) == diff, "each - needs a + behind it"
    for old, new in hunks:
        old, new = (re.sub(r"^.", "", lines, flags=re.MULTILINE) for lines in (old, new))
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def call(root, command):
    head, *rest = shlex.split(command)
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "80"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("REPLICATE_ROOT", None)
    return subprocess.run(
        [*PROGRAMS[head], *rest],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def missing(stated, printed):
    """Return the first stated line that is not printed behind the ones before it, None if all are.

    ``…``, with the space before it, stands for any text.
    """
    lines = iter(printed.splitlines())
    for wanted in filter(str.strip, stated.splitlines()):
        pattern = re.sub(r"(\\ )?…", ".*", re.escape(wanted))
        if not any(re.fullmatch(pattern, line.rstrip()) for line in lines):
            return wanted
    return None


def follow(root, page):
    """Do what the page says, in its order.

    Returns:
        Each stated line of output that was not printed, with the commands and what they printed.
    """
    begun, commands, printed, problems = {}, "", "", []
    for block in blocks(page):
        if block.path is not None:
            apply(root, block, begun)
        elif block.language == "bash":
            commands, printed = block.text, ""
            for command in filter(lambda line: line not in NOT_RUN, commands.splitlines()):
                done = call(root, command)
                assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
                printed += done.stdout
        elif line := missing(block.text, printed):
            problems.append((commands, line, printed))
    assert not begun, f"parts are missing of {list(begun)}"
    return problems


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """An empty book with the package after every step of the page, and the outputs that differ."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("data_manifests/datasets", "data_manifests/papers", "notebooks", "book"):
        (root / folder).mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "src/common", root / "src/common", ignore=ignored)
    (root / "tests").mkdir()
    for name in (
        "_toc.yml",
        "pyproject.toml",
        "book/references.bib",
        "notebooks/ruff.toml",
        "tests/conftest.py",
    ):
        shutil.copy(CHECKOUT / name, root / name)
    problems = follow(root, PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATE_ROOT", str(root))
        paths._find_root.cache_clear()
        yield root, problems
    paths._find_root.cache_clear()


def test_commands_print_what_the_page_says(followed):
    for commands, line, printed in followed[1]:
        pytest.fail(f"{commands!r} does not print {line!r} but\n{printed}")


def test_the_pair_is_in_sync_and_holds_what_checked_cells_print(followed):
    pairs.check(SLUG)
    stored = notebooks.code_cells(store.read_notebook(pairs.pair(SLUG)))
    text = "".join(str(pairs.text_outputs(cell)) for cell in stored)
    assert "16 images of 8 patients" in text
    assert "between 1 and 3: 2.0" in text


def test_the_chapter_has_the_sections_of_every_chapter_and_short_cells(followed):
    cells = notebooks.read(SLUG).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert tuple(re.findall(r"^## (.+)$", prose, re.MULTILINE)) == skeleton.SECTIONS
    assert (
        max(len(cell.source.splitlines()) for cell in notebooks.code_cells(notebooks.read(SLUG)))
        <= LONGEST_CELL
    )


def test_the_archive_has_two_images_of_each_patient_in_one_fold_of_each_seed(followed):
    table = read_archive(SLUG, "standard").records
    sizes = table.groupby(["arm", "metric", "seed", "cluster"], observed=True).size()
    assert len(sizes) == 2 * 2 * 5 * 30
    assert set(sizes) == {2}
    assert table.groupby(["seed", "cluster"], observed=True)["fold"].nunique().max() == 1
    assert table.groupby("cluster", observed=True)["fold"].nunique().max() == 2


def test_the_verdicts_are_those_that_the_page_tells(followed):
    found = {
        (each["claim"], each["layer"]): each for each in read_archive(SLUG, "standard").verdicts
    }
    assert {place: each["verdict"] for place, each in found.items()} == {
        ("C1", "published"): "supported",
        ("C1", "replication"): "supported",
        ("C2", "published"): "untested",
        ("C2", "replication"): "untested",
    }
    assert found["C1", "published"]["effect"] == pytest.approx(0.14)
    assert found["C1", "replication"]["n_clusters"] == 30
    assert not found["C1", "replication"]["warnings"]
    assert found["C2", "replication"]["note"] == "a phantom has no readers"


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff comes with the extra `lint`")
def test_what_the_page_writes_is_formatted_and_linted(followed):
    root = followed[0]
    written = sorted({block.path for block in blocks(PAGE) if (block.path or "").endswith(".py")})
    for rule in (["format", "--check"], ["check"]):
        command = [sys.executable, "-m", "ruff", *rule, "--no-cache", *written]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_block_of_the_page_is_read_and_short():
    found = blocks(PAGE)
    assert PAGE.count("{code-block}") == sum(block.path is not None for block in found)
    assert PAGE.count(":caption:") == sum(block.path is not None for block in found)
    assert {block.language for block in found if block.path is None} == {"bash", "text"}
    for block in found:
        lines = block.text.splitlines()
        assert len(lines) <= LONGEST_CELL, block.text
        # a sentence of a notebook has one line; all else that is written fits the page's width
        wide = [line for line in lines if len(line) > WIDTH and line[0] not in "#+-"]
        assert block.path is None or wide == []


def test_every_command_is_run_or_known_to_be_left_out():
    lines = [
        line
        for block in blocks(PAGE)
        if block.language == "bash"
        for line in block.text.splitlines()
    ]
    assert set(lines) >= NOT_RUN
    assert {line.split()[0] for line in set(lines) - NOT_RUN} == set(PROGRAMS)


FILE = "# %% [markdown]\n# ## One\n\n# %%\nx = 1\n\n# %% [markdown]\n# ## Two\n"


@pytest.mark.parametrize(
    ("how", "text", "message"),
    [
        ("changed lines", "-x = 2\n+x = 3\n", "is there 0 times"),
        ("changed lines", "x = 1\n+x = 3\n", "needs a"),
        ("section Three", "# %% [markdown]\n# ## Three\n", "has no section Three"),
        ("section One", "# %%\nx = 3\n", "begin with its heading"),
        ("part 2 of 2", "x = 3\n", "out of order"),
        ("hole file", "x = 3\n", "hole file"),
    ],
)
def test_a_block_that_does_not_fit_its_file_is_found(tmp_path, how, text, message):
    (tmp_path / "chapter.py").write_text(FILE)
    with pytest.raises(AssertionError, match=message):
        apply(tmp_path, Block("python", "chapter.py", how, text), {})


def test_a_block_takes_the_place_that_its_caption_names(tmp_path):
    path, begun = tmp_path / "chapter.py", {}
    path.write_text(FILE)
    for how, text in (
        ("changed lines", "-x = 1\n+x = 2\n+y = 3\n"),
        ("section One, part 1 of 2", "# %% [markdown]\n# ## One\n"),
        ("section One, part 2 of 2", "# %%\nx = 4\n"),
    ):
        apply(tmp_path, Block("python", "chapter.py", how, text), begun)
    assert path.read_text() == FILE.replace("x = 1", "x = 4")
    assert not any(begun.values())


def test_an_output_that_is_not_printed_is_found():
    printed = "one\n  two  \nthree 3.1 s\n"
    assert missing("one\n  two\nthree … s\n", printed) is None
    assert missing("one\nthree …\n", printed) is None
    assert missing("one\ntw\n", printed) == "tw"
    assert missing("three …\none\n", printed) == "one"
