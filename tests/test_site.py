import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from common import site
from common.errors import ReplicateError, UsageError
from common.site import ChapterResult, chapters, evidence, live, pages, rendering, staging
from toy_book import add_paper, edit

HOSTILE = "<script>alert(1)</script> `x` ````{raw} html {doc}`y` **b**"
CONFIG = """\
title: Toy
execute: {execute_notebooks: "off"}
only_build_toc_files: true
"""
TOC = """\
format: jb-book
root: book/index
chapters:
  - file: notebooks/toy
  - file: book/scoreboard
  - file: book/data
  - file: book/build
"""
MANIFEST = """\
dataset: cells
title: "Cells <script>alert(1)</script>"
version: "1"
task: [classification]
modality: microscopy
access: registration
homepage: "https://example.org/?q=\\"><script>"
citation: A. Author, 2020.
licence: {name: "research <b>only</b>", checked: memory}
used_by: [toy]
faithfulness: none
obtain: ["write to <b>them</b>", "wait"]
"""


@pytest.fixture
def toy(book):
    add_paper(book)
    (book / "_config.yml").write_text(CONFIG)
    (book / "_toc.yml").write_text(TOC)
    front = "# Toy book\n\nSee [the board](scoreboard.md).\n\n% generated: scoreboard-picture\n"
    (book / "book/index.md").write_text(front)
    for name in ("scoreboard", "data", "build"):
        text = f"# The {name} page\n\nWritten by hand.\n\n% generated: {name}\n"
        (book / f"book/{name}.md").write_text(text)
    (book / "data_manifests/datasets/cells.yml").write_text(MANIFEST)
    return book


def widget():
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "100%"}
    return new_output("display_data", data=data)


def executed(book: Path, *extra, verdicts=(), run="r1") -> Path:
    cells = [
        new_markdown_cell("# A toy chapter"),
        new_code_cell("1 + 1", outputs=[new_output("execute_result", {"text/plain": "2"})]),
        *extra,
    ]
    cells[1].execution_count = 7
    folder = book / "_build/runs/toy" / run
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "notebook.ipynb")
    (folder / "verdicts.json").write_text(json.dumps(list(verdicts)))
    return folder / "notebook.ipynb"


def verdict(**changes):
    base = {"claim": "C1", "layer": "replication", "source": "phantom", "verdict": "inconclusive"}
    return {**base, "profile": "quick", "effect": 0.01, "low": -0.02, "high": 0.04, **changes}


def archive(book: Path, profile: str, *verdicts) -> None:
    """Write an archive whose checksums are right."""
    from common.runs import store

    folder = book / "book/results/toy" / profile
    folder.mkdir(parents=True)
    (folder / "verdicts.json").write_text(json.dumps(verdicts))
    stamp = {"files": store.file_hashes(folder), "key": {}, "profile": profile}
    (folder / "run.json").write_text(json.dumps(stamp))


def staged(book: Path, name: str) -> str:
    return (book / "_build/staging" / name).read_text()


def test_staging_holds_pages_configuration_and_the_executed_chapter(toy):
    (toy / "book/.hidden").write_text("x")
    folder = site.stage([ChapterResult("toy", "quick", executed(toy))])
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "_config.yml",
        "_toc.yml",
        "book/index.md",
        "book/scoreboard.md",
        "book/scoreboard.csv",
        "book/scoreboard.json",
        "book/audit.csv",
        "book/audit.json",
        "book/_static/tables/LICENSE.txt",
        "book/_static/tables/datatables.css",
        "book/_static/tables/datatables.js",
        "book/data.md",
        "book/data/cells.md",
        "book/data/cells.croissant.json",
        "book/datasets.csv",
        "book/datasets.json",
        "book/build.md",
        "notebooks/toy.ipynb",
    }


def test_progress_bar_that_stopped_at_its_first_frame_is_left_out(toy):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    bar = {**view, "text/plain": "trainings:   0%|          | 0/7 [00:00<?, ?it/s]"}
    slider = {**view, "text/plain": "a slider at 30%"}
    outputs = [new_output("display_data", bar), new_output("display_data", slider)]
    site.stage([ChapterResult("toy", "quick", executed(toy, new_code_cell("2", outputs=outputs)))])
    page = staged(toy, "notebooks/toy.ipynb")
    assert "trainings" not in page
    assert "a slider at 30%" in page


def test_changelog_and_citation_are_staged_from_the_repository(toy):
    (toy / "CHANGELOG.md").write_text("# Changelog\n")
    (toy / "CITATION.cff").write_text("title: x\n")
    site.stage([ChapterResult("toy", "quick", executed(toy))])
    assert staged(toy, "book/changelog.md") == "# Changelog\n"
    assert staged(toy, "book/CITATION.cff") == "title: x\n"


def test_nothing_is_written_into_tracked_folders(toy):
    def tracked():
        return {p: p.read_bytes() for p in (toy / "book").rglob("*") if p.is_file()}

    before = tracked()
    site.stage([ChapterResult("toy", "quick", executed(toy, verdicts=[verdict()]))])
    assert tracked() == before


def test_archives_are_not_copied_into_the_site(toy):
    archive(toy, "standard", verdict())
    folder = site.stage([ChapterResult("toy", "quick", executed(toy))])
    assert not (folder / "book/results").exists()


def test_staging_again_touches_only_what_changed_and_removes_what_went(toy):
    result = ChapterResult("toy", "quick", executed(toy))
    folder = site.stage([result])
    (folder / "book/old.md").write_text("# old\n")
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.md")}
    edit(toy / "book/index.md", "Toy book", "New title")
    site.stage([result])
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*.md")}
    assert set(before) - set(after) == {folder / "book/old.md"}
    assert {p for p in after if after[p] != before[p]} == {folder / "book/index.md"}


def test_failing_page_with_running_code_leaves_the_staged_site_as_it_was(toy, monkeypatch):
    def fail(work):
        (work / "log.txt").write_text("")
        (work / "ended.json").write_text('{"cell": 1, "name": "ValueError", "text": "no"}')
        return 0

    monkeypatch.setattr(live, "_run", fail)
    folder = site.stage([])
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    (toy / "book/live.py").write_text("# %% [markdown]\n# # Live\n\n# %%\nint('x')\n")
    edit(toy / "book/index.md", "Toy book", "New title")
    with pytest.raises(ReplicateError, match=r"book/live.py: code cell 1 of 1 .* ValueError: no"):
        site.stage([])
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_page_of_a_notebook_has_no_widgets_prompts_or_machine_metadata(toy):
    cell = new_code_cell("bar", outputs=[widget()])
    site.stage([ChapterResult("toy", "quick", executed(toy, cell))])
    text = staged(toy, "notebooks/toy.ipynb")
    notebook = json.loads(text)
    assert "widget" not in text
    assert "100%" in text
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert [c.get("execution_count") for c in notebook["cells"][1:3]] == [None, None]
    assert notebook["cells"][1]["outputs"][0]["data"] == {"text/plain": "2"}


def test_output_that_is_only_a_widget_is_left_out(toy):
    only = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
    path = executed(toy, new_code_cell("bar", outputs=[only]))
    _, text = chapters.page(ChapterResult("toy", "quick", path))
    assert json.loads(text)["cells"][2]["outputs"] == []


def failure(book: Path) -> ChapterResult:
    broken = new_output("error", ename="ValueError", evalue=HOSTILE, traceback=["\x1b[31mTrace"])
    path = executed(book, new_code_cell("boom()", outputs=[broken]))
    text = f"toy: code cell 2 of 5 failed with ValueError: a\n\x1b[31mlast line\x1b[0m {HOSTILE}"
    return ChapterResult("toy", "quick", path, {}, text)


def test_failed_chapter_shows_chapter_cell_and_last_line_but_no_traceback(toy):
    site.stage([failure(toy)])
    cells = json.loads(staged(toy, "notebooks/toy.ipynb"))["cells"]
    box = "".join(cells[1]["source"])
    assert "This chapter failed" in box
    assert "Chapter `toy`, code cell 2, profile quick" in box
    assert "last line" in box
    assert "\x1b" not in box
    assert "Trace" not in json.dumps(cells)


def test_failed_chapter_without_notebook_and_chapter_that_never_ran_have_a_page(toy):
    site.stage([ChapterResult("toy", "quick", None, {}, "toy: its process was killed")])
    assert "its process was killed" in staged(toy, "notebooks/toy.md")
    site.stage([])
    assert "was not run when the site was built" in staged(toy, "notebooks/toy.md")


def test_chapter_that_was_not_asked_for_shows_its_newest_quick_run(toy):
    for name, ended, profile in (("r1", "2024", "quick"), ("r2", "2025", "quick")):
        path = executed(toy, new_markdown_cell(f"run {name}"), run=name)
        run = {"id": name, "ended": ended, "profile": profile, "wall_s": 1.0}
        (path.parent / "run.json").write_text(json.dumps(run))
    (executed(toy, run="r3").parent / "run.json").write_text(
        json.dumps({"id": "r3", "ended": "2026", "profile": "full", "wall_s": 1.0})
    )
    site.stage([], only=["toy"])
    assert "run r2" in staged(toy, "notebooks/toy.ipynb")


def test_damaged_notebook_is_one_clear_error(toy):
    path = executed(toy)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ReplicateError, match=r"chapter toy: .* is damaged.*replicate run toy"):
        site.stage([ChapterResult("toy", "quick", path)])


def test_contents_that_name_a_missing_page_are_refused(toy):
    edit(toy / "_toc.yml", "book/data\n", "book/data\n  - file: book/nowhere\n")
    with pytest.raises(ReplicateError, match="'book/nowhere', and there is no such page"):
        site.stage([])


def test_contents_that_name_an_unknown_chapter_are_refused(toy):
    edit(toy / "_toc.yml", "notebooks/toy", "notebooks/tpy")
    with pytest.raises(UsageError, match=r"unknown chapter 'tpy'. Did you mean 'toy'"):
        site.stage([])


def test_chapter_missing_from_the_contents_is_refused(toy):
    with pytest.raises(ReplicateError, match=r"'other' is not in _toc.yml. Add `- file: notebooks"):
        site.stage([ChapterResult("other", "quick", None)])


def test_page_without_its_marker_is_refused(toy):
    edit(toy / "book/data.md", "% generated: data", "")
    with pytest.raises(ReplicateError, match=r"book/data.md must hold the line .* once, got 0"):
        site.stage([])


def test_scoreboard_shows_a_live_verdict_with_symbol_word_and_effect(toy):
    path = executed(toy, verdicts=[verdict()])
    site.stage([ChapterResult("toy", "quick", path)])
    text = staged(toy, "book/scoreboard.md")
    assert "Written by hand." in text
    assert "% generated" not in text
    assert '<span aria-hidden="true">?</span> inconclusive' in text
    assert "+1.00 points" in text
    assert "[−2.00, +4.00]" in text
    assert "phantom</small><br><small>quick run" in text
    assert "the paper prints no n" in text
    assert "A. Author. A journal, 2020." in text


def test_front_page_draws_the_claims_of_the_scoreboard(toy):
    path = executed(toy, verdicts=[verdict()])
    site.stage([ChapterResult("toy", "quick", path)])
    text = staged(toy, "book/index.md")
    assert "% generated" not in text
    assert 'title="C1: Two is larger than one. Inconclusive.">?</span>' in text


def test_scoreboard_prefers_the_archive_and_says_when_code_changed_since(toy):
    archive(toy, "standard", verdict(verdict="supported", effect=0.05))
    path = executed(toy, verdicts=[verdict()])
    site.stage([ChapterResult("toy", "quick", path)])
    text = staged(toy, "book/scoreboard.md")
    assert '1&nbsp;<span class="rb-badge rb-supported">' in text
    assert "inconclusive" not in text
    assert "phantom</small><br><small>standard run, code changed since" in text


def test_scoreboard_of_a_failed_run_does_not_take_over_its_verdicts(toy):
    path = executed(toy, verdicts=[verdict(verdict="supported")])
    site.stage([ChapterResult("toy", "quick", path, {}, "toy: failed")])
    assert "rb-supported" not in staged(toy, "book/scoreboard.md")


def test_damaged_archive_is_told_on_the_scoreboard(toy):
    archive(toy, "standard", verdict())
    (toy / "book/results/toy/standard/verdicts.json").write_text("[]")
    site.stage([ChapterResult("toy", "quick", executed(toy))])
    text = staged(toy, "book/scoreboard.md")
    assert ":::{warning}" in text
    assert "checksums" in text


@pytest.mark.parametrize("order", [1, -1])
def test_largest_profile_wins_and_untested_never_hides_a_verdict(order):
    untested = verdict(profile="full", verdict="untested")
    given = [verdict(profile="quick"), verdict(profile="standard"), untested][::order]
    assert [v["profile"] for v in evidence.strongest(given)] == ["standard"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("n_seeds", "profile"), [(1, "standard"), (5, "full"), (None, "full")])
def test_a_full_run_of_one_seed_does_not_replace_several_seeds(order, n_seeds, profile):
    full = verdict(profile="full", n_seeds=n_seeds)
    quick = verdict(profile="quick", n_seeds=2)
    given = [quick, verdict(profile="standard", n_seeds=5), full][::order]
    assert [v["profile"] for v in evidence.strongest(given)] == [profile]
    assert [v["profile"] for v in evidence.strongest([quick, full][::order])] == ["full"]


def test_sources_and_layers_are_kept_apart():
    given = [verdict(), verdict(source="open"), verdict(layer="reanalysis", source="authors")]
    assert evidence.strongest(given) == given


def make_hostile(book: Path) -> None:
    paper = book / "data_manifests/papers/toy/paper.yml"
    edit(paper, "A toy paper", json.dumps(HOSTILE))
    edit(paper, "Two is larger than one.", json.dumps(HOSTILE))


def test_hostile_text_has_no_effect_on_generated_pages(toy):
    make_hostile(toy)
    path = executed(toy, verdicts=[verdict(verdict="untested", note=HOSTILE)])
    run = {"hardware": {"cpu": HOSTILE}, "versions": {"python": HOSTILE}}
    site.stage([ChapterResult("toy", "quick", path, run)])
    for name in ("scoreboard", "data", "build"):
        text = staged(toy, f"book/{name}.md")
        assert "<script>" not in text.replace("\\<", ""), name
        outside = [part.split("\n````\n", 1)[-1] for part in text.split("````{raw} html\n")]
        assert not any("````" in part for part in outside), name


def test_build_report_names_machine_versions_and_state(toy):
    run = {
        "id": "0123456789abcdef",
        "wall_s": 12.34,
        "peak_memory_mb": 812.6,
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "hardware": {"cpu": "A CPU", "cores": 2, "memory_gb": 8.0, "gpu": []},
    }
    text = pages.build_report([ChapterResult("toy", "quick", executed(toy), run)])
    for part in ("complete", "12.3", "813", "3.11.7", "2.13.0", "A CPU, 2 cores, 8.0 GB, no GPU"):
        assert part in text
    assert "0123456789ab<" in text
    assert "failed" in pages.build_report([failure(toy)])


def test_site_is_rendered_skipped_when_unchanged_and_rendered_after_a_change(toy, monkeypatch):
    make_hostile(toy)
    result = [failure(toy)]
    index = site.build(result)
    assert index == toy / "_build/html/index.html"
    assert "book/index.html" in index.read_text()
    html = toy / "_build/html"
    assert (
        "This chapter failed when the site was built" in (html / "notebooks/toy.html").read_text()
    )
    for name in ("notebooks/toy", "book/scoreboard", "book/data"):
        page = (html / f"{name}.html").read_text()
        assert "&lt;script&gt;alert" in page, name
        assert "<script>alert" not in page, name

    calls = []
    original = rendering._command
    monkeypatch.setattr(rendering, "_command", lambda: calls.append(1) or original())
    site.build(result)
    assert calls == []

    edit(toy / "book/index.md", "the board", "the missing board](nowhere.md) and [x")
    with pytest.raises(ReplicateError, match=r"book/index.md.*nowhere.md"):
        site.build(result)
    with pytest.raises(ReplicateError, match=r"warnings, which are errors"):
        site.build(result)
    assert calls == [1, 1], "a failed build is not taken for a finished one"


FAKE_RENDERER = """
import pathlib, sys
html = pathlib.Path(sys.argv[sys.argv.index("--path-output") + 1]) / "_build/html"
html.mkdir(exist_ok=True)
(html / "index.html").write_text("<body>")
"""


def test_page_that_went_is_gone_from_the_site(toy, monkeypatch):
    monkeypatch.setattr(rendering, "_command", lambda: [sys.executable, "-c", FAKE_RENDERER])
    html = toy / "_build/html"
    site.build([])
    (html / "gone.html").write_text("old")
    edit(toy / "book/index.md", "Toy book", "New title")
    site.build([])
    assert (html / "gone.html").exists(), "unchanged set of pages: rendered on top"
    edit(toy / "_toc.yml", "\n  - file: book/data", "")
    (toy / "book/data.md").unlink()
    site.build([])
    assert not (html / "gone.html").exists()


CHAPTERS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_code_cell_of_a_chapter_is_longer_than_25_lines(path):
    import jupytext

    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    long = {i: len(c.source.splitlines()) for i, c in enumerate(cells, start=1)}
    assert {i: n for i, n in long.items() if n > 25} == {}


def test_contents_are_listed_through_parts_and_sections():
    toc = {"root": "a.md", "parts": [{"caption": "x", "chapters": [{"file": "b"}]}]}
    assert list(staging.entries(toc)) == ["a", "b"]
