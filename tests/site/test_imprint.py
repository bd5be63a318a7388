import pytest

from common.errors import ReplicateError
from common.site import imprint

CONFIG = """\
title: Toy
author: A. Writer
repository: {url: "https://example.org/source"}
html: {baseurl: "https://example.org/toy"}
"""


def test_address_ends_with_a_slash_and_leads_to_files_of_the_site(tmp_path):
    (tmp_path / "_config.yml").write_text(CONFIG)
    found = imprint.read(tmp_path)
    assert found == imprint.Imprint(
        "Toy", "A. Writer", "https://example.org/toy/", "https://example.org/source"
    )
    assert found.url("book/a.html") == "https://example.org/toy/book/a.html"


def test_book_without_an_address_has_paths_in_their_place(tmp_path):
    (tmp_path / "_config.yml").write_text("title: Toy\n")
    found = imprint.read(tmp_path)
    assert found == imprint.Imprint("Toy", "", "", "")
    assert found.url("book/a.html") == "book/a.html"


@pytest.mark.parametrize(
    "address", ["example.org", "ftp://example.org", 'https://x.org/"><script>', "https://x.org/?a"]
)
def test_address_that_is_none_is_refused(tmp_path, address):
    (tmp_path / "_config.yml").write_text(f"html:\n  baseurl: '{address}'\n")
    with pytest.raises(ReplicateError, match=r"_config.yml: `html.baseurl` must be a web address"):
        imprint.read(tmp_path)


def test_configuration_of_this_book_names_one_address(checkout):
    text = (checkout / "_config.yml").read_text()
    found = imprint.read(checkout)
    assert found.address == "https://replication-book.github.io/replication-book/"
    assert text.count(found.address) == 1
