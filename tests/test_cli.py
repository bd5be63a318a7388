import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import common
from common import pairs, paths
from common.cli import app
from common.runs import store
from toy_book import add_paper, add_run, edit, hear_interrupts

COMMANDS = [
    "list",
    "run",
    "sweep",
    "collect",
    "build",
    "claims",
    "audit",
    "sync",
    "archive",
    "new",
    "serve",
]
DATA_COMMANDS = ["status", "describe", "where", "fetch", "verify", "schema"]


@pytest.fixture
def toy(book):
    """The notebook of a miniature book."""
    return add_paper(book)


def replicate(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    """Return what a command prints as JSON, which must be all that it prints."""
    result = replicate(*args)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "command",
    [[], *([name] for name in COMMANDS), *(["data", n] for n in DATA_COMMANDS)],
)
def test_every_command_explains_itself_with_an_example(command):
    result = replicate(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    # Each example stands on a line of its own, to be copied.
    assert re.search(rf"^    replicate {' '.join(command)}", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "toi"], "unknown chapter 'toi'. Did you mean 'toy'?"),
        (["run", "toy", "--profile", "qick"], "unknown profile 'qick'. Did you mean 'quick'?"),
        (["run", "toy", "-p", "n_cases=ten"], "parameter `n_cases` must be int, got 'ten'"),
        (["run", "toy", "-p", "n_case=3"], "Did you mean `n_cases`?"),
        (["run", "toy", "-p", "n_cases"], "must be given as name=value"),
        (["run", "toy", "-p", "n_cases=99"], "`n_cases` must be in [1, 50], got 99"),
        (["build", "--only", "toy,toi"], "unknown chapter 'toi'"),
        (["build", "--profile", "qick"], "unknown profile 'qick'"),
        (["claims", "toi"], "unknown chapter 'toi'"),
        (["audit", "toi"], "unknown chapter 'toi'"),
        (["sync", "toi"], "unknown chapter 'toi'"),
        (["archive", "toy", "--profile", "quick"], "must be standard or full"),
        (["new", "toy"], "exists"),
        (["new", "Toy_2"], "must be lower-case letters"),
        (["data", "status", "toi"], "toi"),
        (["data", "describe", "toi"], "toi"),
        (["data", "fetch", "toi"], "toi"),
    ],
)
def test_a_request_that_cannot_be_meant_ends_with_2_and_one_message(toy, args, message):
    result = replicate(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not paths.build_dir().exists()


@pytest.mark.parametrize("args", [["frobnicate"], ["run"], ["list", "--jsn"]])
def test_an_unknown_command_or_option_ends_with_2(args):
    assert replicate(*args).exit_code == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["serve"], "there is no site"),
        (["archive", "toy"], "was not run yet"),
        (["sync", "--check"], "toy.ipynb is out of sync with notebooks/toy.py: is missing"),
    ],
)
def test_a_failure_ends_with_1_and_one_message(toy, args, message):
    result = replicate(*args)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_a_traceback_is_shown_only_with_debug(toy):
    plain = replicate("run", "toi")
    assert isinstance(plain.exception, SystemExit)
    debug = replicate("run", "toi", "--debug")
    assert type(debug.exception).__name__ == "UsageError"


def test_a_defect_of_the_book_is_told_without_a_traceback(toy, monkeypatch):
    monkeypatch.setattr(store, "complete", lambda slug: [][0])
    result = replicate("list")
    assert result.exit_code == 1
    assert "unexpected IndexError" in result.stderr
    assert "--debug" in result.stderr


def test_list_shows_claims_verdicts_by_layer_and_the_last_run(toy):
    assert "never" in replicate("list").stdout
    run = add_run("toy")
    (chapter,) = answer("list", "--json")
    assert chapter["slug"] == "toy"
    assert chapter["claims"] == 1
    assert chapter["data"] == {}
    assert chapter["verdicts"] == {
        "published": {"untested": 1},
        "replication": {"inconclusive": 1},
    }
    assert chapter["last_run"]["id"] == run.id
    table = replicate("list").stdout
    assert "replication: 1 inconclusive" in table
    assert "quick, 2026-01-01 00:00" in table


def test_claims_and_audit_print_what_runs_and_archives_say(toy):
    assert [row["verdict"] for row in answer("claims", "--json")] == ["untested", "not run"]
    nothing = replicate("audit", "toy", "--json")
    assert json.loads(nothing.stdout) == []
    assert "no audit was made yet" in nothing.stderr
    add_run("toy", "standard", verdict="supported")
    rows = answer("claims", "toy", "--json")
    assert [(row["layer"], row["verdict"]) for row in rows] == [
        ("published", "untested"),
        ("replication", "supported"),
    ]
    assert "standard run" in replicate("claims", "toy").stdout
    (check,) = answer("audit", "toy", "--json")
    assert (check["slug"], check["id"], check["status"]) == ("toy", "A1", "pass")
    assert "the sum is right" in replicate("audit").stdout


def test_run_takes_an_unchanged_chapter_from_the_cache(toy):
    run = add_run("toy", given={"widths": (4, 5)})
    result = replicate("run", "toy", "-p", "widths=4,5")
    assert result.exit_code == 0
    assert f"toy quick: unchanged, run {run.id} is taken" in result.stdout
    assert str(store.runs_dir("toy") / run.id) in result.stdout


@dataclass(frozen=True)
class Chapter:
    """Stands for the site's own class."""

    slug: str
    profile: str
    notebook: Path | None
    run: dict
    error: str | None


@pytest.fixture
def site(monkeypatch, book):
    """Takes the place of the renderer and keeps what it was given."""
    module = ModuleType("common.site")
    module.ChapterResult = Chapter
    module.built = []

    def build(chapters, *, only=None):
        module.built.append((chapters, only))
        return book / "_build/html/index.html"

    module.build = build
    monkeypatch.setitem(sys.modules, "common.site", module)
    monkeypatch.setattr(common, "site", module, raising=False)
    return module


def test_build_renders_the_rest_when_a_chapter_fails_and_ends_with_1(book, toy, site):
    add_run("toy")
    bad = add_paper(book, "bad")
    edit(bad, "n_cases = 4", "n_cases = 2 + 2")
    result = replicate("build")
    assert result.exit_code == 1
    ((chapters, only),) = site.built
    assert only is None
    assert [(chapter.slug, chapter.error is None) for chapter in chapters] == [
        ("bad", False),
        ("toy", True),
    ]
    assert "`n_cases` must be a literal" in chapters[0].error
    assert chapters[1].notebook.name == "notebook.ipynb"
    assert "1 of 2 chapters failed: bad" in result.stderr
    assert "the site is at" in result.stdout


def test_build_of_chosen_chapters_leaves_the_others_alone(book, toy, site):
    add_run("toy")
    add_paper(book, "other")
    result = replicate("build", "--only", "toy, toy")
    assert result.exit_code == 0
    ((chapters, only),) = site.built
    assert only == ["toy"]
    assert [chapter.slug for chapter in chapters] == ["toy"]
    assert not store.runs_dir("other").exists()


@pytest.fixture
def printing(site):
    """Takes the place of Chromium and keeps what it was to print."""
    site.printing = ModuleType("common.site.printing")
    site.printing.printed = []

    def print_book(html, target):
        site.printing.printed.append((html, target))
        return 7

    site.printing.require_browser = lambda: "chromium"
    site.printing.print_book = print_book
    return site.printing


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["--pdf"], "_build/book.pdf"),
        (["--pdf", "--only", "toy"], "_build/book.pdf"),
        (["--only", "toy", "--pdf", "out/a book.pdf"], "out/a book.pdf"),
        (["--pdf=b.pdf"], "b.pdf"),
    ],
)
def test_build_prints_the_book_where_it_is_told_to(book, toy, printing, monkeypatch, args, name):
    monkeypatch.chdir(book)
    add_run("toy")
    result = replicate("build", *args)
    assert result.exit_code == 0, result.output
    ((html, target),) = printing.printed
    assert html == book / "_build/html"
    assert target.absolute() == book / name
    assert f"the book (7 pages of the site) is printed to {target}" in result.stdout


def test_build_prints_nothing_unless_asked(toy, printing):
    add_run("toy")
    assert replicate("build").exit_code == 0
    assert printing.printed == []


def test_build_that_cannot_print_ends_before_any_chapter_runs(toy, monkeypatch):
    from common.site import printing

    monkeypatch.setattr(printing, "NAMES", ())
    monkeypatch.setattr(printing, "_playwright_browser", lambda: False)
    result = replicate("build", "--pdf")
    assert result.exit_code == 1
    assert "printing needs Chromium" in result.stderr
    assert "apt-get install chromium" in result.stderr
    assert result.stdout == ""
    assert not paths.build_dir().exists()


@pytest.mark.browser
def test_build_makes_a_pdf(book, toy):
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium on the path; on Debian: apt-get install chromium")
    add_run("toy")
    (book / "_config.yml").write_text(
        "title: Toy\nexecute: {execute_notebooks: 'off'}\nonly_build_toc_files: true\n"
    )
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters: [{file: notebooks/toy}]\n"
    )
    (book / "book/index.md").write_text("# Toy book\n\nHello.\n")
    result = replicate("build", "--pdf")
    assert result.exit_code == 0, result.output
    assert "the book (2 pages of the site) is printed to" in result.stdout
    pdf = (book / "_build/book.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/Title (Toy)" in pdf


def test_sync_writes_the_pair_and_check_finds_it_out_of_sync(book, toy):
    assert replicate("sync").stdout == "toy: written\n"
    assert replicate("sync", "toy").stdout == "toy: unchanged\n"
    assert replicate("sync", "--check").exit_code == 0
    edit(toy, "1 + 1", "1 + 2")
    before = pairs.pair("toy").read_bytes()
    assert replicate("sync", "--check").exit_code == 1
    assert pairs.pair("toy").read_bytes() == before


def test_archive_says_where_and_refuses_a_stale_run(toy):
    run = add_run("toy", "standard")
    edit(toy, "1 + 1", "1 + 2")
    stale = replicate("archive", "toy")
    assert stale.exit_code == 1
    assert "--allow-stale" in stale.stderr
    result = replicate("archive", "toy", "--allow-stale")
    assert f"run {run.id} archived in" in result.stdout


def test_data_status_prints_json_of_every_manifest(book):
    (book / "data_manifests/datasets/toy-data.yml").write_text(
        "dataset: toy-data\ntitle: Toy\nversion: '1'\ntask: [toy]\nmodality: none\n"
        "access: generated\ncitation: none\nlicence: {name: none, checked: memory}\n"
        "used_by: [toy]\nfaithfulness: none\n"
    )
    (status,) = answer("data", "status", "--json")
    assert (status["dataset"], status["access"]) == ("toy-data", "generated")
    assert "toy-data" in replicate("data", "status").stdout
    assert "left out" in replicate("data", "fetch").stderr
    assert "no data set is on disk" in replicate("data", "verify").stderr


def test_serve_shows_the_built_site_on_this_machine_only(book):
    html = book / "_build/html"
    html.mkdir(parents=True)
    (html / "index.html").write_text("the front page")
    process = subprocess.Popen(
        [sys.executable, "-m", "common.cli", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=hear_interrupts,
    )
    try:
        line = process.stdout.readline()
        address = line.split()[4]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=5) as page:
            assert page.read() == b"the front page"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address + "absent.html", timeout=5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)
        assert process.returncode == 0
        assert told == "ended.\n"
    finally:
        process.kill()
        process.communicate()
