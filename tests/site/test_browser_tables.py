"""Scoreboard and atlas in a real browser, from files and from a sub-path, without any network."""

import csv
import functools
import http.server
import json
import shutil
import threading
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from test_browser import CHECKOUT, CONTRAST

from browsing import complaints, open_page, others, page_width, serious
from common import site
from toy_book import PAPER, TABLE, book_at, edit

pytestmark = pytest.mark.browser
TOC = """\
format: jb-book
root: book/index
chapters:
  - file: notebooks/toy
  - file: book/scoreboard
  - file: book/atlas
"""
NAMES = ("index", "scoreboard", "atlas")
WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
HOSTILE = "<img src=x onerror=alert(1)> `x`"
EFFECTS = (0.02, -0.005, 0.1, None)


def verdict(number, effect):
    tested = {"effect": effect, "low": effect - 0.01, "high": effect + 0.01} if effect else {}
    word = "supported" if effect == 0.1 else "inconclusive"
    return {
        "claim": f"C{number}",
        "layer": "replication",
        "source": "phantom",
        "verdict": word if effect else "untested",
        "note": HOSTILE,
        "p_adjusted": 0.04 if effect else None,
        **tested,
    }


def chapter(root):
    """Write a paper of four claims, and its executed chapter with verdicts and audit."""
    folder = root / "data_manifests/papers/toy"
    folder.mkdir(parents=True)
    (folder / "paper.yml").write_text(PAPER.format(slug="toy"))
    (folder / "table1.csv").write_text(TABLE)
    text = (folder / "paper.yml").read_text()
    claim = text.partition("claims:\n")[2].partition("parameters:")[0]
    others = [claim.replace("id: C1", f"id: C{n}").replace("Two", f"Arm {n}") for n in (2, 3, 4)]
    edit(folder / "paper.yml", "parameters:\n", "".join(others) + "parameters:\n")
    edit(folder / "paper.yml", "Two is larger than one.", json.dumps(f"Two {HOSTILE}"))
    (root / "verdicts.json").write_text(
        json.dumps([verdict(number, effect) for number, effect in enumerate(EFFECTS, start=1)])
    )
    check = {"id": "P1", "statement": HOSTILE, "status": "fail", "printed": 1, "recomputed": 2}
    (root / "audit.json").write_text(json.dumps([check]))
    prose = "# A toy chapter\n\n## The claims on trial\n\nSee there.\n\n## Audit\n\nNothing.\n"
    nbformat.write(new_notebook(cells=[new_markdown_cell(prose)]), root / "executed.ipynb")
    return root / "executed.ipynb"


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """Build a site with scoreboard and atlas, and return its folder."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("data_manifests/datasets", "notebooks", "book"):
        (root / folder).mkdir(parents=True)
    shutil.copytree(CHECKOUT / "book/_static", root / "book/_static")
    for name in ("book/atlas.md", "book/atlas.csv", "book/surveys.csv", "_config.yml"):
        shutil.copy(CHECKOUT / name, root / name)
    (root / "book/references.bib").write_text("")
    (root / "book/index.md").write_text("# Front\n\n% generated: scoreboard-picture\n")
    (root / "book/scoreboard.md").write_text(f"{WIDE}# Scoreboard\n\n% generated: scoreboard\n")
    (root / "_toc.yml").write_text(TOC)
    with book_at(root):
        return site.build([site.ChapterResult("toy", "quick", chapter(root))]).parent


@pytest.fixture(scope="module", params=["file", "sub-path"])
def address(request, html, tmp_path_factory):
    """Give the address of the site: of its files, and below a path of a server."""
    if request.param == "file":
        yield f"{html.as_uri()}/"
        return
    top = tmp_path_factory.mktemp("served")
    (top / "some").mkdir()
    (top / "some/book").symlink_to(html)
    handler = type(
        "Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}
    )
    serve = functools.partial(handler, directory=str(top))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/book/"
        server.shutdown()


@pytest.fixture
def tab(browser, address):
    """Open pages of the site, and close them after the test."""
    opened = []

    def open_one(name, **options):
        opened.append(open_page(browser, f"{address}book/{name}", **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()


@pytest.fixture
def from_files(browser, html):
    """Open pages from their files in a browser that is cut off from every network."""
    cut_off = SimpleNamespace(new_page=functools.partial(browser.new_page, offline=True))
    opened = []

    def open_one(name, **options):
        opened.append(open_page(cut_off, f"{html.as_uri()}/book/{name}", **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()


def column(page, table, place):
    """Return the texts of a column, first lines only."""
    cells = page.locator(f"#{table} tbody tr > :nth-child({place})").all_inner_texts()
    return [cell.split("\n")[0].strip() for cell in cells]


def info(page, table):
    return page.locator(f"#{table}_info").inner_text()


@pytest.mark.parametrize("name", NAMES)
def test_page_asks_nobody_else_and_reports_no_error(tab, address, name):
    page = tab(f"{name}.html")
    assert others(page.requests, address) == []
    assert complaints(page) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1280])
def test_page_never_scrolls_sideways_and_wide_tables_do(from_files, name, width):
    page = from_files(f"{name}.html", width=width)
    assert page_width(page) <= width
    if width == 390 and name != "index":
        box = page.locator(".rb-scroll").first
        assert box.evaluate("e => e.scrollWidth > e.clientWidth + 100")
        box.focus()
        assert box.evaluate("e => e === document.activeElement")
        assert box.get_attribute("role") == "region"


def test_scripts_of_tables_and_plots_are_loaded_only_where_they_are_used(from_files):
    loaded = {name: " ".join(from_files(f"{name}.html").requests) for name in NAMES}
    assert "datatables.js" not in loaded["index"]
    assert "datatables.js" in loaded["scoreboard"]
    assert "bokeh" not in loaded["scoreboard"]
    assert "bokeh.min.js" in loaded["atlas"]


def test_tables_work_from_files_without_any_network(from_files):
    page = from_files("atlas.html")
    assert info(page, "papers") == "1–25 of 196 rows"
    assert page.locator("#atlas-heatmap canvas").count() > 0
    assert complaints(page) == []


def test_header_sorts_numbers_by_value_with_the_mouse_and_the_keyboard(tab):
    page = tab("scoreboard.html")
    header = page.locator("#claims thead th", has_text="Effect here")
    header.click()
    page.wait_for_selector("#claims th[aria-sort=ascending]")
    rising = [text for text in column(page, "claims", 7) if text != "–"]
    assert rising == ["−0.50 points", "+2.00 points", "+10.00 points"]
    header.locator("[role=button]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#claims th[aria-sort=descending]")
    falling = [text for text in column(page, "claims", 7) if text != "–"]
    assert falling == rising[::-1]


def test_select_filters_rows_is_kept_in_the_address_and_can_be_cleared(tab):
    page = tab("scoreboard.html")
    page.locator("#claims-verdict").select_option("supported")
    assert column(page, "claims", 1) == ["C3"]
    assert "claims-verdict=supported" in page.url
    page.locator("#claims-verdict").select_option("any that was tested")
    assert len(column(page, "claims", 1)) == 3
    page.locator(".rb-filters button").first.click()
    page.wait_for_function("document.querySelectorAll('#claims tbody tr').length === 8")
    assert "claims-verdict" not in page.url


def test_address_of_a_filtered_view_opens_it(tab):
    page = tab("scoreboard.html?claims-layer=Replication&claims-verdict=untested")
    assert column(page, "claims", 1) == ["C4"]
    assert page.locator("#claims-layer").input_value() == "Replication"


def test_text_filter_and_search_box_narrow_rows(from_files):
    page = from_files("atlas.html")
    page.locator("#papers-technique").fill("GRADIENT")
    found = [text.lower() for text in column(page, "papers", 5)]
    assert found
    assert info(page, "papers").startswith(f"1–{len(found)} of {len(found)} rows")
    page.locator("#papers-technique").fill("")
    page.locator(".dt-search input").last.fill("stroke")
    page.wait_for_function(
        "!document.getElementById('papers_info').textContent.includes('of 196 rows')"
    )
    assert all(
        "stroke" in row.lower() for row in page.locator("#papers tbody tr").all_inner_texts()
    )


def test_filters_combine_and_count_what_they_offer(from_files):
    page = from_files("atlas.html")
    with (CHECKOUT / "book/atlas.csv").open(newline="") as stream:
        papers = list(csv.DictReader(stream))
    survey = [paper for paper in papers if paper["kind"] == "survey"]
    options = page.locator("#papers-kind").locator("option").all_inner_texts()
    assert f"survey ({len(survey)})" in options
    page.locator("#papers-kind").select_option("method")
    page.locator("#papers-task").select_option("registration")
    page.locator("#papers-code").select_option("with a link")
    wanted = [
        paper["title"]
        for paper in papers
        if paper["kind"] == "method"
        and "registration" in paper["task"].split(";")
        and paper["code_url"]
    ]
    assert column(page, "papers", 1) == wanted


def test_cell_of_the_heatmap_selects_its_rows_and_the_months_follow(from_files):
    page = from_files("atlas.html")
    page.wait_for_function("window.Bokeh && [...Bokeh.index.roots].length >= 2")
    page.locator("#atlas-heatmap").scroll_into_view_if_needed()
    place = page.evaluate(
        """() => {
        const view = [...Bokeh.index.roots].find(v => v.model.name === "heatmap");
        const box = view.el.getBoundingClientRect();
        return [box.left + view.frame.x_scale.compute("MR"),
                box.top + view.frame.y_scale.compute("registration")]; }"""
    )
    page.mouse.click(*place)
    page.wait_for_function("document.getElementById('papers-task').value === 'registration'")
    assert page.locator("#papers-modality").input_value() == "MR"
    assert info(page, "papers") == "1–8 of 8 rows (of 196 in all)"
    counted = page.evaluate(
        """() => { const view = [...Bokeh.index.roots].find(v => v.model.name === "by-month");
        const { linked, without } = view.model.document.get_model_by_name("months").data;
        return [...linked, ...without].reduce((a, b) => a + b, 0); }"""
    )
    assert counted == 8


def test_number_of_the_static_table_leads_to_its_rows(tab):
    page = tab("atlas.html")
    page.locator("details.rb-alternative > summary").first.click()
    page.get_by_label("8 on registration, MR", exact=True).click()
    page.wait_for_function(
        "document.getElementById('papers_info')?.textContent.startsWith('1–8 of 8')"
    )
    assert page.url.endswith("?papers-task=registration&papers-modality=MR#all-papers")


def test_line_of_the_front_page_leads_to_its_claims(tab):
    page = tab("index.html")
    page.get_by_label("toy, Replication, phantom: 1 supported, 2 inconclusive, 1 untested").click()
    page.wait_for_selector("#claims_info")
    assert info(page, "claims") == "1–4 of 4 rows (of 8 in all)"


def test_claim_leads_to_its_trial_in_the_chapter(tab):
    page = tab("scoreboard.html")
    page.locator("#claims").get_by_role("link", name="C1").first.click()
    page.wait_for_url("**/notebooks/toy.html#the-claims-on-trial")
    assert page.locator("#the-claims-on-trial h2").inner_text().startswith("The claims on trial")
    assert page.locator("#audit").count() == 1


@pytest.mark.parametrize(("name", "n"), [("scoreboard", 4), ("atlas", 1)])
def test_downloads_exist_and_hold_every_row(tab, html, address, name, n):
    page = tab(f"{name}.html")
    links = page.locator("article a.download").evaluate_all("links => links.map(a => a.href)")
    files = [html / unquote(urlsplit(link.replace(address, "")).path) for link in links]
    assert len(files) == n
    sizes = {}
    for file in files:
        text = file.read_text()
        rows = (
            json.loads(text) if file.suffix == ".json" else list(csv.DictReader(text.split("\n")))
        )
        sizes[file.name] = len(rows)
    wanted = {"scoreboard.csv": 8, "scoreboard.json": 8, "audit.csv": 1, "audit.json": 1}
    assert sizes == (wanted if name == "scoreboard" else {"atlas.csv": 196})


def test_every_row_is_printed_and_no_control(from_files):
    page = from_files("atlas.html")
    page.evaluate(
        "addEventListener('beforeprint', () => {"
        "window.printed = document.querySelectorAll('#papers tbody tr').length; })"
    )
    page.emulate_media(media="print")
    assert not page.locator(".rb-filters").first.is_visible()
    assert not page.locator(".dt-paging").first.is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("window.printed") == 196
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#papers tbody tr").count() == 25


@pytest.mark.parametrize(
    ("name", "table", "n"), [("scoreboard", "claims", 8), ("atlas", "papers", 196)]
)
def test_table_is_complete_without_a_script(browser, html, name, table, n):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{html.as_uri()}/book/{name}.html")
    assert page.locator(f"#{table} tbody tr:visible").count() == n
    assert page.locator(".rb-filters, .rb-plot:visible").count() == 0
    box = page.locator(f".rb-data:has(#{table})")
    widths = box.bounding_box()["width"], page.locator(f"#{table}").bounding_box()["width"]
    assert widths[0] <= 390 < widths[1]
    context.close()


def test_hostile_text_is_text(from_files):
    page = from_files("scoreboard.html")
    assert page.locator("#claims img, #audit img").count() == 0
    assert HOSTILE in page.locator("#claims").inner_text()
    assert HOSTILE in page.locator("#audit").inner_text()
    assert page.evaluate("document.querySelector('img[src=x]')") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_every_text_has_a_contrast_of_four_and_a_half(from_files, name, theme):
    page = from_files(f"{name}.html", theme=theme)
    page.wait_for_timeout(400)
    parts = {
        "index": (".rb-strip-name", ".rb-square", ".rb-board figcaption", ".rb-board-key li"),
        "scoreboard": (".rb-data td", ".rb-data th", ".rb-data small", ".rb-data caption span"),
        "atlas": (
            ".rb-data a",
            ".rb-filters span",
            ".rb-filters select",
            ".rb-filters button",
            ".dt-info",
            ".dt-search label",
            ".dt-paging-button",
            ".dt-length select",
        ),
    }
    for selector in parts[name]:
        values = page.evaluate(CONTRAST, selector)
        assert values, selector
        assert min(values) >= 4.5, selector


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(from_files, name, theme):
    assert serious(from_files(f"{name}.html", theme=theme)) == []


def test_plot_takes_the_colours_of_the_theme_when_it_changes(from_files):
    page = from_files("atlas.html", theme="light")
    page.wait_for_function("window.Bokeh && [...Bokeh.index.roots].length >= 2")
    colour = "[...Bokeh.index.roots][0].model.left[0].major_label_text_color"
    assert page.evaluate(colour) == "#1f2933"
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"({colour}) === '#e4e8ec'")
