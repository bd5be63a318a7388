"""Fixtures shared by all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common import paths


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(20230)


@pytest.fixture(scope="session")
def mirror() -> Callable[[str], Path]:
    """Find the real files of a data set, or skip the test with the reason.

    The files come from the folder that ``REPLICATE_MIRROR`` names, else from the reader's own
    copy, fetched with ``replicate data fetch``.
    """
    from common import manifests

    def find(dataset: str) -> Path:
        folder = manifests.locate(dataset)
        if folder is None:
            pytest.skip(
                f"real files of {dataset} are absent: set REPLICATE_MIRROR or run "
                f"`replicate data fetch {dataset}`"
            )
        return folder

    return find


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout in a temporary folder, made the root of the book for one test."""
    for folder in ("data_manifests/datasets", "data_manifests/papers", "notebooks", "book"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("REPLICATE_ROOT", str(tmp_path))
    paths._find_root.cache_clear()
    yield tmp_path
    paths._find_root.cache_clear()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of this checkout."""
    os.environ.pop("REPLICATE_ROOT", None)
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def browser():
    """Start Chromium, or say why these tests cannot run."""
    # not above: who adds a paper may have this file without its neighbours
    from browsing import CHROMIUM, FLAGS

    if CHROMIUM is None:
        pytest.skip("no Chromium on the path; on Debian: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()
