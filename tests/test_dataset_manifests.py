"""The book's own manifests: sound each, consistent with each other and with the mirror's files."""

import csv
import os
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from common import manifests, papers
from common.manifest_schema import Manifest

MANIFESTS = Path(__file__).resolve().parent.parent / "data_manifests" / "datasets"
DATASETS = sorted(path.stem for path in MANIFESTS.glob("*.yml"))

SLUGS = {
    "blimsr",
    "breast-fedprox",
    "casualty-action",
    "cell-detection",
    "denoising-efficientnet",
    "facial-phenotyping",
    "focalmix",
    "gross-pathology-lung",
    "hep2",
    "ife",
    "liver-cross-modality",
    "liver-ground-truth",
    "m-vaal",
    "maldi-registration",
    "media-perception",
    "nuclei-segformer",
    "polyp-pruning",
    "pseudo-spr",
    "segformer-vs-unet",
    "shape-registration",
    "shoulder-implant",
    "skin-bss",
    "sos",
    "super-images",
    "tofi-ml",
    "ton-vit",
    "web-segmentation",
    "wmh-stroke",
}

# where a mirror says what it copied; not part of any data set
SOURCES = "SOURCES.tsv"
MIRROR = os.environ.get("REPLICATE_MIRROR", "")
MIRRORED = (
    sorted(path.name for path in Path(MIRROR).iterdir() if path.is_dir())
    if MIRROR and Path(MIRROR).is_dir()
    else []
)
# a character that an address must not hold unless it is written as %XX
_BARE = re.compile(r"[^A-Za-z0-9%:/?#@!$&'()*+;=._~-]")
_PINNED = re.compile(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+")
_REMEMBERED = re.compile(r"from memory|remembered|not sure|unsure|\bI think\b", re.IGNORECASE)

each_dataset = pytest.mark.parametrize("dataset", DATASETS)
each_mirrored = pytest.mark.parametrize(
    "dataset",
    MIRRORED
    or [
        pytest.param("-", marks=pytest.mark.skip(reason="REPLICATE_MIRROR names no folder of data"))
    ],
)


@cache
def read(dataset: str) -> Manifest:
    return manifests.load(dataset)


@pytest.fixture(autouse=True)
def in_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def below(folder: Path) -> set[str]:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return files - {SOURCES}


def fits(path: str, glob: str) -> bool:
    parts, wanted = path.split("/"), glob.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def texts(value: Any, name: str = "") -> dict[str, str]:
    """Every text of a manifest by its dotted name; entries of lists count for their list."""
    if isinstance(value, str):
        return {name: value}
    if isinstance(value, dict):
        nested = [texts(inner, f"{name}.{key}".lstrip(".")) for key, inner in value.items()]
        return {key: text for found in nested for key, text in found.items()}
    if isinstance(value, list):
        nested = [texts(inner, name) for inner in value]
        return {name: "\n".join(text for found in nested for text in found.values())}
    return {}


def test_there_are_manifests_for_all_papers():
    assert len(SLUGS) == 28
    used = {slug for dataset in DATASETS for slug in read(dataset).used_by}
    assert sorted(SLUGS - used) == []


@each_dataset
def test_the_manifest_loads_and_has_the_name_of_its_file(dataset):
    manifest = read(dataset)
    assert manifest.dataset == dataset
    stated = [manifest.title, manifest.version, manifest.modality, manifest.citation]
    assert all(text.strip() for text in [*stated, manifest.faithfulness, *manifest.task])


@each_dataset
def test_the_data_sets_that_it_stands_in_for_exist(dataset):
    named = read(dataset).stands_in_for
    assert sorted(set(named) - set(DATASETS)) == []
    assert dataset not in named
    assert len(set(named)) == len(named)
    assert [name for name in named if read(name).access == "generated"] == []


@each_dataset
def test_its_phantom_exists_and_is_generated(dataset):
    phantom = read(dataset).phantom
    assert phantom is None or phantom in DATASETS
    assert phantom is None or read(phantom).access == "generated"
    assert read(dataset).access != "generated" or phantom is None


@each_dataset
def test_the_papers_that_use_it_are_known(dataset):
    used_by = read(dataset).used_by
    assert used_by
    assert sorted(set(used_by) - SLUGS - set(papers.slugs())) == []
    assert len(set(used_by)) == len(used_by)


@each_dataset
def test_its_files_are_sorted_and_listed_once(dataset):
    listed = [file.path for file in read(dataset).files]
    assert listed == sorted(listed)
    # many file systems take names that differ in case only for one file
    assert len({path.casefold() for path in listed}) == len(listed)


def test_every_file_list_belongs_to_a_manifest():
    lists = {path.name for path in MANIFESTS.glob("*.csv")}
    assert lists == {read(dataset).files_from for dataset in DATASETS} - {None}


@each_dataset
def test_its_layout_counts_the_listed_files(dataset):
    manifest = read(dataset)
    paths = [file.path for file in manifest.files]
    # the layout of archives is that of what they hold
    if paths and manifest.patterns and not any(file.unpack for file in manifest.files):
        found = {p.glob: sum(fits(path, p.glob) for path in paths) for p in manifest.patterns}
        assert found == {pattern.glob: pattern.count for pattern in manifest.patterns}
        assert sum(found.values()) == len(paths)
        assert [path for path in paths if not any(fits(path, glob) for glob in found)] == []
    globs = [pattern.glob for pattern in manifest.patterns]
    assert len(set(globs)) == len(globs)


@each_dataset
def test_every_file_of_an_open_set_has_an_address_of_its_own(dataset):
    manifest = read(dataset)
    fetchable = [file for file in manifest.files if file.fetchable]
    if manifest.access == "open":
        addresses = {file.path: manifest.url(file) for file in fetchable}
        assert [path for path, address in addresses.items() if address is None] == []
        assert len(set(addresses.values())) == len(addresses)
        assert [a for a in addresses.values() if _BARE.search(a)] == []
        on_github = [a for a in addresses.values() if "githubusercontent" in a]
        assert [a for a in on_github if not _PINNED.fullmatch(a)] == []
    # what nobody can download by himself says how it is come by
    needs_steps = manifest.access in ("registration", "agreement") or (
        manifest.access == "open" and not fetchable
    )
    assert bool(manifest.obtain) or not needs_steps


@each_dataset
def test_no_count_is_negative(dataset):
    manifest = read(dataset)
    numbers = {**manifest.classes, **manifest.counts}
    assert {name: n for name, n in numbers.items() if n is not None and n < 0} == {}


@each_dataset
def test_what_is_unchecked_is_stated_and_has_a_reason(dataset):
    manifest = read(dataset)
    for name, reason in manifest.unchecked.items():
        value: Any = manifest.model_dump(mode="json")
        for part in name.split("."):
            assert part in value, f"{name} is no field"
            value = value[part]
        assert value not in (None, "", [], {}), f"{name} states nothing"
        assert reason.strip(), f"{name} has no reason"


@each_dataset
def test_a_licence_from_memory_is_marked_as_unchecked(dataset):
    manifest = read(dataset)
    if manifest.licence.checked == "memory":
        assert "licence.name" in manifest.unchecked
    if manifest.licence.checked == "read":
        assert manifest.licence.name != "unknown"
        assert not _REMEMBERED.search(manifest.unchecked.get("licence.name", ""))


@each_dataset
def test_a_text_that_speaks_of_memory_is_marked_as_unchecked(dataset):
    manifest = read(dataset)
    stated = texts(manifest.model_dump(mode="json", exclude={"unchecked", "files"}))
    remembered = {name.split(".")[0] for name, text in stated.items() if _REMEMBERED.search(text)}
    assert sorted(remembered - {name.split(".")[0] for name in manifest.unchecked}) == []


@each_mirrored
def test_the_mirror_and_the_manifest_name_the_same_files(dataset):
    assert dataset in DATASETS
    manifest, folder = read(dataset), Path(MIRROR) / dataset
    listed = {file.path for file in manifest.files} or {
        path.relative_to(folder).as_posix()
        for pattern in manifest.patterns
        for path in folder.glob(pattern.glob)
    }
    assert listed == below(folder)


@each_mirrored
def test_the_mirrored_files_have_the_listed_checksums(dataset, tmp_path, monkeypatch):
    # an empty data folder, so that no copy of the reader's own is verified instead
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    verified = manifests.verify(dataset)
    on_disk = [Path(MIRROR) / dataset / path for path in below(Path(MIRROR) / dataset)]
    assert verified.n_files == len(on_disk)
    assert verified.n_bytes == sum(path.stat().st_size for path in on_disk)


@each_mirrored
def test_the_addresses_are_those_that_the_mirror_was_copied_from(dataset):
    sources = Path(MIRROR) / dataset / SOURCES
    if not sources.is_file():
        pytest.skip(f"this mirror does not say where {dataset} was copied from")
    with sources.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    raw = "https://raw.githubusercontent.com"
    copied = {
        row["file"]: f"{raw}/{row['repository']}/{row['commit']}/{quote(row['path_in_repository'])}"
        for row in rows
    }
    manifest = read(dataset)
    addresses = {file.path: manifest.url(file) for file in manifest.files}
    assert addresses == (copied if addresses else {})
    if manifest.source is not None:
        assert {row["commit"] for row in rows} == {manifest.source.commit}
