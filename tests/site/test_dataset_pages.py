"""The pages of data sets, from manifests of a miniature book."""

import json

import pytest

from common import manifests, strict_yaml
from common.manifest_schema import Manifest
from common.site import dataset_pages, galleries, staging

HOSTILE = "<script>alert(1)</script> `x` ````{raw} html"
CELLS = f"""\
dataset: cells
title: "Cells {HOSTILE}"
version: "1"
task: [classification]
modality: microscopy
subjects: 1234
classes: {{benign: 3, "<b>x</b>": null}}
access: registration
homepage: "https://example.org/?q=\\"><script>"
citation: A. Author, 2020.
licence: {{name: "research <b>only</b>", checked: memory}}
layout:
  - {{glob: "images/*/a.png", count: 1200, what: "the <i>images</i>"}}
  - {{glob: "images/labels.csv", count: 1}}
used_by: [toy, later]
phantom: cells-phantom
faithfulness: none
unchecked: {{subjects: from memory}}
obtain: ["write to <b>them</b>", "wait"]
"""
PHANTOM = """\
dataset: cells-phantom
title: Phantom of cells
version: generated
task: [classification]
modality: microscopy (simulated)
access: generated
citation: This book.
licence: {name: licence of this book, checked: read, note: LICENSE}
layout: Arrays in memory.
used_by: [toy]
module: hep2_i3a_task2
faithfulness: It speaks of a mechanism, never of patients.
"""


@pytest.fixture
def toy(book, monkeypatch):
    folder = book / "data_manifests/datasets"
    (folder / "cells.yml").write_text(CELLS)
    (folder / "cells-phantom.yml").write_text(PHANTOM)
    drawn = []
    monkeypatch.setattr(
        galleries, "_draw", lambda module: (drawn.append(1) or b"png", ["evidence"])
    )
    return drawn


def page(name: str) -> str:
    return dataset_pages.files()[f"book/data/{name}.md"].decode()


def test_the_overview_links_each_page_and_sets_phantoms_apart(toy):
    text = dataset_pages.overview()
    assert text.index("## Real data sets") < text.index("## Phantoms")
    assert '<a href="data/cells.html">cells</a>' in text
    assert ">missing</td>" in text
    assert "research &lt;b&gt;only&lt;/b&gt;" in text
    phantoms = text[text.index("## Phantoms") :]
    assert '<a href="data/cells.html">cells</a>' in phantoms  # what it stands in for


def test_the_facts_can_be_downloaded(toy):
    written = dataset_pages.files()
    rows = {row["dataset"]: row for row in json.loads(written["book/datasets.json"])}
    assert rows["cells"]["subjects"] == 1234
    assert rows["cells"]["unchecked"] == "subjects"
    assert rows["cells-phantom"]["images"] is None
    assert b"cells-phantom," in written["book/datasets.csv"]


def test_a_page_tells_facts_counts_steps_files_and_what_was_not_checked(toy):
    text = page("cells")
    for part in (
        "research &lt;b&gt;only&lt;/b&gt;",
        "terms not read for this book",
        "subjects (not checked)",
        "1,234",
        "1. write to",
        "images/\n    ├── */\n    │   └── a.png   1,200 × the &lt;i&gt;images&lt;/i&gt;",
        "└── labels.csv",
        "from memory",
        "cells.croissant.json",
        'src="../../_static/galleries/cells-phantom.png"',
    ):
        assert part in text, part


def test_nothing_in_a_manifest_becomes_code(toy):
    for name in ("cells", "cells-phantom"):
        text = page(name)
        outside = [part.split("\n````\n", 1)[-1] for part in text.split("````{raw} html\n")]
        assert "<script" not in "".join(outside).replace("\\<", "")
        assert not any("````{raw}" in part.replace("\\`", "") for part in outside)
        assert "<script>" not in text.replace("\\<script", "")


def test_the_page_of_a_phantom_shows_its_dials_and_its_source(toy):
    text = page("cells-phantom")
    assert ">evidence</t" in text
    assert "def phantom(" in text
    assert 'alt="Generated cases of cells' in text


def test_the_croissant_file_of_each_page_is_staged(toy):
    written = dataset_pages.files()
    assert json.loads(written["book/data/cells.croissant.json"])["name"] == "cells"
    assert written["book/_static/galleries/cells-phantom.png"] == b"png"


def test_a_gallery_is_drawn_once_for_the_same_code(toy):
    galleries.gallery("cells-phantom")
    again = galleries.gallery("cells-phantom")
    assert toy == [1]
    assert "evidence (share): Strengthens the pattern" in again.caption


def test_without_patterns_listed_files_are_gathered_by_folder_and_suffix():
    files = [{"path": f"a/{i}.png", "bytes": 1, "sha256": "0" * 64} for i in range(3)]
    files.append({"path": "b/one.csv", "bytes": 1, "sha256": "0" * 64})
    manifest = Manifest.model_validate(
        {
            "dataset": "x",
            "title": "X",
            "version": "1",
            "task": ["t"],
            "modality": "m",
            "access": "open",
            "citation": "c",
            "licence": {"name": "unknown", "checked": "none-stated"},
            "source": {"base_url": "https://example.org"},
            "files": files,
            "used_by": [],
            "faithfulness": "f",
        }
    )
    tree = dataset_pages._tree(manifest)
    assert "├── a/\n│   └── *.png   3 files\n└── b/\n    └── one.csv" in tree


def test_the_table_of_contents_gains_a_section_for_each_data_set(toy, tmp_path):
    toc = "format: jb-book\nroot: book/index\nchapters:\n  - file: book/data\n  - file: book/x\n"
    path = tmp_path / "toc.yml"
    path.write_text(staging._with_datasets(toc))
    found = strict_yaml.read(path)["chapters"]
    assert [section["title"] for section in found[0]["sections"]] == ["cells", "cells-phantom"]
    assert "sections" not in found[1]


def test_real_galleries_show_every_class_that_fits(book, tmp_path):
    from PIL import Image

    (book / "data_manifests/datasets/cells-phantom.yml").write_text(PHANTOM)
    (tmp_path / "found.png").write_bytes(galleries.gallery("cells-phantom").png)
    with Image.open(tmp_path / "found.png") as image:
        assert image.width > 1000
        assert image.height > 350
    assert manifests.datasets() == ["cells-phantom"]
