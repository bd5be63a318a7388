"""The atlas: its data keep to their vocabulary, its page shows them and links what exists."""

import datetime
import json
import re
from html import unescape

import pandas as pd
import pytest

from common import papers, paths
from common.errors import ReplicateError
from common.site import atlas, atlas_plots
from toy_book import add_paper

HOSTILE = "<script>alert(1)</script> `x` ````{raw} html"
KINDS = {
    "attack-or-security",
    "benchmark",
    "dataset",
    "method",
    "survey",
    "theory-or-position",
    "tool",
}
TASKS = {
    "active-learning",
    "augmentation",
    "classification",
    "compression",
    "continual",
    "dataset-distillation",
    "detection",
    "distillation",
    "domain-adaptation/generalisation",
    "explainability",
    "fairness",
    "federated",
    "few-shot",
    "interactive",
    "landmark",
    "long-tailed",
    "multi-task",
    "ood-detection",
    "other",
    "privacy",
    "quality-assessment",
    "reconstruction",
    "registration",
    "regression",
    "report-generation",
    "robustness",
    "segmentation",
    "self-supervised",
    "semi-supervised",
    "shape-analysis",
    "super-resolution",
    "survival",
    "synthesis",
    "transfer",
    "uncertainty",
    "unsupervised",
    "vision-language",
    "weakly-supervised",
}
MODALITIES = {
    "CT",
    "MR",
    "PET",
    "X-ray",
    "dermoscopy",
    "endoscopy",
    "fundus/OCT",
    "histopathology",
    "microscopy",
    "multi",
    "natural",
    "none",
    "text",
    "ultrasound",
    "unspecified",
}
PAPER = dict.fromkeys(atlas.COLUMNS, "") | {
    "n": "1",
    "arxiv_id": "2501.00001",
    "version": "v2",
    "title": "A paper",
    "date": "2025-01-03",
    "kind": "method",
    "task": "segmentation;transfer",
    "modality": "CT;MR",
    "dims": "3D",
    "key_technique": "a trick",
    "headline_claim": "It is better",
    "testable": "yes",
    "replication_value": "4",
    "cpu_feasible": "yes",
    "reason": "because",
}


@pytest.fixture(scope="module")
def data():
    return atlas.read(paths.root() / "book/atlas.csv")


@pytest.fixture
def small_atlas(book):
    """Return a function that writes an atlas of given papers, and surveys."""

    def write(*changes, surveys=()):
        add_paper(book)
        rows = pd.DataFrame([PAPER | change for change in changes], columns=atlas.COLUMNS)
        rows.to_csv(book / "book/atlas.csv", index=False)
        listed = pd.DataFrame(surveys, columns=atlas.SURVEY_COLUMNS)
        listed.to_csv(book / "book/surveys.csv", index=False)
        return atlas.page()

    return write


def test_there_are_196_papers_and_none_is_there_twice(data):
    assert len(data) == 196
    assert data["n"].tolist() == [str(n) for n in range(1, 197)]
    assert data["arxiv_id"].is_unique
    assert data["title"].is_unique


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("kind", KINDS),
        ("task", TASKS),
        ("modality", MODALITIES),
        ("dims", {"2D", "3D", "2D+t", "none"}),
        ("testable", {"yes", "partly", "no"}),
        ("cpu_feasible", {"yes", "no"}),
        ("replication_value", {"1", "2", "3", "4", "5"}),
    ],
)
def test_categories_keep_to_their_vocabulary(data, column, words):
    used = {word for cell in data[column] for word in cell.split(";")}
    assert used == words


def test_identifiers_versions_and_dates_are_valid(data):
    assert data["arxiv_id"].str.fullmatch(r"2[0-5](0[1-9]|1[0-2])\.\d{5}").all()
    assert data["version"].str.fullmatch(r"v[1-9]").all()
    dates = [datetime.date.fromisoformat(date) for date in data["date"]]
    assert min(dates) == datetime.date(2024, 8, 27)
    assert max(dates) == datetime.date(2025, 2, 24)


def test_a_version_is_not_older_than_its_identifier(data):
    submitted = "20" + data["arxiv_id"].str[:2] + "-" + data["arxiv_id"].str[2:4]
    # the number is given on announcement, which may be the first day of the next month
    late = [
        (sent, date)
        for sent, date in zip(submitted, data["date"], strict=True)
        if sent > (datetime.date.fromisoformat(date) + datetime.timedelta(days=3)).isoformat()[:7]
    ]
    assert late == []


def test_links_are_https(data):
    links = [url for cell in data["code_url"] if cell for url in cell.split(";")]
    assert len(links) == 54
    assert all(re.fullmatch(r"https://[\w.-]+(/\S*)?", url) for url in links)


def test_texts_are_one_clean_line_and_every_method_has_a_claim(data):
    assert not data.map(lambda text: text != " ".join(text.split())).any().any()
    for column in ("title", "key_technique", "headline_claim", "reason"):
        assert (data[column] != "").all(), column
    assert (data.loc[data["kind"] == "method", "headline_claim"] != "none").all()


def test_every_survey_is_on_the_reading_map_once(data):
    mapped = atlas.read(paths.root() / "book/surveys.csv", atlas.SURVEY_COLUMNS)
    surveys = data.loc[data["kind"] == "survey", "arxiv_id"]
    assert sorted(mapped["arxiv_id"]) == sorted(surveys)
    assert (mapped["question"].str[-1].isin(list("?."))).all()


def test_page_of_the_book_has_every_paper_and_the_number_that_its_text_names(data):
    text = atlas.page()
    assert len(re.findall(r'<tr id="arxiv-', text)) == 196
    assert "196 papers" in (paths.root() / "book/atlas.md").read_text()


def test_row_tells_technique_claim_and_worth_and_links_to_the_version(small_atlas):
    text = small_atlas({"claim_metric": "Dice", "claim_value": "0.9", "venue": "MICCAI 2024"})
    assert '<a href="https://arxiv.org/abs/2501.00001v2">A paper</a>' in text
    assert "<small>arXiv 2501.00001v2</small><br><small>MICCAI 2024</small>" in text
    assert "a trick<br><small>It is better</small><br><small>Dice: 0.9</small>" in text
    assert "4 of 5<br><small>because</small><br><small>testable: yes, CPU: yes</small>" in text


def test_rows_are_found_by_each_of_several_values(small_atlas):
    text = small_atlas({"code_url": "https://a.org/x"}, {"arxiv_id": "2501.00002"})
    found = [json.loads(unescape(each)) for each in re.findall(r' data-words="(.*?)"', text)]
    assert found[0]["task"] == ["segmentation", "transfer"]
    assert found[0]["modality"] == ["CT", "MR"]
    assert [each["code"] for each in found] == [["with a link"], ["without"]]
    assert found[0]["month"] == ["2025-01"]


def test_related_chapter_is_a_link_only_where_the_chapter_exists(small_atlas):
    text = small_atlas(
        {"related_chapter": "toy"}, {"related_chapter": "planned", "arxiv_id": "2501.00002"}
    )
    assert '<a href="../notebooks/toy.html">toy</a>' in text
    assert "<td>planned</td>" in text
    assert papers.slugs() == ["toy"]


def test_several_links_are_told_apart_and_only_https_is_linked(small_atlas):
    text = small_atlas({"code_url": "https://a.org/x;https://a.org/y;javascript:alert(1)"})
    assert 'aria-label="link of A paper">link</a><br><a href="https://a.org/y"' in text
    assert ">link 2</a>" in text
    assert "javascript:" not in text


def test_paper_whose_identifier_is_none_of_arxiv_is_not_linked(small_atlas):
    text = small_atlas({"arxiv_id": 'x"onclick="alert(1)'})
    assert "arxiv.org/abs" not in text
    assert '"onclick="' not in text


def test_hostile_text_is_shown_as_text_everywhere(small_atlas):
    words = dict.fromkeys(
        (
            "title",
            "venue",
            "key_technique",
            "headline_claim",
            "claim_metric",
            "reason",
            "related_chapter",
            "code_url",
            "kind",
            "task",
            "modality",
            "dims",
            "testable",
            "cpu_feasible",
        ),
        HOSTILE,
    )
    survey = ("2501.00001", HOSTILE, HOSTILE)
    text = small_atlas(words | {"code_url": "https://a.org/" + HOSTILE}, surveys=[survey])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>" not in text.replace("\\<", "")
    outside = [part.split("\n````\n", 1)[-1] for part in text.split("````{raw} html\n")]
    assert not any("````" in part for part in outside)


def test_cells_count_a_paper_for_each_of_its_pairs():
    frame = pd.DataFrame({"task": ["a;b", "a"], "modality": ["CT;MR", "CT"]})
    assert atlas.counts(frame) == {("a", "CT"): 2, ("a", "MR"): 1, ("b", "CT"): 1, ("b", "MR"): 1}


def test_months_count_papers_with_and_without_a_link():
    frame = pd.DataFrame(
        {"date": ["2025-01-03", "2025-01-04", "2024-12-01"], "code_url": ["", "https://x", ""]}
    )
    assert atlas.by_month(frame) == {"2024-12": (0, 1), "2025-01": (1, 1)}


def test_numbers_of_the_plots_are_also_in_tables_that_lead_to_the_rows(small_atlas):
    text = small_atlas({}, {"arxiv_id": "2501.00002", "task": "transfer"})
    assert 'href="?papers-task=transfer&amp;papers-modality=CT#all-papers"' in text
    assert 'aria-label="2 on transfer, CT">2</a>' in text
    assert "Papers by month of the listed version" in text


def plotted(text, name):
    found = re.search(rf'data-plot="{name}">(.*?)</script>', text, flags=re.DOTALL)[1]
    return found, json.loads(found)


@pytest.mark.parametrize("name", ["atlas-heatmap", "atlas-months"])
def test_data_of_a_plot_are_json_that_cannot_leave_its_element(small_atlas, name):
    text, item = plotted(small_atlas({"task": "</script><b>"}), name)
    assert not set("<>&`") & set(text)
    assert item["target_id"] == name


def test_plots_are_the_same_text_each_time_and_share_no_id():
    counts = {("a", "CT"): 2}
    first, again = atlas_plots.heatmap(counts), atlas_plots.heatmap(counts)
    assert first == again
    other = atlas_plots.months({"2025-01": (1, 1)})
    ids = [set(re.findall(r'"id": ?"([^"]+)"', text)) for text in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_survey_that_the_atlas_lacks_is_refused(small_atlas):
    with pytest.raises(ReplicateError, match=r"surveys.csv names '9999.99999', which is not in"):
        small_atlas({}, surveys=[("9999.99999", "topic", "Why?")])


def test_reading_map_groups_surveys_and_asks_their_question(small_atlas):
    text = small_atlas({"kind": "survey"}, surveys=[("2501.00001", "Shift", "What moves?")])
    assert "**Shift**" in text
    assert re.search(r"- \[A paper\]\(https://arxiv.org/abs/2501.00001v2\)\. What moves\?", text)


def test_file_with_other_columns_or_none_is_refused(book):
    (book / "book/atlas.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        ReplicateError, match=r"atlas.csv must have the columns n, arxiv_id, .* a, b"
    ):
        atlas.read()
    with pytest.raises(ReplicateError, match=r"none.csv cannot be read"):
        atlas.read(book / "none.csv")


def test_page_loads_one_plotting_script_with_its_licence():
    made = atlas.files()
    assert b"Bokeh" in made["book/_static/bokeh/bokeh.min.js"][:3000]
    assert b"Redistribution" in made["book/_static/bokeh/LICENSE.txt"]
    assert "book/_static/tables/datatables.js" in made
