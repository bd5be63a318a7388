import math
import re

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common import strict_yaml
from common.errors import ReplicateError
from common.strict_yaml import Strict, load, read

# Plain scalars at which YAML 1.1 and 1.2, or two parsers, like to differ.
SCALARS = re.split(
    r"\s+",
    """\
yes no on off y n true True TRUE false False null Null NULL ~ '' "" 0 -0 +1 12 012 0o14 0x1F
0b11 1_000 1.5 -1.5 +1.5 1. .5 1e3 1e-3 1.5e3 .inf -.inf .nan 1:30 12:30:45 2024-01-31 2024-1-1
= < - -x ? x: x:y a#b 1a 1.2.3 v1.2 "1" '2' "a\\tb" "\\u00e9" é 10.1000/x https://x.org/a?b=c&d
nullable notes 12px 0.5mm 00 1__0 1e 1E5 2024-01-31T12:00:00Z""",
)
DOCUMENTS = [
    "a: {b: [1, 2, {c: d}], e: }\n",
    "- a\n- [b, c]\n- {d: e}\n-\n",
    "a: >-\n  one\n  two\n\n  three\nb: |\n  one\n   two\nc: |+\n  x\n\n",
    "a: one\n  two # comment\nb: 'it''s'\nc: \"x\\\n  y\"\n",
    "1: a\n1.5: b\ntrue: c\nnull: d\n",
    "? a\n: b\n",
    "a: &x [1]\nb: *x\n",
    "a: &x {b: 1}\nc: {<<: *x, d: 2}\n",
    "a: !!str 1\n",
    "%YAML 1.1\n---\na: yes\n",
    "---\na: 1\n...\n",
    "# nothing\n",
    "",
    "just text\n",
    "a: 2024-01-31 12:30:00\n",
    "{a: b, c: [d, e,], f: 'g: h'}\n",
    "a: b: c\n",
    "a: [1\n",
    "\ta: 1\n",
    "a:\tb\n",
    "a: b\t\n",
    "a: 1\na: 2\n",
    "[a]: 1\n",
    "--- a\n--- b\n",
    "a: @b\n",
    "a: %b\n",
    "a: [x:y, b]\n",
]


def by_reference(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def outcome(call, *arguments):
    """A value with its types, or the fact that there was an error."""
    try:
        return repr(call(*arguments))
    except (ReplicateError, YAMLError, RecursionError, TypeError):
        return "error"


@pytest.fixture
def document(tmp_path):
    def write(text: str):
        path = tmp_path / "toy.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("form", ["a: {}\n", "- {}\n", "a: [{}, b]\n", "{}: a\n"])
def test_the_quick_parser_reads_scalars_like_the_reference(document, scalar, form):
    text = form.replace("{}", scalar)
    assert outcome(read, document(text)) == outcome(by_reference, text)


@pytest.mark.parametrize("text", DOCUMENTS)
def test_the_quick_parser_reads_documents_like_the_reference(document, text):
    assert outcome(read, document(text)) == outcome(by_reference, text)


def test_the_books_files_are_read_like_by_the_reference_and_manifests_quickly(checkout):
    listed = sorted((checkout / "data_manifests" / "datasets").glob("*.yml"))
    for path in [*listed, *(checkout / "data_manifests" / "papers").glob("*/paper.yml")]:
        assert repr(read(path)) == repr(by_reference(path.read_text(encoding="utf-8"))), path.name
    for path in listed:
        strict_yaml._plain_document(path.read_text(encoding="utf-8"))


def test_everything_is_read_where_the_quick_parser_was_not_built(document, monkeypatch):
    monkeypatch.setattr(strict_yaml, "_PARSER", None)
    assert read(document("a: [1, yes, 1.5]\n")) == {"a": [1, "yes", 1.5]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'toy.yml:3: found duplicate key "a"'),
        ("x:\n  a: 1\n  a: 3\n", "toy.yml:3: found duplicate key"),
        ("a: {b: 1, b: 2}\n", "found duplicate key"),
        ("a: [1, 2\n", "Mend the YAML at that line"),
        ("a: b: c\n", "toy.yml:1: mapping values are not allowed here, in `a: b: c`"),
    ],
)
def test_an_error_names_the_line(document, text, said):
    with pytest.raises(ReplicateError) as raised:
        read(document(text))
    assert said in str(raised.value)


def test_a_file_that_is_absent_or_no_text_is_one_readable_error(document, tmp_path):
    with pytest.raises(ReplicateError, match="cannot be read"):
        read(tmp_path / "absent.yml")
    path = document("")
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ReplicateError, match="cannot be read"):
        read(path)


def test_many_aliases_of_aliases_take_no_time(document):
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    found = read(document("a0: &a0 [x]\n" + "\n".join(rows) + "\n"))
    assert len(found["a29"]) == 9


def test_a_deep_document_is_one_readable_error_or_read(document):
    text = "[" * 5000 + "]" * 5000
    assert outcome(read, document(text)) == "error"


class Toy(Strict):
    name: str
    share: float = math.nan


def test_a_document_that_does_not_fit_lists_every_problem(document):
    assert load(document("name: a\nshare: 0.5\n"), Toy) == Toy(name="a", share=0.5)
    with pytest.raises(ReplicateError) as raised:
        load(document("naem: a\nshare: x\n"), Toy)
    text = str(raised.value)
    assert "toy.yml does not describe a toy" in text
    assert all(f"  {field}: " in text for field in ("name", "naem", "share"))
