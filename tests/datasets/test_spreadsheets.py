import zipfile

import pytest
from workbooks import MAIN, pack, parts, write

from common.datasets import spreadsheets
from common.datasets.spreadsheets import read_sheet
from common.errors import ReplicateError

ROWS = [["Image", "Type", "Note"], [1, "Benign", None], [12, " Malignant ", "a & b"]]


def test_rows_come_as_text_with_numbers_as_they_were_written(tmp_path):
    assert read_sheet(write(tmp_path / "a.xlsx", ROWS), ("Image", "Type")) == [
        {"Image": "1", "Type": "Benign", "Note": ""},
        {"Image": "12", "Type": "Malignant", "Note": "a & b"},
    ]


def test_the_first_sheet_is_that_of_the_workbook_and_not_of_the_file_names(tmp_path):
    documents = parts(ROWS)
    first, second = "xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"
    documents[first], documents[second] = documents[second], documents[first]
    with pytest.raises(ReplicateError, match="no column Image"):
        read_sheet(pack(tmp_path / "a.xlsx", documents), ("Image",))
    rels = "xl/_rels/workbook.xml.rels"
    documents[rels] = documents[rels].replace("worksheets/sheet1.xml", "/xl/worksheets/sheet2.xml")
    assert len(read_sheet(pack(tmp_path / "b.xlsx", documents), ("Image",))) == 2


def test_texts_within_cells_and_rich_texts_are_read(tmp_path):
    documents = parts([["Image"], ["shared"]])
    documents["xl/sharedStrings.xml"] = (
        f'<sst xmlns="{MAIN}"><si><t>Image</t></si>'
        "<si><r><t>be</t></r><r><t>nign</t></r><rPh><t>x</t></rPh></si></sst>"
    )
    sheet = "xl/worksheets/sheet1.xml"
    inline = '<row><c r="A3" t="inlineStr"><is><t>inside</t></is></c></row></sheetData>'
    documents[sheet] = documents[sheet].replace("</sheetData>", inline)
    found = read_sheet(pack(tmp_path / "a.xlsx", documents), ("Image",))
    assert [row["Image"] for row in found] == ["benign", "inside"]


def test_empty_rows_do_not_count(tmp_path):
    path = write(tmp_path / "a.xlsx", [[None], *ROWS[:2], [None, ""], ROWS[2]])
    assert [row["Image"] for row in read_sheet(path, ("Image",))] == ["1", "12"]


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(ReplicateError, match=r"a.xlsx must be .*no column Kind in the first row"):
        read_sheet(write(tmp_path / "a.xlsx", ROWS), ("Image", "Kind"))
    with pytest.raises(ReplicateError, match="no column Image"):
        read_sheet(write(tmp_path / "b.xlsx", []), ("Image",))


@pytest.mark.parametrize("name", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
def test_a_workbook_without_one_of_its_documents_is_refused(tmp_path, name):
    documents = parts(ROWS)
    del documents[name]
    with pytest.raises(ReplicateError, match=r"a.xlsx must be a sound .xlsx workbook"):
        read_sheet(pack(tmp_path / "a.xlsx", documents), ("Image",))


def test_entities_an_absent_file_and_one_that_is_no_archive_are_refused(tmp_path):
    documents = parts(ROWS)
    declared = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    sheet = "xl/worksheets/sheet1.xml"
    documents[sheet] = declared + documents[sheet].replace("<v>12</v>", "<v>&e;</v>")
    with pytest.raises(ReplicateError, match="Entit"):
        read_sheet(pack(tmp_path / "a.xlsx", documents), ("Image",))
    with pytest.raises(ReplicateError, match="No such file"):
        read_sheet(tmp_path / "absent.xlsx", ("Image",))
    (tmp_path / "b.xlsx").write_text("Image,Type")
    with pytest.raises(ReplicateError, match="not a zip file"):
        read_sheet(tmp_path / "b.xlsx", ("Image",))


def test_a_document_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(spreadsheets, "MAX_PART_BYTES", 10_000)
    documents = parts(ROWS)
    documents["xl/sharedStrings.xml"] += " " * 20_000
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in documents.items():
            archive.writestr(name, text)
    assert (tmp_path / "a.xlsx").stat().st_size < 10_000
    with pytest.raises(ReplicateError, match=r"sharedStrings.xml of more than 10,000 bytes"):
        read_sheet(tmp_path / "a.xlsx", ("Image",))
