"""Interactive tables: plain HTML that holds everything, a bundle that loads from a file."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from common.display import Shown
from common.errors import ReplicateError
from common.site import tables
from common.site.tables import Column, Filter, Row

HOSTILE = "\"><script>alert(1)</script>'`</table>"
COLUMNS = (Column("name"), Column("score", "number", width=3))


class Reader(HTMLParser):
    """Collects the tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def written(*rows, columns=COLUMNS, **options):
    return Reader(tables.table(columns, rows, **{"name": "t", "caption": "c", **options}))


def test_table_has_a_caption_and_scopes_and_can_be_reached_by_keyboard():
    html = tables.table(COLUMNS, [Row(["a", "1"])], name="t", caption="What is in it")
    found = Reader(html)
    assert "<caption><span>What is in it</span></caption>" in html
    assert [th["scope"] for th in found.all("th")] == ["col", "col", "row"]
    (box,) = found.all("div")
    assert (box["role"], box["tabindex"], box["aria-label"]) == ("region", "0", "What is in it")


def test_text_of_every_part_is_shown_as_text():
    found = written(
        Row([HOSTILE, HOSTILE], order={0: HOSTILE}, words={"k": [HOSTILE]}, id=HOSTILE),
        columns=(Column(HOSTILE), Column("b")),
        name=HOSTILE,
        caption=HOSTILE,
        filters=[Filter("k", HOSTILE)],
        note=HOSTILE,
    )
    assert found.all("script") == []
    assert found.text.count(HOSTILE) == 5
    assert found.all("table")[0]["id"] == HOSTILE
    assert json.loads(found.all("tr")[1]["data-words"]) == {"k": [HOSTILE]}


def test_cell_that_brings_its_own_html_keeps_it():
    assert '<th scope="row"><b>x</b></th>' in tables.table(
        COLUMNS, [Row([Shown(plain="x", html="<b>x</b>"), "1"])], name="t", caption="c"
    )


def test_numbers_say_what_they_sort_by_and_missing_ones_too():
    found = written(Row(["a", "–"], order={1: None}), Row(["b", "+1 point"], order={1: 0.01}))
    assert [td["data-order"] for td in found.all("td")] == ["", "0.01"]
    assert all("data-order" not in th for th in found.all("th"))
    assert found.all("th")[1]["data-type"] == "num"


def test_rows_carry_only_the_words_that_a_filter_asks_for():
    found = written(
        Row(["a", "1"], words={"k": ["x", "y"], "other": ["z"]}),
        Row(["b", "2"]),
        filters=[Filter("k", "Kind"), Filter("t", "Text", "text")],
    )
    words = [json.loads(row["data-words"]) for row in found.all("tr")[1:]]
    assert words == [{"k": ["x", "y"], "t": []}, {"k": [], "t": []}]
    controls = json.loads(found.all("table")[0]["data-filters"])
    assert controls == [["k", "Kind", "select"], ["t", "Text", "text"]]


def test_row_of_another_length_than_the_columns_is_refused():
    with pytest.raises(ValueError, match="zip"):
        written(Row(["a"]))


def test_page_loads_four_files_of_its_own_site():
    addresses = re.findall(r'(?:href|src)="([^"]+)"', tables.head("static"))
    assert addresses == [
        "static/tables/datatables.css",
        "static/tables.css",
        "static/tables/datatables.js",
        "static/tables.js",
    ]


def test_bundle_of_the_installed_package_becomes_a_classic_script():
    files = {path.rpartition("/")[2]: content.decode() for path, content in tables.assets().items()}
    script = files["datatables.js"]
    assert not re.search(r"^(import|export)\b|\bexport\{|import\.meta", script, flags=re.MULTILINE)
    assert re.search(r"window\.DataTable = [\w$]+;", script)
    assert "DataTables" in script
    assert "dt-container" in files["datatables.css"]
    assert "MIT License" in files["LICENSE.txt"]


@pytest.mark.parametrize(
    "module",
    [
        "var a=1;",
        "var a=1;export{a as b};",
        "export{a as default};export{b};",
        "import x from 'y';\nexport{a as default};",
    ],
)
def test_bundle_of_another_form_is_refused(module):
    with pytest.raises(ReplicateError, match=r"bundle of itables .* pyproject\.toml"):
        tables.classic_script(module)


def test_downloads_hold_the_same_rows_and_missing_values():
    frame = pd.DataFrame({"a": ["x", None], "n": [1.5, float("nan")], "b": [True, False]})
    made = tables.downloads(frame, "book/t")
    assert set(made) == {"book/t.csv", "book/t.json"}
    assert made["book/t.csv"].decode() == "a,n,b\nx,1.5,True\n,,False\n"
    assert json.loads(made["book/t.json"]) == [
        {"a": "x", "n": 1.5, "b": True},
        {"a": None, "n": None, "b": False},
    ]


def test_text_that_a_spreadsheet_would_run_is_defused_in_the_csv_alone():
    frame = pd.DataFrame({"a": ["=1+1", "@x", "-2 points", 'say "=1"'], "n": [-1, 2, 3, 4]})
    made = tables.downloads(frame, "t")
    rows = list(csv.DictReader(io.StringIO(made["t.csv"].decode())))
    assert [row["a"] for row in rows] == ["'=1+1", "'@x", "'-2 points", 'say "=1"']
    assert rows[0]["n"] == "-1"
    assert [row["a"] for row in json.loads(made["t.json"])] == frame["a"].tolist()
